/** The demonstration of the README with real nodes: an owner is killed and comes back; a network is cut in two and heals. */
import { expect, setDefaultTimeout, test } from "bun:test";
import {
  countsOf,
  explain,
  hintsSeenBy,
  indexOf,
  put,
  routeOf,
  type Sibling,
  until,
  untilAllUp,
  untilNoHints,
  untilSeen,
} from "../support/cluster-eyes.ts";
import { PeerRelay } from "../support/peer-relay.ts";
import { type ClusterProcess, withCluster } from "./node-process.ts";

/** Whole programs start and stop here, on a machine that may be busy. */
setDefaultTimeout(120_000);

const NODES = [0, 1, 2];

const read = (cluster: ClusterProcess, index: number, key: string): Promise<Response> =>
  fetch(cluster.key(index, "demo", key), { headers: { "X-Consistency": "QUORUM" } });

const untilEqual = (cluster: ClusterProcess, key: string) =>
  until(
    `all owners of ${key} are equal`,
    () => explain(cluster, 0, "demo", key),
    ({ owners, equal }) => equal && owners.length === 3 && owners.every((one) => one.reachable),
  );

test("the demonstration: an owner dies, a network splits, nothing is lost and nothing is picked silently", async () => {
  const relay = await PeerRelay.start(NODES.length);
  const options = { args: ["--partitions", "16"], argsOf: (each: number) => relay.argsOf(each) };
  try {
    await withCluster(
      NODES.length,
      async (cluster) => {
        await anOwnerDies(cluster);
        await aNetworkSplits(cluster, relay);
      },
      options,
    );
  } finally {
    relay.stop();
  }
});

async function anOwnerDies(cluster: ClusterProcess): Promise<void> {
  expect((await put(cluster.key(0, "demo", "cart"), "one apple")).status).toBe(204);

  const owner = indexOf((await routeOf(cluster, 0, "demo/cart")).owners[0]!);
  const others = NODES.filter((index) => index !== owner);
  await cluster.kill(owner, "SIGKILL");
  await untilSeen(cluster, others, owner, ["down"]);

  const written = await put(cluster.key(others[0]!, "demo", "cart"), "two apples");
  expect(written.status).toBe(204);
  expect(countsOf(written.headers.get("x-acks"))).toMatchObject({ n: 3, ok: 2, hinted: 1 });
  for (const index of others) {
    const answer = await read(cluster, index, "cart");
    expect([answer.status, await answer.text()]).toEqual([200, "two apples"]);
  }
  expect(await hintsSeenBy(cluster, others[0]!)).toBe(`n${owner + 1}: 1`);

  await cluster.restart(owner);
  await untilNoHints(cluster, others[0]!);
  const { owners, equal } = await explain(cluster, owner, "demo", "cart");
  expect([equal, owners.map(({ reachable }) => reachable)]).toEqual([true, [true, true, true]]);
  await untilAllUp(cluster);
}

async function aNetworkSplits(cluster: ClusterProcess, relay: PeerRelay): Promise<void> {
  const [large, small] = [[0, 1], [2]];
  relay.partition(large, small);
  for (const index of large) await untilSeen(cluster, small, index, ["down"]);
  await untilSeen(cluster, large, 2, ["down"]);

  expect((await put(cluster.key(0, "demo", "color"), "red")).status).toBe(204);
  const refused = await put(cluster.key(2, "demo", "color"), "blue");
  expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([
    503,
    "unavailable",
  ]);
  const alone = { "X-Consistency": "ONE" };
  expect((await put(cluster.key(2, "demo", "color"), "blue", alone)).status).toBe(204);

  relay.heal();
  await untilAllUp(cluster);
  for (const index of NODES) {
    const answer = await read(cluster, index, "color");
    expect([answer.status, answer.headers.get("x-siblings")]).toEqual([300, "2"]);
    const { siblings } = (await answer.json()) as { siblings: Sibling[] };
    expect(siblings.map(({ value }) => value).sort()).toEqual(["blue", "red"]);
  }

  const context = (await read(cluster, 1, "color")).headers.get("x-causal-context")!;
  const resolving = { "X-Causal-Context": context };
  expect((await put(cluster.key(1, "demo", "color"), "purple", resolving)).status).toBe(204);
  await untilEqual(cluster, "color");
  for (const index of NODES) {
    const answer = await read(cluster, index, "color");
    expect([answer.status, await answer.text()]).toEqual([200, "purple"]);
  }
}
