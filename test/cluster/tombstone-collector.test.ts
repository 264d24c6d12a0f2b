/** Two-phase collection on a few nodes: when it happens, when it does not, and where it breaks off. */
import { expect, test } from "bun:test";
import { PeerError } from "../../src/cluster/peer-messages.ts";
import { newestDot } from "../../src/causality/provenance.ts";
import { decodeCollectRequest, encodeCollectRequest } from "../../src/cluster/collect-messages.ts";
import {
  GC_DELAY_MS,
  collectAll,
  copiesOf,
  deletionsOf,
  digestOf,
  sleep,
  startCollecting,
} from "../support/collecting-cluster.ts";
import { HOUR_MS, type ManyNodes, type Sent } from "../support/many-nodes.ts";

/** Three nodes on which `k` has been written and deleted. */
async function deleted(count = 3): Promise<ManyNodes> {
  const cluster = await startCollecting(count);
  const [first] = cluster.walk("k");
  await cluster.run(first!.put("k", "v"));
  await cluster.run(first!.delete("k"));
  await cluster.pass(100);
  expect(copiesOf(cluster, "k").slice(0, 3)).toEqual(["-", "-", "-"]);
  return cluster;
}

const isCollect = ({ request }: Sent, step: "compare" | "drop"): boolean =>
  request.kind === "repair" &&
  request.topic === "collect" &&
  decodeCollectRequest(request.body).step === step;

test("R39, C26: a deletion goes from all owners together, once it is older than gc-delay, and a read still finds nothing", async () => {
  const cluster = await deleted(5);
  await sleep(cluster, GC_DELAY_MS - HOUR_MS);
  expect(await collectAll(cluster)).toEqual({ collected: 0, postponed: 0 });
  await sleep(cluster, 2 * HOUR_MS);
  const newest = newestDot(cluster.walk("k")[0]!.recordOf("k"));
  expect(await collectAll(cluster)).toEqual({ collected: 1, postponed: 0 });
  expect(copiesOf(cluster, "k")).toEqual(["", "", "", "", ""]);
  const { partition } = cluster.address("k");
  for (const node of cluster.walk("k").slice(0, 3))
    expect(deletionsOf(node).facts.gcFloorOf(partition)).toBe(newest);
  expect(await cluster.run(cluster.nodes[4]!.values("k"))).toEqual([]);
  expect(await collectAll(cluster)).toEqual({ collected: 0, postponed: 0 });
  await cluster.close();
});

test("R39: what is written again after that is a new key, and stays", async () => {
  const cluster = await deleted();
  await sleep(cluster, GC_DELAY_MS + HOUR_MS);
  await collectAll(cluster);
  await cluster.run(cluster.nodes[1]!.put("k", "again"));
  await cluster.pass(100);
  expect(copiesOf(cluster, "k")).toEqual(["again", "again", "again"]);
  for (const node of cluster.nodes) expect(node.amnesias).toBe(0);
  await cluster.close();
});

test("R23: an expired value is collected like a deletion, gc-delay after it has expired and not before", async () => {
  const cluster = await startCollecting(3);
  const expiry = { kind: "after", ttlMs: 2 * HOUR_MS } as const;
  await cluster.run(cluster.nodes[0]!.put("k", "v", { expiry }));
  await cluster.pass(100);
  await sleep(cluster, GC_DELAY_MS + HOUR_MS);
  expect((await collectAll(cluster)).collected).toBe(0);
  expect(copiesOf(cluster, "k")).toEqual(["v", "v", "v"]);
  await sleep(cluster, 2 * HOUR_MS);
  expect((await collectAll(cluster)).collected).toBe(1);
  expect(copiesOf(cluster, "k")).toEqual(["", "", ""]);
  await cluster.close();
});

test("R39: a live sibling keeps the deletion next to it", async () => {
  const cluster = await startCollecting(3);
  const { context } = await cluster.run(cluster.nodes[0]!.put("k", "v"));
  await cluster.run(cluster.nodes[0]!.put("k", "other", { context }));
  await cluster.run(cluster.nodes[0]!.delete("k", { context }));
  await sleep(cluster, GC_DELAY_MS + HOUR_MS);
  expect((await collectAll(cluster)).collected).toBe(0);
  expect(copiesOf(cluster, "k")).toEqual(["-,other", "-,other", "-,other"]);
  await cluster.close();
});

test.each(["refused", "lost", "cut", "garbage"] as const)(
  "R39: with one owner away (%s) nothing is dropped anywhere; when it is back the rest follows",
  async (fault) => {
    const cluster = await deleted();
    await sleep(cluster, GC_DELAY_MS + HOUR_MS);
    const away = cluster.walk("k")[2]!;
    cluster.intercept = ({ to }) => (to === away ? fault : undefined);
    expect(await collectAll(cluster)).toEqual({ collected: 0, postponed: 1 });
    expect(copiesOf(cluster, "k")).toEqual(["-", "-", "-"]);
    cluster.intercept = undefined;
    expect(await collectAll(cluster)).toEqual({ collected: 1, postponed: 0 });
    await cluster.close();
  },
);

test("D4, R39: an owner that is down or syncing is not even asked, and nothing is dropped", async () => {
  const cluster = await deleted();
  await sleep(cluster, GC_DELAY_MS + HOUR_MS);
  const [, second, third] = cluster.walk("k");
  cluster.setPhase("syncing", second!);
  cluster.down(third!);
  const before = cluster.countSent("repair");
  expect((await collectAll(cluster)).collected).toBe(0);
  expect(cluster.countSent("repair")).toBe(before);
  expect(copiesOf(cluster, "k")).toEqual(["-", "-", "-"]);
  cluster.up("serving", third!);
  cluster.setPhase("serving", second!);
  expect((await collectAll(cluster)).collected).toBe(1);
  await cluster.close();
});

test("R39: an owner that has missed the deletion gets it in phase 1, and then all let go of it", async () => {
  const cluster = await startCollecting(3);
  const [first, , third] = cluster.walk("k");
  await cluster.run(first!.put("k", "v"));
  await cluster.pass(100);
  cluster.intercept = ({ to, request }) =>
    to === third && request.kind === "merge" ? "full" : undefined;
  await cluster.run(first!.delete("k"));
  await cluster.pass(100);
  expect(copiesOf(cluster, "k")).toEqual(["-", "-", "v"]);
  // It does not come for a while yet.
  await sleep(cluster, GC_DELAY_MS + HOUR_MS);
  expect((await collectAll(cluster)).postponed).toBe(1);
  cluster.intercept = undefined;
  expect((await collectAll(cluster)).collected).toBe(1);
  expect(copiesOf(cluster, "k")).toEqual(["", "", ""]);
  await cluster.close();
});

test("R39: a hint for the key at any owner forbids its collection", async () => {
  const cluster = await deleted(5);
  const [, second] = cluster.walk("k");
  const other = cluster.walk("k")[4]!;
  cluster.down(other);
  await sleep(cluster, GC_DELAY_MS + HOUR_MS);
  const { internalKey } = cluster.address("k");
  const stored = second!.opened.store.get(internalKey)!.value.slice();
  await cluster.run(second!.hints.add(other.id, internalKey, stored, undefined));
  expect((await collectAll(cluster)).postponed).toBe(1);
  expect(copiesOf(cluster, "k").slice(0, 3)).toEqual(["-", "-", "-"]);
  await cluster.close();
});

test.each([0, 1, 2])(
  "row 95, R23: one clock that runs hours ahead collects nothing by itself, owner %d",
  async (index) => {
    const cluster = await deleted();
    await sleep(cluster, GC_DELAY_MS - 2 * HOUR_MS);
    const node = cluster.walk("k")[index]!;
    const beforeMs = node.coordinator.nowMs();
    node.clock.skewMs = 5 * HOUR_MS;
    // Longer than a step of the clock is doubted.
    for (let i = 0; i < 3; i++) {
      node.coordinator.nowMs();
      await cluster.pass(40_000);
    }
    expect(node.coordinator.nowMs() - beforeMs).toBeGreaterThan(5 * HOUR_MS);
    expect(await collectAll(cluster)).toEqual({ collected: 0, postponed: index === 0 ? 1 : 0 });
    expect(copiesOf(cluster, "k")).toEqual(["-", "-", "-"]);
    await cluster.close();
  },
);

test("row 95: clocks that were set back an hour collect later, and nothing else", async () => {
  const cluster = await deleted();
  for (const node of cluster.nodes) node.clock.skewMs = -HOUR_MS;
  await sleep(cluster, GC_DELAY_MS - HOUR_MS);
  expect((await collectAll(cluster)).collected).toBe(0);
  await sleep(cluster, 2 * HOUR_MS);
  expect((await collectAll(cluster)).collected).toBe(1);
  await cluster.close();
});

test("R39: a write between the phases wins: it stays where it was, and comes to those who had let go", async () => {
  const cluster = await deleted();
  await sleep(cluster, GC_DELAY_MS + HOUR_MS);
  const [first, second] = cluster.walk("k");
  let write: Promise<unknown> | undefined;
  cluster.intercept = (sent) => {
    if (isCollect(sent, "drop")) write ??= second!.put("k", "new");
    return undefined;
  };
  await collectAll(cluster);
  await cluster.run(write);
  await cluster.pass(100);
  expect(await cluster.run(first!.values("k", { level: "ALL" }))).toEqual(["new"]);
  expect(copiesOf(cluster, "k")).toEqual(["new", "new", "new"]);
  await cluster.close();
});

test.each([
  { where: "the collector before phase 2", after: "-,-,-" },
  { where: "one owner in phase 2", after: "-,,-" },
] as const)("R39: $where is lost, and the next sweep ends it", async ({ where, after }) => {
  const cluster = await deleted();
  await sleep(cluster, GC_DELAY_MS + HOUR_MS);
  const [, second, third] = cluster.walk("k");
  cluster.intercept = (sent) => {
    if (!isCollect(sent, "drop")) return undefined;
    return where === "one owner in phase 2" && sent.to === second ? undefined : "lost";
  };
  expect(await collectAll(cluster)).toEqual({ collected: 0, postponed: 1 });
  expect(copiesOf(cluster, "k").join(",")).toBe(after);
  cluster.intercept = undefined;
  for (const node of cluster.nodes) await cluster.run(node.restart());
  for (const node of cluster.nodes) await cluster.run(deletionsOf(node).ownershipChanged());
  const sends = cluster.countSent("merge");
  expect(await collectAll(cluster)).toEqual({ collected: 1, postponed: 0 });
  // Who had let go of it is not given it again.
  expect(cluster.countSent("merge")).toBe(sends);
  expect(copiesOf(cluster, "k")).toEqual(["", "", ""]);
  expect(third!.amnesias).toBe(0);
  await cluster.close();
});

test("R39: a deletion that a repair gives back to owners that had let go is collected again, and that is the end of it", async () => {
  const cluster = await deleted();
  await sleep(cluster, GC_DELAY_MS + HOUR_MS);
  const [first, second, third] = cluster.walk("k");
  cluster.intercept = (sent) => (isCollect(sent, "drop") && sent.to === third ? "lost" : undefined);
  await collectAll(cluster);
  expect(copiesOf(cluster, "k")).toEqual(["-", "", "-"]);
  cluster.intercept = undefined;
  // A quorum read meets both and repairs.
  await cluster.run(third!.get("k", { level: "ALL" }));
  await cluster.pass(100);
  expect(copiesOf(cluster, "k")).toEqual(["-", "-", "-"]);
  expect(second!.amnesias).toBe(0);
  expect(await collectAll(cluster)).toEqual({ collected: 1, postponed: 0 });
  expect(copiesOf(cluster, "k")).toEqual(["", "", ""]);
  expect(first!.amnesias).toBe(0);
  await cluster.close();
});

test("R57: an owner that knows a later layout than the collector drops nothing", async () => {
  const cluster = await deleted();
  await sleep(cluster, GC_DELAY_MS + HOUR_MS);
  const [first, second] = cluster.walk("k");
  const { partition, internalKey } = cluster.address("k");
  const items = [
    { internalKey, newest: newestDot(first!.recordOf("k")), digest: digestOf(first!, "k") },
  ];
  const ask = async (layoutVersion: number): Promise<number> => {
    const body = encodeCollectRequest({ step: "compare", layoutVersion, partition, items });
    const reply = await second!.ask({ kind: "repair", topic: "collect", body }, first!);
    if (reply.kind !== "repair") throw new PeerError("unknown", "lost", second!.id);
    return reply.body.at(-1)!;
  };
  expect(await ask(1)).toBe(0); // equal
  expect(await ask(0)).toBe(3); // later
  await cluster.close();
});

test("R39: a node alone collects by the same way, in the background, without being asked", async () => {
  const cluster = await startCollecting(1);
  const [only] = cluster.nodes;
  for (let i = 0; i < 20; i++) {
    await cluster.run(only!.put(`k${i}`, "v", { level: "ONE" }));
    await cluster.run(only!.delete(`k${i}`, { level: "ONE" }));
  }
  deletionsOf(only!).start();
  await sleep(cluster, GC_DELAY_MS - HOUR_MS);
  expect(only!.stored("k7")).toEqual(["-"]);
  await sleep(cluster, 4 * HOUR_MS);
  for (let i = 0; i < 20; i++) expect(only!.stored(`k${i}`)).toEqual([]);
  const { sweeps, collected } = deletionsOf(only!).collector.counters;
  expect(collected).toBe(20);
  // Partitions in which nothing is due are not read again and again.
  expect(sweeps).toBeLessThanOrEqual(3 * 16);
  await cluster.close();
});

test("R39: many deletions go in several messages, and live keys among them stay", async () => {
  const cluster = await startCollecting(3);
  for (let i = 0; i < 700; i++) {
    await cluster.run(cluster.nodes[0]!.put(`k${i}`, "v"));
    if (i % 7 !== 0) await cluster.run(cluster.nodes[0]!.delete(`k${i}`));
  }
  await sleep(cluster, GC_DELAY_MS + HOUR_MS);
  expect(await collectAll(cluster)).toEqual({ collected: 600, postponed: 0 });
  for (let i = 0; i < 700; i++) {
    const copy = i % 7 === 0 ? "v" : "";
    expect(copiesOf(cluster, `k${i}`)).toEqual([copy, copy, copy]);
  }
  await cluster.close();
});
