/**
 * The entries of a memtable in key order, as of one sequence: later writes do not show.
 *
 * Walks group by group; a group is sorted when the iterator enters it. Keys that have no version at that sequence are passed over.
 */
import { EntryPosition } from "../iterators/entry-position.ts";
import { compareRanges } from "../../base/bytes.ts";
import type { EntryIterator, EntryKind } from "../iterators/entry-iterator.ts";
import { ENTRY_HEADER_WORDS, groupOf } from "./memtable.ts";
import type { Memtable } from "./memtable.ts";

const GROUP_LAST = 65_535;
const NO_KEYS = new Int32Array(0);

export class MemtableIterator extends EntryPosition implements EntryIterator {
  private readonly table: Memtable;
  private readonly sequenceMax: number;
  private group = 0;
  private keys: Int32Array = NO_KEYS;
  private index = -1;

  constructor(table: Memtable, sequenceMax: number) {
    super();
    this.table = table;
    this.sequenceMax = sequenceMax;
    this.keyBytes = table.bytes;
    this.valueBytes = table.bytes;
  }

  seekToFirst(): void {
    this.enter(0, 0);
    this.settleForward();
  }

  seekToLast(): void {
    this.enter(GROUP_LAST, Number.MAX_SAFE_INTEGER);
    this.settleBackward();
  }

  seek(key: Uint8Array): void {
    this.enter(groupOf(key), 0);
    this.index = this.lowerBound(key);
    this.settleForward();
  }

  seekBefore(key: Uint8Array): void {
    this.enter(groupOf(key), 0);
    this.index = this.lowerBound(key) - 1;
    this.settleBackward();
  }

  next(): void {
    this.index++;
    this.settleForward();
  }

  previous(): void {
    this.index--;
    this.settleBackward();
  }

  private enter(group: number, index: number): void {
    this.group = group;
    this.keys = this.table.groupCounts[group] === 0 ? NO_KEYS : this.table.sortedGroup(group);
    this.index = Math.min(index, this.keys.length - 1);
    if (this.index < 0) this.index = 0;
  }

  /** Moves up from `index` to the first key with a visible version. */
  private settleForward(): void {
    for (;;) {
      for (; this.index < this.keys.length; this.index++) if (this.load()) return;
      const group = this.nextGroup(1);
      if (group < 0) break;
      this.enter(group, 0);
    }
    this.isValid = false;
  }

  private settleBackward(): void {
    for (;;) {
      for (; this.index >= 0 && this.index < this.keys.length; this.index--)
        if (this.load()) return;
      const group = this.nextGroup(-1);
      if (group < 0) break;
      this.enter(group, Number.MAX_SAFE_INTEGER);
    }
    this.isValid = false;
  }

  private nextGroup(step: 1 | -1): number {
    const counts = this.table.groupCounts;
    for (let group = this.group + step; group >= 0 && group <= GROUP_LAST; group += step)
      if (counts[group] !== 0) return group;
    this.group = step === 1 ? GROUP_LAST : 0;
    return -1;
  }

  private load(): boolean {
    const { table } = this;
    const offset = table.versionAt(this.keys[this.index]!, this.sequenceMax);
    if (offset === 0) return false;
    const packed = table.words[offset + 3]!;
    this.kind = (packed >>> 16) as EntryKind;
    this.sequence = table.sequenceOf(offset);
    this.keyStart = (offset + ENTRY_HEADER_WORDS) * 4;
    this.keyEnd = this.keyStart + (packed & 0xffff);
    this.valueStart = this.keyEnd;
    this.valueEnd = this.keyEnd + table.words[offset + 4]!;
    this.isValid = true;
    return true;
  }

  /** Index of the first key of the group that is >= `key`. */
  private lowerBound(key: Uint8Array): number {
    const { bytes, words } = this.table;
    let low = 0;
    let high = this.keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const offset = this.keys[middle]!;
      const start = (offset + ENTRY_HEADER_WORDS) * 4;
      const length = words[offset + 3]! & 0xffff;
      if (compareRanges(bytes, start, start + length, key, 0, key.length) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
