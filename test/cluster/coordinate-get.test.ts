/**
 * Quorum reads on several nodes. Invariants, from R1 to R7, R15, R17, R33, R34, D4 and N5:
 *
 *   - what a read at a quorum has shown, the next one shows too: before the answer a quorum holds at least that (R2)
 *   - counted are: any state of a serving owner, its absence included; a value, never an absence, of a fallback for an owner that is down; of a
 *     syncing owner a value joins the merge and counts for nothing (R3, R4, D4)
 *   - "absent" is said only where enough serving owners say so; else 503 `absence-unproven`
 *   - a reply that cannot be read, says nothing, or comes from damage is a failure and never a vote (rows 73, 74, 80)
 *   - a session is never shown less than it has seen (R7)
 *   - an answer leaves nothing behind: no timer, no rejection that nobody hears; replies that come late still mend who lags (R33)
 */
import { afterEach, expect, test } from "bun:test";
import { CorruptionError } from "../../src/base/errors.ts";
import type { ReplicaStore } from "../../src/cluster/replica-store.ts";
import type { Store } from "../../src/storage/store.ts";
import { type ManyNode, ManyNodes, type ManyNodesOptions } from "../support/many-nodes.ts";
import { codeOf, errorOf, valuesOf } from "../support/one-node.ts";

let cluster: ManyNodes;
afterEach(() => cluster.close());

async function start(count: number, options: ManyNodesOptions = {}): Promise<ManyNode[]> {
  cluster = await ManyNodes.start(count, options);
  return cluster.walk("k");
}

const GARBAGE = new Uint8Array([9, 9, 9]);

test("any node answers, owner or not, what a quorum holds", async () => {
  const nodes = await start(5);
  await nodes[4]!.put("k", "v");
  for (const node of nodes) expect(await cluster.run(node.values("k"))).toEqual(["v"]);
});

test("X-Replies counts owners that answered", async () => {
  const [a] = await start(3);
  await a!.put("k", "v");
  expect((await a!.get("k")).replies).toMatchObject({ n: 3, ok: 2, primary: 2 });
  expect((await a!.get("k", { level: "ALL" })).replies).toMatchObject({ n: 3, ok: 3, primary: 3 });
  expect((await a!.get("k", { level: "ONE" })).replies).toMatchObject({ n: 3, ok: 1, primary: 1 });
});

test("R2: replies that differ are written back to a quorum before the answer", async () => {
  const [a, b, c] = await start(3);
  await a!.mintAlone("k", "seen");
  const result = await a!.get("k");
  expect(valuesOf(result)).toEqual(["seen"]);
  expect(result.readRepair).toBe("done");
  const holders = [a, b, c].filter((node) => node!.stored("k").length === 1);
  expect(holders.length).toBeGreaterThanOrEqual(2);
  for (const node of [b, c]) expect(await node!.values("k")).toEqual(["seen"]);
});

test("R2: the acknowledgements of the write-back may come from any owner, not only the one that lagged", async () => {
  const [a, b, c] = await start(3);
  await a!.mintAlone("k", "seen");
  cluster.intercept = ({ to, request }) =>
    to === b && request.kind === "merge" ? "lost" : undefined;
  const result = await cluster.run(a!.get("k"));
  expect(result.readRepair).toBe("done");
  expect(c!.stored("k")).toEqual(["seen"]);
});

test("R2: a write-back that no quorum takes is 503 at a named level and X-Read-Repair: incomplete at r=", async () => {
  const [a] = await start(3);
  await a!.mintAlone("k", "seen");
  cluster.intercept = ({ request }) => (request.kind === "merge" ? "lost" : undefined);
  expect(await codeOf(cluster.run(a!.get("k")))).toBe("unavailable");
  const result = await cluster.run(a!.get("k", { level: "r=2" }));
  expect(result.readRepair).toBe("incomplete");
  expect(valuesOf(result)).toEqual(["seen"]);
});

test("R2: the write-back does not outlive the deadline of the read", async () => {
  const [a] = await start(3);
  await a!.mintAlone("k", "seen");
  cluster.intercept = ({ request }) => (request.kind === "merge" ? "lost" : undefined);
  const startMs = cluster.clock.monoMs();
  const result = await cluster.run(a!.get("k", { level: "r=2", timeoutMs: 100 }));
  expect(result.readRepair).toBe("incomplete");
  expect(cluster.clock.monoMs() - startMs).toBeLessThan(150);
});

test("R2: an owner that cannot be reached does not make a read fail while a quorum can be brought up to date", async () => {
  const [a, b, c] = await start(3);
  await a!.mintAlone("k", "seen");
  cluster.down(b!);
  expect(await cluster.run(a!.values("k"))).toEqual(["seen"]);
  expect(c!.stored("k")).toEqual(["seen"]);
});

test("R2, D4: with owners down the write-back goes to who stands in for them, as a hint", async () => {
  const [a, b, c, d] = await start(5);
  cluster.down(b!, c!);
  await cluster.run(a!.put("k", "old"));
  await a!.mintAlone("k", "new");
  expect(await cluster.run(a!.values("k"))).toEqual(["new"]);
  expect(d!.hinted("k")).toEqual(["new"]);
  expect(d!.stored("k")).toEqual([]);
});

test("R2: siblings on two owners are merged on a quorum, and equal ones are not written again", async () => {
  const [a, b, c] = await start(3);
  await a!.mintAlone("k", "left");
  await b!.mintAlone("k", "right");
  expect(await cluster.run(c!.values("k", { level: "ALL" }))).toEqual(["left", "right"]);
  const merges = cluster.countSent("merge");
  expect((await cluster.run(a!.get("k"))).readRepair).toBe("");
  await cluster.pass(50);
  expect(cluster.countSent("merge")).toBe(merges);
});

test("R2, R34: at R=1 nothing is written back while somebody waits", async () => {
  const [a, b, c] = await start(3);
  await a!.mintAlone("k", "seen");
  cluster.intercept = ({ request }) => (request.kind === "merge" ? "lost" : undefined);
  expect(await a!.values("k", { level: "ONE" })).toEqual(["seen"]);
  expect(await b!.values("k", { level: "ONE" })).toEqual([]);
  expect(c!.stored("k")).toEqual([]);
});

test("R33: after the answer the owners that lag are mended, those that were not asked included", async () => {
  const [a, b, c] = await start(3);
  await a!.mintAlone("k", "seen");
  await cluster.run(b!.get("k"));
  await cluster.pass(50);
  for (const node of [a, b, c]) expect(node!.stored("k")).toEqual(["seen"]);
});

test("R33: a reply that comes after the answer still mends its sender", async () => {
  const [a, b, c] = await start(3);
  cluster.intercept = ({ to, request }) =>
    to === c && request.kind === "merge" ? "lost" : undefined;
  await cluster.run(a!.put("k", "v"));
  cluster.intercept = ({ to, request }) => (to === c && request.kind === "read" ? 60 : undefined);
  a!.latencies.set(c!.id, { mean: 0, p95: 1 });
  a!.latencies.set(b!.id, { mean: 1, p95: 1 });
  expect(await cluster.run(a!.values("k"))).toEqual(["v"]);
  expect(c!.stored("k")).toEqual([]);
  await cluster.pass(100);
  expect(c!.stored("k")).toEqual(["v"]);
});

test("R33: what a late reply adds reaches the others too", async () => {
  const [a, b, c] = await start(3);
  await c!.mintAlone("k", "only here");
  cluster.intercept = ({ to, request }) => (to === c && request.kind === "read" ? 60 : undefined);
  a!.latencies.set(c!.id, { mean: 0, p95: 1 });
  a!.latencies.set(b!.id, { mean: 1, p95: 1 });
  expect(await cluster.run(a!.values("k"))).toEqual([]);
  await cluster.pass(100);
  expect(a!.stored("k")).toEqual(["only here"]);
});

test("R4: serving owners prove an absence", async () => {
  const [, b] = await start(3);
  const result = await b!.get("k");
  expect(valuesOf(result)).toEqual([]);
  expect(result.context).toBe("");
});

test("R4, D4: absences of syncing owners prove nothing: 503 absence-unproven", async () => {
  const [a, b, c] = await start(3);
  cluster.setPhase("syncing", b!, c!);
  expect(await codeOf(cluster.run(a!.get("k")))).toBe("absence-unproven");
});

test("R4: a syncing owner does not answer for itself, not even at R=1", async () => {
  const [a, b] = await start(3);
  await b!.put("k", "v");
  await cluster.pass(50);
  cluster.setPhase("syncing", a!);
  const result = await cluster.run(a!.get("k", { level: "ONE" }));
  expect(valuesOf(result)).toEqual(["v"]);
  expect(cluster.countSent("read")).toBeGreaterThan(0);
});

test("D4: the value of a syncing owner joins the merge and counts for nothing", async () => {
  const [a, b, c] = await start(3);
  cluster.setPhase("syncing", a!);
  await a!.mintAlone("k", "mine");
  const result = await cluster.run(a!.get("k"));
  expect(result.replies).toMatchObject({ ok: 2, primary: 2 });
  cluster.down(c!);
  const error = await errorOf(cluster.run(a!.get("k")));
  expect(error?.code).toBe("unavailable");
  expect(b!.stored("k").length).toBeLessThan(2);
});

test("D4: an owner knows first that it is syncing; what its peers still believe does not count", async () => {
  const [a, b, c] = await start(3);
  cluster.setPhase("syncing", b!, c!);
  for (const node of [b, c]) {
    node!.view();
    node!.phase = "serving";
  }
  a!.forgetView();
  expect(a!.view().isServing(b!.id)).toBe(true);
  expect(await codeOf(cluster.run(a!.get("k")))).toBe("absence-unproven");
});

test("R3, D4: with an owner down its fallback counts, by what was hinted to it", async () => {
  const [a, b, c, d] = await start(5);
  cluster.down(b!, c!);
  await cluster.run(a!.put("k", "v"));
  expect(d!.hinted("k")).toEqual(["v"]);
  const result = await cluster.run(d!.get("k"));
  expect(valuesOf(result)).toEqual(["v"]);
  expect(result.replies).toMatchObject({ ok: 2, primary: 1 });
});

test("R3: fallbacks do not count for pr, sloppy=?0, ALL", async () => {
  const [a, b, c] = await start(5);
  cluster.down(b!, c!);
  await cluster.run(a!.put("k", "v"));
  for (const level of ["r=2, pr=2", "r=2, sloppy=?0", "ALL"])
    expect(await codeOf(cluster.run(a!.get("k", { level })))).toBe("unavailable");
});

test("R4: a fallback without a hint proves no absence", async () => {
  const [a, b, c] = await start(5);
  cluster.down(b!, c!);
  expect(await codeOf(cluster.run(a!.get("k")))).toBe("absence-unproven");
});

test("R5: too few reachable owners are 503 at once, and nothing is asked", async () => {
  const [a, b, c] = await start(3);
  cluster.down(b!, c!);
  expect(await codeOf(cluster.run(a!.get("k")))).toBe("unavailable");
  expect(cluster.countSent("read")).toBe(0);
});

test("row 73: a peer that never answers costs a hedge, not the read", async () => {
  const [a, b, c] = await start(3);
  await a!.put("k", "v");
  await cluster.pass(50);
  b!.fault = "lost";
  a!.latencies.set(b!.id, { mean: 0, p95: 20 });
  a!.latencies.set(c!.id, { mean: 1, p95: 20 });
  const startMs = cluster.clock.monoMs();
  expect(await cluster.run(a!.values("k"))).toEqual(["v"]);
  expect(cluster.clock.monoMs() - startMs).toBeLessThan(60);
});

test("row 73: two that never answer are 504 read-timeout", async () => {
  const [a, b, c] = await start(3);
  for (const node of [b, c]) node!.fault = "lost";
  expect(await codeOf(cluster.run(a!.get("k")))).toBe("read-timeout");
});

test("N5: a hedge goes out after the slowest peer's p95 and never before 5 ms", async () => {
  const [a, b, c] = await start(3);
  await a!.put("k", "v");
  await cluster.pass(50);
  cluster.sent.length = 0;
  b!.fault = 200;
  a!.latencies.set(b!.id, { mean: 0, p95: 80 });
  a!.latencies.set(c!.id, { mean: 1, p95: 1 });
  const read = a!.get("k");
  await cluster.pass(70);
  expect(cluster.countSent("read", c)).toBe(0);
  await cluster.pass(30);
  expect(cluster.countSent("read", c)).toBe(1);
  expect((await cluster.run(read)).replies.ok).toBe(2);
});

test("N5: hedges have a budget", async () => {
  const [a, b, c] = await start(3);
  await a!.put("k", "v");
  await cluster.pass(50);
  cluster.sent.length = 0;
  b!.fault = "lost";
  a!.latencies.set(b!.id, { mean: 0, p95: 1 });
  a!.latencies.set(c!.id, { mean: 1, p95: 1 });
  const reads = Array.from({ length: 50 }, () => a!.get("k"));
  await cluster.pass(30);
  expect(cluster.countSent("read", c)).toBeLessThan(20);
  for (const read of reads) await cluster.run(read);
});

test("N10: the own copy first, then the quickest serving owner", async () => {
  const [a, b, c] = await start(3);
  a!.latencies.set(b!.id, { mean: 9, p95: 9 });
  a!.latencies.set(c!.id, { mean: 2, p95: 9 });
  await a!.get("k");
  expect(cluster.sent.map(({ to }) => to.name)).toEqual([c!.name]);
});

test("row 74: a reply that is no message is a failure, and the next owner is asked", async () => {
  const [a, b] = await start(3);
  await a!.put("k", "v");
  await cluster.pass(50);
  b!.fault = "garbage";
  expect(await cluster.run(a!.values("k"))).toEqual(["v"]);
});

test.each(["present", "same"] as const)(
  "row 74: garbage in a reply that is well formed (%s) is no vote",
  async (state) => {
    const [a, b, , d] = await start(4);
    await a!.put("k", "v");
    await cluster.pass(50);
    cluster.tamper = (reply, { to }) =>
      reply.kind !== "record" || to !== a
        ? reply
        : { ...reply, state, record: state === "present" ? GARBAGE : new Uint8Array(0) };
    d!.latencies.set(b!.id, { mean: 1, p95: 1 });
    for (const level of ["ONE", "QUORUM"]) {
      const result = await cluster.run(d!.get("k", { level }));
      expect(valuesOf(result)).toEqual(["v"]);
      expect(result.replies.ok).toBe(level === "ONE" ? 1 : 2);
    }
  },
);

test("row 74: a reply of the wrong kind is no vote", async () => {
  const [a, b] = await start(3);
  await a!.put("k", "v");
  await cluster.pass(50);
  cluster.tamper = (reply, { to }) => (to === b ? { kind: "stored", isDurable: true } : reply);
  expect(await cluster.run(a!.values("k"))).toEqual(["v"]);
});

/** Damage in one node's table: reads of keys throw. */
function damagedAt(index: () => number): ManyNodesOptions {
  return {
    wrap: (store: Store, at: number): ReplicaStore => ({
      get failure() {
        return store.failure;
      },
      admit: (purpose) => store.admit(purpose),
      apply: (batch) => store.apply(batch),
      whenDurable: (sequence) => store.whenDurable(sequence),
      snapshot: () => store.snapshot(),
      reportDamage: (error) => store.reportDamage(error),
      get: (key) => {
        if (index() === at && key[2] !== 0)
          throw new CorruptionError("Cannot read block", "000001.sst", 0);
        return store.get(key);
      },
    }),
  };
}

test.each(["ONE", "QUORUM"])(
  "row 80, C13: a damaged copy is answered for by the other owners, at %s",
  async (level) => {
    let damaged = -1;
    const [a, b] = await start(
      3,
      damagedAt(() => damaged),
    );
    await a!.put("k", "v");
    await cluster.pass(50);
    damaged = a!.index;
    expect(await cluster.run(a!.values("k", { level }))).toEqual(["v"]);
    expect(await cluster.run(b!.values("k", { level }))).toEqual(["v"]);
  },
);

test("R7: a session reads its own write on any node, at R=1 and W=1", async () => {
  const [a, b, c] = await start(3);
  cluster.intercept = ({ request }) => (request.kind === "merge" ? "lost" : undefined);
  const { session } = await a!.put("k", "mine", { level: "ONE", session: "new" });
  for (const node of [b, c]) {
    const result = await cluster.run(node!.get("k", { level: "ONE", session }));
    expect(valuesOf(result)).toEqual(["mine"]);
  }
});

test("R7: what a session has seen and nobody reachable has is 503 session-unsatisfied", async () => {
  const [a, b] = await start(3);
  cluster.intercept = ({ request }) => (request.kind === "merge" ? "lost" : undefined);
  const { session } = await a!.put("k", "mine", { level: "ONE", session: "new" });
  cluster.down(a!);
  expect(await codeOf(cluster.run(b!.get("k", { level: "ONE", session })))).toBe(
    "session-unsatisfied",
  );
});

test("R7: a session that has read a value never reads an older state", async () => {
  const [a, b, c] = await start(3);
  await a!.put("k", "old");
  await cluster.pass(50);
  await c!.mintAlone("k", "new");
  const { session } = await c!.get("k", { level: "ONE", session: "new" });
  for (const node of [a, b])
    expect(valuesOf(await cluster.run(node!.get("k", { level: "ONE", session })))).toEqual(["new"]);
});

test("R7: the floor of a session that has forgotten keys asks for a quorum of owners", async () => {
  const [a, b, c] = await start(5);
  let session = "new";
  for (let i = 0; i < 66; i++)
    session = (await cluster.run(a!.put(`k${i}`, "v", { session }))).session;
  const result = await cluster.run(a!.get("k", { level: "ONE", session }));
  expect(result.replies).toMatchObject({ ok: 2, primary: 2 });
  cluster.down(b!, c!);
  expect(await codeOf(cluster.run(a!.get("k", { level: "ONE", session })))).toBe("unavailable");
});

test("R15: one value under two dots is one sibling to the reader", async () => {
  const [a, b] = await start(3);
  await a!.mintAlone("k", "twice");
  await b!.mintAlone("k", "twice");
  expect(await cluster.run(a!.values("k", { level: "ALL" }))).toEqual(["twice"]);
  expect(a!.stored("k").length).toBe(2);
});

test("R17: a deletion on one side and a value on the other are both shown", async () => {
  const [a, b] = await start(3);
  await a!.mintAlone("k", "", { kind: "delete" });
  await b!.mintAlone("k", "v");
  expect(await cluster.run(a!.values("k", { level: "ALL" }))).toEqual(["-", "v"]);
});

test("R21: in lww the merge of a read keeps the latest and says what it dropped; all owners come to the same", async () => {
  const [a, b, c] = await start(3);
  await cluster.run(a!.coordinator.setBucket("demo", "put", { conflicts: "lww" }));
  await b!.mintAlone("k", "earlier");
  cluster.clock.advance(10);
  await a!.mintAlone("k", "later");
  expect(await cluster.run(c!.values("k", { level: "ALL" }))).toEqual(["later"]);
  await cluster.pass(50);
  for (const node of [a, b, c]) expect(node!.stored("k")).toEqual(["later"]);
});

test("R32: an equal state travels as a digest", async () => {
  const [a] = await start(3);
  await a!.put("k", "v".repeat(10_000));
  await cluster.pass(50);
  let replied = "";
  cluster.tamper = (reply) => {
    if (reply.kind === "record") replied = reply.state;
    return reply;
  };
  await a!.get("k");
  expect(replied).toBe("same");
});

test("a read leaves no timer behind, whether it is answered, refused or late", async () => {
  const [a, b, c] = await start(3);
  await cluster.pass(50);
  const before = a!.clock.timers;
  a!.latencies.set(b!.id, { mean: 0, p95: 5000 });
  await cluster.run(a!.get("k"));
  await cluster.pass(30);
  expect(a!.clock.timers).toBe(before);
  a!.latencies.clear();
  b!.fault = "lost";
  await cluster.run(a!.get("k"));
  c!.fault = "lost";
  await codeOf(cluster.run(a!.get("k", { timeoutMs: 100 })));
  await cluster.pass(600);
  expect(a!.clock.timers).toBe(before);
});

test("row 114: replies in every order and number lead to one state, and reads agree", async () => {
  const [a, b, c] = await start(3);
  await a!.mintAlone("k", "1");
  await b!.mintAlone("k", "2");
  await c!.mintAlone("k", "3");
  const shown = await Promise.all([a, b, c].map((node) => cluster.run(node!.values("k"))));
  for (const values of shown) expect(values.length).toBeGreaterThanOrEqual(2);
  await cluster.run(a!.values("k", { level: "ALL" }));
  await cluster.pass(50);
  for (const node of [a, b, c]) expect(node!.stored("k")).toEqual(["1", "2", "3"]);
});
