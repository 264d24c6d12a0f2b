/**
 * Bringing lagging copies up to a state that was read (R33, R34), and what `explain` shows of copies. Invariants:
 *
 *   - "brought" means on that copy's disk; anything else is false, and never a rejection
 *   - repairs in the background have a budget by rate and by number under way; what does not fit is left to the next read
 *   - who stands in for an owner that is down keeps the state for it as a hint
 *   - `explain` always answers: who cannot be heard, or read, is shown as that, and never as equal
 */
import { afterEach, expect, test } from "bun:test";
import { CorruptionError } from "../../src/base/errors.ts";
import { encodeState } from "../../src/cluster/join-states.ts";
import type { ReplicaStore } from "../../src/cluster/replica-store.ts";
import type { Store } from "../../src/storage/store.ts";
import { type ManyNode, ManyNodes, type ManyNodesOptions } from "../support/many-nodes.ts";

let cluster: ManyNodes;
afterEach(() => cluster.close());

async function start(count: number, options: ManyNodesOptions = {}): Promise<ManyNode[]> {
  cluster = await ManyNodes.start(count, options);
  return cluster.walk("k");
}

/** A state that `a` alone has, and how to bring it somewhere. */
async function lagging(count: number) {
  const nodes = await start(count);
  const a = nodes[0]!;
  await a.mintAlone("k", "v");
  const value = encodeState(a.recordOf("k"));
  const { repairs, buckets } = a.coordinator;
  const to = (node: ManyNode, owner = node) =>
    [
      buckets.get("demo"),
      cluster.address("k"),
      { node: node.id, owner: owner.id, role: node === owner ? "primary" : "fallback" },
      value,
    ] as const;
  return { nodes, a, repairs, to };
}

test("a repair is true when the copy has it", async () => {
  const { nodes, repairs, to } = await lagging(3);
  expect(await cluster.run(repairs.repair(...to(nodes[1]!)))).toBe(true);
  expect(nodes[1]!.stored("k")).toEqual(["v"]);
  expect(await cluster.run(repairs.repair(...to(nodes[0]!)))).toBe(true);
});

test.each(["refused", "lost", "cut", "garbage", "mute"] as const)(
  "a repair of a copy that is %s is false",
  async (fault) => {
    const { nodes, repairs, to } = await lagging(3);
    nodes[1]!.fault = fault;
    expect(await cluster.run(repairs.repair(...to(nodes[1]!)))).toBe(false);
  },
);

test("row 63: a repair that its copy refuses is false", async () => {
  const { nodes, repairs, to } = await lagging(4);
  expect(await cluster.run(repairs.repair(...to(nodes[3]!)))).toBe(false);
});

test("D4: who stands in keeps it as a hint, the node itself too", async () => {
  const { nodes, repairs, to } = await lagging(5);
  const [, b, , d] = nodes;
  cluster.down(b!);
  expect(await cluster.run(repairs.repair(...to(d!, b!)))).toBe(true);
  expect([d!.hinted("k"), d!.hintCount(b!)]).toEqual([["v"], 1]);
  expect(await cluster.run(repairs.repair(...to(nodes[0]!, b!)))).toBe(true);
  expect(nodes[0]!.hintCount(b!)).toBe(1);
});

test("R34: background repairs are bounded by what is under way", async () => {
  const { nodes, repairs, to } = await lagging(3);
  nodes[1]!.fault = "lost";
  for (let i = 0; i < 300; i++) repairs.repairLater(...to(nodes[1]!));
  expect(repairs.counters).toMatchObject({ background: 256, skipped: 44 });
  await cluster.pass(600);
  repairs.repairLater(...to(nodes[1]!));
  expect(repairs.counters.background).toBe(257);
});

test("R34: and by a rate", async () => {
  const { nodes, repairs, to } = await lagging(3);
  for (let i = 0; i < 30; i++) {
    for (let j = 0; j < 100; j++) repairs.repairLater(...to(nodes[1]!));
    await cluster.pass(1);
  }
  expect(repairs.counters.background).toBeGreaterThanOrEqual(1000);
  expect(repairs.counters.background).toBeLessThan(1100);
});

test("R34: a read with nothing to mend spends nothing", async () => {
  const [a] = await start(3);
  await a!.put("k", "v");
  await cluster.pass(50);
  await cluster.run(a!.get("k", { level: "ALL" }));
  expect(a!.coordinator.repairs.counters).toEqual({ blocking: 0, background: 0, skipped: 0 });
});

test("explain: every owner with its dots, the same on all nodes when they are equal", async () => {
  const [a, b, c, d] = await start(4);
  await cluster.run(a!.put("k", "v"));
  await cluster.pass(50);
  for (const node of [a, b, d]) {
    const { owners, fallbacks, isEqual, partition } = await cluster.run(node!.explain("k"));
    expect(partition).toBe(cluster.address("k").partition);
    expect(owners.map((owner) => owner.node)).toEqual([a!.name, b!.name, c!.name]);
    expect(
      owners.every(
        ({ dots, reachable, state }) => dots.length === 1 && reachable && state === "up",
      ),
    ).toBe(true);
    expect([fallbacks, isEqual]).toEqual([[], true]);
  }
});

test("explain: an absent key is equal everywhere, and nothing else", async () => {
  const [a] = await start(3);
  const { owners, isEqual } = await cluster.run(a!.explain("k"));
  expect(owners.map(({ dots, hlc, stateHash }) => [dots, hlc, stateHash])).toEqual([
    [[], "", ""],
    [[], "", ""],
    [[], "", ""],
  ]);
  expect(isEqual).toBe(true);
});

test("explain: owners that differ, that are down, and the fallback that keeps a hint", async () => {
  const [a, b, c, d] = await start(4);
  cluster.down(c!);
  await cluster.run(a!.put("k", "v", { level: "w=3" }));
  await b!.mintAlone("k", "w");
  const { owners, fallbacks, isEqual } = await cluster.run(a!.explain("k"));
  expect(isEqual).toBe(false);
  expect(owners.map(({ state, reachable }) => [state, reachable])).toEqual([
    ["up", true],
    ["up", true],
    ["down", false],
  ]);
  expect(fallbacks.map(({ node, role, dots }) => [node, role, dots.length])).toEqual([
    [d!.name, "fallback", 1],
  ]);
});

test("explain: a peer that never answers is waited for one second, and shown", async () => {
  const [a, b] = await start(3);
  b!.fault = "lost";
  const startMs = cluster.clock.monoMs();
  const { owners } = await cluster.run(a!.explain("k"));
  expect(owners[1]!.reachable).toBe(false);
  expect(cluster.clock.monoMs() - startMs).toBeLessThan(1100);
});

test("explain: a syncing owner is shown as that", async () => {
  const [a, b] = await start(3);
  cluster.setPhase("syncing", b!);
  expect((await cluster.run(a!.explain("k"))).owners[1]!.state).toBe("syncing");
});

test("row 80: explain answers over a damaged copy, here or there, and does not call it equal", async () => {
  let damaged = -1;
  const wrap = (store: Store, index: number): ReplicaStore => ({
    get failure() {
      return store.failure;
    },
    admit: (purpose) => store.admit(purpose),
    apply: (batch) => store.apply(batch),
    whenDurable: (sequence) => store.whenDurable(sequence),
    snapshot: () => store.snapshot(),
    reportDamage: () => undefined,
    get: (key) => {
      if (index === damaged && key[2] !== 0) throw new CorruptionError("Cannot read", "1.sst", 0);
      return store.get(key);
    },
  });
  const [a, b] = await start(3, { wrap });
  damaged = a!.index;
  for (const node of [a, b]) expect((await cluster.run(node!.explain("k"))).isEqual).toBe(false);
});

test("row 74: explain answers over garbage", async () => {
  const [a, b] = await start(3);
  cluster.tamper = (reply, { to }) =>
    to === b && reply.kind === "record"
      ? { ...reply, state: "present", record: new Uint8Array([9, 9]) }
      : reply;
  expect((await cluster.run(a!.explain("k"))).isEqual).toBe(false);
});
