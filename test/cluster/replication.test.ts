/**
 * One write to its replicas. Invariants, from R3, R5, R24, R25, R46, D4 and rows 64 to 66, 73, 74, 113, 114:
 *
 *   - an owner that is down has its share kept: by the next healthy fallback where the level is sloppy, else by a hint in the write's own batch
 *   - a refused connection is down; slowness, a lost link, overload are not, and make no hint: the key is noted and sent again
 *   - acknowledged is what is on that node's disk: a hint counts when it is durable, and only at a sloppy level; ALL and pw count owners only
 *   - X-Acks says who has it; a 504 names everybody who was asked
 *   - W does not wait for the slowest, and the answer does not stop what is under way
 *   - an import is merged by the owners, minted by nobody, and acknowledged by a quorum
 */
import { afterEach, expect, test } from "bun:test";
import { utf8, utf8Text } from "../../src/base/bytes.ts";
import { HutchError } from "../../src/base/errors.ts";
import type { ReplicaStore } from "../../src/cluster/replica-store.ts";
import type { ExportedKey } from "../../src/quorum/operation.ts";
import type { Store, WriteBatch } from "../../src/storage/store.ts";
import { HOUR_MS, type ManyNode, ManyNodes, type ManyNodesOptions } from "../support/many-nodes.ts";
import { codeOf, errorOf } from "../support/one-node.ts";

let cluster: ManyNodes;
afterEach(() => cluster.close());

async function start(count: number, options: ManyNodesOptions = {}): Promise<ManyNode[]> {
  cluster = await ManyNodes.start(count, options);
  return cluster.walk("k");
}

/** Stores that count batches, and that fail when they are told to. */
class Watched {
  readonly batches: WriteBatch[][] = [];
  failWith: { readonly index: number; readonly error: HutchError } | undefined;

  wrap = (store: Store, index: number): ReplicaStore => {
    const batches: WriteBatch[] = (this.batches[index] = []);
    return {
      get failure() {
        return store.failure;
      },
      admit: (purpose) => store.admit(purpose),
      get: (key) => store.get(key),
      whenDurable: (sequence) => store.whenDurable(sequence),
      snapshot: () => store.snapshot(),
      reportDamage: (error) => store.reportDamage(error),
      apply: async (batch) => {
        batches.push(batch);
        if (this.failWith?.index === index) throw this.failWith.error;
        await store.apply(batch);
      },
    };
  };
}

test("D4, X-Acks: of three nodes one is down, and its share is a hint in the write's own batch", async () => {
  const watched = new Watched();
  const [a, b, c] = await start(3, watched);
  await cluster.run(a!.put("first", "v"));
  await cluster.pass(50);
  cluster.down(c!);
  const before = watched.batches[a!.index]!.length;
  const { acks } = await cluster.run(a!.put("k", "v"));
  expect(acks).toEqual({ n: 3, ok: 2, primary: 2, hinted: 1, durable: 2 });
  expect(watched.batches[a!.index]!.length - before).toBe(1);
  expect(watched.batches[a!.index]!.at(-1)!.count).toBe(2);
  expect([a!.hintCount(c!), b!.hintCount(c!)]).toEqual([1, 0]);
});

test("D4: of five nodes two owners are down, and two fallbacks acknowledge for them", async () => {
  const [a, b, c, d, e] = await start(5);
  cluster.down(b!, c!);
  const { acks } = await cluster.run(a!.put("k", "v"));
  expect(acks).toMatchObject({ n: 3, primary: 1 });
  expect(acks.ok).toBeGreaterThanOrEqual(2);
  await cluster.pass(50);
  expect([d!.hintCount(b!), e!.hintCount(c!)]).toEqual([1, 1]);
  expect([d!.stored("k"), e!.stored("k")]).toEqual([[], []]);
});

test("D4: hints reach the owner when it is back, and are gone then", async () => {
  const [a, b, c, d] = await start(5);
  cluster.down(b!, c!);
  await cluster.run(a!.put("k", "v"));
  cluster.up("syncing", b!, c!);
  await cluster.pass(5000);
  for (const node of [b, c]) expect(node!.stored("k")).toEqual(["v"]);
  expect(d!.hintCount(b!)).toBe(0);
});

test("R25: an owner that refuses the connection is down before gossip knows: a fallback takes its share", async () => {
  const [a, b, , d] = await start(5);
  b!.fault = "refused";
  const { acks } = await cluster.run(a!.put("k", "v", { level: "w=3" }));
  expect(acks).toMatchObject({ ok: 3, primary: 2, hinted: 1 });
  expect(d!.hintCount(b!)).toBe(1);
});

test("R25: with nobody to stand in, the refused owner's share is a hint of our own", async () => {
  const [a, b] = await start(3);
  b!.fault = "refused";
  await cluster.run(a!.put("k", "v"));
  await cluster.pass(50);
  expect(a!.hintCount(b!)).toBe(1);
});

test.each(["lost", "mute", "cut", "garbage"] as const)(
  "R25, rows 73, 74: an owner that is up and %s gets no hint; its key is noted and sent again",
  async (fault) => {
    const [a, b, , d, e] = await start(5);
    b!.fault = fault;
    const { acks } = await cluster.run(a!.put("k", "v"));
    expect(acks.ok).toBe(2);
    await cluster.pass(600);
    expect([a, d, e].map((node) => node!.hintCount(b!))).toEqual([0, 0, 0]);
    expect(a!.handoff.counters.unacknowledged).toBe(1);
    b!.fault = undefined;
    await cluster.pass(5000);
    expect(b!.stored("k")).toEqual(["v"]);
  },
);

test("R25: an owner that says it is overloaded gets no hint", async () => {
  const [a, b, , d] = await start(5);
  cluster.tamper = (reply, { to, request }) =>
    to === b && request.kind === "merge"
      ? { kind: "failed", code: "overloaded", message: "busy", retry: "safe", data: {} }
      : reply;
  await cluster.run(a!.put("k", "v"));
  await cluster.pass(50);
  expect(d!.hintCount(b!)).toBe(0);
  expect(a!.handoff.counters.unacknowledged).toBe(1);
});

test.each(["disk-full", "shutting-down", "not-owner"] as const)(
  "an owner that says %s cannot take it for a while: a fallback does",
  async (code) => {
    const [a, b, , d] = await start(5);
    cluster.tamper = (reply, { to, request }) =>
      to === b && request.kind === "merge"
        ? { kind: "failed", code, message: "no", retry: "safe", data: {} }
        : reply;
    const { acks } = await cluster.run(a!.put("k", "v", { level: "w=3" }));
    expect(acks).toMatchObject({ ok: 3, primary: 2, hinted: 1 });
    expect(d!.hintCount(b!)).toBe(1);
  },
);

test("R24: a hint that its keeper cannot store is no acknowledgement; the next fallback is asked", async () => {
  const [a, b, , d, e] = await start(5);
  cluster.down(b!);
  d!.hints.add = () => Promise.reject(new HutchError("disk-full", "Cannot keep a hint"));
  const { acks } = await cluster.run(a!.put("k", "v", { level: "w=3" }));
  expect(acks).toMatchObject({ ok: 3, primary: 2, hinted: 1 });
  expect(e!.hintCount(b!)).toBe(1);
});

test("row 113: fewer than W owners, strict: 503 and nothing is written", async () => {
  const [a, b, c, d, e] = await start(5);
  cluster.down(b!, c!);
  for (const level of ["w=2, sloppy=?0", "ALL", "pw=2"])
    expect(await codeOf(cluster.run(a!.put("k", "v", { level })))).toBe("unavailable");
  await cluster.run(a!.coordinator.setBucket("strict", "put", { strict: true }));
  expect(await codeOf(cluster.run(a!.put("k", "v", { bucket: "strict" })))).toBe("unavailable");
  expect([a, d, e].map((node) => node!.stored("k"))).toEqual([[], [], []]);
  expect(cluster.countSent("merge")).toBe(0);
});

test("row 113: the same sloppy: acknowledged, and the answer says how many are hints", async () => {
  const [a, b, c] = await start(5);
  cluster.down(b!, c!);
  const { acks } = await cluster.run(a!.put("k", "v", { level: "w=3" }));
  expect(acks).toEqual({ n: 3, ok: 3, primary: 1, hinted: 2, durable: 3 });
});

test("D4: a strict write counts owners only, and still keeps a hint for who is down", async () => {
  const [a, b, c, d] = await start(5);
  cluster.down(c!);
  const { acks } = await cluster.run(a!.put("k", "v", { level: "w=2, sloppy=?0" }));
  expect(acks).toMatchObject({ ok: 2, primary: 2, hinted: 1 });
  expect([a!.hintCount(c!), b!.hintCount(c!), d!.hintCount(c!)]).toEqual([1, 0, 0]);
});

test("R5: too few acknowledgements are 504, with everybody who was asked and what came of it", async () => {
  const [a, b, c] = await start(3);
  b!.fault = "lost";
  c!.fault = "cut";
  const error = await errorOf(cluster.run(a!.put("k", "v", { timeoutMs: 300 })));
  expect(error).toMatchObject({
    code: "write-indeterminate",
    retry: "safe-with-idempotency-key",
    data: {
      required: 2,
      acks: [
        { node: a!.name, role: "primary", result: "ok" },
        { node: b!.name, role: "primary", result: "timeout" },
        { node: c!.name, role: "primary", result: "failed" },
      ],
    },
  });
  expect(a!.stored("k")).toEqual(["v"]);
});

test("R5: when the last hope has failed nobody waits for the deadline", async () => {
  const [a, b, c] = await start(3);
  for (const node of [b, c]) node!.fault = "cut";
  const startMs = cluster.clock.monoMs();
  expect(await codeOf(cluster.run(a!.put("k", "v")))).toBe("write-indeterminate");
  expect(cluster.clock.monoMs() - startMs).toBeLessThan(50);
});

test("N1: one replica is waited for its share of the time, and asked again while its answer is needed", async () => {
  const [a, b, c] = await start(3);
  for (const node of [b, c]) node!.fault = "lost";
  const startMs = cluster.clock.monoMs();
  expect(await codeOf(cluster.run(a!.put("k", "v")))).toBe("write-indeterminate");
  expect(cluster.countSent("merge", b!)).toBeGreaterThanOrEqual(3);
  expect(cluster.clock.monoMs() - startMs).toBeLessThanOrEqual(2050);
});

test("R25: owners that are silent, and then known to be down, are stood in for before the write fails", async () => {
  await start(5);
  const [minter, second, third, fourth, fifth] = cluster.walk("k");
  for (const node of [second, third]) node!.fault = "lost";
  const write = minter!.put("k", "v");
  await cluster.pass(700);
  cluster.down(second!, third!);
  const { acks } = await cluster.run(write);
  expect(acks.ok).toBeGreaterThanOrEqual(2);
  expect([...fourth!.hinted("k"), ...fifth!.hinted("k")]).toContain("v");
});

test("W does not wait for the slowest, which gets the write all the same", async () => {
  const [a, b] = await start(3);
  b!.fault = 200;
  const startMs = cluster.clock.monoMs();
  await cluster.run(a!.put("k", "v"));
  expect(cluster.clock.monoMs() - startMs).toBeLessThan(50);
  expect(b!.stored("k")).toEqual([]);
  await cluster.pass(300);
  expect(b!.stored("k")).toEqual(["v"]);
});

test("ONE is answered by the own copy, and goes to the others all the same", async () => {
  const [a, b, c] = await start(3);
  const { acks } = await cluster.run(a!.put("k", "v", { level: "ONE" }));
  expect(acks.ok).toBeGreaterThanOrEqual(1);
  await cluster.pass(50);
  for (const node of [b, c]) expect(node!.stored("k")).toEqual(["v"]);
});

test("R46: durable counts disks; where fsync is left to the system it is 0 and dw is refused", async () => {
  const [a] = await start(3, { isDurable: false });
  const { acks } = await cluster.run(a!.put("k", "v", { level: "ALL" }));
  expect(acks).toMatchObject({ ok: 3, durable: 0 });
  expect(await codeOf(cluster.run(a!.put("k", "v", { level: "dw=1" })))).toBe("unavailable");
});

test("the minter's own disk fails: the others' acknowledgements count, and without them the outcome is open", async () => {
  const watched = new Watched();
  const [a, b, c] = await start(3, watched);
  watched.failWith = {
    index: a!.index,
    error: new HutchError("disk-full", "Cannot write: the disk is full", { retry: "safe" }),
  };
  const { acks } = await cluster.run(a!.put("k", "v"));
  expect(acks).toMatchObject({ ok: 2, primary: 2 });
  for (const node of [b, c]) node!.fault = "lost";
  expect(await codeOf(cluster.run(a!.put("k", "w")))).toBe("write-indeterminate");
});

test("row 88: hints in a batch that the disk takes back are not counted as held", async () => {
  const watched = new Watched();
  const [a, b, c] = await start(3, watched);
  cluster.down(c!);
  watched.failWith = {
    index: a!.index,
    error: new HutchError("disk-full", "Cannot write: the disk is full", { retry: "safe" }),
  };
  b!.fault = "lost";
  await codeOf(cluster.run(a!.put("k", "v")));
  expect(a!.hintCount(c!)).toBe(0);
});

test("D6, R24: a fallback that mints and may keep no hint has nothing to acknowledge with: 503", async () => {
  const [a, b, c, d] = await start(4);
  cluster.down(a!, b!, c!);
  await cluster.run(d!.put("k", "v", { level: "ONE" }));
  cluster.clock.advance(2 * HOUR_MS);
  expect(await codeOf(cluster.run(d!.put("k", "w", { level: "ONE" })))).toBe("unavailable");
  expect(d!.hinted("k")).toEqual(["v"]);
});

test("rows 65, 114: the same write ten times in any order is one value with one dot", async () => {
  const [a, b] = await start(3);
  cluster.intercept = ({ to, request }) =>
    to === b && request.kind === "merge" ? "lost" : undefined;
  await cluster.run(a!.put("k", "1"));
  await cluster.run(a!.put("k", "2"));
  const merges = cluster.sent.filter(({ to, request }) => to === b && request.kind === "merge");
  cluster.intercept = undefined;
  for (let i = 0; i < 10; i++)
    for (const { request } of i % 2 === 0 ? merges.toReversed() : merges)
      expect(await cluster.run(b!.ask(request, a!))).toMatchObject({ kind: "stored" });
  expect(b!.recordOf("k")).toEqual(a!.recordOf("k"));
  expect(b!.stored("k")).toEqual(["2"]);
});

async function exported(from: ManyNode, key: string): Promise<ExportedKey> {
  for await (const entry of from.coordinator.export("demo", new Uint8Array(0)))
    if (utf8Text(entry.key) === key) return entry;
  throw new Error(`no key "${key}"`);
}

test("import: any node brings the state to the owners; nothing is minted; twice is once", async () => {
  const [a] = await start(5);
  await cluster.run(a!.put("k", "v"));
  await cluster.pass(50);
  const entry = await cluster.run(exported(a!, "k"));
  const [owner, , , stranger] = cluster.walk("k", "copy");
  for (const node of [stranger, stranger, owner])
    await cluster.run(node!.coordinator.importMerge("copy", entry));
  await cluster.pass(50);
  for (const node of cluster.walk("k", "copy").slice(0, 3))
    expect(node.recordOf("k", "copy")).toEqual(a!.recordOf("k"));
  expect(stranger!.stored("k", "copy")).toEqual([]);
  const minted = cluster.nodes.map((node) => node.coordinator.counters.minted);
  expect(minted.reduce((sum, count) => sum + count)).toBe(1);
});

test("import: with owners down a quorum of owners and fallbacks takes it, else it is 503", async () => {
  const [a, b, c, d, e] = await start(5);
  await cluster.run(a!.put("k", "v"));
  await cluster.pass(50);
  const entry = await cluster.run(exported(a!, "k"));
  cluster.down(b!, c!);
  for (const node of [a, d, e]) await cluster.run(node!.coordinator.importMerge("demo", entry));
  await cluster.pass(50);
  expect(d!.hintCount(b!) + e!.hintCount(b!)).toBeGreaterThan(0);
  cluster.down(d!, e!);
  expect(await codeOf(cluster.run(a!.coordinator.importMerge("demo", entry)))).toBe("unavailable");
});

test("N6: a queue that is full for a while delays a write and does not fail it, forwarded or not, nor a read", async () => {
  const [a, b, c, d] = await start(4);
  let isFull = true;
  cluster.intercept = () => (isFull ? "full" : undefined);
  const writes = [a!.put("k", "own"), d!.put("j", "forwarded")];
  const read = b!.values("k");
  await cluster.pass(300);
  isFull = false;
  const results = await cluster.run(Promise.all(writes));
  expect(results.map(({ acks }) => acks.ok >= 2)).toEqual([true, true]);
  await cluster.run(read);
  expect(await cluster.run(c!.values("k"))).toEqual(["own"]);
  expect(await cluster.run(c!.values("j"))).toEqual(["forwarded"]);
});

test("R5: import through a node that could only keep hints, with too few others up, is refused before anything is sent", async () => {
  await start(4);
  const [first, second, third, outside] = cluster.walk("k");
  await cluster.run(first!.put("k", "v"));
  const entry = await cluster.run(exported(first!, "k"));
  cluster.down(second!, third!);
  const sentBefore = cluster.sent.length;
  expect(await codeOf(cluster.run(outside!.coordinator.importMerge("demo", entry)))).toBe(
    "unavailable",
  );
  expect(cluster.sent.slice(sentBefore).filter(({ request }) => request.kind === "merge")).toEqual(
    [],
  );
});

test("import: no owner in time is an error, and what cannot be read is 400", async () => {
  const [a, b, c] = await start(3);
  await cluster.run(a!.put("k", "v"));
  const entry = await cluster.run(exported(a!, "k"));
  for (const node of [b, c]) node!.fault = "lost";
  expect(await codeOf(cluster.run(a!.coordinator.importMerge("demo", entry)))).toBe(
    "write-indeterminate",
  );
  const broken = { key: utf8("k"), record: { entries: 7 } };
  expect(await codeOf(() => a!.coordinator.importMerge("demo", broken))).toBe("bad-request");
});
