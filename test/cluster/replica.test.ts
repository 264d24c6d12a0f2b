/** The semantics of one replica, rule by rule. */
import { expect, test } from "bun:test";
import { utf8 } from "../../src/base/bytes.ts";
import { recordToJson } from "../../src/causality/record-json.ts";
import { joinActor } from "../../src/causality/actor.ts";
import { hlcOfWallMs, wallMsOfHlc } from "../../src/causality/hlc.ts";
import { tombstone } from "../../src/causality/payload.ts";
import { OneNode, codeOf, errorOf, valuesOf } from "../support/one-node.ts";
import type { Condition } from "../../src/quorum/operation.ts";

const SECOND = 1000;
const STRANGER = joinActor("ffeeddccbbaa9988", 1);

/** A bucket where writes without a context make siblings. */
async function siblingNode(): Promise<OneNode> {
  const node = await OneNode.start();
  await node.coordinator.setBucket("demo", "put", { blindPut: "sibling" });
  return node;
}

test("a value comes back with its type, encoding, metadata and no expiry", async () => {
  const node = await OneNode.start();
  await node.put("k", "v", { contentType: "text/x", contentEncoding: "gzip", meta: [["a", "1"]] });
  const { siblings, isTombstone, conflictMode, replies } = await node.get("k");
  expect(siblings.length).toBe(1);
  expect(siblings[0]).toMatchObject({
    contentType: "text/x",
    contentEncoding: "gzip",
    meta: [["a", "1"]],
    expiresAtMs: 0,
    isDeleted: false,
  });
  expect(isTombstone).toBe(false);
  expect(conflictMode).toBe("siblings");
  expect(replies).toMatchObject({ n: 1, ok: 1, primary: 1 });
  expect(siblings[0]!.dot).toMatch(/^[0-9a-f]{24}\.\d+$/);
});

test("a key never seen has no siblings, no context and no ETag", async () => {
  const node = await OneNode.start();
  expect(await node.get("k")).toMatchObject({
    siblings: [],
    isTombstone: false,
    context: "",
    etag: "",
  });
});

test("row 45: a value of 0 bytes is stored and is not a missing key", async () => {
  const node = await OneNode.start();
  await node.put("k", "");
  expect(await node.values("k")).toEqual([""]);
});

test("D3, R10: PUTs without a context replace each other", async () => {
  const node = await OneNode.start();
  await node.put("k", "1");
  await node.put("k", "2");
  expect(await node.values("k")).toEqual(["2"]);
});

test("R10: in a bucket with blindPut sibling they become siblings, and a PUT with the read's context resolves them", async () => {
  const node = await siblingNode();
  await node.put("k", "1");
  await node.put("k", "2");
  const read = await node.get("k");
  expect(valuesOf(read)).toEqual(["2", "1"]);
  await node.put("k", "both", { context: read.context });
  expect(await node.values("k")).toEqual(["both"]);
});

test("R8: a PUT with an old context replaces what that context covers and nothing else", async () => {
  const node = await OneNode.start();
  await node.put("k", "1");
  const { context } = await node.get("k");
  await node.put("k", "a", { context });
  await node.put("k", "b", { context });
  expect(await node.values("k")).toEqual(["b", "a"]);
});

test("the token of a write covers what the request's token covered and the write itself, not an unseen sibling", async () => {
  const node = await siblingNode();
  await node.put("k", "unseen");
  const first = await node.put("k", "mine");
  expect(first.context).not.toBe(first.state.context);
  const second = await node.put("k", "mine2", { context: first.context });
  expect(await node.values("k")).toEqual(["mine2", "unseen"]);
  await node.put("k", "mine3", { context: second.context });
  expect(await node.values("k")).toEqual(["mine3", "unseen"]);
});

test("the token of a PUT without a context covers what the minter held", async () => {
  const node = await OneNode.start();
  const { context } = await node.get("k");
  expect(context).toBe("");
  const first = await node.put("k", "1");
  expect(first.context).toBe((await node.get("k")).context);
});

test("R13: a token cannot be used for another key, and a changed one not at all", async () => {
  const node = await OneNode.start();
  const { context } = await node.put("k", "1");
  expect(await codeOf(node.put("other", "2", { context }))).toBe("context-mismatch");
  expect(await codeOf(node.put("k", "2", { context }, "elsewhere"))).toBe("context-mismatch");
  expect(await codeOf(node.put("k", "2", { context: `${context}AAAA` }))).toBe("bad-context");
  expect(await node.values("other")).toEqual([]);
  expect(await node.values("k")).toEqual(["1"]);
});

test("R11: a key deleted for good and written again gets a greater dot than ever before", async () => {
  const node = await OneNode.start();
  const first = await node.put("k", "1");
  await node.delete("k");
  const again = await node.put("k", "2");
  const counter = (dot: string): number => Number(dot.split(".")[1]);
  expect(counter(again.state.siblings[0]!.dot)).toBeGreaterThan(
    counter(first.state.siblings[0]!.dot),
  );
});

test("row 95, R20: dots grow across a restart with the wall clock set back an hour", async () => {
  let node = await OneNode.start();
  const dots: number[] = [];
  for (let life = 0; life < 3; life++) {
    for (let i = 0; i < 3; i++) {
      const { state } = await node.put(`k${i}`, "v");
      dots.push(Number(state.siblings[0]!.dot.split(".")[1]));
      node.clock.advance(700);
    }
    node.clock.stepWall(-3600 * SECOND);
    node = await node.restart();
  }
  expect(dots).toEqual([...dots].sort((a, b) => a - b));
  expect(new Set(dots).size).toBe(dots.length);
});

test("R14: a PUT beyond siblingsMax is 409 with count and context, writes nothing, and resolving still works", async () => {
  const node = await OneNode.start();
  await node.coordinator.setBucket("demo", "put", { blindPut: "sibling", siblingsMax: 3 });
  for (const value of ["1", "2", "3"]) await node.put("k", value);
  const error = await errorOf(node.put("k", "4"));
  expect(error?.code).toBe("too-many-siblings");
  expect(error?.data["siblings"]).toBe(3);
  expect(await node.values("k")).toEqual(["3", "2", "1"]);
  await node.put("k", "one", { context: error!.data["context"] as string });
  expect(await node.values("k")).toEqual(["one"]);
});

test("row 50: of 100 writers without a context at most 50 become siblings", async () => {
  const node = await siblingNode();
  const codes = await Promise.all(
    Array.from({ length: 100 }, (_, i) => codeOf(node.put("k", String(i)))),
  );
  expect(codes.filter((code) => code === "accepted").length).toBe(50);
  expect(codes.filter((code) => code === "too-many-siblings").length).toBe(50);
  expect((await node.values("k")).length).toBe(50);
});

test("R15: equal concurrent values are shown once, and the context covers all of them", async () => {
  const node = await siblingNode();
  for (let i = 0; i < 3; i++) await node.put("k", "same");
  await node.put("k", "same", { contentType: "text/plain" });
  const read = await node.get("k");
  expect(valuesOf(read)).toEqual(["same", "same"]);
  await node.put("k", "new", { context: read.context });
  expect(await node.values("k")).toEqual(["new"]);
});

test("R17: a deleted key is absent, with a context that a PUT can follow", async () => {
  const node = await OneNode.start();
  await node.put("k", "v");
  const deleted = await node.delete("k");
  const read = await node.get("k");
  expect(read.isTombstone).toBe(true);
  expect(valuesOf(read)).toEqual(["-"]);
  expect(read.context).not.toBe("");
  await node.put("k", "again", { context: deleted.context });
  expect(await node.values("k")).toEqual(["again"]);
});

test("R17: deleting a key that was never there gives a context too", async () => {
  const node = await OneNode.start();
  const { context } = await node.delete("k");
  expect(context).not.toBe("");
  expect((await node.get("k")).isTombstone).toBe(true);
});

test("R17: a delete and a concurrent write are both shown", async () => {
  const node = await OneNode.start();
  const { context } = await node.put("k", "v");
  await node.delete("k", { context });
  await node.put("k", "w", { context });
  const read = await node.get("k");
  expect(valuesOf(read)).toEqual(["w", "-"]);
  expect(read.isTombstone).toBe(false);
});

test("row 49: a delete without a context deletes what is there, siblings included", async () => {
  const node = await siblingNode();
  await node.put("k", "1");
  await node.put("k", "2");
  await node.delete("k");
  expect(await node.values("k")).toEqual(["-"]);
});

test.each<
  [string, Condition["kind"], "*" | "current" | "other", "live" | "deleted" | "absent", boolean]
>([
  ["If-Match: * on a value", "if-match", "*", "live", true],
  ["If-Match: * on a tombstone", "if-match", "*", "deleted", false],
  ["If-Match: * on nothing", "if-match", "*", "absent", false],
  ["If-Match with the current ETag", "if-match", "current", "live", true],
  ["If-Match with another ETag", "if-match", "other", "live", false],
  ["If-Match with the ETag of a tombstone", "if-match", "current", "deleted", false],
  ["If-None-Match: * on a value", "if-none-match", "*", "live", false],
  ["If-None-Match: * on a tombstone", "if-none-match", "*", "deleted", true],
  ["If-None-Match: * on nothing", "if-none-match", "*", "absent", true],
  ["If-None-Match with the current ETag", "if-none-match", "current", "live", false],
  ["If-None-Match with another ETag", "if-none-match", "other", "live", true],
])("R18: %s", async (_, kind, which, state, isAccepted) => {
  const node = await OneNode.start();
  if (state !== "absent") await node.put("k", "v");
  if (state === "deleted") await node.delete("k");
  const { etag, context } = await node.get("k");
  const etags = which === "*" ? "*" : [which === "current" ? etag : "0000000000000000"];
  const condition = { kind, etags } as Condition;
  const error = await errorOf(node.put("k", "new", { condition }));
  if (isAccepted) {
    expect(error).toBeUndefined();
    expect(await node.values("k")).toEqual(["new"]);
  } else {
    expect(error).toMatchObject({ code: "precondition-failed", data: { etag, context } });
    expect((await node.get("k")).etag).toBe(etag);
  }
});

test("R18: of many If-None-Match: * at once exactly one wins", async () => {
  const node = await OneNode.start();
  const condition: Condition = { kind: "if-none-match", etags: "*" };
  const codes = await Promise.all(
    Array.from({ length: 20 }, (_, i) => codeOf(node.put("k", String(i), { condition }))),
  );
  expect(codes.filter((code) => code === "accepted").length).toBe(1);
});

test("R19: the ETag is the same until the siblings change, also across a restart", async () => {
  let node = await OneNode.start();
  await node.put("k", "v");
  const { etag } = await node.get("k");
  node = await node.restart();
  expect((await node.get("k")).etag).toBe(etag);
  await node.put("k", "v");
  expect((await node.get("k")).etag).not.toBe(etag);
});

test("R21: a value stamped ahead of the clock is overwritten and deleted all the same", async () => {
  const node = await OneNode.start();
  await node.coordinator.setBucket("demo", "put", { conflicts: "lww" });
  const hlc = hlcOfWallMs(node.clock.wallMs() + 9000);
  const payload = { ...tombstone(hlc), isTombstone: false, value: utf8("future") };
  const record = [{ actor: STRANGER, counterMax: 5, values: [{ counter: 5, payload }] }];
  await node.coordinator.importMerge("demo", { key: utf8("k"), record: recordToJson(record) });
  expect(await node.values("k")).toEqual(["future"]);
  const { state } = await node.put("k", "now");
  expect(state.siblings[0]!.hlc).toBeGreaterThan(hlc);
  expect(await node.values("k")).toEqual(["now"]);
  await node.delete("k");
  expect(await node.values("k")).toEqual(["-"]);
});

test("R20: a state more than 10 s in the future is refused and does not move the clock", async () => {
  const node = await OneNode.start();
  const payload = tombstone(hlcOfWallMs(node.clock.wallMs() + 11_000));
  const record = [{ actor: STRANGER, counterMax: 5, values: [{ counter: 5, payload }] }];
  const work = node.coordinator.importMerge("demo", {
    key: utf8("k"),
    record: recordToJson(record),
  });
  expect(await codeOf(work)).toBe("clock-skew");
  const { state } = await node.put("k", "v");
  expect(wallMsOfHlc(state.siblings[0]!.hlc)).toBeLessThan(node.clock.wallMs() + 1000);
});

test("R10: in a lww bucket a PUT with an old context wins, and says how many it did not see", async () => {
  const node = await OneNode.start();
  await node.coordinator.setBucket("demo", "put", { conflicts: "lww" });
  const { context } = await node.put("k", "1");
  const a = await node.put("k", "a", { context });
  const b = await node.put("k", "b", { context });
  expect(a.state.conflictDropped).toBe(0);
  expect(b.state.conflictDropped).toBe(1);
  expect(b.state.conflictMode).toBe("lww");
  expect(await node.values("k")).toEqual(["b"]);
});

test("R21: a bucket that becomes lww shows the newest of its siblings and says how many it drops", async () => {
  const node = await siblingNode();
  for (const value of ["1", "2", "3"]) await node.put("k", value);
  await node.coordinator.setBucket("demo", "patch", { conflicts: "lww" });
  const read = await node.get("k");
  expect(valuesOf(read)).toEqual(["3"]);
  expect(read.conflictDropped).toBe(2);
  const { state } = await node.put("k", "4");
  expect(state.conflictDropped).toBe(2);
  expect((await node.get("k")).conflictDropped).toBe(0);
});

test("R22: X-TTL is an absolute instant, and R23: an expired value is a deleted one", async () => {
  const node = await OneNode.start();
  const { context } = await node.put("k", "v", { expiry: { kind: "after", ttlMs: 60 * SECOND } });
  const instant = node.clock.wallMs() + 60 * SECOND;
  expect((await node.get("k")).siblings[0]!.expiresAtMs).toBe(instant);
  node.clock.advance(59 * SECOND);
  expect(await node.values("k")).toEqual(["v"]);
  node.clock.advance(SECOND);
  const read = await node.get("k");
  expect(read.isTombstone).toBe(true);
  expect(valuesOf(read)).toEqual(["-"]);
  expect(read.context).toBe(context);
});

test("R23: of two siblings the expired one counts as deleted", async () => {
  const node = await siblingNode();
  await node.put("k", "short", { expiry: { kind: "after", ttlMs: SECOND } });
  await node.put("k", "long");
  node.clock.advance(2 * SECOND);
  expect(await node.values("k")).toEqual(["long", "-"]);
});

test("R22: X-Expires-At is stored as given, the bucket's ttl is the default, and keep keeps", async () => {
  const node = await OneNode.start();
  await node.coordinator.setBucket("demo", "put", { ttl: 10 });
  const expiry = async (): Promise<number> =>
    (await node.get("k")).siblings[0]!.expiresAtMs - node.clock.wallMs();
  await node.put("k", "v");
  expect(await expiry()).toBe(10 * SECOND);
  const wallMs = node.clock.wallMs() + 5 * SECOND;
  await node.put("k", "v", { expiry: { kind: "at", wallMs } });
  node.clock.advance(SECOND);
  await node.put("k", "w", { expiry: { kind: "keep" } });
  expect(await expiry()).toBe(4 * SECOND);
  node.clock.advance(5 * SECOND);
  await node.put("k", "w", { expiry: { kind: "keep" } });
  expect(await expiry()).toBe(10 * SECOND);
});

test("row 36, R22: an expiry that overflows is 400, nothing written", async () => {
  const node = await OneNode.start();
  expect(await codeOf(node.put("k", "v", { expiry: { kind: "after", ttlMs: 1e15 } }))).toBe(
    "bad-ttl",
  );
  expect(await codeOf(node.put("k", "v", { expiry: { kind: "after", ttlMs: Number.NaN } }))).toBe(
    "bad-ttl",
  );
  expect(await node.values("k")).toEqual([]);
});

test("row 46: a value at the bucket's limit is stored, one byte more is 413", async () => {
  const node = await OneNode.start();
  await node.coordinator.setBucket("demo", "put", { valueBytesMax: 8 });
  expect(await codeOf(node.put("k", "12345678"))).toBe("accepted");
  expect(await codeOf(node.put("k", "123456789"))).toBe("value-too-large");
});

test("merging an exported state twice writes once, and into another bucket it is the same state", async () => {
  const node = await siblingNode();
  await node.put("k", "1");
  await node.put("k", "2");
  for await (const exported of node.coordinator.export("demo", new Uint8Array(0))) {
    const before = node.opened.store.stats().lastSequence;
    await node.coordinator.importMerge("demo", exported);
    expect(node.opened.store.stats().lastSequence).toBe(before);
    await node.coordinator.importMerge("copy", exported);
    await node.coordinator.importMerge("copy", exported);
  }
  expect(await node.values("k", "copy")).toEqual(["2", "1"]);
  expect((await node.get("k", {}, "copy")).etag).toBe((await node.get("k")).etag);
});

test("R14: merging may exceed siblingsMax, so that replicas converge", async () => {
  const node = await OneNode.start();
  await node.coordinator.setBucket("demo", "put", { siblingsMax: 2 });
  const values = [1, 2, 3, 4].map((counter) => ({
    counter,
    payload: { ...tombstone(counter), isTombstone: false, value: utf8(String(counter)) },
  }));
  const record = [{ actor: STRANGER, counterMax: 4, values }];
  await node.coordinator.importMerge("demo", { key: utf8("k"), record: recordToJson(record) });
  expect(await node.values("k")).toEqual(["4", "3", "2", "1"]);
});

test("R14: above siblingsMax a write that does not add to them is still taken", async () => {
  const node = await siblingNode();
  const first = await node.put("k", "1");
  for (const value of ["2", "3", "4"]) await node.put("k", value);
  await node.coordinator.setBucket("demo", "patch", { siblingsMax: 2 });
  expect(await codeOf(node.put("k", "5"))).toBe("too-many-siblings");
  await node.put("k", "1b", { context: first.context });
  expect(await node.values("k")).toEqual(["1b", "4", "3", "2"]);
});

test("row 51: two thousand clients over time leave one entry, and a short context", async () => {
  const node = await OneNode.start();
  for (let i = 0; i < 2000; i++) {
    const { context } = await node.get("k");
    await node.put("k", String(i), { context });
  }
  expect((await node.get("k")).context.length).toBeLessThan(100);
});

test("R12, R16: every incarnation has its own entry, and two hundred of them stay within the bound", async () => {
  let node = await OneNode.start();
  for (let incarnation = 2; incarnation < 200; incarnation++) {
    await node.put("k", String(incarnation));
    if (incarnation % 20 === 0) node = await node.restart({ incarnation });
    else
      Object.assign(node.coordinator.replica, {
        actor: joinActor("0102030405060708", incarnation),
      });
  }
  await node.put("k", "last");
  expect(await node.values("k")).toEqual(["last"]);
  expect((await node.get("k")).context.length).toBeLessThan(4000);
});
