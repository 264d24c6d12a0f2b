/** One bad moment of a cluster of real nodes under load: a node is killed, or stands still, and comes back. */
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

export interface DrillOptions {
  readonly cluster: ClusterProcess;
  readonly load: ClusterLoad;
  readonly index: number;
  readonly how: "kill" | "stop";
  /** How long the load goes on after the others have seen it. */
  readonly awayMs: number;
}

export interface DrillResult {
  /** When, on the load's clock. */
  readonly hitMs: number;
  readonly seenDownMs: number;
  readonly backMs: number;
  /** What was held for the node just before it came back. */
  readonly hints: string;
  /** States that the node had in the eyes of another one, from its return to its serving again. */
  readonly statesOnReturn: readonly string[];
}

const SETTLE_MS = 500;

/** The load runs before, while, and a moment after; it has stopped when this settles. */
export async function drill(options: DrillOptions): Promise<DrillResult> {
  const { cluster, load, index, how, awayMs } = options;
  const others = everyOther(cluster, index);
  load.talkTo(others);
  load.start();
  await Bun.sleep(SETTLE_MS);
  const hitMs = load.nowMs;
  await cluster.kill(index, how === "kill" ? "SIGKILL" : "SIGSTOP");
  await untilSeen(cluster, others, index, ["down"]);
  const seenDownMs = load.nowMs;
  await Bun.sleep(awayMs);
  const hints = await hintsSeenBy(cluster, others[0]!);
  const watching = watch(cluster, others[0]!, index);
  if (how === "kill") await cluster.restart(index);
  else await wake(options);
  load.talkTo([...others, index]);
  await Bun.sleep(SETTLE_MS);
  await untilAllUp(cluster);
  const statesOnReturn = await watching;
  const backMs = load.nowMs;
  await load.stop();
  await untilNoHints(cluster, others[0]!);
  return { hitMs, seenDownMs, backMs, hints, statesOnReturn };
}

/** Requests wait in the sockets of the node that stands still: they are the first thing that it sees, before it knows that it was away (R53). */
async function wake({ cluster, load, index }: DrillOptions): Promise<void> {
  const early = load.allKeys.map((key) => load.readOne(index, key));
  await Bun.sleep(SETTLE_MS);
  await cluster.kill(index, "SIGCONT");
  const answers = await Promise.all(early);
  const atMs = load.nowMs;
  for (const what of answers)
    if (what !== undefined) load.unusualReads.push({ atMs, what: `on waking: ${what}` });
}

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

const everyOther = (cluster: ClusterProcess, index: number): number[] =>
  cluster.urls.map((_, each) => each).filter((each) => each !== index);

/** The node that is the first owner of most keys of the load: the one that mints most. */
export async function heaviestMinter(cluster: ClusterProcess, load: ClusterLoad): Promise<number> {
  const counts = cluster.urls.map(() => 0);
  await eachOf(load.allKeys, async ({ name }) => {
    const { owners } = await routeOf(cluster, 0, `${load.bucket}/${name}`);
    counts[indexOf(owners[0]!)]!++;
  });
  return counts.indexOf(Math.max(...counts));
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
