/** The dumb twin of every iterator: a sorted array and an index into it. */
import { compareBytes, EMPTY_BYTES } from "../../../src/base/bytes.ts";
import {
  type EntryIterator,
  type EntryKind,
  PUT_ENTRY,
} from "../../../src/storage/iterators/entry-iterator.ts";
import type { Entry } from "../table/support.ts";

export class ArrayIterator implements EntryIterator {
  isValid = false;
  keyBytes: Uint8Array = EMPTY_BYTES;
  keyStart = 0;
  keyEnd = 0;
  kind: EntryKind = PUT_ENTRY;
  sequence = 0;
  valueBytes: Uint8Array = EMPTY_BYTES;
  valueStart = 0;
  valueEnd = 0;
  private readonly entries: readonly Entry[];
  private index = -1;

  constructor(entries: readonly Entry[]) {
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
