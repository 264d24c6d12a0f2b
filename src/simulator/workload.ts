/**
 * What clients ask of a cluster, as shares, and the steps that are drawn from it. Users describe their own buckets and habits in a file of this form
 * (`hutch sim --workload`); whatever it leaves out is as in the runs of the project.
 */
import { z } from "zod";
import type { Prng } from "../base/prng.ts";
import type { PlannedBucket, PlannedClient, Step } from "./plan.ts";

const share = z.number().min(0).max(1);
const choices = z.array(z.string()).min(1);
const durations = z.array(z.int().min(0)).min(1);

/** The buckets that runs use: each kind of conflict, and one that counts no fallbacks. */
export const BUCKETS: readonly PlannedBucket[] = [
  { name: "plain", conflicts: "siblings", blindPut: "supersede", strict: false },
  { name: "latest", conflicts: "lww", blindPut: "supersede", strict: false },
  { name: "blind", conflicts: "siblings", blindPut: "sibling", strict: false },
  { name: "strict", conflicts: "siblings", blindPut: "supersede", strict: true },
];

const WRITE_LEVELS = [
  "",
  "",
  "",
  "QUORUM",
  "ONE",
  "ALL",
  "r=2, w=2, pr=1, pw=1",
  "w=3",
  "w=1, dw=1",
];
const READ_LEVELS = ["", "", "", "QUORUM", "ONE", "ALL", "r=2, w=2, pr=1, pw=1", "r=3", "r=1"];
const STRICT_LEVELS = ["", "QUORUM", "ALL", "sloppy=?0"];

const bucketSchema = z.strictObject({
  name: z.string().min(1),
  conflicts: z.enum(["siblings", "lww"]).default("siblings"),
  blindPut: z.enum(["supersede", "sibling"]).default("supersede"),
  strict: z.boolean().default(false),
  /** Copies. Default 3. */
  n: z.int().min(1).max(7).optional(),
  /** Further properties, as in `PUT /v1/buckets/{bucket}`. */
  properties: z.record(z.string(), z.unknown()).optional(),
});

export const workloadSchema = z.strictObject({
  buckets: z
    .array(bucketSchema)
    .min(1)
    .default([...BUCKETS]),
  keysPerBucket: z.int().min(1).max(10_000).default(3),
  /** Of operations, that go to the first key of their bucket whatever else is drawn. */
  hotKeyShare: share.default(0),
  /** Of operations, that read. */
  readShare: share.default(0.45),
  /** Of writes, that delete. */
  deleteShare: share.default(0.2),
  /** Of writes of a key that the client knows, with its context. */
  contextShare: share.default(0.5),
  /** Of puts, with `If-None-Match: *` where there is no context. */
  conditionalShare: share.default(0.15),
  /** Of puts, with an `Idempotency-Key`, sent again after unknown outcomes. */
  retryShare: share.default(0.3),
  /** Of clients, with sessions. */
  sessionShare: share.default(0.6),
  /** Times to live of puts, of which one is drawn; 0 = none. */
  ttlsMs: durations.default([0]),
  /** Bytes of values, at least, of which one is drawn. */
  valueBytes: durations.default([0, 0, 20, 200]),
  /** Texts of `X-Consistency`, of which one is drawn; "" = the bucket's default. */
  writeLevels: choices.default(WRITE_LEVELS),
  readLevels: choices.default(READ_LEVELS),
  strictLevels: choices.default(STRICT_LEVELS),
  timeoutsMs: durations.default([2000, 2000, 2000, 500, 100]),
  /** Between two operations of one client: drawn up to this. */
  pauseMsMax: z.int().min(1).default(120),
});

export type Workload = Readonly<z.infer<typeof workloadSchema>>;

export const DEFAULT_WORKLOAD: Workload = workloadSchema.parse({});

const NEW_SESSION_CHANCE = 0.02;
const REPEAT_CHANCE = 0.2;
const RETRIES_MAX = 2;
const PAUSE_MS_MIN = 5;
/** What an operation takes on average: steps are drawn for the whole duration, and those that it does not reach are left. */
const OPERATION_MS = 4;
export const STEPS_PER_CLIENT_MAX = 100_000;
const NODE_DRAWS = 1000;

export function drawClient(
  prng: Prng,
  name: string,
  workload: Workload,
  durationMs: number,
): PlannedClient {
  const usesSessions = prng.chance(workload.sessionShare);
  const steps: Step[] = [];
  for (let atMs = 0; atMs < durationMs && steps.length < STEPS_PER_CLIENT_MAX;) {
    const step = drawStep(prng.fork(`step/${steps.length}`), workload);
    steps.push(step);
    atMs += step.afterMs + OPERATION_MS;
  }
  return { name, usesSessions, steps };
}

function drawStep(prng: Prng, workload: Workload): Step {
  const bucket = prng.below(workload.buckets.length);
  const isHot = prng.chance(workload.hotKeyShare);
  const kind = prng.chance(workload.readShare)
    ? "get"
    : prng.chance(workload.deleteShare)
      ? "delete"
      : "put";
  const isPut = kind === "put";
  const retries = isPut && prng.chance(workload.retryShare) ? drawRetries(prng, workload) : [];
  return {
    kind,
    afterMs: prng.between(PAUSE_MS_MIN, Math.max(PAUSE_MS_MIN, workload.pauseMsMax)),
    bucket,
    key: `k${isHot ? 0 : prng.below(workload.keysPerBucket)}`,
    level: prng.pick(levelsOf(workload, bucket, kind)),
    node: prng.below(NODE_DRAWS),
    timeoutMs: prng.pick(workload.timeoutsMs),
    isInformed: kind !== "get" && prng.chance(workload.contextShare),
    isConditional: isPut && prng.chance(workload.conditionalShare),
    ttlMs: isPut ? prng.pick(workload.ttlsMs) : 0,
    bytes: isPut ? prng.pick(workload.valueBytes) : 0,
    retries,
    isRepeated: prng.chance(REPEAT_CHANCE),
    startsSession: prng.chance(NEW_SESSION_CHANCE),
  };
}

function drawRetries(prng: Prng, { timeoutsMs }: Workload): Step["retries"] {
  return Array.from({ length: RETRIES_MAX }, () => ({
    afterMs: prng.between(5, 300),
    node: prng.below(NODE_DRAWS),
    timeoutMs: prng.pick(timeoutsMs),
  }));
}

function levelsOf(workload: Workload, bucket: number, kind: Step["kind"]): readonly string[] {
  if (workload.buckets[bucket]!.strict) return workload.strictLevels;
  return kind === "get" ? workload.readLevels : workload.writeLevels;
}
