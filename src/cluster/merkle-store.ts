/**
 * Merkle trees on disk: in the node's one store, like everything else of the node's own (C25).
 *
 *   saved    system key `merkle/tree/<partition, 4 hex digits>`
 *     +-----+---------+----------------------+---------+
 *     | 1 1 | basis 4 | built at, Unix ms 8  | trees v |   then for each tree, one for each number of copies:
 *     +-----+---------+----------------------+---------+
 *     +----------+----------+   then for each leaf that is not 0, in order:   +-------+-------+--------+
 *     | copies v | leaves v |                                                 | gap v | low 4 | high 4 |
 *     +----------+----------+                                                 +-------+-------+--------+
 *
 *   behind   system key `merkle/behind/<partition, 4 hex digits>`             value   u8 1
 *
 * v is a varint; a gap is the number of leaves that are 0 since the one before. `basis` stands for what the hashes and their places depend on:
 * secret, leaf count, copies of buckets. Another basis, another version, or bytes that do not decode: as if nothing were saved.
 *
 * The mark `behind` takes the place of a position in the log (R37). The first change after a save puts it into its own batch, a save removes it in
 * its own batch, and the store recovers a prefix of all batches. So after any crash a saved tree without a mark has seen exactly the changes
 * that are in the store, and one with a mark has missed some.
 */
import { ByteReader, DecodeError } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { compareBytes, prefixSuccessor, utf8Text } from "../base/bytes.ts";
import { CorruptionError } from "../base/errors.ts";
import { MerkleForest } from "../merkle/merkle-forest.ts";
import type { MerkleTree } from "../merkle/merkle-tree.ts";
import type { EntryIterator, LostRange, Snapshot, WriteBatch } from "../storage/store.ts";
import { type ReplicaStore, systemKey } from "./replica-store.ts";

const VERSION = 1;
const TREE_PREFIX = "merkle/tree/";
const MARK_PREFIX = "merkle/behind/";
/** Of one partition; a tree in memory takes a thousand times the bytes of its shortest entry. There is one for each number of copies that a bucket has. */
const TREES_MAX = 256;
const MARK = new Uint8Array([VERSION]);
const RANGE_START = systemKey("merkle/");
const RANGE_END = prefixSuccessor(RANGE_START)!; // a system key has bytes below 0xff

export interface SavedForest {
  readonly forest: MerkleForest;
  readonly builtAtMs: number;
}

export interface LoadedForests {
  /** By partition: what is as the store is. */
  readonly forests: ReadonlyMap<number, SavedForest>;
  /** Partitions whose mark says that what is saved is behind. */
  readonly behind: ReadonlySet<number>;
  /** Partitions with something saved that must not be used, and has no mark that says so. */
  readonly unusable: ReadonlySet<number>;
  /** Marks may have been lost, so nothing saved was believed. */
  readonly isDamaged: boolean;
}

export function treeKey(partition: number): Uint8Array {
  return systemKey(TREE_PREFIX + nameOf(partition));
}

export function markKey(partition: number): Uint8Array {
  return systemKey(MARK_PREFIX + nameOf(partition));
}

function nameOf(partition: number): string {
  return partition.toString(16).padStart(4, "0");
}

export function saveIn(
  batch: WriteBatch,
  partition: number,
  basis: number,
  saved: SavedForest,
): void {
  batch.put(treeKey(partition), encodeForest(basis, saved));
  batch.delete(markKey(partition));
}

export function markIn(batch: WriteBatch, partition: number): void {
  batch.put(markKey(partition), MARK);
}

export function forgetIn(batch: WriteBatch, partition: number): void {
  batch.delete(treeKey(partition));
  batch.delete(markKey(partition));
}

/** Is the mark there for good? Not while its batch can still be taken back. */
export function isMarkDurable(store: ReplicaStore, partition: number): boolean {
  try {
    const stored = store.get(markKey(partition));
    return stored !== undefined && store.whenDurable(stored.sequence) === undefined;
  } catch (thrown) {
    if (!(thrown instanceof CorruptionError)) throw thrown;
    return false;
  }
}

/** Does the range hold something that is written in this file? */
export function touchesMerkle({ start, end }: LostRange): boolean {
  return compareBytes(start, RANGE_END) < 0 && compareBytes(end, RANGE_START) > 0;
}

/** Does the range hold something of the partition? */
export function touchesPartition({ start, end }: LostRange, partition: number): boolean {
  const lower = new Uint8Array([partition >>> 8, partition]);
  const upper = prefixSuccessor(lower);
  return (upper === undefined || compareBytes(start, upper) < 0) && compareBytes(end, lower) > 0;
}

/** Everything that is saved; at most one read of a few tens of megabytes. */
export function loadForests(store: ReplicaStore, leafCount: number, basis: number): LoadedForests {
  const snapshot = store.snapshot();
  try {
    if (!snapshot.lostRanges.some(touchesMerkle)) return readForests(snapshot, leafCount, basis);
  } catch (thrown) {
    if (!(thrown instanceof CorruptionError)) throw thrown;
    store.reportDamage(thrown);
  } finally {
    snapshot.close();
  }
  return { forests: new Map(), behind: new Set(), unusable: new Set(), isDamaged: true };
}

function readForests(snapshot: Snapshot, leafCount: number, basis: number): LoadedForests {
  const forests = new Map<number, SavedForest>();
  const behind = new Set<number>();
  const unusable = new Set<number>();
  const iterator = snapshot.iterator();
  forEachUnder(iterator, MARK_PREFIX, (partition) => behind.add(partition));
  forEachUnder(iterator, TREE_PREFIX, (partition, value) => {
    if (behind.has(partition)) return;
    const isLost = snapshot.lostRanges.some((range) => touchesPartition(range, partition));
    const saved = isLost ? undefined : decodeForest(value, leafCount, basis);
    if (saved === undefined) unusable.add(partition);
    else forests.set(partition, saved);
  });
  return { forests, behind, unusable, isDamaged: false };
}

function forEachUnder(
  iterator: EntryIterator,
  prefix: string,
  visit: (partition: number, value: Uint8Array) => void,
): void {
  const start = systemKey(prefix);
  const end = prefixSuccessor(start)!; // as RANGE_END
  for (iterator.seek(start); iterator.isValid; iterator.next()) {
    const key = iterator.keyBytes.subarray(iterator.keyStart, iterator.keyEnd);
    if (compareBytes(key, end) >= 0) return;
    const partition = Number.parseInt(utf8Text(key.subarray(start.length)) ?? "", 16);
    visit(partition, iterator.valueBytes.subarray(iterator.valueStart, iterator.valueEnd));
  }
}

export function encodeForest(basis: number, { forest, builtAtMs }: SavedForest): Uint8Array {
  const writer = new ByteWriter(1024);
  writer.u8(VERSION);
  writer.u32(basis);
  writer.u64(builtAtMs);
  writer.varint(forest.trees.size);
  for (const [copies, tree] of forest.trees) {
    writer.varint(copies);
    writeTree(writer, tree);
  }
  return writer.finish();
}

function writeTree(writer: ByteWriter, tree: MerkleTree): void {
  let count = 0;
  tree.forEachLeaf(() => count++);
  writer.varint(count);
  let next = 0;
  tree.forEachLeaf((leaf, low, high) => {
    writer.varint(leaf - next);
    writer.u32(low);
    writer.u32(high);
    next = leaf + 1;
  });
}

/** `undefined` for what has another version or basis, or does not decode. */
export function decodeForest(
  bytes: Uint8Array,
  leafCount: number,
  basis: number,
): SavedForest | undefined {
  try {
    const reader = new ByteReader(bytes);
    if (reader.u8() !== VERSION || reader.u32() !== basis) return undefined;
    const builtAtMs = reader.u64();
    const forest = new MerkleForest(leafCount);
    const count = reader.varint();
    if (count > TREES_MAX) throw new DecodeError(`Cannot read ${count} trees`);
    for (let i = 0; i < count; i++) readTree(reader, forest);
    reader.expectEnd();
    return { forest, builtAtMs };
  } catch (thrown) {
    if (thrown instanceof DecodeError) return undefined;
    throw thrown;
  }
}

function readTree(reader: ByteReader, forest: MerkleForest): void {
  const copies = reader.varint();
  const count = reader.varint();
  let leaf = 0;
  for (let i = 0; i < count; i++) {
    leaf += reader.varint();
    if (leaf >= forest.leafCount) throw new DecodeError(`Cannot read tree: leaf ${leaf}`);
    forest.toggle(copies, leaf++, reader.u32(), reader.u32());
  }
}
