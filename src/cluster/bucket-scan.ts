/**
 * All keys of one bucket in the own store in byte order, although they lie in Q partitions: a k-way merge over one iterator per partition that
 * holds any, all of one snapshot. A binary heap with the next key on top.
 *
 * Opening costs about one seek per partition. Deleted and expired keys are still there: the reader decides what to show.
 */
import { compareRanges, prefixSuccessor } from "../base/bytes.ts";
import { CorruptionError } from "../base/errors.ts";
import { internalKeyOf, internalPrefixBytes } from "../ring/partition.ts";
import type { EntryIterator } from "../storage/store.ts";
import type { KeyRange, KeyScan } from "./key-scan.ts";
import type { PartitionSet } from "./partition-set.ts";
import type { ReplicaStore } from "./replica-store.ts";

interface Run {
  readonly partition: number;
  readonly iterator: EntryIterator;
}

export class BucketScan implements KeyScan {
  private readonly snapshot: ReturnType<ReplicaStore["snapshot"]>;
  private readonly bucketPrefix: Uint8Array;
  /** Where the key starts inside an internal key. */
  private readonly keyAt: number;
  private readonly partitionCount: number;
  private readonly range: KeyRange;
  private readonly isReverse: boolean;
  private readonly partitions: PartitionSet | undefined;
  private readonly heap: Run[] = [];

  /** @param partitions only these, or `undefined` for all */
  constructor(
    store: ReplicaStore,
    bucketPrefix: Uint8Array,
    partitionCount: number,
    range: KeyRange,
    isReverse = false,
    partitions: PartitionSet | undefined = undefined,
  ) {
    this.bucketPrefix = bucketPrefix;
    this.keyAt = internalPrefixBytes(bucketPrefix);
    this.partitionCount = partitionCount;
    this.range = range;
    this.isReverse = isReverse;
    this.partitions = partitions;
    this.snapshot = store.snapshot();
    try {
      this.open();
    } catch (thrown) {
      this.snapshot.close();
      throw thrown;
    }
  }

  close(): void {
    this.snapshot.close();
  }

  /** Everything is here. */
  settle(): undefined {
    return undefined;
  }

  get isValid(): boolean {
    return this.heap.length > 0;
  }

  /** A view of the current key; requires `isValid`. */
  get key(): Uint8Array {
    const { keyBytes, keyStart, keyEnd } = this.heap[0]!.iterator;
    return keyBytes.subarray(keyStart + this.keyAt, keyEnd);
  }

  /** A view of the current record. */
  get value(): Uint8Array {
    const { valueBytes, valueStart, valueEnd } = this.heap[0]!.iterator;
    return valueBytes.subarray(valueStart, valueEnd);
  }

  get sequence(): number {
    return this.heap[0]!.iterator.sequence;
  }

  /** May something of the range be missing because its table was lost? */
  get isIncomplete(): boolean {
    return this.snapshot.lostRanges.some(({ start, end }) => this.touches(start, end));
  }

  get gap(): CorruptionError | undefined {
    if (!this.isIncomplete) return undefined;
    return new CorruptionError("Cannot read all keys: part of the bucket is lost", "", -1);
  }

  private touches(start: Uint8Array, end: Uint8Array): boolean {
    for (let partition = 0; partition < this.partitionCount; partition++) {
      if (!this.isWanted(partition)) continue;
      const lower = internalKeyOf(partition, this.bucketPrefix, this.range.lower);
      const upper = this.upperOf(partition);
      if (compare(start, upper) < 0 && compare(end, lower) >= 0) return true;
    }
    return false;
  }

  private isWanted(partition: number): boolean {
    return this.partitions === undefined || this.partitions.has(partition);
  }

  private upperOf(partition: number): Uint8Array {
    const { upper } = this.range;
    if (upper !== undefined) return internalKeyOf(partition, this.bucketPrefix, upper);
    // The prefix ends with 0x00, so it has a successor.
    return prefixSuccessor(internalKeyOf(partition, this.bucketPrefix, EMPTY))!;
  }

  next(): void {
    const run = this.heap[0]!;
    if (this.isReverse) run.iterator.previous();
    else run.iterator.next();
    this.settleTop();
  }

  /** Past every key that starts with `group`; the current one does. */
  skip(group: Uint8Array): void {
    const behind = this.isReverse ? group : prefixSuccessor(group);
    if (behind === undefined) {
      this.heap.length = 0;
      return;
    }
    while (this.isValid && startsWithAt(this.heap[0]!.iterator, this.keyAt, group)) {
      const { partition, iterator } = this.heap[0]!;
      const target = internalKeyOf(partition, this.bucketPrefix, behind);
      if (this.isReverse) iterator.seekBefore(target);
      else iterator.seek(target);
      this.settleTop();
    }
  }

  /** One iterator probes; it stays with the first partition where it finds something, and a new one goes on. */
  private open(): void {
    const { partitionCount, isReverse } = this;
    const step = isReverse ? -1 : 1;
    let iterator = this.snapshot.iterator();
    let partition = isReverse ? partitionCount - 1 : 0;
    while (partition >= 0 && partition < partitionCount) {
      if (!this.isWanted(partition)) {
        partition += step;
        continue;
      }
      if (isReverse) iterator.seekBefore(this.upperOf(partition));
      else iterator.seek(internalKeyOf(partition, this.bucketPrefix, this.range.lower));
      if (!iterator.isValid) return;
      const found = partitionAt(iterator);
      if (this.isInside(iterator, partition)) {
        this.push({ partition, iterator });
        iterator = this.snapshot.iterator();
        partition += step;
      } else partition = found === partition ? partition + step : found;
    }
  }

  private isInside(iterator: EntryIterator, partition: number): boolean {
    if (!iterator.isValid || partitionAt(iterator) !== partition) return false;
    const { keyBytes, keyStart, keyEnd } = iterator;
    const edge = this.isReverse
      ? internalKeyOf(partition, this.bucketPrefix, this.range.lower)
      : this.upperOf(partition);
    const order = compareRanges(keyBytes, keyStart, keyEnd, edge, 0, edge.length);
    return this.isReverse ? order >= 0 : order < 0;
  }

  private settleTop(): void {
    const { partition, iterator } = this.heap[0]!;
    if (!this.isInside(iterator, partition)) {
      const last = this.heap.pop()!;
      if (this.heap.length > 0) this.heap[0] = last;
    }
    this.sink(0);
  }

  private push(run: Run): void {
    const { heap } = this;
    let at = heap.push(run) - 1;
    while (at > 0 && this.isBefore(run, heap[(at - 1) >> 1]!)) {
      heap[at] = heap[(at - 1) >> 1]!;
      at = (at - 1) >> 1;
    }
    heap[at] = run;
  }

  private sink(from: number): void {
    const { heap } = this;
    const run = heap[from];
    if (run === undefined) return;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!this.isBefore(heap[child]!, run)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = run;
  }

  private isBefore(a: Run, b: Run): boolean {
    const x = a.iterator;
    const y = b.iterator;
    const order = compareRanges(
      x.keyBytes,
      x.keyStart + this.keyAt,
      x.keyEnd,
      y.keyBytes,
      y.keyStart + this.keyAt,
      y.keyEnd,
    );
    return this.isReverse ? order > 0 : order < 0;
  }
}

const EMPTY = new Uint8Array(0);

function partitionAt({ keyBytes, keyStart }: EntryIterator): number {
  return keyBytes[keyStart]! * 256 + keyBytes[keyStart + 1]!;
}

function compare(a: Uint8Array, b: Uint8Array): number {
  return compareRanges(a, 0, a.length, b, 0, b.length);
}

function startsWithAt(iterator: EntryIterator, keyAt: number, prefix: Uint8Array): boolean {
  const { keyBytes, keyEnd } = iterator;
  const start = iterator.keyStart + keyAt;
  if (keyEnd - start < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (keyBytes[start + i] !== prefix[i]) return false;
  return true;
}
