/**
 * Everything that clients wrote into some partitions, of all buckets: internal keys, partition after partition, from one snapshot. What is the
 * node's own (system entries, the memory of idempotency keys, hints) is left out; it sorts below every bucket of its partition.
 */
import { compareBytes } from "../base/bytes.ts";
import { HINT_KEY_MARK } from "../causality/retention.ts";
import { internalKeyOf } from "../ring/partition.ts";
import type { EntryIterator } from "../storage/store.ts";
import type { KeyRange } from "./key-scan.ts";
import type { ReplicaStore } from "./replica-store.ts";

const EMPTY = new Uint8Array(0);
/** Bucket names are ASCII letters, digits and a few signs, all between these. */
const BUCKETS_LOWER = new Uint8Array([HINT_KEY_MARK + 1]);
const BUCKETS_UPPER = new Uint8Array([0xff]);

export class PartitionScan {
  private readonly snapshot: ReturnType<ReplicaStore["snapshot"]>;
  private readonly iterator: EntryIterator;
  private readonly isReverse: boolean;
  /** What is read, one range per partition, in the order of the scan; an `upper` always. */
  private readonly ranges: readonly Required<KeyRange>[];
  private rangeIndex = -1;

  /** @param partitions in ascending order; `range` is of internal keys */
  constructor(
    store: ReplicaStore,
    partitions: readonly number[],
    range: KeyRange,
    isReverse: boolean,
  ) {
    this.isReverse = isReverse;
    const ranges = partitions.map((partition) => within(partition, range));
    this.ranges = isReverse ? ranges.reverse() : ranges;
    this.snapshot = store.snapshot();
    this.iterator = this.snapshot.iterator();
    try {
      this.seekNextRange();
    } catch (thrown) {
      this.snapshot.close();
      throw thrown;
    }
  }

  close(): void {
    this.snapshot.close();
  }

  get isValid(): boolean {
    return this.rangeIndex < this.ranges.length;
  }

  /** A view; requires `isValid`, as do the next two. */
  get key(): Uint8Array {
    return this.iterator.keyBytes.subarray(this.iterator.keyStart, this.iterator.keyEnd);
  }

  get value(): Uint8Array {
    return this.iterator.valueBytes.subarray(this.iterator.valueStart, this.iterator.valueEnd);
  }

  get sequence(): number {
    return this.iterator.sequence;
  }

  get isIncomplete(): boolean {
    return this.snapshot.lostRanges.some(({ start, end }) =>
      this.ranges.some(
        ({ lower, upper }) => compareBytes(start, upper!) < 0 && compareBytes(end, lower) >= 0,
      ),
    );
  }

  next(): void {
    if (this.isReverse) this.iterator.previous();
    else this.iterator.next();
    if (!this.isInside()) this.seekNextRange();
  }

  /** On the first entry that is not before `key`, forward only. */
  skipTo(key: Uint8Array): void {
    this.iterator.seek(key);
    if (!this.isInside()) this.seekNextRange();
  }

  /** On the first entry of the next range that has one. */
  private seekNextRange(): void {
    for (this.rangeIndex++; this.rangeIndex < this.ranges.length; this.rangeIndex++) {
      const { lower, upper } = this.ranges[this.rangeIndex]!;
      if (compareBytes(lower, upper!) >= 0) continue;
      if (this.isReverse) this.iterator.seekBefore(upper!);
      else this.iterator.seek(lower);
      if (this.isInside()) return;
    }
  }

  private isInside(): boolean {
    if (!this.iterator.isValid) return false;
    const { lower, upper } = this.ranges[this.rangeIndex]!;
    return this.isReverse ? compareBytes(this.key, lower) >= 0 : compareBytes(this.key, upper!) < 0;
  }
}

/** The part of `range` that lies in the buckets of `partition`. */
function within(partition: number, { lower, upper }: KeyRange): Required<KeyRange> {
  const from = internalKeyOf(partition, BUCKETS_LOWER, EMPTY);
  const to = internalKeyOf(partition, BUCKETS_UPPER, EMPTY);
  return {
    lower: compareBytes(from, lower) < 0 ? lower : from,
    upper: upper !== undefined && compareBytes(upper, to) < 0 ? upper : to,
  };
}
