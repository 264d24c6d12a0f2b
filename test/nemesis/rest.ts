/** What a run asks of its cluster when no client does: that it forms, that it comes to rest, and what it holds in the end. */
import type { Explanation, HeldHints } from "../../src/checkers/calm.ts";
import type { History, Operation } from "../../src/checkers/history.ts";
import { finalRead, propertiesOf } from "../../src/simulator/clients.ts";
import { eachOf } from "../support/cluster-load.ts";
import { until } from "../support/cluster-eyes.ts";
import { BUCKETS } from "./load.ts";
import type { Machine } from "./machine.ts";
import type { RealWorld } from "./real-world.ts";

const JSON_BODY = { "Content-Type": "application/json" };
/** A machine that is busy takes its time. */
const WAIT_MS_MAX = 180_000;
/** A repair that a final read has begun is over within this time. */
const EQUAL_MS_MAX = 15_000;

interface NodesSeen {
  readonly nodes: readonly { readonly id: string; readonly state: string }[];
}

interface Ring {
  readonly layoutVersion: number;
  readonly partitions: readonly { readonly owners: readonly string[] }[];
}

/** Until every process is ready, and every node sees every node up. */
export async function untilAllUp(world: RealWorld, machines: readonly Machine[]): Promise<void> {
  const notReady = async (): Promise<readonly string[]> =>
    machines.filter(({ isReady }) => !isReady).map(({ name }) => name);
  await until("all are ready", notReady, (names) => names.length === 0, WAIT_MS_MAX);
  for (const index of world.present) {
    const look = (): Promise<string> => statesSeenBy(world, index);
    const isSo = (states: string): boolean =>
      states.split(", ").every((one) => one.endsWith(" up"));
    await until(`${world.names[index]} sees all up`, look, isSo, WAIT_MS_MAX);
  }
}

/** What it said instead where it does not answer: it may be busy, or starting. */
async function statesSeenBy(world: RealWorld, index: number): Promise<string> {
  try {
    const { nodes } = await world.json<NodesSeen>(index, "/v1/cluster/nodes");
    return nodes.map(({ id, state }) => `${id} ${state}`).join(", ");
  } catch (thrown) {
    return String(thrown);
  }
}

export async function makeBuckets(world: RealWorld): Promise<void> {
  for (const bucket of BUCKETS) {
    const init = { method: "PUT", body: propertiesOf(bucket), headers: JSON_BODY };
    const heard = await world.send(0, `/v1/buckets/${bucket.name}`, init);
    if (typeof heard === "string" || heard.status >= 300)
      throw new Error(`bucket ${bucket.name}: ${JSON.stringify(heard)}`);
  }
  const textOf = (index: number): Promise<string> =>
    Promise.all(
      BUCKETS.map(async ({ name }) =>
        JSON.stringify(await world.json(index, `/v1/buckets/${name}`)),
      ),
    ).then((texts) => texts.join());
  const look = async (): Promise<number> =>
    new Set(await Promise.all(world.present.map(textOf))).size;
  await until("all know the buckets", look, (texts) => texts === 1, WAIT_MS_MAX);
}

/** Hints that are left when nobody has waited for so long. */
export async function hintsAtRest(world: RealWorld): Promise<readonly HeldHints[]> {
  const look = async (): Promise<readonly HeldHints[]> => {
    const { targets } = await world.json<{ targets: HeldHints[] }>(0, "/v1/admin/hints");
    return targets.filter(({ count }) => count > 0);
  };
  try {
    return await until("no hints", look, (targets) => targets.length === 0, WAIT_MS_MAX);
  } catch {
    return look();
  }
}

/** A read at ALL of every key that anybody has touched. */
export async function readAll(world: RealWorld, history: History): Promise<Operation[]> {
  const places = new Map(history.operations.map((own) => [`${own.bucket.name}/${own.key}`, own]));
  const finals: Operation[] = [];
  await eachOf([...places.values()], async ({ bucket, key }) => {
    finals.push(await finalRead(world, history, bucket, key));
  });
  return finals;
}

/** What the owners of each key hold; equal, if they become so in time. */
export async function explainAll(
  world: RealWorld,
  finals: readonly Operation[],
): Promise<ReadonlyMap<string, Explanation>> {
  const explained = new Map<string, Explanation>();
  const deadlineMs = world.nowMs + EQUAL_MS_MAX;
  await eachOf(finals, async ({ bucket, key }) => {
    const path = `/v1/kv/${bucket.name}/${key}?explain=1`;
    const isSame = ({ equal, owners }: Explanation): boolean =>
      equal && owners.every(({ reachable }) => reachable);
    let seen = await world.json<Explanation>(0, path);
    while (!isSame(seen) && world.nowMs < deadlineMs) {
      await world.sleep(200);
      seen = await world.json<Explanation>(0, path);
    }
    explained.set(`${bucket.name}/${key}`, seen);
  });
  return explained;
}

/** The ring as each node tells it. */
export async function ringsOf(world: RealWorld): Promise<ReadonlyMap<string, string>> {
  const rings = new Map<string, string>();
  for (const index of world.present) {
    const { layoutVersion, partitions } = await world.json<Ring>(index, "/v1/cluster/ring");
    const owners = partitions.map((own) => own.owners.join()).join(";");
    rings.set(world.names[index]!, `${layoutVersion} ${owners}`);
  }
  return rings;
}
