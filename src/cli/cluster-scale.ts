/**
 * A local cluster with more or fewer nodes while it runs: new ones join, one after the other, and the last ones leave cleanly, with what they hold handed over.
 * How many there are is kept beside the data, so that the next start has as many.
 */

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HutchError } from "../base/errors.ts";
import type { Client } from "../client/client.ts";
import type { LayoutSummary } from "../http/layout-api.ts";
import type { NodePlan } from "./cluster-plan.ts";
import { LOCAL_NODES_MAX } from "./cluster-plan.ts";
import { connect } from "./connect.ts";
import { changeText } from "./follow-job.ts";
import type { LocalNode } from "./local-node.ts";

const COUNT_FILE = "cluster.json";
const ANSWER_TIMEOUT_MS = 30_000;
const LOOK_EVERY_MS = 300;
/** A node hands over what it holds; that takes as long as the data are large. */
const STEP_MS_MAX = 3_600_000;

/** What the scaling needs of the cluster in the foreground. */
export interface Scalable {
  readonly nodes: readonly LocalNode[];
  readonly isStopping: boolean;
  /** Starts one more; settles when it is ready. */
  add(plan: NodePlan): Promise<void>;
  /** The last node is about to end by itself; settles when it has, and forgets it. */
  lastEnds(): Promise<void>;
  /** It stays after all. */
  lastStays(): void;
}

export interface ScaleOptions {
  readonly count: number;
  readonly dataDir: string;
  planFor(count: number): readonly NodePlan[];
  tell(note: string): void;
}

/** How many nodes the cluster on `dataDir` was scaled to; `undefined` where it never was. */
export function savedCount(dataDir: string): number | undefined {
  try {
    const { nodes } = JSON.parse(readFileSync(join(dataDir, COUNT_FILE), "utf8"));
    return Number.isSafeInteger(nodes) && nodes >= 1 && nodes <= LOCAL_NODES_MAX
      ? nodes
      : undefined;
  } catch {
    // Never scaled, or not written by us: the usual number.
    return undefined;
  }
}

export function forgetCount(dataDir: string): void {
  rmSync(join(dataDir, COUNT_FILE), { force: true });
}

export async function scale(cluster: Scalable, options: ScaleOptions): Promise<void> {
  const { count, dataDir, planFor, tell } = options;
  check(cluster, count);
  const plans = planFor(count);
  const save = (): void =>
    writeFileSync(
      join(dataDir, COUNT_FILE),
      `${JSON.stringify({ nodes: cluster.nodes.length })}\n`,
    );
  for (let at = cluster.nodes.length; at < count; at++) {
    tell(`starting ${plans[at]!.id}`);
    await cluster.add(plans[at]!);
    save();
    await settled(cluster, plans[at]!.id, tell);
  }
  while (cluster.nodes.length > count) {
    await letLastGo(cluster, count, tell);
    save();
  }
  save();
  tell(`${count === 1 ? "1 node" : `${count} nodes`}`);
}

function check({ nodes }: Scalable, count: number): void {
  if (!Number.isSafeInteger(count) || count < 1 || count > LOCAL_NODES_MAX)
    throw new HutchError(
      "bad-config",
      `Cannot use --scale "${count}": outside 1 to ${LOCAL_NODES_MAX}`,
    );
  const dead = nodes.filter(({ isReady, isRunning }) => !isReady || !isRunning);
  if (dead.length > 0)
    throw new HutchError(
      "unavailable",
      `Cannot scale while ${dead.map(({ plan }) => plan.id).join(", ")} is not up`,
    );
}

/** The node owns its share, and no change is under way. */
async function settled(cluster: Scalable, id: string, tell: (note: string) => void): Promise<void> {
  const client = clientOf(cluster.nodes[0]!);
  let told = "";
  for (const untilMs = performance.now() + STEP_MS_MAX; performance.now() < untilMs;) {
    if (cluster.isStopping) throw ended();
    const layout = (await client.json("/v1/cluster/layout")) as LayoutSummary;
    const isIn = layout.nodes.some((node) => node.id === id && node.partitions > 0);
    if (isIn && layout.change === null) return tell(`${id} has joined`);
    const note = layout.change === null ? "" : `${id}: ${changeText(layout.change)}`;
    if (note !== told && note !== "") tell((told = note));
    await Bun.sleep(LOOK_EVERY_MS);
  }
  throw new HutchError("unavailable", `Cannot wait any longer for ${id} to join`);
}

async function letLastGo(
  cluster: Scalable,
  count: number,
  tell: (note: string) => void,
): Promise<void> {
  const { id, dataDir } = cluster.nodes.at(-1)!.plan;
  const client = clientOf(cluster.nodes[0]!);
  const isGone = cluster.lastEnds();
  try {
    await client.post(`/v1/cluster/nodes/${id}/leave`, { force: false });
  } catch (error) {
    cluster.lastStays();
    throw isTooFew(error) ? tooFew(count, error) : error;
  }
  tell(`${id} hands over what it holds`);
  await isGone;
  if (cluster.isStopping) throw ended();
  // It has handed over all of it, and would not start again with it.
  rmSync(dataDir, { recursive: true, force: true });
  tell(`${id} has left`);
}

function isTooFew(thrown: unknown): thrown is HutchError {
  return thrown instanceof HutchError && thrown.code === "would-underreplicate";
}

/** As a wrong value: what is advised for the code of `cause` is `--force`, which scaling does not have. */
function tooFew(count: number, cause: HutchError): HutchError {
  const reason = cause.message.replace(/^C/, "c");
  return new HutchError("bad-config", `Cannot use --scale "${count}": ${reason}`, { cause });
}

function ended(): HutchError {
  return new HutchError("unavailable", "Cannot go on: the cluster is stopped");
}

function clientOf({ plan: { url, credentials } }: LocalNode): Client {
  return connect({ url, ...credentials }, ANSWER_TIMEOUT_MS);
}
