import { expect, test } from "bun:test";
import { IDEMPOTENCY_WINDOW_MS } from "../../src/cluster/idempotency.ts";
import { retainEntries } from "../../src/causality/retention.ts";
import { OneNode, codeOf, valuesOf } from "../support/one-node.ts";

const RETRY = { idempotencyKey: "retry-1" };

test("a retry with the same key is the same write and gets the first answer", async () => {
  const node = await OneNode.start();
  const first = await node.put("k", "v", { ...RETRY, expiry: { kind: "after", ttlMs: 5000 } });
  await node.put("k", "later");
  const again = await node.put("k", "v", { ...RETRY, expiry: { kind: "after", ttlMs: 5000 } });
  expect(first.isReplay).toBe(false);
  expect(again.isReplay).toBe(true);
  expect(again.context).toBe(first.context);
  expect(again.state.etag).toBe(first.state.etag);
  expect(again.acks).toEqual(first.acks);
  expect(valuesOf(again.state)).toEqual(["v"]);
  expect(again.state.siblings[0]!.expiresAtMs).toBe(first.state.siblings[0]!.expiresAtMs);
  expect(await node.values("k")).toEqual(["later"]);
});

test("a retry survives a restart, and includes the siblings of the first answer", async () => {
  let node = await OneNode.start();
  await node.coordinator.setBucket("demo", "put", { blindPut: "sibling" });
  await node.put("k", "other");
  const first = await node.put("k", "v", RETRY);
  node = await node.restart();
  const again = await node.put("k", "v", RETRY);
  expect(valuesOf(again.state)).toEqual(valuesOf(first.state));
  expect(valuesOf(again.state)).toEqual(["v", "other"]);
});

test("a delete is repeated like a put", async () => {
  const node = await OneNode.start();
  const first = await node.delete("k", RETRY);
  await node.put("k", "back");
  const again = await node.delete("k", RETRY);
  expect(again.isReplay).toBe(true);
  expect(again.context).toBe(first.context);
  expect(await node.values("k")).toEqual(["back"]);
});

test("row 35: the same key with another body is 422 and writes nothing", async () => {
  const node = await OneNode.start();
  await node.put("k", "v", RETRY);
  expect(await codeOf(node.put("k", "w", RETRY))).toBe("idempotency-mismatch");
  expect(await codeOf(node.put("k", "v", { ...RETRY, contentType: "text/x" }))).toBe(
    "idempotency-mismatch",
  );
  expect(await codeOf(node.delete("k", RETRY))).toBe("idempotency-mismatch");
  expect(await node.values("k")).toEqual(["v"]);
});

test("the scope is bucket and key", async () => {
  const node = await OneNode.start();
  await node.put("k", "v", RETRY);
  expect((await node.put("k2", "w", RETRY)).isReplay).toBe(false);
  expect((await node.put("k", "w", RETRY, "other")).isReplay).toBe(false);
});

test("after ten minutes the key is a new one, and compaction may forget it", async () => {
  const node = await OneNode.start();
  await node.put("k", "v", RETRY);
  expect(kept(node)).toBe(1);
  node.clock.advance(IDEMPOTENCY_WINDOW_MS);
  expect(kept(node)).toBe(0);
  expect((await node.put("k", "other body", RETRY)).isReplay).toBe(false);
  expect(await node.values("k")).toEqual(["other body"]);
});

/** Idempotency entries that a compaction now would keep. */
function kept(node: OneNode): number {
  const snapshot = node.opened.store.snapshot();
  const retain = retainEntries({ nowMs: node.clock.wallMs() });
  const iterator = snapshot.iterator();
  let count = 0;
  for (iterator.seekToFirst(); iterator.isValid; iterator.next()) {
    const { keyBytes, keyStart, keyEnd, valueBytes, valueStart, valueEnd } = iterator;
    if (
      keyBytes[keyStart + 2] === 2 &&
      retain(keyBytes, keyStart, keyEnd, valueBytes, valueStart, valueEnd)
    )
      count++;
  }
  snapshot.close();
  return count;
}

test("a write that is refused is not remembered", async () => {
  const node = await OneNode.start();
  const condition = { kind: "if-match", etags: "*" } as const;
  expect(await codeOf(node.put("k", "v", { ...RETRY, condition }))).toBe("precondition-failed");
  expect((await node.put("k", "v", RETRY)).isReplay).toBe(false);
});

test("two at once with one key are one write", async () => {
  const node = await OneNode.start();
  await node.coordinator.setBucket("demo", "put", { blindPut: "sibling" });
  const results = await Promise.all([1, 2, 3].map(() => node.put("k", "v", RETRY)));
  expect(results.map((result) => result.isReplay)).toEqual([false, true, true]);
  expect(await node.values("k")).toEqual(["v"]);
  expect((await node.get("k")).context).toBe(results[2]!.state.context);
});
