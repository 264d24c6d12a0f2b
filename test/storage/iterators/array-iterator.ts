/** The dumb twin of every iterator: a sorted array and an index into it. */
import { EntryPosition } from "../../../src/storage/iterators/entry-position.ts";
import { compareBytes } from "../../../src/base/bytes.ts";
import { type EntryIterator } from "../../../src/storage/iterators/entry-iterator.ts";
import type { Entry } from "../table/support.ts";

export class ArrayIterator extends EntryPosition implements EntryIterator {
  private readonly entries: readonly Entry[];
  private index = -1;

  constructor(entries: readonly Entry[]) {
    super();
    this.entries = entries;
  }

  seekToFirst(): void {
    this.stand(0);
  }
  seekToLast(): void {
    this.stand(this.entries.length - 1);
  }
  seek(key: Uint8Array): void {
    this.stand(this.entries.filter((entry) => compareBytes(entry.key, key) < 0).length);
  }
  seekBefore(key: Uint8Array): void {
    this.stand(this.entries.filter((entry) => compareBytes(entry.key, key) < 0).length - 1);
  }
  next(): void {
    this.stand(this.index + 1);
  }
  previous(): void {
    this.stand(this.index - 1);
  }

  private stand(index: number): void {
    this.index = index;
    const entry = this.entries[index];
    this.isValid = entry !== undefined;
    if (entry === undefined) return;
    this.keyBytes = entry.key;
    this.keyEnd = entry.key.length;
    this.kind = entry.kind;
    this.sequence = entry.sequence;
    this.valueBytes = entry.value;
    this.valueEnd = entry.value.length;
  }
}
