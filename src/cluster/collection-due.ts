/**
 * When something in each partition may be collected, as far as is known without looking: every change of a record tells, and a sweep tells what it has left.
 * 0, where nobody has looked yet, is due at once; Infinity is nothing to do. One number for each partition, in memory alone.
 */
import { deathOf } from "../causality/retention.ts";
import type { RecordObserver } from "./record-writer.ts";

export class CollectionDue implements RecordObserver {
  private readonly gcDelayMs: number;
  /** Unix ms. */
  private readonly due: Float64Array;

  constructor(q: number, gcDelayMs: number) {
    this.gcDelayMs = gcDelayMs;
    this.due = new Float64Array(q);
  }

  get partitionCount(): number {
    return this.due.length;
  }

  at(partition: number): number {
    return this.due[partition]!;
  }

  note(partition: number, dueMs: number): void {
    if (dueMs < this.due[partition]!) this.due[partition] = dueMs;
  }

  /** A sweep begins, and will note what it leaves. */
  begin(partition: number): void {
    this.due[partition] = Infinity;
  }

  /** A record of which the last value died then. */
  noteDeath(partition: number, diedAtMs: number): void {
    this.note(partition, diedAtMs + this.gcDelayMs);
  }

  changing(
    _batch: unknown,
    partition: number,
    _n: number,
    _internalKey: Uint8Array,
    _before: Uint8Array | undefined,
    after: Uint8Array | undefined,
  ): void {
    if (after !== undefined) this.noteDeath(partition, deathOf(after));
  }

  /** Too early a sweep finds nothing. */
  takenBack(): void {}
}
