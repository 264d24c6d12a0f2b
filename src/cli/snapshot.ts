/**
 * `hutch snapshot`: all buckets as files of a directory, one of NDJSON for each, and `snapshot.json` with their properties. That file is written last: a
 * directory without it is a snapshot that was interrupted, and goes on.
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HutchError, messageOf } from "../base/errors.ts";
import type { ClusterSummary } from "../http/admin-api.ts";
import type { BucketShape, BucketsAnswer } from "./buckets.ts";
import { confirm } from "./confirm.ts";
import { connect, urlBeside } from "./connect.ts";
import { exportFile } from "./export.ts";
import { importFile } from "./import.ts";
import { askNodes } from "./nodes.ts";
import { note, print, visible } from "./terminal.ts";

type Options = Readonly<Record<string, string | boolean | undefined>>;

const MANIFEST = "snapshot.json";
const ANSWER_TIMEOUT_MS = 30_000;
/** As the server wants it; nothing else becomes part of a path here. */
const BUCKET = /^[a-z0-9][a-z0-9._-]{0,62}$/;

export interface Manifest {
  /** RFC 3339. */
  readonly at: string;
  readonly cluster: string;
  readonly buckets: readonly (BucketShape & { readonly name: string })[];
}

export async function saveSnapshot(directory: string, options: Options): Promise<void> {
  const path = join(directory, MANIFEST);
  if (existsSync(path))
    throw new HutchError("usage", `Cannot save to "${directory}": it holds a finished snapshot`);
  mkdirs(directory);
  const { name } = (await connect(options, ANSWER_TIMEOUT_MS).json(
    "/v1/cluster",
  )) as ClusterSummary;
  const buckets = await allBuckets(options);
  for (const bucket of buckets) {
    note(`bucket ${bucket.name}`);
    await exportFile(bucket.name, fileOf(directory, bucket.name), options);
  }
  const manifest: Manifest = { at: new Date().toISOString(), cluster: name, buckets };
  writeFileSync(path, `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600 });
  print(`saved ${buckets.length === 1 ? "1 bucket" : `${buckets.length} buckets`} to ${directory}`);
}

/** A node knows the buckets whose properties were set, and those that it holds keys of. */
async function allBuckets(options: Options): Promise<Manifest["buckets"]> {
  const { nodes } = await askNodes(connect(options, ANSWER_TIMEOUT_MS));
  const byName = new Map<string, Manifest["buckets"][number]>();
  for (const { state, address } of nodes) {
    if (state !== "up" || address === "") continue;
    const client = connect({ ...options, url: urlBeside(options, address) }, ANSWER_TIMEOUT_MS);
    const answer = (await client.json("/v1/buckets")) as BucketsAnswer;
    for (const bucket of answer.buckets) byName.set(bucket.name, bucket);
  }
  return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

export async function restoreSnapshot(directory: string, options: Options): Promise<void> {
  const manifest = readManifest(directory);
  const { buckets } = manifest;
  const client = connect(options, ANSWER_TIMEOUT_MS);
  if (!(await confirm(restoreQuestion(manifest), options))) return;
  for (const { name, ...properties } of buckets) {
    note(`bucket ${name}`);
    await client.ask("PATCH", `/v1/buckets/${name}`, properties);
    await importFile(name, fileOf(directory, name), { ...options, mode: "merge" });
  }
}

export function restoreQuestion({ buckets, at, cluster }: Manifest): string {
  const what = buckets.length === 1 ? "1 bucket" : `${buckets.length} buckets`;
  return `Restore ${what} of ${visible(cluster)} as of ${visible(at)}?`;
}

function readManifest(directory: string): Manifest {
  const path = join(directory, MANIFEST);
  const refuse = (why: string): HutchError =>
    new HutchError("usage", `Cannot restore "${directory}": ${why}`);
  if (!existsSync(path))
    throw refuse(`no ${MANIFEST} there; \`hutch snapshot save\` writes it last`);
  try {
    return parseManifest(readFileSync(path, "utf8"));
  } catch (error) {
    throw refuse(messageOf(error));
  }
}

/** @throws HutchError `usage`, and `SyntaxError` for what is no JSON */
export function parseManifest(text: string): Manifest {
  const manifest = JSON.parse(text) as Partial<Manifest> | null;
  const { at, cluster, buckets } = manifest ?? {};
  const isNamed = (bucket: { readonly name?: unknown } | null): boolean =>
    typeof bucket?.name === "string" && BUCKET.test(bucket.name);
  if (!Array.isArray(buckets) || !buckets.every(isNamed))
    throw new HutchError("usage", `${MANIFEST} names no buckets`);
  if (typeof at !== "string" || typeof cluster !== "string")
    throw new HutchError("usage", `${MANIFEST} names no cluster and time`);
  return { at, cluster, buckets };
}

function fileOf(directory: string, bucket: string): string {
  return join(directory, `${bucket}.ndjson`);
}

function mkdirs(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new HutchError("usage", `Cannot save to "${directory}": ${messageOf(error)}`);
  }
}
