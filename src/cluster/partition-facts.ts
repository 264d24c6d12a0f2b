/**
 * What a node has to remember of each partition so that deletions stay deleted (R42).
 *
 *   gcFloor      no deletion that was collected here, or anywhere that we have heard of, knew of a newer dot than this
 *   ownedSince   since when this node has held the partition without having forgotten anything (R12), and in the same place
 *   rank         that place: 0 for the first owner. A bucket with n copies has those below n, so who moves up may own keys that he did not before
 *
 *   key   system key `facts/<partition, 4 hex digits>`        value   u8 1 | gcFloor u64 | ownedSince u64 | rank u8, 255 for none
 *
 * Invariants:
 * - The batch that drops a deletion carries a floor at or above it, so after any crash either both are there or neither.
 * - gcFloor never falls. Copies of it join by maximum, so nodes may tell each other in any order.
 * - What is lost with a damaged table is replaced by the careful assumption: the floor is as high as any can be, and the partition is ours since now. That
 *   costs questions about old data.
 */
import { ByteReader } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { compareBytes, prefixSuccessor, utf8Text } from "../base/bytes.ts";
import { CorruptionError, messageOf } from "../base/errors.ts";
import type { Logger } from "../ports/logger.ts";
import { type EntryIterator, type LostRange, WriteBatch } from "../storage/store.ts";
import { type ReplicaStore, asCorruption, systemKey } from "./replica-store.ts";

const KEY_PREFIX = "facts/";
const VERSION = 1;
/** Nowhere: no bucket has so many copies. */
export const NO_RANK = 255;
const RANGE_START = systemKey(KEY_PREFIX);
const RANGE_END = prefixSuccessor(RANGE_START)!; // a system key has bytes below 0xff

export interface PartitionFactsOptions {
  readonly store: ReplicaStore;
  readonly logger: Logger;
  /** Q. */
  readonly q: number;
  /** A timestamp at or above every dot given out so far, by any node: the own clock plus the drift that is allowed. */
  nowHlc(): number;
  /** The highest that the floor of any partition can be: nothing is collected before its gc-delay is over. */
  floorMax(): number;
}

export class PartitionFacts {
  private readonly options: PartitionFactsOptions;
  private readonly gcFloors: Float64Array;
  private readonly ownedSinces: Float64Array;
  private readonly ranks: Uint8Array;
  /** Partitions whose entry on disk may be behind. */
  private readonly dirty = new Set<number>();
  private saving: Promise<void> | undefined;

  constructor(options: PartitionFactsOptions) {
    this.options = options;
    this.gcFloors = new Float64Array(options.q);
    this.ownedSinces = new Float64Array(options.q);
    this.ranks = new Uint8Array(options.q).fill(NO_RANK);
    this.load();
  }

  private load(): void {
    const { store } = this.options;
    const found = new Set<number>();
    const snapshot = store.snapshot();
    let isWhole = !snapshot.lostRanges.some(touchesFacts);
    try {
      this.read(snapshot.iterator(), found);
    } catch (thrown) {
      const error = asCorruption(thrown);
      if (!(error instanceof CorruptionError)) throw error;
      store.reportDamage(error);
      isWhole = false;
    } finally {
      snapshot.close();
    }
    if (!isWhole) this.assumeTheWorst(found);
  }

  private read(iterator: EntryIterator, found: Set<number>): void {
    for (iterator.seek(RANGE_START); iterator.isValid; iterator.next()) {
      const { keyBytes, keyStart, keyEnd, valueBytes, valueStart, valueEnd } = iterator;
      const key = keyBytes.subarray(keyStart, keyEnd);
      if (compareBytes(key, RANGE_END) >= 0) return;
      const partition = Number.parseInt(utf8Text(key.slice(RANGE_START.length)) ?? "", 16);
      const reader = new ByteReader(valueBytes, valueStart, valueEnd);
      reader.u8();
      const gcFloor = reader.u64();
      const ownedSince = reader.u64();
      const rank = reader.u8();
      if (!(partition < this.options.q)) continue;
      this.gcFloors[partition] = gcFloor;
      this.ownedSinces[partition] = ownedSince;
      this.ranks[partition] = rank;
      found.add(partition);
    }
  }

  /** Of the partitions that were not found: some of them may have had an entry. */
  private assumeTheWorst(found: ReadonlySet<number>): void {
    const { q, logger, floorMax } = this.options;
    logger.error("partition_facts_lost", { partitions: q - found.size });
    const floor = floorMax();
    for (let partition = 0; partition < q; partition++) {
      if (found.has(partition)) continue;
      this.gcFloors[partition] = floor;
      this.dirty.add(partition);
    }
    void this.trySave();
  }

  gcFloorOf(partition: number): number {
    return this.gcFloors[partition]!;
  }

  /** 0 where the partition is not ours. */
  ownedSinceOf(partition: number): number {
    return this.ownedSinces[partition]!;
  }

  /** Of every partition, to tell others. */
  floors(): readonly number[] {
    return [...this.gcFloors];
  }

  /**
   * For the batch that drops deletions whose newest dot is `newest`. The entry is put even where the floor was higher before: what raised it may yet be
   * taken back by the disk, and each batch has to stand by itself.
   */
  raiseIn(batch: WriteBatch, partition: number, newest: number): void {
    this.gcFloors[partition] = Math.max(this.gcFloors[partition]!, newest);
    this.put(batch, partition);
  }

  /** What another node told. A floor above `floorMax` would make fresh writes suspect, and cannot be true. */
  learnFloor(partition: number, gcFloor: number): void {
    const known = this.gcFloors[partition];
    const floor = Math.min(gcFloor, this.options.floorMax());
    if (known === undefined || floor <= known) return;
    this.gcFloors[partition] = floor;
    this.dirty.add(partition);
    void this.trySave();
  }

  /** After every change of who owns what: `rankOf` is this node's best place in any active layout, `NO_RANK` for none. Settles when it is on disk. */
  setRanks(rankOf: (partition: number) => number): Promise<void> {
    const now = this.options.nowHlc();
    for (let partition = 0; partition < this.options.q; partition++) {
      const rank = rankOf(partition);
      if (rank === this.ranks[partition]) continue;
      this.ranks[partition] = rank;
      this.setSince(partition, rank === NO_RANK ? 0 : now);
    }
    return this.saved();
  }

  /** This node may have forgotten some of what it held of them (R12); of all its partitions where none are named. Settles when it is on disk. */
  resetOwnedSince(partitions?: Iterable<number>): Promise<void> {
    const now = this.options.nowHlc();
    for (const partition of partitions ?? this.ownedSinces.keys())
      if (this.ranks[partition] !== NO_RANK) this.setSince(partition, now);
    return this.saved();
  }

  /** Everything anew: what was on disk went with a damaged table. */
  rewrite(): Promise<void> {
    for (let partition = 0; partition < this.options.q; partition++)
      if (this.gcFloors[partition] !== 0 || this.ranks[partition] !== NO_RANK)
        this.dirty.add(partition);
    return this.saved();
  }

  private setSince(partition: number, since: number): void {
    this.ownedSinces[partition] = since;
    this.dirty.add(partition);
  }

  /** Settles when all that is known is on disk; rejects where the disk does not take it, and then the next call tries again. */
  async saved(): Promise<void> {
    while (this.saving !== undefined || this.dirty.size > 0) {
      this.saving ??= this.save().finally(() => (this.saving = undefined));
      await this.saving;
    }
  }

  private async save(): Promise<void> {
    const partitions = [...this.dirty];
    this.dirty.clear();
    const batch = new WriteBatch();
    for (const partition of partitions) this.put(batch, partition);
    try {
      await this.options.store.apply(batch);
    } catch (thrown) {
      for (const partition of partitions) this.dirty.add(partition);
      throw thrown;
    }
  }

  private async trySave(): Promise<void> {
    try {
      await this.saved();
    } catch (thrown) {
      this.options.logger.warn("partition_facts_not_saved", { reason: messageOf(thrown) });
    }
  }

  private put(batch: WriteBatch, partition: number): void {
    const writer = new ByteWriter(18);
    writer.u8(VERSION);
    writer.u64(this.gcFloors[partition]!);
    writer.u64(this.ownedSinces[partition]!);
    writer.u8(this.ranks[partition]!);
    const name = KEY_PREFIX + partition.toString(16).padStart(4, "0");
    batch.put(systemKey(name), writer.finish());
  }
}

function touchesFacts({ start, end }: LostRange): boolean {
  return compareBytes(start, RANGE_END) < 0 && compareBytes(end, RANGE_START) >= 0;
}
