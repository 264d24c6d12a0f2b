/** One node's own word about a range of keys. */
import { expect, test } from "bun:test";
import { compareBytes, concatBytes, hex, utf8, utf8Text } from "../../src/base/bytes.ts";
import { Prng } from "../../src/base/prng.ts";
import { PartitionSet } from "../../src/cluster/partition-set.ts";
import type { ScanMessage, ScanReply } from "../../src/cluster/peer-messages.ts";
import { type ReplicaStore, systemKey } from "../../src/cluster/replica-store.ts";
import { answerScan } from "../../src/cluster/scan-answer.ts";
import { internalKeyOf } from "../../src/ring/partition.ts";
import { type LostRange, WriteBatch } from "../../src/storage/store.ts";
import { ScanCluster, nodeId, randomLayout, stateOf } from "../support/scan-cluster.ts";

const Q = 16;
const NONE = new Uint8Array(0);
const ALL: ScanMessage = {
  kind: "scan",
  bucket: "demo",
  partitions: PartitionSet.all(Q).bytes,
  lower: NONE,
  upper: NONE,
  isReverse: false,
  keysMax: 1000,
  bytesMax: 1_000_000,
};
const KEYS = Array.from({ length: 300 }, (_, i) => `k${String(i).padStart(3, "0")}`);

async function oneStore(): Promise<ScanCluster> {
  const cluster = await ScanCluster.start(randomLayout(new Prng("one"), 1, Q, 1));
  const { store } = cluster.stores.get(nodeId(0))!;
  for (const key of KEYS) await cluster.store([nodeId(0)], utf8(key), stateOf(1, `of ${key}`));
  for (const bucket of ["dem", "demo2"])
    await cluster.store([nodeId(0)], utf8("other"), stateOf(1, "v"), bucket);
  await store.apply(new WriteBatch().put(systemKey("x"), utf8("the node's own")));
  await store.apply(new WriteBatch().put(new Uint8Array([0, 1, 2, 9]), utf8("idempotency")));
  return cluster;
}

function answer(
  cluster: ScanCluster,
  changes: Partial<ScanMessage> = {},
  wrap = (store: ReplicaStore) => store,
): Promise<ScanReply> {
  const store = wrap(cluster.stores.get(nodeId(0))!.store);
  return answerScan({ store, clock: cluster.clock, partitionCount: Q }, { ...ALL, ...changes });
}

const keysOf = ({ entries }: ScanReply): string[] => entries.map(({ key }) => utf8Text(key)!);

/** Page after page until there is no more. */
async function allPages(cluster: ScanCluster, changes: Partial<ScanMessage>): Promise<ScanReply[]> {
  const pages: ScanReply[] = [];
  let { lower = NONE, upper = NONE } = changes;
  for (;;) {
    const page = await answer(cluster, { ...changes, lower, upper });
    pages.push(page);
    if (!page.hasMore) return pages;
    const last = page.entries.at(-1)!.key;
    if (changes.isReverse === true) upper = last;
    else lower = concatBytes(last, new Uint8Array([0]));
  }
}

test("the bucket's records come in key order, and of other buckets and the node itself none", async () => {
  const cluster = await oneStore();
  const reply = await answer(cluster);
  expect(keysOf(reply)).toEqual(KEYS);
  expect(reply).toMatchObject({ kind: "scan", hasMore: false, isIncomplete: false });
  expect(keysOf(await answer(cluster, { isReverse: true }))).toEqual(KEYS.toReversed());
  const some = await answer(cluster, { lower: utf8("k010"), upper: utf8("k013") });
  expect(keysOf(some)).toEqual(["k010", "k011", "k012"]);
});

test("only the partitions asked for are read", async () => {
  const cluster = await oneStore();
  const set = new PartitionSet(new Uint8Array([0b10010, 0b1]));
  const wanted = KEYS.filter((key) => set.has(cluster.partitionOf(utf8(key))));
  expect(wanted.length).toBeGreaterThan(10);
  for (const isReverse of [false, true]) {
    const reply = await answer(cluster, { partitions: set.bytes, isReverse });
    expect(keysOf(reply)).toEqual(isReverse ? wanted.toReversed() : wanted);
  }
  expect(keysOf(await answer(cluster, { partitions: NONE }))).toEqual([]);
});

test("a page ends at its keys or bytes, but not before its first entry", async () => {
  const cluster = await oneStore();
  const byKeys = await answer(cluster, { keysMax: 7 });
  expect(keysOf(byKeys)).toEqual(KEYS.slice(0, 7));
  expect(byKeys.hasMore).toBe(true);
  const entryBytes = byKeys.entries[0]!.key.length + byKeys.entries[0]!.record.length;
  expect((await answer(cluster, { bytesMax: 3 * entryBytes })).entries.length).toBe(3);
  expect((await answer(cluster, { bytesMax: 0, keysMax: 0 })).entries.length).toBe(1);
  for (const isReverse of [false, true]) {
    const pages = await allPages(cluster, { isReverse, keysMax: 50 });
    expect(pages.length).toBe(6);
    expect(pages.flatMap(keysOf)).toEqual(isReverse ? KEYS.toReversed() : KEYS);
  }
});

test("all buckets: internal keys, partition after partition, without the node's own entries", async () => {
  const cluster = await oneStore();
  const all = (await allPages(cluster, { bucket: "", keysMax: 41 })).flatMap(
    (page) => page.entries,
  );
  expect(all.length).toBe(KEYS.length + 2);
  const keys = all.map(({ key }) => key);
  expect(keys.map(hex)).toEqual(keys.toSorted(compareBytes).map(hex));
  const back = (await allPages(cluster, { bucket: "", isReverse: true, keysMax: 41 })).flatMap(
    ({ entries }) => entries.map(({ key }) => hex(key)),
  );
  expect(back).toEqual(keys.map(hex).reverse());
  const two = await answer(cluster, { bucket: "", partitions: new Uint8Array([0b101, 0x80]) });
  const expected = keys.filter((key) => [0, 2, 15].includes(key[1]!));
  expect(two.entries.map(({ key }) => hex(key))).toEqual(expected.map(hex));
  const [from, to] = [keys[20]!, keys[30]!];
  const part = await answer(cluster, { bucket: "", lower: from, upper: to });
  expect(part.entries.map(({ key }) => hex(key))).toEqual(keys.slice(20, 30).map(hex));
});

/** The store with a range that a damaged table has lost. */
function losing(start: Uint8Array, end: Uint8Array): (store: ReplicaStore) => ReplicaStore {
  const lost: LostRange = { start, end, sequenceMax: 1 };
  return (store) => ({
    admit: (purpose) => store.admit(purpose),
    get: (key) => store.get(key),
    apply: (batch) => store.apply(batch),
    whenDurable: (sequence) => store.whenDurable(sequence),
    reportDamage: (thrown) => store.reportDamage(thrown),
    failure: undefined,
    snapshot: () => {
      const snapshot = store.snapshot();
      Object.defineProperty(snapshot, "lostRanges", { value: [lost] });
      return snapshot;
    },
  });
}

test("R4: lost ranges are told where they touch what was asked, and only there", async () => {
  const cluster = await oneStore();
  const at = (key: string): Uint8Array => internalKeyOf(3, utf8("demo\0"), utf8(key));
  const wrap = losing(at("k100"), at("k200"));
  const isIncomplete = async (changes: Partial<ScanMessage>): Promise<boolean> =>
    (await answer(cluster, changes, wrap)).isIncomplete;
  const third = new Uint8Array([0b1000, 0]);
  expect(await isIncomplete({})).toBe(true);
  expect(await isIncomplete({ partitions: third })).toBe(true);
  expect(await isIncomplete({ partitions: new Uint8Array([0b11110111, 0xff]) })).toBe(false);
  expect(await isIncomplete({ upper: utf8("k100") })).toBe(false);
  expect(await isIncomplete({ bucket: "", partitions: third })).toBe(true);
  expect(await isIncomplete({ bucket: "", partitions: new Uint8Array([0b110, 0]) })).toBe(false);
});

test("an answer waits until what it shows is durable", async () => {
  const cluster = await oneStore();
  const waited: number[] = [];
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const wrap = (store: ReplicaStore): ReplicaStore => ({
    ...losing(new Uint8Array([0xff]), new Uint8Array([0xff, 1]))(store),
    whenDurable: (sequence) => {
      waited.push(sequence);
      return held;
    },
  });
  let isAnswered = false;
  const reply = answer(cluster, {}, wrap).then((page) => {
    isAnswered = true;
    return page;
  });
  await cluster.clock.sleep(0);
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  expect(isAnswered).toBe(false);
  expect(waited.length).toBe(1);
  expect(waited[0]).toBeGreaterThanOrEqual(KEYS.length);
  release();
  expect(keysOf(await reply)).toEqual(KEYS);
});
