/**
 * The Merkle trees of one node (R36-R38): one for each partition that it holds and each number of copies that buckets have there, always as its
 * store is.
 *
 *   changing      every change of a record is toggled into its tree, in the turn in which it is applied
 *   save          trees go to the store from time to time and at a clean stop; the first change after that marks them as behind
 *   start         loads what is saved and not behind; builds all others from their partitions while the node serves
 *   rebuild       builds trees again: on request, after damage, when a bucket has another number of copies, and every 14 to 18 days
 *
 * Nobody waits for any of it: a tree that is not ready yet is left out by whoever compares trees. What a tree says is never the truth, only where
 * to look for differences, so a tree that is wrong for a while costs work and no data.
 *
 * A change costs two entry hashes, a leaf and a toggle: half a microsecond for records of 150 bytes, two for 4 KiB (`bench/merkle.ts`). Nothing is kept
 * of it, and records up to 512 bytes make no garbage but views.
 */
import { HutchError, messageOf } from "../base/errors.ts";
import { EntryHasher } from "../merkle/entry-hash.ts";
import type { MerkleForest } from "../merkle/merkle-forest.ts";
import { MerkleTree, leafCountFor } from "../merkle/merkle-tree.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import { type LostRange, WriteBatch } from "../storage/store.ts";
import type { CopiesOfBuckets } from "./bucket-copies.ts";
import { MerklePartition } from "./merkle-partition.ts";
import { MerkleRebuilder, type RebuildCounters } from "./merkle-rebuild.ts";
import { forgetIn, loadForests, saveIn, touchesMerkle, touchesPartition } from "./merkle-store.ts";
import type { RecordObserver } from "./record-writer.ts";
import type { ReplicaStore } from "./replica-store.ts";

/** Between two saves; after a crash the trees that changed since the last one are built again. */
export const SAVE_INTERVAL_MS = 10 * 60_000;
const DAY_MS = 86_400_000;
/** A tree is built again at this age and up to the spread later, so that not all are due at once. */
export const LIFETIME_MS = 14 * DAY_MS;
export const LIFETIME_SPREAD_MS = 4 * DAY_MS;

export interface MerkleIndexOptions {
  readonly store: ReplicaStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly clusterSecret: Uint8Array;
  /** Partitions of the cluster. */
  readonly q: number;
  readonly copies: CopiesOfBuckets;
  /** Waits as long as background work must that took so long and read so many bytes (R34). */
  readonly rest: (workMs: number, bytes: number) => Promise<void>;
}

export interface TreeName {
  readonly partition: number;
  /** Copies of the buckets whose keys are in it. */
  readonly n: number;
}

/** Plain counts for the metrics. */
export interface MerkleCounters {
  changes: number;
  loaded: number;
  saved: number;
}

export class MerkleIndex implements RecordObserver {
  readonly leafCount: number;
  readonly counters: MerkleCounters = { changes: 0, loaded: 0, saved: 0 };
  private readonly options: MerkleIndexOptions;
  private readonly store: ReplicaStore;
  private readonly hasher: EntryHasher;
  private readonly held = new Map<number, MerklePartition>();
  private readonly rebuilder: MerkleRebuilder;
  private readonly emptyTree: MerkleTree;
  private copiesVersion: number;
  /** The batch that was marked last, and for which partition: a batch with many records gets one mark. */
  private markedBatch: WriteBatch | undefined;
  private markedPartition = -1;
  private saving: Promise<void> = Promise.resolve();
  private saveTimer: Timer | undefined;
  /** After damage to what is saved every partition is taken to have something saved that is wrong. */
  private isAnythingSaved = false;

  /** Reads what the last life of the node left. */
  constructor(options: MerkleIndexOptions) {
    this.options = options;
    this.store = options.store;
    this.leafCount = leafCountFor(options.q);
    this.hasher = new EntryHasher(options.clusterSecret, this.leafCount);
    this.emptyTree = new MerkleTree(this.leafCount);
    this.copiesVersion = options.copies.version();
    this.rebuilder = new MerkleRebuilder({
      ...options,
      hasher: this.hasher,
      leafCount: this.leafCount,
      copiesOf: (bucket) => options.copies.copiesOf(bucket),
      built: (partition, forest) => this.built(partition, forest),
    });
    this.load();
  }

  private load(): void {
    const { forests, behind, unusable, isDamaged } = loadForests(
      this.store,
      this.leafCount,
      this.basis,
    );
    this.isAnythingSaved = isDamaged;
    for (const [partition, saved] of forests) this.add(partition).load(saved);
    for (const partition of behind) this.add(partition);
    for (const partition of unusable) this.add(partition).mark = "needed";
    this.counters.loaded = forests.size;
  }

  /** What hashes and their places depend on. */
  private get basis(): number {
    return (this.hasher.fingerprint ^ this.copiesVersion) >>> 0;
  }

  private add(partition: number): MerklePartition {
    const lifetimeMs = LIFETIME_MS + (this.options.random.u32() / 2 ** 32) * LIFETIME_SPREAD_MS;
    const mark = this.isAnythingSaved ? "needed" : "kept";
    const held = new MerklePartition(partition, this.leafCount, lifetimeMs, mark);
    this.held.set(partition, held);
    return held;
  }

  /** Begins to build and to save. @param partitions all that this node holds; what is known of others is forgotten */
  start(partitions: readonly number[]): void {
    const wanted = new Set(partitions);
    for (const partition of [...this.held.keys()])
      if (!wanted.has(partition)) this.forget(partition);
    for (const partition of wanted) if (!this.held.has(partition)) this.add(partition);
    this.request(
      [...this.held.values()].filter(({ isReady }) => !isReady),
      "start",
    );
    this.rebuilder.start();
    this.scheduleSave();
  }

  /** Ends the background work and saves what is not saved. Afterwards changes are still followed. */
  async close(): Promise<void> {
    this.saveTimer?.cancel();
    this.rebuilder.stop();
    await this.save();
  }

  /** See `RecordObserver`: to be called in the turn in which `batch` is applied. Whoever does not apply it says `takenBack`. */
  changing(
    batch: WriteBatch,
    partition: number,
    n: number,
    internalKey: Uint8Array,
    before: Uint8Array | undefined,
    after: Uint8Array | undefined,
  ): void {
    const held = this.held.get(partition) ?? this.adopt(partition);
    held.isBehind = true;
    if (held.mark !== "kept") this.markOnce(batch, held);
    const { hasher } = this;
    let low = 0;
    let high = 0;
    if (before !== undefined) {
      hasher.hash(internalKey, before);
      low = hasher.low;
      high = hasher.high;
    }
    if (after !== undefined) {
      hasher.hash(internalKey, after);
      low ^= hasher.low;
      high ^= hasher.high;
    }
    const leaf = hasher.leafOf(internalKey);
    held.forest.toggle(n, leaf, low, high);
    this.rebuilder.changing(partition, internalKey, n, leaf, low, high);
    this.counters.changes++;
  }

  private markOnce(batch: WriteBatch, held: MerklePartition): void {
    if (this.markedBatch === batch && this.markedPartition === held.partition) return;
    held.markIn(batch, this.store);
    this.markedBatch = batch;
    this.markedPartition = held.partition;
  }

  /** The first record of a partition that nobody has announced. */
  private adopt(partition: number): MerklePartition {
    const held = this.add(partition);
    this.request([held], "first record");
    return held;
  }

  /**
   * The tree has seen a change that did not come to pass. What had been saved before that change is as right as it was, so a full disk is not
   * written to once more; only a save since then must not be believed.
   */
  takenBack(partition: number): void {
    const held = this.held.get(partition);
    if (held === undefined) return;
    if (held.mark === "needed") this.mark([held]);
    void this.distrust(held, "batch taken back");
  }

  /** This node holds the partition from now on. */
  hold(partition: number): void {
    if (!this.held.has(partition)) this.request([this.add(partition)], "new partition");
  }

  /** This node does not hold the partition any more. To be called before its records go, and again should one have come meanwhile. */
  forget(partition: number): void {
    if (!this.held.delete(partition)) return;
    this.rebuilder.cancel(partition);
    const batch = new WriteBatch();
    forgetIn(batch, partition);
    this.applyQuietly(batch, "tree_not_forgotten");
  }

  /** Settles when the trees of the partition were built from a scan that began after this call. Rejects with what kept it from its end, and with `shutting-down`. */
  rebuild(partition: number, reason: string): Promise<void> {
    const held = this.held.get(partition) ?? this.add(partition);
    this.mark([held]);
    return this.distrust(held, reason);
  }

  rebuildAll(reason: string): void {
    this.options.logger.info("trees_to_be_rebuilt", { reason, partitions: this.held.size });
    this.request([...this.held.values()], reason);
  }

  /** Part of the store was lost, or has come back. */
  damaged(ranges: readonly LostRange[]): void {
    if (ranges.some(touchesMerkle)) {
      this.isAnythingSaved = true;
      for (const held of this.held.values()) held.mark = "needed";
      return this.rebuildAll("damage");
    }
    const touched = [...this.held.values()].filter(({ partition }) =>
      ranges.some((range) => touchesPartition(range, partition)),
    );
    this.request(touched, "damage");
  }

  /** Properties of buckets have changed: keys of a bucket with another number of copies belong into other trees. */
  bucketsChanged(): void {
    const version = this.options.copies.version();
    if (version === this.copiesVersion) return;
    this.copiesVersion = version;
    this.rebuildAll("copies of a bucket");
  }

  private request(partitions: readonly MerklePartition[], reason: string): void {
    this.mark(partitions);
    for (const held of partitions) void this.distrust(held, reason);
  }

  /** From here on nothing that is saved of them is believed. */
  private mark(partitions: readonly MerklePartition[]): void {
    const batch = new WriteBatch();
    for (const held of partitions) held.markIn(batch, this.store);
    if (batch.count > 0) this.applyQuietly(batch, "trees_not_marked");
  }

  private distrust(held: MerklePartition, reason: string): Promise<void> {
    held.isTrusted = false;
    return this.rebuilder.request(held.partition, reason);
  }

  /** A batch without which a crash costs at most a needless difference or a needless rebuild. */
  private applyQuietly(batch: WriteBatch, event: string): void {
    const complain = (thrown: unknown): void =>
      this.options.logger.warn(event, { reason: messageOf(thrown) });
    try {
      this.store.apply(batch).catch(complain);
    } catch (thrown) {
      if (!(thrown instanceof HutchError)) throw thrown;
      complain(thrown);
    }
  }

  private async built(partition: number, forest: MerkleForest): Promise<void> {
    const held = this.held.get(partition);
    if (held === undefined) return;
    held.replace(forest, this.options.clock.wallMs());
    await this.saveOne(held);
  }

  /** Settles when all that can be saved is. A failure is logged: it costs a rebuild at the next start. */
  save(): Promise<void> {
    this.saving = this.saving.then(() => this.saveAll());
    return this.saving;
  }

  private async saveAll(): Promise<void> {
    for (const held of [...this.held.values()])
      if (held.isToBeSaved && !(await this.saveOne(held))) return;
  }

  private async saveOne(held: MerklePartition): Promise<boolean> {
    try {
      for (let wait = this.store.admit(); wait !== undefined; wait = this.store.admit()) await wait;
      if (!held.isToBeSaved || this.held.get(held.partition) !== held) return true;
      const batch = new WriteBatch();
      saveIn(batch, held.partition, this.basis, held);
      const durable = this.store.apply(batch);
      held.saved();
      await durable;
      this.counters.saved++;
      return true;
    } catch (thrown) {
      held.isBehind = true;
      const { partition } = held;
      this.options.logger.warn("tree_not_saved", { partition, reason: messageOf(thrown) });
      return false;
    }
  }

  /** Half to one and a half times the interval, so that nodes do not save together. */
  private scheduleSave(): void {
    const { clock, random } = this.options;
    const delayMs = SAVE_INTERVAL_MS * (0.5 + random.u32() / 2 ** 32);
    this.saveTimer = clock.after(delayMs, () => {
      this.scheduleSave();
      void this.save();
      this.rebuildOld();
    });
  }

  private rebuildOld(): void {
    const nowMs = this.options.clock.wallMs();
    this.request(
      [...this.held.values()].filter((held) => held.isTrusted && held.isDue(nowMs)),
      "age",
    );
  }

  /** Every tree that has entries, of ready partitions and others. */
  trees(): TreeName[] {
    const names: TreeName[] = [];
    for (const [partition, { forest }] of this.held)
      for (const n of forest.trees.keys()) names.push({ partition, n });
    return names;
  }

  /** All trees of a partition become ready together; one without entries is as ready as the others. */
  isReady(partition: number): boolean {
    return this.held.get(partition)?.isReady ?? false;
  }

  /** Ready, and as the store is: nobody waits for it to be built again. */
  isTrusted(partition: number): boolean {
    const held = this.held.get(partition);
    return held !== undefined && held.isReady && held.isTrusted;
  }

  /** A low and a high word, both 0 for an empty tree. */
  root(partition: number, n: number): Uint32Array {
    return this.tree(partition, n).root();
  }

  /** 64 hashes, each a low and a high word. */
  branches(partition: number, n: number): Uint32Array {
    return this.tree(partition, n).branches();
  }

  /** The hashes below `branch`, each a low and a high word. */
  leaves(partition: number, n: number, branch: number): Uint32Array {
    return this.tree(partition, n).leaves(branch);
  }

  private tree(partition: number, n: number): MerkleTree {
    return this.held.get(partition)?.forest.tree(n) ?? this.emptyTree;
  }

  leafOf(internalKey: Uint8Array): number {
    return this.hasher.leafOf(internalKey);
  }

  /** @param record encoded */
  entryHash(internalKey: Uint8Array, record: Uint8Array): readonly [low: number, high: number] {
    this.hasher.hash(internalKey, record);
    return [this.hasher.low, this.hasher.high];
  }

  get memoryBytes(): number {
    let bytes = 0;
    for (const { forest } of this.held.values()) bytes += forest.memoryBytes;
    return bytes;
  }

  get rebuildCounters(): RebuildCounters {
    return this.rebuilder.counters;
  }

  /** Partitions whose trees are being built or wait for it. */
  get pendingRebuilds(): number {
    return this.rebuilder.pendingCount;
  }
}
