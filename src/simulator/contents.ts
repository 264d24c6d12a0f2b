/**
 * What simulated nodes hold, read from inside: every record, every hint, every Merkle tree beside the same tree made of a full read. For judges, who see
 * more than any client can.
 */
import { utf8Text } from "../base/bytes.ts";
import { CorruptionError } from "../base/errors.ts";
import { decodeHint, HINTS_END, HINTS_START, hintedKeyAt } from "../cluster/hint-format.ts";
import { PartitionScan } from "../cluster/partition-scan.ts";
import type { Store } from "../storage/store.ts";
import { compareBytes } from "../base/bytes.ts";
import { deathOf } from "../causality/retention.ts";
import { decodeRecord } from "../causality/record.ts";
import { MerkleTree } from "../merkle/merkle-tree.ts";
import { preferenceList } from "../ring/preference-list.ts";
import { bucketNameOf } from "../ring/partition.ts";
import type { Holdings } from "../checkers/acknowledged.ts";
import {
  type HeldRecord,
  type NodeContents,
  checkCopies,
  checkPreferenceLists,
  checkTrees,
} from "../checkers/copies.ts";
import type { Seen, Violation } from "../checkers/history.ts";
import type { SimCluster } from "./cluster.ts";

const EVERYTHING = { lower: new Uint8Array(0), upper: undefined };
const PARTITION_BYTES = 2;
/** A sweep comes round within this time. */
const COLLECTION_MS = 2000;

/** Of a node that is up. */
export function contentsOf(cluster: SimCluster, index: number): NodeContents {
  const { coordinator, view, convergence } = cluster.clusterOf(index);
  const records = new Map<string, HeldRecord>();
  const fresh = new Map<string, MerkleTree>();
  forEachRecord(cluster, index, (key, value) => {
    const partition = key[0]! * 256 + key[1]!;
    const { n } = coordinator.bucket(bucketNameOf(key));
    const place = placeOf(key);
    records.set(place, { place, partition, n, bytes: value.toHex() });
    const tree = `${partition}/${n}`;
    if (!fresh.has(tree)) fresh.set(tree, new MerkleTree(convergence.trees.leafCount));
    const [low, high] = convergence.trees.entryHash(key, value);
    fresh.get(tree)!.toggle(convergence.trees.leafOf(key), low, high);
  });
  const trees = treesOf(cluster, index, fresh);
  const held = convergence.heldPartitions();
  const treesNotReady = held.filter((partition) => !convergence.trees.isReady(partition));
  return { name: cluster.names[index]!, id: view.self, records, trees, treesNotReady };
}

function treesOf(cluster: SimCluster, index: number, fresh: ReadonlyMap<string, MerkleTree>) {
  const { trees } = cluster.clusterOf(index).convergence;
  const names = new Set([
    ...fresh.keys(),
    ...trees.trees().map(({ partition, n }) => `${partition}/${n}`),
  ]);
  const both = new Map<string, { root: string; read: string }>();
  for (const name of names) {
    const [partition = 0, n = 0] = name.split("/").map(Number);
    if (!trees.isReady(partition)) continue;
    const read = fresh.get(name) ?? new MerkleTree(trees.leafCount);
    both.set(name, { root: textOf(trees.root(partition, n)), read: textOf(read.root()) });
  }
  return both;
}

const textOf = (root: Uint32Array): string => [...root].map((word) => word.toString(16)).join(":");

function placeOf(internalKey: Uint8Array): string {
  const bucket = bucketNameOf(internalKey);
  const key = internalKey.subarray(PARTITION_BYTES + bucket.length + 1);
  return `${bucket}/${utf8Text(key) ?? key.toHex()}`;
}

/** All copies and trees that are not as they should be, once everybody is up and nothing is under way. */
export function differencesIn(cluster: SimCluster): Violation[] {
  const nodes = cluster.present.map((i) => contentsOf(cluster, i));
  const owners = ownersIn(cluster);
  const { q } = cluster.clusterOf(cluster.present[0]!).view.layout;
  const copies = new Set(nodes.flatMap(({ records }) => [...records.values()].map(({ n }) => n)));
  return [
    ...checkCopies(nodes, owners),
    ...checkTrees(nodes, owners),
    ...checkPreferenceLists(nodes, q, [...copies], owners),
  ];
}

/** The owners of each partition, ids, by the one layout that is active. */
export function ownersIn(cluster: SimCluster): (partition: number, n: number) => readonly string[] {
  const { layout } = cluster.clusterOf(cluster.present[0]!).view;
  return (partition, n) => preferenceList(layout, partition).slice(0, n);
}

/** Does anybody hold a state of which everything was dead long enough, by its own clock and some, to be collected? */
export function hasAnythingDead(cluster: SimCluster, gcDelayMs: number): boolean {
  return cluster.present.some((index) => {
    const diedBeforeMs = cluster.machines[index]!.clock.wallMs() - gcDelayMs - COLLECTION_MS;
    const { records } = contentsOf(cluster, index);
    return [...records.values()].some(
      ({ bytes }) => deathOf(Uint8Array.fromHex(bytes)) < diedBeforeMs,
    );
  });
}

/** Does anybody lack something that damage took? */
export function hasLosses(cluster: SimCluster): boolean {
  return cluster.present.some((i) => cluster.node(i).inside.store.stats().lostRanges > 0);
}

/** What the disks of all nodes but one know of each key: in records, and in hints for whomever. */
export function knownWithout(cluster: SimCluster, lost: number): ReadonlyMap<string, Seen> {
  const others = cluster.present.filter((index) => index !== lost && cluster.isStarted(index));
  return knownAt(cluster, others);
}

/** What each disk knows of each key, as far as its node is up. */
export function holdingsOf(cluster: SimCluster): Holdings {
  const known = new Map<string, ReadonlyMap<string, Seen>>();
  for (const index of cluster.present) {
    if (!cluster.isStarted(index)) continue;
    try {
      known.set(cluster.names[index]!, knownAt(cluster, [index]));
    } catch (thrown) {
      // What a damaged disk knows nobody can say before it is healed.
      if (!(thrown instanceof CorruptionError)) throw thrown;
    }
  }
  return { atMs: cluster.nowMs, known, downCount: cluster.present.length - known.size };
}

function knownAt(cluster: SimCluster, indexes: readonly number[]): ReadonlyMap<string, Seen> {
  const known = new Map<string, { vector: Map<string, number>; dots: Set<string>; hlc: number }>();
  const note = (place: string, record: Uint8Array): void => {
    if (!known.has(place)) known.set(place, { vector: new Map(), dots: new Set(), hlc: 0 });
    const { vector } = known.get(place)!;
    for (const { actor, counterMax } of decodeRecord(record))
      vector.set(actor, Math.max(vector.get(actor) ?? 0, counterMax));
  };
  for (const index of indexes) {
    const { store } = cluster.node(index).inside;
    forEachRecord(cluster, index, (key, record) => note(placeOf(key), record));
    forEachHint(store, (key, record) => note(placeOf(key), record));
  }
  return known;
}

/** Copies, for the visitor to keep. */
function forEachRecord(
  cluster: SimCluster,
  index: number,
  visit: (key: Uint8Array, record: Uint8Array) => void,
): void {
  const { store } = cluster.node(index).inside;
  const { q } = cluster.clusterOf(index).view.layout;
  const partitions = Array.from({ length: q }, (_, partition) => partition);
  const scan = new PartitionScan(store, partitions, EVERYTHING, false);
  for (; scan.isValid; scan.next()) visit(scan.key.slice(), scan.value.slice());
  scan.close();
}

function forEachHint(store: Store, visit: (key: Uint8Array, record: Uint8Array) => void): void {
  const snapshot = store.snapshot();
  const iterator = snapshot.iterator();
  for (iterator.seek(HINTS_START); iterator.isValid; iterator.next()) {
    const { keyBytes, keyStart, keyEnd, valueBytes, valueStart, valueEnd } = iterator;
    if (compareBytes(keyBytes.subarray(keyStart, keyEnd), HINTS_END) >= 0) break;
    const { record } = decodeHint(valueBytes.slice(valueStart, valueEnd));
    visit(hintedKeyAt(keyBytes, keyStart, keyEnd), record);
  }
  snapshot.close();
}
