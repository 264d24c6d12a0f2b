/**
 * Writes on several nodes: who mints, what happens when the minter does not answer, what is read first. Invariants, from R5, R7, R9 to R12, R17 to R19, D3
 * and D6:
 *
 *   - one client operation is minted once, by an owner that serves, or by the first healthy fallback where no owner can (R9)
 *   - writes without a context that follow each other leave one value, through whichever nodes they come (D3)
 *   - a write goes to a second minter only where the first surely has not taken it, or where two dots of it do no harm; never a conditional one
 *   - 503 is said only while nothing of the write can be anywhere; after a doubt the answer is 504 (R5)
 *   - a condition is judged on what a quorum of owners holds, and succeeds only with a quorum of owners (R18)
 *   - a retry with the same Idempotency-Key is the same write on any node that can hear of the first, and acknowledges only what it has stored
 */
import { afterEach, expect, test } from "bun:test";
import type { PeerRequest } from "../../src/cluster/peer-messages.ts";
import { type ManyNode, ManyNodes, type ManyNodesOptions } from "../support/many-nodes.ts";
import { codeOf, errorOf, valuesOf } from "../support/one-node.ts";

let cluster: ManyNodes;
afterEach(() => cluster.close());

async function start(count: number, options: ManyNodesOptions = {}): Promise<ManyNode[]> {
  cluster = await ManyNodes.start(count, options);
  return cluster.walk("k");
}

function minted(): number {
  return cluster.nodes.reduce((sum, node) => sum + node.coordinator.counters.minted, 0);
}

const UNLESS_THERE = { condition: { kind: "if-none-match", etags: "*" } } as const;
const kindTo =
  (kind: PeerRequest["kind"], to: ManyNode | undefined) =>
  (sent: { readonly to: ManyNode; readonly request: PeerRequest }): boolean =>
    sent.to === to && sent.request.kind === kind;

test("R9: one write is minted once, whichever node takes it", async () => {
  const nodes = await start(5);
  for (const [i, node] of nodes.entries()) {
    await cluster.run(node.put("k", `v${i}`));
    expect(minted()).toBe(i + 1);
  }
  expect(nodes[0]!.coordinator.counters.minted).toBe(5);
});

test("D3: writes without a context through different nodes leave one value on every owner", async () => {
  const nodes = await start(5);
  for (const [i, node] of nodes.entries()) await cluster.run(node.put("k", `v${i}`));
  await cluster.pass(50);
  for (const owner of nodes.slice(0, 3)) expect(owner.stored("k")).toEqual(["v4"]);
});

test("D3: a write with a context is minted by the serving owner that took it", async () => {
  const [a, b, c, d] = await start(4);
  await cluster.run(a!.put("k", "1"));
  for (const node of [b, c]) {
    const { context } = await cluster.run(node!.get("k"));
    await cluster.run(node!.put("k", "2", { context }));
    expect(node!.coordinator.counters.minted).toBe(1);
  }
  const { context } = await cluster.run(d!.get("k"));
  await cluster.run(d!.put("k", "3", { context }));
  expect(a!.coordinator.counters.minted).toBe(2);
  expect(await cluster.run(d!.values("k"))).toEqual(["3"]);
});

test("R8, D3: a context replaces what it covers and nothing else", async () => {
  const [a, b] = await start(3);
  const { context } = await cluster.run(a!.put("k", "1"));
  await cluster.run(a!.put("k", "2"));
  await cluster.run(b!.put("k", "3", { context }));
  expect(await cluster.run(a!.values("k"))).toEqual(["2", "3"]);
  const read = await cluster.run(b!.get("k"));
  await cluster.run(b!.put("k", "4", { context: read.context }));
  expect(await cluster.run(a!.values("k"))).toEqual(["4"]);
});

test("R8: a context that names a single write replaces it, also on an owner that has never seen it", async () => {
  const [a, b] = await start(3);
  await cluster.run(a!.coordinator.setBucket("demo", "put", { blindPut: "sibling" }));
  await cluster.run(a!.put("k", "1"));
  await cluster.pass(50);
  cluster.intercept = ({ to, request }) =>
    to === b && request.kind === "merge" ? "lost" : undefined;
  const { context } = await cluster.run(a!.put("k", "2"));
  cluster.intercept = undefined;
  expect(b!.stored("k")).toEqual(["1"]);
  await cluster.run(b!.put("k", "3", { context }));
  expect(await cluster.run(a!.values("k", { level: "ALL" }))).toEqual(["1", "3"]);
});

test("D2: both sides of a partition write, and the conflict comes back as siblings", async () => {
  const [a, b, c, d, e] = await start(5);
  cluster.partition([a!, d!], [b!, c!, e!]);
  await cluster.run(a!.put("k", "left"));
  await cluster.run(c!.put("k", "right"));
  cluster.heal();
  await cluster.pass(5000);
  for (const node of [a, b, c, d, e]) {
    expect(await cluster.run(node!.values("k"))).toEqual(["left", "right"]);
    expect(node!.hinted("k")).toEqual([]);
  }
  const { context } = await cluster.run(d!.get("k"));
  await cluster.run(d!.put("k", "both", { context }));
  await cluster.pass(50);
  for (const node of [a, b, c]) expect(node!.stored("k")).toEqual(["both"]);
});

test("R12: an owner that is syncing does not mint", async () => {
  const [a, b] = await start(3);
  cluster.setPhase("syncing", a!);
  await cluster.run(a!.put("k", "v"));
  expect(a!.coordinator.counters.minted).toBe(0);
  expect(b!.coordinator.counters.minted).toBe(1);
  expect(a!.stored("k")).toEqual(["v"]);
});

test("R12: a minter that is asked by somebody who does not know yet that it is syncing refuses, and the next one mints", async () => {
  const [a, b, c, d] = await start(4);
  cluster.setPhase("syncing", a!);
  a!.view();
  a!.phase = "serving";
  for (const node of [b, c, d]) node!.forgetView();
  await cluster.run(d!.put("k", "v"));
  expect(b!.coordinator.counters.minted).toBe(1);
  expect(minted()).toBe(1);
});

test("D6: with no owner up the first healthy fallback mints, and the next one stands in", async () => {
  const [a, b, c, d, e] = await start(5);
  cluster.down(a!, b!, c!);
  const { acks } = await cluster.run(e!.put("k", "v"));
  expect(acks).toMatchObject({ n: 3, ok: 2, primary: 0, hinted: 2 });
  expect(d!.coordinator.counters.minted).toBe(1);
  expect(d!.stored("k")).toEqual([]);
  expect([d!.hinted("k"), e!.hinted("k")]).toEqual([["v"], ["v"]]);
  expect(d!.hintCount(a!)).toBe(1);
});

test("D6: what a fallback has minted reaches the owners when they are back, as one value", async () => {
  const [a, b, c, d, e] = await start(5);
  cluster.down(a!, b!, c!);
  await cluster.run(e!.put("k", "1"));
  await cluster.run(e!.put("k", "2"));
  cluster.up("serving", a!, b!, c!);
  await cluster.pass(5000);
  for (const node of [a, b]) expect(node!.stored("k")).toEqual(["2"]);
  expect([d!.hinted("k"), e!.hinted("k")]).toEqual([[], []]);
  expect(await cluster.run(c!.values("k"))).toEqual(["2"]);
});

test("R9, R12: a fallback that has handed over does not go on under the same name", async () => {
  const [a, b, c, d] = await start(5);
  const owners = [a!, b!, c!];
  cluster.down(...owners);
  await cluster.run(d!.put("k", "1", { level: "ONE" }));
  cluster.up("serving", ...owners);
  await cluster.pass(5000);
  cluster.down(...owners);
  await cluster.run(d!.put("k", "2", { level: "ONE" }));
  cluster.up("serving", ...owners);
  await cluster.pass(5000);
  // The second was blind to the first, so it may not supersede it: forgetting is not knowing.
  expect(await cluster.run(b!.values("k", { level: "ALL" }))).toEqual(["1", "2"]);
  const actors = a!.recordOf("k").map(({ actor }) => actor);
  expect(new Set(actors).size).toBe(2);
});

test("R5: with too few replicas up a write is 503 at once and nothing is sent", async () => {
  const [a, b, c] = await start(3);
  cluster.down(b!, c!);
  for (const node of [a!])
    expect(await codeOf(cluster.run(node.put("k", "v")))).toBe("unavailable");
  expect(minted()).toBe(0);
  expect(cluster.sent).toEqual([]);
});

test("forward: a minter that refuses the connection is passed over", async () => {
  const [a, b, , d] = await start(4);
  a!.fault = "refused";
  const { acks } = await cluster.run(d!.put("k", "v"));
  expect(acks.ok).toBe(2);
  expect(b!.coordinator.counters.minted).toBe(1);
  expect(minted()).toBe(1);
});

test.each([
  "shutting-down",
  "overloaded",
  "disk-full",
  "clock-skew",
  "data-corrupt",
  "unavailable",
] as const)(
  "forward: a minter that says %s has not taken it, and the next one is asked",
  async (code) => {
    const [a, b, , d] = await start(4);
    cluster.tamper = (reply, sent) =>
      kindTo("coordinate", a)(sent)
        ? { kind: "failed", code, message: "no", retry: "safe", data: {} }
        : reply;
    await cluster.run(d!.put("k", "v"));
    expect(b!.coordinator.counters.minted).toBe(1);
  },
);

test.each(["lost", "cut", "mute", "garbage"] as const)(
  "forward, row 114: after a minter that is %s the next one mints, and readers see one value (R15)",
  async (fault) => {
    const [a, b, , d] = await start(4);
    cluster.intercept = (sent) => (kindTo("coordinate", a)(sent) ? fault : undefined);
    await cluster.run(d!.put("k", "v"));
    expect(b!.coordinator.counters.minted).toBe(1);
    cluster.intercept = undefined;
    await cluster.pass(1000);
    expect(await cluster.run(d!.values("k", { level: "ALL" }))).toEqual(["v"]);
  },
);

test.each(["cut", "mute", "lost"] as const)(
  "forward, R18: a conditional write whose minter is %s is 504 and goes to nobody else",
  async (fault) => {
    const [a, b, , d] = await start(4);
    cluster.intercept = (sent) => (kindTo("coordinate", a)(sent) ? fault : undefined);
    const error = await errorOf(cluster.run(d!.put("k", "v", UNLESS_THERE)));
    expect(error).toMatchObject({ code: "write-indeterminate" });
    expect(error?.data["acks"]).toEqual([{ node: a!.name, role: "primary", result: "timeout" }]);
    expect(b!.coordinator.counters.minted).toBe(0);
  },
);

test("forward, R18: a conditional write may take its one minter all of its time", async () => {
  const [a, , , d] = await start(4);
  cluster.intercept = (sent) => (kindTo("coordinate", a)(sent) ? 800 : undefined);
  await cluster.run(d!.put("k", "v", UNLESS_THERE));
  expect(a!.coordinator.counters.minted).toBe(1);
});

test("forward: a conditional write may go on where the first minter has surely not seen it", async () => {
  const [a, b, , d] = await start(4);
  a!.fault = "refused";
  await cluster.run(d!.put("k", "v", UNLESS_THERE));
  expect(b!.coordinator.counters.minted).toBe(1);
});

test("R5: after one minter that may have taken it, no later refusal makes the outcome certain", async () => {
  const [a, b, c, d] = await start(4);
  for (const later of ["refused", "failed"] as const) {
    cluster.intercept = (sent) => {
      if (sent.request.kind !== "coordinate") return undefined;
      if (sent.to === a) return "mute";
      return later === "refused" ? "refused" : undefined;
    };
    cluster.tamper = (reply, sent) =>
      kindTo("coordinate", b)(sent) || kindTo("coordinate", c)(sent)
        ? { kind: "failed", code: "overloaded", message: "no", retry: "safe", data: {} }
        : reply;
    const error = await errorOf(cluster.run(d!.put("k", later)));
    expect(error?.code).toBe("write-indeterminate");
    cluster.intercept = undefined;
    cluster.tamper = undefined;
    expect(await cluster.run(d!.values("k"))).toEqual([later]);
    cluster.clock.advance(3000);
  }
});

test("R5: the same where the later minters refuse, the node itself among them", async () => {
  const [a, b, c] = await start(3);
  cluster.intercept = (sent) => (kindTo("coordinate", a)(sent) ? "mute" : undefined);
  for (const node of [b, c]) node!.clock.skewMs = 60_000;
  const error = await errorOf(cluster.run(b!.put("k", "v")));
  expect(error?.code).toBe("write-indeterminate");
  expect(minted()).toBe(1);
});

test("a node that cannot mint passes its own write on", async () => {
  const [a, b] = await start(3);
  a!.clock.skewMs = 60_000;
  const { context } = await cluster.run(a!.put("k", "1"));
  await cluster.run(a!.put("k", "2", { context }));
  expect(b!.coordinator.counters.minted).toBe(2);
});

test("forward: the deadline travels, and a write that nobody finishes in time is 504", async () => {
  const [a, , , d] = await start(4);
  cluster.intercept = ({ request }) => (request.kind === "coordinate" ? "lost" : undefined);
  const startMs = cluster.clock.monoMs();
  const error = await errorOf(cluster.run(d!.put("k", "v", { timeoutMs: 700 })));
  expect(error?.code).toBe("write-indeterminate");
  expect(cluster.clock.monoMs() - startMs).toBeLessThan(750);
  expect(a!.coordinator.counters.minted).toBe(0);
});

test("a refusal of the minter comes back as it is, data and all", async () => {
  const [a, , , d] = await start(4);
  await cluster.run(a!.put("k", "v"));
  const { etag, context } = await cluster.run(a!.get("k"));
  const error = await errorOf(cluster.run(d!.put("k", "w", UNLESS_THERE)));
  expect(error).toMatchObject({ code: "precondition-failed", data: { etag, context } });
});

test("the answer of a forwarded write is the minter's: context, state, acks, session", async () => {
  const [a, , , d] = await start(4);
  const result = await cluster.run(d!.put("k", "v", { session: "new" }));
  expect(valuesOf(result.state)).toEqual(["v"]);
  expect(result.acks).toMatchObject({ n: 3, hinted: 0 });
  expect(result.acks.primary).toBeGreaterThanOrEqual(2);
  expect(result.session).not.toBe("");
  await cluster.run(a!.put("k", "w", { context: result.context }));
  expect(await cluster.run(d!.values("k"))).toEqual(["w"]);
});

test("R17: DELETE without a context removes what a quorum shows, not only what the minter has", async () => {
  const [a, b, c] = await start(3);
  await b!.mintAlone("k", "elsewhere");
  await c!.mintAlone("k", "there too");
  await cluster.run(a!.delete("k", { level: "ALL" }));
  await cluster.pass(50);
  expect(await cluster.run(b!.values("k"))).not.toContain("elsewhere");
  expect(a!.stored("k")).toContain("-");
});

test("R17: after a delete with a context a PUT with the context of its answer leaves one value", async () => {
  const [a, b] = await start(3);
  await cluster.run(a!.put("k", "1"));
  const { context } = await cluster.run(b!.delete("k"));
  expect((await cluster.run(a!.get("k"))).isTombstone).toBe(true);
  await cluster.run(b!.put("k", "2", { context }));
  expect(await cluster.run(a!.values("k"))).toEqual(["2"]);
});

test("R17: a delete that cannot ask a quorum deletes what it reaches, where fallbacks can take it", async () => {
  const [a, b, c] = await start(5);
  await cluster.run(a!.put("k", "v"));
  await cluster.pass(50);
  cluster.down(b!, c!);
  await cluster.run(a!.delete("k"));
  expect(a!.stored("k")).toEqual(["-"]);
});

test("R18: If-None-Match: * is judged on a quorum, not on the minter's own copy", async () => {
  const [a, b, c] = await start(3);
  await b!.mintAlone("k", "there");
  await c!.mintAlone("k", "there");
  expect(await codeOf(cluster.run(a!.put("k", "v", UNLESS_THERE)))).toBe("precondition-failed");
});

test("R18, R19: If-Match is judged on a quorum, by the ETag of its merge", async () => {
  const [a, b, c] = await start(3);
  await b!.mintAlone("k", "1");
  const { etag } = await cluster.run(c!.get("k", { level: "ALL" }));
  const condition = { kind: "if-match", etags: [etag] } as const;
  await cluster.run(a!.put("k", "2", { condition }));
  expect(await cluster.run(c!.values("k"))).toEqual(["2"]);
  expect(await codeOf(cluster.run(c!.put("k", "3", { condition })))).toBe("precondition-failed");
});

test("R18: `*` matches a live value; a tombstone is none", async () => {
  const [a, b] = await start(3);
  await cluster.run(a!.put("k", "1"));
  await cluster.run(a!.delete("k"));
  await cluster.run(b!.put("k", "2", UNLESS_THERE));
  expect(await cluster.run(a!.values("k"))).toEqual(["2"]);
});

test("R18: an owner that has something its minter has not seen refuses the conditional write", async () => {
  const [a, b, c] = await start(3);
  cluster.intercept = ({ to, request }) =>
    to === c && request.kind === "read" ? "lost" : undefined;
  await c!.mintAlone("k", "raced");
  await cluster.run(a!.put("k", "v", UNLESS_THERE));
  await cluster.pass(50);
  expect(b!.stored("k")).toEqual(["v"]);
  expect(c!.stored("k")).toEqual(["raced"]);
});

test("R18: a condition needs a quorum of owners, at ONE too", async () => {
  const [a, b, c] = await start(5);
  cluster.down(b!, c!);
  for (const level of ["ONE", "QUORUM"]) {
    const write = a!.put("k", "v", { level, ...UNLESS_THERE });
    expect(await codeOf(cluster.run(write))).toBe("unavailable");
  }
  expect(minted()).toBe(0);
});

test("R18: no fallback judges a condition by its hints alone", async () => {
  const [a, b, c, d] = await start(5);
  await cluster.run(a!.put("k", "v"));
  cluster.down(a!, b!, c!);
  expect(await codeOf(cluster.run(d!.put("k", "w", UNLESS_THERE)))).toBe("unavailable");
});

test("R18: of two conditional creations at the same time at most one owner quorum says yes, or both are siblings", async () => {
  const [a, b, c] = await start(3);
  const codes = await Promise.all(
    [a, b, c].map((node, i) => cluster.run(codeOf(node!.put("k", `v${i}`, UNLESS_THERE)))),
  );
  expect(codes.filter((code) => code === "accepted").length).toBe(1);
  expect((await cluster.run(a!.values("k"))).length).toBe(1);
});

const RETRY = { idempotencyKey: "order-7" } as const;

test("N3: a retry on another node is the same write", async () => {
  const [a, b, c] = await start(3);
  const first = await cluster.run(a!.put("k", "v", RETRY));
  for (const node of [b, c]) {
    const again = await cluster.run(node!.put("k", "v", RETRY));
    expect(again.isReplay).toBe(true);
    expect(again.context).toBe(first.context);
  }
  expect(minted()).toBe(1);
});

test("N3: the same when the first minter is gone", async () => {
  const [a, b, c] = await start(3);
  await cluster.run(a!.put("k", "v", RETRY));
  await cluster.pass(50);
  cluster.down(a!);
  for (const node of [b, c]) {
    const again = await cluster.run(node!.put("k", "v", RETRY));
    expect(again.isReplay).toBe(true);
    expect(again.acks).toMatchObject({ ok: 2, primary: 2 });
  }
  expect(minted()).toBe(1);
});

test("N3: the same where only one other owner has heard of it, and then both have the value", async () => {
  const [a, b, c] = await start(3);
  cluster.intercept = ({ to, request }) =>
    to === b && request.kind === "merge" ? "lost" : undefined;
  await cluster.run(a!.put("k", "v", RETRY));
  expect(b!.stored("k")).toEqual([]);
  cluster.intercept = undefined;
  cluster.down(a!);
  const again = await cluster.run(b!.put("k", "v", RETRY));
  expect(again.isReplay).toBe(true);
  expect(again.acks.ok).toBe(2);
  expect(b!.stored("k")).toEqual(["v"]);
  expect(minted()).toBe(1);
  expect(c!.stored("k")).toEqual(["v"]);
});

test("N3, R24: a retry keeps the hints that its first attempt had no need of", async () => {
  const [a, b, c] = await start(3);
  cluster.intercept = ({ to, request }) =>
    to === c && request.kind === "merge" ? "lost" : undefined;
  await cluster.run(a!.put("k", "v", RETRY));
  cluster.intercept = undefined;
  cluster.down(c!);
  await cluster.run(a!.put("k", "v", RETRY));
  await cluster.pass(50);
  expect(a!.hintCount(c!) + b!.hintCount(c!)).toBeGreaterThan(0);
});

test("N3: with another body it is 422", async () => {
  const [a, b] = await start(3);
  await cluster.run(a!.put("k", "v", RETRY));
  await cluster.pass(50);
  expect(await codeOf(cluster.run(b!.put("k", "w", RETRY)))).toBe("idempotency-mismatch");
});

test("N3, D4: with owners down the memory stands with the fallbacks, and those still stand in", async () => {
  const [a, b, c, d, e] = await start(5);
  cluster.down(b!, c!);
  const { acks } = await cluster.run(a!.put("k", "v", RETRY));
  expect(acks).toMatchObject({ primary: 1 });
  await cluster.pass(50);
  expect([d!.hinted("k"), e!.hinted("k")]).toEqual([["v"], ["v"]]);
});

test("N3: an owner that is slow to remember does not hold the write beyond its deadline", async () => {
  const [a, b] = await start(3);
  cluster.intercept = ({ to, request }) =>
    to === b && request.kind === "read" ? "lost" : undefined;
  const startMs = cluster.clock.monoMs();
  await codeOf(cluster.run(a!.put("k", "v", { ...RETRY, timeoutMs: 100 })));
  expect(cluster.clock.monoMs() - startMs).toBeLessThan(150);
});

test("R7: a session's write replaces its own earlier one, wherever that was minted", async () => {
  const [a, b] = await start(3);
  cluster.down(a!);
  const first = await cluster.run(b!.put("k", "1", { session: "new" }));
  cluster.up("serving", a!);
  await cluster.run(a!.put("k", "2", { session: first.session }));
  expect(await cluster.run(b!.values("k"))).toEqual(["2"]);
});

test("R7: the same where one owner alone has the earlier one", async () => {
  const [a, b, c] = await start(3);
  cluster.intercept = ({ request, to }) =>
    request.kind === "merge" || kindTo("coordinate", a)({ to, request }) ? "lost" : undefined;
  const first = await cluster.run(c!.put("k", "1", { session: "new", level: "ONE" }));
  const holder = [a, b, c].find((node) => node!.stored("k").length === 1)!;
  cluster.intercept = undefined;
  await cluster.run(a!.put("k", "2", { session: first.session }));
  await cluster.pass(1000);
  expect(holder.name).not.toBe(a!.name);
  expect(await cluster.run(a!.values("k", { level: "ALL" }))).toEqual(["2"]);
});

test("R14: too many siblings refuse the client's write with context and count, on any node", async () => {
  const [a, , , d] = await start(4);
  await cluster.run(
    a!.coordinator.setBucket("demo", "put", { blindPut: "sibling", siblingsMax: 2 }),
  );
  for (const value of ["1", "2"]) await cluster.run(d!.put("k", value));
  const error = await errorOf(cluster.run(d!.put("k", "3")));
  expect(error).toMatchObject({ code: "too-many-siblings", data: { siblings: 2 } });
});

test("R20, row 66: a minter whose clock has jumped does not mint; the next one does", async () => {
  const [a, b, , d] = await start(4);
  a!.clock.skewMs = 60_000;
  await cluster.run(d!.put("k", "v"));
  expect(b!.coordinator.counters.minted).toBe(1);
});

test("R21: in lww a later write wins over one stamped ahead, and both converge", async () => {
  const [a, b, c] = await start(3);
  await cluster.run(a!.coordinator.setBucket("demo", "put", { conflicts: "lww" }));
  b!.clock.skewMs = 400;
  await b!.mintAlone("k", "ahead");
  await cluster.run(a!.get("k", { level: "ALL" }));
  await cluster.run(a!.put("k", "later"));
  await cluster.pass(50);
  for (const node of [a, b, c]) expect(node!.stored("k")).toEqual(["later"]);
});

test("a write leaves no timer behind, acknowledged or not", async () => {
  const [a, b, c] = await start(3);
  await cluster.pass(50);
  const before = a!.clock.timers;
  await cluster.run(a!.put("k", "v"));
  await cluster.run(a!.put("k", "v", { ...UNLESS_THERE, timeoutMs: 100 }).catch(() => undefined));
  b!.fault = "lost";
  c!.fault = "mute";
  await codeOf(cluster.run(a!.put("k", "w", { timeoutMs: 100 })));
  await cluster.pass(600);
  expect(a!.clock.timers).toBe(before);
});

test("stopping waits for the write that is under way", async () => {
  const [a, b, c] = await start(3);
  for (const node of [b, c]) node!.fault = 50;
  const write = a!.put("k", "v");
  await cluster.pass(5);
  let isStopped = false;
  const stopped = a!.coordinator.stop().then(() => (isStopped = true));
  await cluster.pass(5);
  expect(isStopped).toBe(false);
  expect((await cluster.run(write)).acks.ok).toBeGreaterThanOrEqual(2);
  await cluster.run(stopped);
});
