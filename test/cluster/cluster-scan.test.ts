/** What a scan over several nodes costs them: how much it asks for, when, and of whom. */
import { expect, test } from "bun:test";
import { utf8, utf8Text } from "../../src/base/bytes.ts";
import { Prng } from "../../src/base/prng.ts";
import { PartitionSet } from "../../src/cluster/partition-set.ts";
import { PeerError } from "../../src/cluster/peer-messages.ts";
import { PAGE_BYTES_MAX, PAGE_KEYS_MAX } from "../../src/cluster/scan-answer.ts";
import { WriteBatch } from "../../src/storage/store.ts";
import { addressOf, bucketPrefix } from "../../src/ring/partition.ts";
import {
  ScanCluster,
  bytesOf,
  nodeId,
  randomLayout,
  stateOf,
  testBucket,
} from "../support/scan-cluster.ts";

const KEY_COUNT = 6000;
const PREFIX = bucketPrefix("demo");
/** Ten groups of 600 keys. */
const keyAt = (i: number): string => `${Math.floor(i / 600)}/${String(i).padStart(4, "0")}`;

/** Three nodes that hold everything. */
async function fullCluster(): Promise<ScanCluster> {
  const cluster = await ScanCluster.start(randomLayout(new Prng("scan"), 3, 16, 3));
  const record = bytesOf(stateOf(1, "v"));
  for (const { store } of cluster.stores.values()) {
    const batch = new WriteBatch();
    for (let i = 0; i < KEY_COUNT; i++)
      batch.put(addressOf(PREFIX, utf8(keyAt(i)), 4).internalKey, record);
    await store.apply(batch);
  }
  return cluster;
}

const cluster = await fullCluster();

function start(): ScanCluster {
  cluster.asked.length = 0;
  cluster.inFlightMax = 0;
  return cluster;
}

test("a small page asks one other node once, for little", async () => {
  const { asked } = start();
  const page = await cluster.page({ limit: 10 });
  expect(page.keys.length).toBe(10);
  expect(asked.length).toBe(1);
  expect(asked[0]!.message).toMatchObject({ bucket: "demo", isReverse: false });
  expect(new PartitionSet(asked[0]!.message.partitions).members().length).toBe(16);
  expect(asked[0]!.message.keysMax).toBeLessThan(40);
});

test("a page of the usual size takes one question, and nothing is asked ahead for it", async () => {
  const { asked } = start();
  expect((await cluster.page({ limit: 1000 })).keys.length).toBe(1000);
  expect(asked.length).toBe(1);
});

test("groups are jumped over: about a question for each, wherever they are in the page", async () => {
  for (const isReverse of [false, true]) {
    const { asked } = start();
    const page = await cluster.page({ delimiter: utf8("/"), isReverse, limit: 10_000 });
    const groups = Array.from({ length: 10 }, (_, i) => `${i}/`);
    expect(page.prefixes.map((prefix) => utf8Text(prefix)!)).toEqual(
      isReverse ? groups.reverse() : groups,
    );
    // The last jump ends behind the last key and asks once more.
    expect(asked.length).toBeLessThanOrEqual(groups.length + 2);
    for (const { message } of asked.slice(1)) expect(message.keysMax).toBeLessThanOrEqual(256);
  }
});

test("a jump past the end of the range asks nobody", async () => {
  const { asked } = start();
  const request = { delimiter: utf8("/"), start: utf8("4/"), end: utf8("4/2990"), limit: 10 };
  expect((await cluster.page(request)).prefixes.length).toBe(1);
  expect(asked.length).toBe(1);
});

test("an export asks for pages that grow, one ahead at most", async () => {
  const { asked } = start();
  let count = 0;
  for await (const { key } of cluster.listing.export(testBucket(), new Uint8Array(0)))
    expect(utf8Text(key)).toBe(keyAt(count++));
  expect(count).toBe(KEY_COUNT);
  expect(cluster.inFlightMax).toBe(1);
  const sizes = asked.map(({ message }) => message.keysMax);
  expect(sizes).toEqual(sizes.toSorted((a, b) => a - b));
  expect(sizes.at(-1)).toBeLessThanOrEqual(PAGE_KEYS_MAX);
  expect(asked.every(({ message }) => message.bytesMax <= PAGE_BYTES_MAX)).toBe(true);
  expect(asked.length).toBeLessThanOrEqual(4);
});

test("an export asks for the next page while the first is read, and for no more when it is given up", async () => {
  const { asked } = start();
  const keys = cluster.listing.export(testBucket(), new Uint8Array(0));
  await keys.next();
  expect(asked.length).toBe(2);
  await keys.return(undefined);
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  expect(asked.length).toBe(2);
});

test("a node that did not answer is not asked again, for whatever partition", async () => {
  const many = await ScanCluster.start(randomLayout(new Prng("silent"), 6, 64, 3));
  for (let i = 0; i < 200; i++) {
    const key = utf8(keyAt(i));
    await many.store(many.ownersOf(key), key, stateOf(1, "v"));
  }
  const silent = new Set([nodeId(1), nodeId(2)]);
  many.peerPageKeys = 5;
  let answers = 0;
  many.onScan = (node, reply) => {
    if (silent.has(node) || (node === nodeId(3) && ++answers > 3))
      throw new PeerError("unknown", "timeout", node);
    return reply;
  };
  expect((await many.page()).isPartial).toBe(true);
  expect(answers).toBeGreaterThanOrEqual(4);
  for (const node of silent)
    expect(many.asked.filter((scan) => scan.node === node).length).toBeLessThanOrEqual(1);
});

test("the more sources there are, the less is asked of each at a time", async () => {
  const wide = await ScanCluster.start(randomLayout(new Prng("wide"), 40, 256, 3));
  await wide.page({ limit: 1000 });
  expect(wide.asked.length).toBeGreaterThan(10);
  const bytes = wide.asked.reduce((sum, { message }) => sum + message.bytesMax, 0);
  expect(bytes).toBeLessThanOrEqual(16 * 1024 * 1024);
  expect(Math.max(...wide.asked.map(({ message }) => message.keysMax))).toBeLessThan(300);
  expect(wide.asked.every(({ node }) => node !== nodeId(0))).toBe(true);
});
