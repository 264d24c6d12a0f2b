/** One bad moment of a cluster of real nodes under load: some are killed, or stand still, all at once, and come back at once. */
import type { ClusterProcess } from "../e2e/node-process.ts";
import {
  type Explained,
  explain,
  hintsSeenBy,
  nodesSeenBy,
  indexOf,
  nameOf,
  routeOf,
  until,
  untilAllUp,
  untilNoHints,
  untilSeen,
} from "./cluster-eyes.ts";
import { type ClusterLoad, eachOf } from "./cluster-load.ts";
import type { PeerRelay } from "./peer-relay.ts";

/** `isolate`: the victims hear each other and nobody else. */
export type Blow = "kill" | "stop" | "isolate";

export interface DrillOptions {
  readonly cluster: ClusterProcess;
  readonly load: ClusterLoad;
  readonly victims: readonly number[];
  readonly how: Blow;
  /** Only to isolate. */
  readonly relay?: PeerRelay;
  /** How long the load goes on after the others have seen it. */
  readonly awayMs: number;
}

export interface DrillResult {
  /** When, on the load's clock. */
  readonly hitMs: number;
  readonly seenDownMs: number;
  readonly backMs: number;
  /** What was held for the victims just before they came back. */
  readonly hints: string;
  /** States that each victim had in the eyes of another node, from its return to its serving again. */
  readonly statesOnReturn: readonly (readonly string[])[];
}

const SETTLE_MS = 500;

/** The load runs before, while, and a moment after; it has stopped when this settles. */
export async function drill(options: DrillOptions): Promise<DrillResult> {
  const { cluster, load, victims, awayMs } = options;
  const others = everyOther(cluster, victims);
  load.talkTo(others);
  load.start();
  await Bun.sleep(SETTLE_MS);
  const hitMs = load.nowMs;
  await strike(options, others);
  await all(victims, (index) => untilSeen(cluster, others, index, ["down"]));
  const seenDownMs = load.nowMs;
  await Bun.sleep(awayMs);
  const hints = await hintsSeenBy(cluster, others[0]!);
  const watching = all(victims, (index) => watch(cluster, others[0]!, index));
  await bringBack(options);
  load.talkTo([...others, ...victims]);
  await Bun.sleep(SETTLE_MS);
  await untilAllUp(cluster);
  const statesOnReturn = await watching;
  const backMs = load.nowMs;
  await load.stop();
  await untilNoHints(cluster, others[0]!);
  return { hitMs, seenDownMs, backMs, hints, statesOnReturn };
}

async function strike({ cluster, victims, how, relay }: DrillOptions, others: number[]) {
  if (how === "isolate") relay!.partition(others, victims);
  else await all(victims, (index) => cluster.kill(index, how === "kill" ? "SIGKILL" : "SIGSTOP"));
}

async function bringBack(options: DrillOptions): Promise<void> {
  const { cluster, victims, how, relay } = options;
  if (how === "isolate") relay!.heal();
  else if (how === "kill") await all(victims, (index) => cluster.restart(index));
  else await wake(options);
}

/** Requests wait in the sockets of a node that stands still: they are the first thing that it sees, before it knows that it was away (R53). */
async function wake({ cluster, load, victims }: DrillOptions): Promise<void> {
  const early = victims.flatMap((index) => load.allKeys.map((key) => load.readOne(index, key)));
  await Bun.sleep(SETTLE_MS);
  await all(victims, (index) => cluster.kill(index, "SIGCONT"));
  const answers = await Promise.all(early);
  const atMs = load.nowMs;
  for (const what of answers)
    if (what !== undefined) load.unusualReads.push({ atMs, what: `on waking: ${what}` });
}

const all = <T>(indexes: readonly number[], act: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(indexes.map(act));

/** The states that `observer` sees of the node until it is up again. */
async function watch(cluster: ClusterProcess, observer: number, index: number): Promise<string[]> {
  const states: string[] = [];
  await until(
    `${nameOf(index)} is back`,
    async () => {
      const nodes = await nodesSeenBy(cluster, observer);
      const state = nodes.find(({ id }) => id === nameOf(index))?.state ?? "";
      if (states.at(-1) !== state) states.push(state);
      return state;
    },
    (state) => state === "up",
  );
  return states;
}

const everyOther = (cluster: ClusterProcess, victims: readonly number[]): number[] =>
  cluster.urls.map((_, each) => each).filter((each) => !victims.includes(each));

/** The nodes in order of how many keys of the load they are the first owner of, and so mint for; the busiest first. */
export async function mintersByLoad(
  cluster: ClusterProcess,
  load: ClusterLoad,
): Promise<readonly number[]> {
  const counts = cluster.urls.map(() => 0);
  await eachOf(load.allKeys, async ({ name }) => {
    const { owners } = await routeOf(cluster, 0, `${load.bucket}/${name}`);
    counts[indexOf(owners[0]!)]!++;
  });
  return counts.map((_, index) => index).sort((a, b) => counts[b]! - counts[a]!);
}

/** Keys whose owners are not equal after each was read from all of them. */
export async function unequalKeys(
  cluster: ClusterProcess,
  load: ClusterLoad,
): Promise<readonly string[]> {
  const unequal: string[] = [];
  await eachOf(load.allKeys, async ({ name }) => {
    const url = cluster.key(0, load.bucket, name);
    await (await fetch(url, { headers: { "X-Consistency": "ALL" } })).text();
    const isSo = ({ equal, owners }: Explained): boolean =>
      equal && owners.every(({ reachable }) => reachable);
    await until(`${name} is equal`, () => explain(cluster, 0, load.bucket, name), isSo, 3000).catch(
      (thrown: unknown) => unequal.push(String(thrown)),
    );
  });
  return unequal;
}
