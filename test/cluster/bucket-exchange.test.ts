/**
 * Bucket properties on several nodes (R57). Invariants:
 *
 *   - what was set last, by (hlc, node id), stands everywhere; a deletion is a change like any other
 *   - a change is later than everything that its node has seen of the bucket, however far ahead the other's clock was
 *   - equal hashes mean equal entries, in any number of buckets: nodes with the same hash never exchange
 *   - what is exchanged survives a restart; what cannot be read changes nothing
 */
import { afterEach, expect, test } from "bun:test";
import * as fc from "fast-check";
import { DecodeError } from "../../src/base/byte-reader.ts";
import { concatBytes } from "../../src/base/bytes.ts";
import {
  type BucketEntry,
  FIRST_STAMP,
  decodeEntries,
  encodeEntries,
  entryHash,
} from "../../src/cluster/bucket-entry.ts";
import type { BucketProperties } from "../../src/quorum/operation.ts";
import { type ManyNode, ManyNodes } from "../support/many-nodes.ts";
import { codeOf } from "../support/one-node.ts";

let cluster: ManyNodes;
afterEach(async () => {
  await cluster?.close();
});

async function start(count: number): Promise<ManyNode[]> {
  cluster = await ManyNodes.start(count);
  return cluster.nodes;
}

const set = (
  node: ManyNode,
  properties: Partial<BucketProperties>,
  mode: "put" | "patch" = "put",
  bucket = "b",
): Promise<BucketProperties> => cluster.run(node.coordinator.setBucket(bucket, mode, properties));

/** As gossip would, until all agree. */
async function gossip(): Promise<void> {
  const { nodes } = cluster;
  for (let round = 0; round < 3; round++)
    for (const node of nodes)
      for (const other of nodes)
        if (other.coordinator.buckets.hash !== node.coordinator.buckets.hash) {
          node.exchange.differs(other.id, "buckets");
          await cluster.pass(5);
        }
}

function properties(bucket = "b"): BucketProperties[] {
  return cluster.nodes.map((node) => node.coordinator.bucket(bucket));
}

function hashes(): Set<number> {
  return new Set(cluster.nodes.map((node) => node.coordinator.buckets.hash));
}

test("a change is everywhere when its answer comes", async () => {
  const [a, b, c] = await start(3);
  await set(a!, { ttl: 60, conflicts: "lww" });
  for (const node of [b, c])
    expect(node!.coordinator.bucket("b")).toMatchObject({ ttl: 60, conflicts: "lww" });
  expect(hashes().size).toBe(1);
});

test("R57: changes on both sides of a partition come to the later one on all nodes", async () => {
  const [a, b, c] = await start(3);
  cluster.partition([a!], [b!, c!]);
  await set(a!, { ttl: 1 });
  cluster.clock.advance(10);
  await set(b!, { ttl: 2 });
  cluster.heal();
  expect(hashes().size).toBe(2);
  await gossip();
  expect(properties().map(({ ttl }) => ttl)).toEqual([2, 2, 2]);
  expect(hashes().size).toBe(1);
});

test("R57: changes at the same instant come to one of them on all nodes", async () => {
  const [a, b] = await start(2);
  cluster.partition([a!], [b!]);
  await Promise.all([set(a!, { ttl: 1 }), set(b!, { ttl: 2 })]);
  cluster.heal();
  await gossip();
  const [first, second] = properties();
  expect(first).toEqual(second!);
});

test("a patch changes what it names and keeps what was exchanged", async () => {
  const [a, b, c] = await start(3);
  await set(a!, { ttl: 60 });
  await set(b!, { siblingsMax: 7 }, "patch");
  expect(c!.coordinator.bucket("b")).toMatchObject({ ttl: 60, siblingsMax: 7 });
});

test("R20, row 66: a change follows what its node has seen, even of a clock that was ahead", async () => {
  const [a, b] = await start(2);
  a!.clock.skewMs = 400;
  cluster.clock.advance(10);
  await set(a!, { ttl: 1 });
  await set(b!, { ttl: 2 });
  await gossip();
  expect(properties().map(({ ttl }) => ttl)).toEqual([2, 2]);
  await set(a!, { ttl: 3 }, "patch");
  expect(properties().map(({ ttl }) => ttl)).toEqual([3, 3]);
});

test("the same for a deletion, and for the first write that lists a deleted bucket again", async () => {
  const [a, b] = await start(2);
  a!.clock.skewMs = 400;
  cluster.clock.advance(10);
  await set(a!, { ttl: 1 });
  await cluster.run(b!.coordinator.deleteBucket("b"));
  await gossip();
  for (const node of [a, b]) expect(node!.coordinator.bucketNames()).toEqual([]);
  expect(properties().map(({ ttl }) => ttl)).toEqual([0, 0]);
  await cluster.run(b!.put("k", "v", { bucket: "b" }));
  await gossip();
  for (const node of [a, b]) expect(node!.coordinator.bucketNames()).toEqual(["b"]);
});

test("a deletion reaches a node that was away, and is not undone by it", async () => {
  const [a, b, c] = await start(3);
  await set(a!, { ttl: 60 });
  cluster.down(c!);
  cluster.clock.advance(10);
  await cluster.run(a!.coordinator.deleteBucket("other"));
  await set(a!, {});
  await b!.coordinator.buckets.delete("b");
  cluster.up("serving", c!);
  await gossip();
  for (const node of [a, b, c]) expect(node!.coordinator.bucketNames()).toEqual([]);
  expect(properties().map(({ ttl }) => ttl)).toEqual([0, 0, 0]);
});

test("DELETE of a bucket that holds keys anywhere is 409", async () => {
  const [a, b, c] = await start(3);
  await cluster.run(a!.put("k", "v", { bucket: "b" }));
  await cluster.pass(50);
  for (const node of [a, b, c])
    expect(await codeOf(cluster.run(node!.coordinator.deleteBucket("b")))).toBe("bucket-not-empty");
});

test("a first write lists its bucket everywhere, and all nodes agree", async () => {
  const [a, b, c] = await start(3);
  await cluster.run(a!.put("k", "v", { bucket: "new" }));
  await cluster.pass(50);
  await gossip();
  for (const node of [a, b, c]) expect(node!.coordinator.bucketNames()).toEqual(["new"]);
  expect(hashes().size).toBe(1);
});

test("what was exchanged survives a restart", async () => {
  const [a, b] = await start(2);
  await set(a!, { ttl: 60, n: 2 });
  const { hash } = b!.coordinator.buckets;
  await cluster.run(b!.restart());
  expect(b!.coordinator.bucket("b")).toMatchObject({ ttl: 60, n: 2 });
  expect(b!.coordinator.buckets.hash).toBe(hash);
});

test("a node that is alone for a change is told by gossip later; the change does not fail", async () => {
  const [a, b, c] = await start(3);
  for (const node of [b, c]) node!.fault = "lost";
  const startMs = cluster.clock.monoMs();
  await set(a!, { ttl: 60 });
  expect(cluster.clock.monoMs() - startMs).toBeLessThan(600);
  for (const node of [b, c]) node!.fault = undefined;
  await gossip();
  expect(properties().map(({ ttl }) => ttl)).toEqual([60, 60, 60]);
});

test("what no bucket can have is refused from a peer as from a client, and changes nothing", async () => {
  const [a, b] = await start(2);
  const entry: BucketEntry = {
    ...FIRST_STAMP,
    hlc: 99,
    name: "b",
    explicit: { n: 99 },
    isDeleted: false,
    copiesSince: 0,
  };
  const body = concatBytes(new Uint8Array([1]), encodeEntries([entry]));
  expect(await a!.ask({ kind: "exchange", topic: "buckets", body }, b!)).toMatchObject({
    kind: "failed",
    code: "bad-property",
  });
  expect(a!.coordinator.bucketNames()).toEqual([]);
});

test("rows 74: garbage for entries is refused cleanly, every prefix of a message too", async () => {
  const [a, b] = await start(2);
  const entries = [
    { ...FIRST_STAMP, name: "b", explicit: { ttl: 5 }, isDeleted: false, copiesSince: 0 },
  ];
  const whole = concatBytes(new Uint8Array([1]), encodeEntries(entries));
  for (let end = 0; end < whole.length; end++) {
    const message = { kind: "exchange", topic: "buckets", body: whole.slice(0, end) } as const;
    expect(await a!.ask(message, b!)).toMatchObject({ kind: "failed", code: "bad-request" });
  }
  expect(() => decodeEntries(new Uint8Array([255, 255, 255, 255, 15]))).toThrow(DecodeError);
  // A name of one byte that is no UTF-8, which would come to be the name "".
  expect(() => decodeEntries(new Uint8Array([1, 1, 0xb8, 4, 1, 0x7b, 0x7d, 0x20]))).toThrow(
    DecodeError,
  );
  expect(() => decodeEntries(new Uint8Array([1, 1, 0x62, 3, 1, 0x5b, 0x5d]))).toThrow(DecodeError);
  expect(decodeEntries(new Uint8Array([1, 1, 0x62, 3, 1, 0x7b, 0x7d]))).toHaveLength(1);
});

const arbitraryEntry: fc.Arbitrary<BucketEntry> = fc.record({
  name: fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,62}$/),
  hlc: fc.nat(2 ** 31),
  node: fc.constantFrom("00000000000000a1", "ffffffffffffffff", FIRST_STAMP.node),
  isDeleted: fc.boolean(),
  copiesSince: fc.nat(9),
  explicit: fc.constantFrom({}, { ttl: 1 }, { n: 2, strict: true }),
});

test("entries: encode then decode is identity", () => {
  fc.assert(
    fc.property(fc.array(arbitraryEntry, { maxLength: 20 }), (entries) => {
      expect(decodeEntries(encodeEntries(entries))).toEqual(entries);
    }),
  );
});

test("the hash of many buckets is not that of others with similar names: b0, b1, b2, b3 are not nothing", () => {
  const listed = (name: string): BucketEntry => ({
    ...FIRST_STAMP,
    name,
    explicit: {},
    isDeleted: false,
    copiesSince: 0,
  });
  const hashOf = (...names: string[]): number =>
    names.reduce((hash, name) => (hash ^ entryHash(listed(name))) >>> 0, 0);
  expect(hashOf("b0", "b1", "b2", "b3")).not.toBe(0);
  expect(hashOf("b1", "b2")).not.toBe(hashOf("b5", "b6"));
});
