/** Listing and export over several nodes, against a model; what the copies miss is up to each test. */
import { expect, test } from "bun:test";
import { compareBytes, equalBytes, hex, startsWith, utf8, utf8Text } from "../../src/base/bytes.ts";
import { HutchError } from "../../src/base/errors.ts";
import { Prng } from "../../src/base/prng.ts";
import { recordFromJson } from "../../src/causality/record-json.ts";
import type { Record } from "../../src/causality/record.ts";
import { merge } from "../../src/causality/siblings.ts";
import { isProvenEmpty } from "../../src/cluster/bucket-emptiness.ts";
import { encodeCursor } from "../../src/cluster/list-cursor.ts";
import { PeerError, type PeerReply } from "../../src/cluster/peer-messages.ts";
import type { NodeId } from "../../src/gossip/member.ts";
import type { ListPage, ListRequest } from "../../src/quorum/operation.ts";
import { LIST, codeOf, valuesOf } from "../support/one-node.ts";
import {
  ScanCluster,
  bytesOf,
  nodeId,
  randomLayout,
  stateOf,
  testBucket,
} from "../support/scan-cluster.ts";

const NONE = new Uint8Array(0);
const keysOf = (page: ListPage): string[] => page.keys.map(({ key }) => utf8Text(key)!);

interface Model {
  readonly cluster: ScanCluster;
  /** Everything that a quorum holds, by key in hex. */
  readonly all: Map<string, Record>;
  readonly live: Uint8Array[];
}

/** Few letters, so that prefixes, groups and neighbours are common. */
function randomKey(prng: Prng): Uint8Array {
  const letters = [0, 0x2f, 0x61, 0x62, 0xff];
  return new Uint8Array(Array.from({ length: prng.between(1, 4) }, () => prng.pick(letters)));
}

/** Each key at a quorum of its owners at least; the others miss it or hold what came before. */
async function randomModel(prng: Prng, nodeCount: number, keyCount = 250): Promise<Model> {
  const layout = randomLayout(prng, nodeCount, 16, 3);
  const cluster = await ScanCluster.start(layout);
  const all = new Map<string, Record>();
  const live: Uint8Array[] = [];
  for (let i = 0; i < keyCount; i++) {
    const key = randomKey(prng);
    if (all.has(hex(key))) continue;
    const isDeleted = prng.chance(0.2);
    const state = stateOf(2, isDeleted ? undefined : `new ${hex(key)}`);
    const owners = cluster.ownersOf(key);
    const behind = prng.chance(0.4) ? [prng.pick(owners)] : [];
    const holders = owners.filter((owner) => !behind.includes(owner));
    if (prng.chance(0.5)) await cluster.store(behind, key, stateOf(1, "old"));
    await cluster.store(holders, key, state);
    all.set(hex(key), state);
    if (!isDeleted) live.push(key);
  }
  return { cluster, all, live };
}

function randomRequest(prng: Prng): ListRequest {
  return {
    prefix: prng.chance(0.5) ? randomKey(prng).slice(0, 2) : NONE,
    start: prng.chance(0.3) ? randomKey(prng) : NONE,
    end: prng.chance(0.3) ? randomKey(prng) : NONE,
    limit: prng.pick([1, 2, 5, 20, 1000]),
    cursor: "",
    delimiter: prng.chance(0.5) ? new Uint8Array([0x2f]) : NONE,
    isReverse: prng.chance(0.5),
    withValues: prng.chance(0.5),
  };
}

/** The same question put to a sorted array; groups and keys in the order of the listing. */
function expected(live: readonly Uint8Array[], request: ListRequest): string[] {
  const { prefix, start, end, delimiter, isReverse } = request;
  const sorted = live.toSorted(compareBytes);
  if (isReverse) sorted.reverse();
  const seen: string[] = [];
  for (const key of sorted) {
    if (!startsWith(key, prefix) || compareBytes(key, start) < 0) continue;
    if (end.length > 0 && compareBytes(key, end) >= 0) continue;
    const at = delimiter.length === 0 ? -1 : key.indexOf(delimiter[0]!, prefix.length);
    const item = at === -1 ? `k${hex(key)}` : `p${hex(key.slice(0, at + 1))}`;
    if (!seen.includes(item)) seen.push(item);
  }
  return seen;
}

interface Listed {
  readonly keys: string[];
  readonly prefixes: string[];
  readonly isPartial: boolean;
}

/** Page after page; checks the limit and, where they are asked for, the values. */
async function listAll(cluster: ScanCluster, request: ListRequest): Promise<Listed> {
  const keys: string[] = [];
  const prefixes: string[] = [];
  let isPartial = false;
  let cursor = "";
  do {
    const page = await cluster.page({ ...request, cursor });
    expect(page.keys.length + page.prefixes.length).toBeLessThanOrEqual(request.limit);
    for (const { key, state } of page.keys) {
      keys.push(`k${hex(key)}`);
      if (request.withValues) expect(valuesOf(state!)).toEqual([`new ${hex(key)}`]);
    }
    prefixes.push(...page.prefixes.map((prefix) => `p${hex(prefix)}`));
    isPartial ||= page.isPartial;
    cursor = page.cursor;
  } while (cursor !== "");
  return { keys, prefixes, isPartial };
}

async function expectComplete(model: Model, request: ListRequest): Promise<void> {
  const want = expected(model.live, request);
  expect(await listAll(model.cluster, request)).toEqual({
    keys: want.filter((item) => item.startsWith("k")),
    prefixes: want.filter((item) => item.startsWith("p")),
    isPartial: false,
  });
}

async function exported(cluster: ScanCluster, after = NONE): Promise<Map<string, Uint8Array>> {
  const records = new Map<string, Uint8Array>();
  for await (const { key, record } of cluster.listing.export(testBucket(), after)) {
    expect(records.has(hex(key))).toBe(false);
    records.set(hex(key), bytesOf(recordFromJson(record)));
  }
  return records;
}

function expectExported(got: ReadonlyMap<string, Uint8Array>, all: ReadonlyMap<string, Record>) {
  expect([...got.keys()]).toEqual([...all.keys()].sort());
  for (const [key, record] of all) expect(equalBytes(got.get(key)!, bytesOf(record))).toBe(true);
}

test.each([1, 2, 3])(
  "R62: with a copy behind here and there, every option shows what a quorum holds, seed %d",
  async (seed) => {
    const prng = new Prng(`listing-cluster/${seed}`);
    const model = await randomModel(prng, prng.between(3, 5));
    for (let round = 0; round < 40; round++) {
      model.cluster.self = nodeId(prng.below(model.cluster.layout.members.length));
      await expectComplete(model, randomRequest(prng));
    }
    expectExported(await exported(model.cluster), model.all);
  },
);

test.each([1, 2])("R62: with one node down nothing is missing, seed %d", async (seed) => {
  const prng = new Prng(`listing-down/${seed}`);
  const model = await randomModel(prng, prng.between(3, 5));
  for (let round = 0; round < 25; round++) {
    const [self, down] = twoOf(prng, model.cluster);
    model.cluster.self = self;
    model.cluster.unreachable.clear();
    model.cluster.unreachable.add(down);
    model.cluster.asked.length = 0;
    await expectComplete(model, randomRequest(prng));
    expect(model.cluster.asked.some(({ node }) => node === down)).toBe(false);
  }
  expectExported(await exported(model.cluster), model.all);
});

function twoOf(prng: Prng, { layout }: ScanCluster): [NodeId, NodeId] {
  const count = layout.members.length;
  const first = prng.below(count);
  return [nodeId(first), nodeId((first + prng.between(1, count - 1)) % count)];
}

const FAILED: PeerReply = {
  kind: "failed",
  code: "overloaded",
  message: "busy",
  retry: "safe",
  data: {},
};

/** Pages of three keys at most, and `failing` does not answer after `answers` of them. */
function failAfter(cluster: ScanCluster, failing: NodeId, answers: number, isRefusal: boolean) {
  let left = answers;
  cluster.peerPageKeys = 3;
  cluster.onScan = (node, reply) => {
    if (node !== failing || left-- > 0) return reply;
    if (isRefusal) return FAILED;
    throw new PeerError("unknown", "lost", node);
  };
}

test.each([1, 2, 3])(
  "R62: a node that stops answering in the middle is stood in for, each key once and in order, seed %d",
  async (seed) => {
    const prng = new Prng(`listing-failing/${seed}`);
    const model = await randomModel(prng, prng.between(3, 5));
    for (let round = 0; round < 25; round++) {
      const [self, failing] = twoOf(prng, model.cluster);
      model.cluster.self = self;
      failAfter(model.cluster, failing, prng.below(12), prng.chance(0.5));
      await expectComplete(model, { ...randomRequest(prng), limit: 1000 });
    }
    failAfter(model.cluster, nodeId(1), 4, false);
    expectExported(await exported(model.cluster), model.all);
  },
);

test("R62: a copy that has lost a range is stood in for by another, and where none is left the page is partial", async () => {
  const prng = new Prng("listing-lost");
  const model = await randomModel(prng, 3);
  const { cluster } = model;
  const losing = new Set([nodeId(1)]);
  cluster.onScan = (node, reply) =>
    losing.has(node) ? { ...reply, entries: [], hasMore: false, isIncomplete: true } : reply;
  for (let round = 0; round < 10; round++) await expectComplete(model, randomRequest(prng));
  losing.add(nodeId(2));
  const page = await cluster.page();
  expect(page.isPartial).toBe(true);
  expect(page.keys.length).toBeGreaterThan(0);
});

test("R62: a loss that is found on a later page is stood in for from there", async () => {
  const model = await randomModel(new Prng("listing-lost-later"), 3);
  const { cluster } = model;
  cluster.peerPageKeys = 3;
  let pages = 0;
  cluster.onScan = (node, reply) =>
    node === nodeId(1) && ++pages > 5
      ? { ...reply, entries: [], hasMore: false, isIncomplete: true }
      : reply;
  await expectComplete(model, LIST);
  expect(pages).toBeGreaterThan(5);
});

test("R62: an empty page that claims more is no answer", async () => {
  const model = await randomModel(new Prng("listing-odd"), 3);
  model.cluster.onScan = (node, reply) =>
    node === nodeId(1) ? { ...reply, entries: [], hasMore: true } : reply;
  await expectComplete(model, LIST);
});

test("R62: the own store failing is no end: others stand in", async () => {
  const model = await randomModel(new Prng("listing-own"), 3);
  const damaged: unknown[] = [];
  model.cluster.wrapOwn = (store) => ({
    admit: (purpose) => store.admit(purpose),
    get: (key) => store.get(key),
    apply: (batch) => store.apply(batch),
    whenDurable: (sequence) => store.whenDurable(sequence),
    reportDamage: (thrown) => void damaged.push(thrown),
    failure: undefined,
    snapshot: () => {
      throw new HutchError("data-corrupt", "Cannot read");
    },
  });
  await expectComplete(model, LIST);
  expect(damaged.length).toBeGreaterThan(0);
});

test.each([1, 2])(
  "R4: below a quorum the page is partial, and shows no more than there is, seed %d",
  async (seed) => {
    const prng = new Prng(`listing-partial/${seed}`);
    const { cluster, live } = await randomModel(prng, 4);
    cluster.unreachable.add(nodeId(1)).add(nodeId(2));
    const allKeys = live.map(hex);
    for (const isReverse of [false, true]) {
      const page = await cluster.page({ isReverse });
      expect(page.isPartial).toBe(true);
      const got = page.keys.map(({ key }) => key);
      const sorted = got.toSorted(compareBytes);
      expect(got).toEqual(isReverse ? sorted.reverse() : sorted);
      // Whoever is left may hold an older state of a key, or what has been deleted since.
      expect(got.filter((key) => allKeys.includes(hex(key))).length).toBeGreaterThan(20);
    }
    const work = exported(cluster);
    expect(await codeOf(work)).toBe("unavailable");
  },
);

test("R4: a partition without a serving owner makes the page partial, not an error and not silent", async () => {
  const layout = randomLayout(new Prng("listing-none"), 4, 16, 1);
  const cluster = await ScanCluster.start(layout);
  const keys = Array.from({ length: 60 }, (_, i) => utf8(`k${i + 100}`));
  for (const key of keys) await cluster.store(cluster.ownersOf(key), key, stateOf(1, "v"));
  const bucket = testBucket({ n: 1 });
  expect((await cluster.page({}, bucket)).isPartial).toBe(false);
  cluster.phases = { [nodeId(2)]: "syncing" };
  const left = keys.filter((key) => cluster.ownersOf(key)[0] !== nodeId(2));
  expect(left.length).toBeLessThan(keys.length);
  const page = await cluster.page({}, bucket);
  expect(page).toMatchObject({ isPartial: true, cursor: "" });
  expect(keysOf(page)).toEqual(left.map((key) => utf8Text(key)!));
  expect(cluster.asked.filter(({ node }) => node === nodeId(2)).length).toBe(1);
  expect(await isProvenEmpty(cluster.listing, bucket)).toBe(false);
});

test("R4: a syncing node does not count its own copy", async () => {
  const model = await randomModel(new Prng("listing-syncing"), 3);
  model.cluster.phases = { [model.cluster.self]: "syncing" };
  await expectComplete(model, LIST);
  const nodes = new Set(model.cluster.asked.map(({ node }) => node));
  expect([...nodes].sort()).toEqual([nodeId(1), nodeId(2)]);
});

test("R8: what copies know of a key is joined: siblings show, and a lww bucket shows the last", async () => {
  const cluster = await ScanCluster.start(randomLayout(new Prng("join"), 3, 16, 3));
  const key = utf8("k");
  const [a, b, c] = cluster.ownersOf(key) as [NodeId, NodeId, NodeId];
  const [one, two] = [stateOf(5, "first", "a"), stateOf(6, "second", "b")];
  await cluster.store([a], key, one);
  await cluster.store([b], key, two);
  await cluster.store([c], key, merge(one, two));
  for (const self of [a, b, c]) {
    cluster.self = self;
    const [listed] = (await cluster.page({ withValues: true })).keys;
    expect(listed!.siblingCount).toBe(2);
    expect(valuesOf(listed!.state!)).toEqual(["second", "first"]);
    const lww = testBucket({ conflicts: "lww" });
    const [last] = (await cluster.page({ withValues: true }, lww)).keys;
    expect(valuesOf(last!.state!)).toEqual(["second"]);
    if (self !== c) expect(last!.etag).not.toBe(listed!.etag);
    expectExported(await exported(cluster), new Map([[hex(key), merge(one, two)]]));
  }
});

test("a cursor goes on under another layout", async () => {
  const prng = new Prng("listing-layouts");
  const before = await ScanCluster.start(randomLayout(prng, 3, 16, 3));
  const after = await ScanCluster.start({ ...randomLayout(prng, 5, 16, 3), version: 2 });
  const keys = Array.from({ length: 40 }, (_, i) => `k${i + 100}`);
  for (const cluster of [before, after])
    for (const key of keys)
      await cluster.store(cluster.ownersOf(utf8(key)), utf8(key), stateOf(1, "v"));
  const first = await before.page({ limit: 15 });
  const rest = await after.page({ cursor: first.cursor });
  expect([...keysOf(first), ...keysOf(rest)]).toEqual(keys);
});

test("a bucket is empty when a quorum shows nothing live", async () => {
  const cluster = await ScanCluster.start(randomLayout(new Prng("empty"), 3, 16, 3));
  const isEmpty = (): Promise<boolean> => isProvenEmpty(cluster.listing, testBucket());
  expect(await isEmpty()).toBe(true);
  const key = utf8("k");
  const [a, b, c] = cluster.ownersOf(key) as [NodeId, NodeId, NodeId];
  await cluster.store([a, b, c], key, stateOf(1, "v"));
  expect(await isEmpty()).toBe(false);
  await cluster.store([b, c], key, stateOf(2, undefined));
  expect(await isEmpty()).toBe(true);
  cluster.unreachable.add(nodeId(1)).add(nodeId(2));
  expect(await isEmpty()).toBe(false);
});

test("a forged cursor before everything is an empty page in reverse, as in one store", async () => {
  const { cluster } = await randomModel(new Prng("listing-forged"), 3, 20);
  const page = await cluster.page({ isReverse: true, cursor: encodeCursor("demo", true, NONE) });
  expect(page).toEqual({ keys: [], prefixes: [], cursor: "", isPartial: false });
});

test("with one node in the layout nobody is asked, and the own store answers as before", async () => {
  const cluster = await ScanCluster.start(randomLayout(new Prng("alone"), 1, 16, 3));
  for (const key of ["b", "a"]) await cluster.store([nodeId(0)], utf8(key), stateOf(1, "v"));
  cluster.phases = { [nodeId(0)]: "syncing" };
  expect(keysOf(await cluster.page())).toEqual(["a", "b"]);
  expect(cluster.asked).toEqual([]);
});
