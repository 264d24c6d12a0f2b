/**
 * The one way in which a key's record changes on this node: one batch with everything that belongs to the change, under the key lock (D7, R37).
 *
 *   record      put, or deleted when its tombstone is collected
 *   side        the memory of an `Idempotency-Key`
 *   hints       what the caller adds
 *   bucket      its name, at its first record
 *   clock       its ceiling, when a tick has passed it
 *   tree        whoever keeps the Merkle tree of the partition hears of the record before and after
 *
 * A full disk takes a batch back; what we believe to be stored goes back with it.
 */
import type { HybridClock } from "../causality/hlc.ts";
import type { KeyAddress } from "../ring/partition.ts";
import { WriteBatch } from "../storage/store.ts";
import type { Bucket, Buckets } from "./bucket-properties.ts";
import type { ClockCeiling } from "./clock-ceiling.ts";
import type { Copies } from "./copies.ts";
import type { SideEntry } from "./peer-messages.ts";
import type { ReplicaStore } from "./replica-store.ts";
import type { WriteStamps } from "./write-stamps.ts";

/** Hears of every change of a record, before it is applied. */
export interface RecordObserver {
  /** `before` and `after` are views, valid during the call; `undefined` for no record. May add to `batch`. */
  changing(
    batch: WriteBatch,
    partition: number,
    n: number,
    internalKey: Uint8Array,
    before: Uint8Array | undefined,
    after: Uint8Array | undefined,
  ): void;
  /** The disk has refused a batch with a change of this tree. */
  takenBack(partition: number, n: number): void;
}

export interface RecordChange {
  readonly side?: SideEntry | undefined;
  /** Set where the record is not stored under its key: a fallback keeps it as a hint (`MintPlan.before`). */
  readonly before?: unknown;
  readonly addTo?: (batch: WriteBatch, encoded: Uint8Array, side: SideEntry | undefined) => void;
}

export interface RecordWriterOptions {
  readonly store: ReplicaStore;
  readonly buckets: Buckets;
  readonly stamps: WriteStamps;
  readonly clock: HybridClock;
  readonly ceiling: ClockCeiling;
  readonly observer?: RecordObserver;
  /** Of the moment, whenever the bucket was looked up. */
  copiesOf(bucket: Bucket): Copies;
}

export class RecordWriter {
  private readonly options: RecordWriterOptions;

  constructor(options: RecordWriterOptions) {
    this.options = options;
  }

  /** `before` is what is stored, `after` what is to be. Settles when it is durable. */
  write(
    bucket: Bucket,
    address: KeyAddress,
    before: Uint8Array | undefined,
    after: Uint8Array,
    change: RecordChange,
  ): Promise<void> {
    const batch = new WriteBatch();
    if (change.before === undefined) this.put(batch, bucket, address, before, after);
    else this.list(batch, bucket);
    if (change.side !== undefined) batch.put(change.side.key, change.side.value);
    change.addTo?.(batch, after, change.side);
    return this.apply(batch, [{ bucket, address }]);
  }

  /** Adds one record to a batch that `apply` gets. */
  put(
    batch: WriteBatch,
    bucket: Bucket,
    { partition, internalKey }: KeyAddress,
    before: Uint8Array | undefined,
    after: Uint8Array,
  ): void {
    batch.put(internalKey, after);
    const { observer, copiesOf } = this.options;
    observer?.changing(batch, partition, copiesOf(bucket), internalKey, before, after);
    this.list(batch, bucket);
  }

  private list(batch: WriteBatch, bucket: Bucket): void {
    if (!bucket.isListed) this.options.buckets.listIn(batch, bucket);
  }

  /** Adds the end of one record to a batch that `apply` gets (R39). */
  drop(
    batch: WriteBatch,
    bucket: Bucket,
    { partition, internalKey }: KeyAddress,
    before: Uint8Array,
  ): void {
    batch.delete(internalKey);
    const { observer, copiesOf } = this.options;
    observer?.changing(batch, partition, copiesOf(bucket), internalKey, before, undefined);
  }

  /** Stores what `put` and `drop` have added; without an `await` since the records before were read. */
  apply(
    batch: WriteBatch,
    changed: readonly { readonly bucket: Bucket; readonly address: KeyAddress }[],
  ): Promise<void> {
    const { stamps, clock, ceiling } = this.options;
    const ceilingBefore = ceiling.stored;
    ceiling.raiseIn(batch, clock.last);
    const durable = this.applyOrTakeBack(batch, changed, ceilingBefore);
    for (const { address } of changed) stamps.written(address.fingerprint);
    durable.catch(() => this.takenBack(changed, ceilingBefore));
    return durable;
  }

  private applyOrTakeBack(
    batch: WriteBatch,
    changed: readonly { readonly bucket: Bucket; readonly address: KeyAddress }[],
    ceilingBefore: number,
  ): Promise<void> {
    try {
      return this.options.store.apply(batch);
    } catch (thrown) {
      this.takenBack(changed, ceilingBefore);
      throw thrown;
    }
  }

  private takenBack(
    changed: readonly { readonly bucket: Bucket; readonly address: KeyAddress }[],
    ceilingBefore: number,
  ): void {
    const { buckets, ceiling, observer, copiesOf } = this.options;
    ceiling.takenBack(ceilingBefore);
    for (const { bucket, address } of changed) {
      if (!bucket.isListed) buckets.forget(bucket);
      observer?.takenBack(address.partition, copiesOf(bucket));
    }
  }
}
