/** A file of `--workload` (docs/simulator.md), checked as a node would check it: what no node takes would break every run, and say nothing about nodes. */

import { HutchError, messageOf } from "../base/errors.ts";
import { BUCKET_BODY } from "../http/bucket-routes.ts";
import { checkBucket } from "../http/key-path.ts";
import { checkDefaultConsistency } from "../quorum/parse-consistency.ts";
import type { PlannedBucket } from "../simulator/plan.ts";
import { type Workload, workloadSchema } from "../simulator/workload.ts";

const COPIES_DEFAULT = 3;
const CONSISTENCY_DEFAULT = "QUORUM";

type Issues = readonly { readonly path: readonly PropertyKey[]; readonly message: string }[];

/** @throws HutchError `usage`, one line for each thing that is wrong */
export function readWorkload(path: string, text: string): Workload {
  const refuse = (lines: readonly string[]): HutchError =>
    new HutchError("usage", lines.map((line) => `--workload: "${path}": ${line}`).join("\n"));
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (thrown) {
    throw refuse([`it is not JSON: ${messageOf(thrown)}`]);
  }
  const parsed = workloadSchema.safeParse(json);
  if (!parsed.success) throw refuse(linesOf(parsed.error.issues));
  const wrong = complaintsOn(parsed.data);
  if (wrong.length > 0) throw refuse(wrong);
  return parsed.data;
}

function complaintsOn(workload: Workload): string[] {
  const names = workload.buckets.map(({ name }) => name);
  const twice = names.filter((name, index) => names.indexOf(name) < index);
  return [
    ...twice.map((name) => `there are two buckets "${name}"`),
    ...workload.buckets.flatMap((bucket) => bucketComplaints(bucket, workload)),
  ];
}

function bucketComplaints(bucket: PlannedBucket, workload: Workload): string[] {
  const { name, conflicts, blindPut, strict, n, properties } = bucket;
  const named = (line: string): string => `bucket "${name}": ${line}`;
  const parsed = BUCKET_BODY.safeParse({ ...properties, n, conflicts, blindPut, strict });
  if (!parsed.success) return linesOf(parsed.error.issues).map(named);
  const { strictLevels, writeLevels, readLevels } = workload;
  const own = strict ? strictLevels : [...writeLevels, ...readLevels];
  const levels = new Set([parsed.data.consistency ?? CONSISTENCY_DEFAULT, ...own]);
  // The bucket's own.
  levels.delete("");
  return [
    ...complaintOf(() => checkBucket(name)),
    ...[...levels].flatMap((level) =>
      complaintOf(() => checkDefaultConsistency(level, n ?? COPIES_DEFAULT, strict)),
    ),
  ].map(named);
}

function complaintOf(check: () => unknown): string[] {
  try {
    check();
    return [];
  } catch (thrown) {
    return [messageOf(thrown)];
  }
}

function linesOf(issues: Issues): string[] {
  return issues.map(({ path, message }) => [...path.map(String), message].join(": "));
}
