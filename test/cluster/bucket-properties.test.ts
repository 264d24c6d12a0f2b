import { expect, test } from "bun:test";
import type { BucketProperties } from "../../src/quorum/operation.ts";
import { DEFAULT_BUCKET_PROPERTIES } from "../../src/quorum/operation.ts";
import { OneNode, codeOf } from "../support/one-node.ts";

test("any bucket works at once with the defaults, and is listed after its first write, also after a restart", async () => {
  let node = await OneNode.start();
  expect(node.coordinator.bucket("any")).toEqual(DEFAULT_BUCKET_PROPERTIES);
  expect(node.coordinator.bucketNames()).toEqual([]);
  await node.put("k", "v", {}, "one");
  await node.coordinator.setBucket("two", "put", { n: 1 });
  node = await node.restart();
  expect(node.coordinator.bucketNames()).toEqual(["one", "two"]);
  expect(node.coordinator.bucket("one")).toEqual(DEFAULT_BUCKET_PROPERTIES);
  expect(node.coordinator.effectiveN("one")).toBe(1);
});

test("put replaces what was set, patch changes it, both survive a restart", async () => {
  let node = await OneNode.start();
  await node.coordinator.setBucket("b", "put", { ttl: 60, siblingsMax: 7 });
  await node.coordinator.setBucket("b", "patch", { ttl: 90 });
  node = await node.restart();
  expect(node.coordinator.bucket("b")).toMatchObject({ ttl: 90, siblingsMax: 7 });
  await node.coordinator.setBucket("b", "put", { conflicts: "lww" });
  expect(node.coordinator.bucket("b")).toEqual({ ...DEFAULT_BUCKET_PROPERTIES, conflicts: "lww" });
});

test.each<[string, Partial<BucketProperties>]>([
  ["n 0", { n: 0 }],
  ["n 17", { n: 17 }],
  ["n 1.5", { n: 1.5 }],
  ["siblingsMax 0", { siblingsMax: 0 }],
  ["siblingsMax 1001", { siblingsMax: 1001 }],
  ["valueBytesMax 0", { valueBytesMax: 0 }],
  ["valueBytesMax above 16 MiB", { valueBytesMax: 16 * 1024 * 1024 + 1 }],
  ["ttl -1", { ttl: -1 }],
  ["ttl above 10 years", { ttl: 11 * 365 * 86_400 }],
  ["conflicts crdt", { conflicts: "crdt:counter" as "lww" }],
  ["blindPut maybe", { blindPut: "maybe" as "sibling" }],
  ["consistency banana", { consistency: "banana" }],
  ["consistency r=4 of 3", { consistency: "r=4" }],
])("%s is bad-property and changes nothing", async (_, properties) => {
  const node = await OneNode.start();
  expect(await codeOf(node.coordinator.setBucket("b", "put", properties))).toBe("bad-property");
  expect(node.coordinator.bucket("b")).toEqual(DEFAULT_BUCKET_PROPERTIES);
});

test("a bucket with a live key is not deleted; with deleted keys only it is, and forgets its properties", async () => {
  const node = await OneNode.start();
  await node.coordinator.setBucket("demo", "put", { ttl: 60 });
  await node.put("k", "v", { expiry: { kind: "after", ttlMs: 1000 } });
  await node.put("k2", "v");
  expect(await codeOf(node.coordinator.deleteBucket("demo"))).toBe("bucket-not-empty");
  await node.delete("k2");
  node.clock.advance(1000);
  await node.coordinator.deleteBucket("demo");
  expect(node.coordinator.bucketNames()).toEqual([]);
  expect(node.coordinator.bucket("demo")).toEqual(DEFAULT_BUCKET_PROPERTIES);
});
