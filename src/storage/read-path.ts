/**
 * Point reads: memtable, frozen memtables, level 0 newest first, then one table of each level; the first hit is the newest (R44: each
 * stored value is the key's full state).
 *
 * The key is hashed once; the same words place it in the memtable and probe the bloom filters. Nothing is allocated but the
 * answer. An entry that cannot be read, or a key in a lost range with nothing newer known, is a `CorruptionError`, never "absent".
 */
import { compareBytes } from "../base/bytes.ts";
import { CorruptionError } from "../base/errors.ts";
import type { Histogram } from "../base/metrics.ts";
import { hashKey } from "../kernels/kernels.ts";
import type { Clock } from "../ports/clock.ts";
import { PUT_ENTRY } from "./iterators/entry-iterator.ts";
import { lostRangeOf } from "./levels/lost-ranges.ts";
import type { Memtable } from "./memory/memtable.ts";
import { MemtableLookup } from "./memory/memtable.ts";
import type { StoreView } from "./store-view.ts";
import { tableFor } from "./store-view.ts";
import type { Table } from "./table/table.ts";
import { TableLookup } from "./table/table.ts";

/** A power of two. */
export const SAMPLED = 16;

/** A stored value; a view on storage, valid until the reader's next `await` (C27). */
export interface StoreRead {
  readonly value: Uint8Array;
  readonly sequence: number;
}

export class ReadPath {
  /** Hash words of the key of the last lookup. */
  readonly hash = new Uint32Array(4);
  private readonly inMemory = new MemtableLookup();
  private readonly inTable = new TableLookup();
  private count = 0;

  /** As `get`; one of `SAMPLED` lookups is timed, because two looks at the clock cost as much as a lookup in memory. */
  getTimed(
    view: StoreView,
    key: Uint8Array,
    sequenceMax: number,
    clock: Clock,
    times: Histogram,
  ): StoreRead | undefined {
    this.count = (this.count + 1) & (SAMPLED - 1);
    if (this.count !== 0) return this.get(view, key, sequenceMax);
    const startMs = clock.monoMs();
    const found = this.get(view, key, sequenceMax);
    times.record(clock.monoMs() - startMs);
    return found;
  }

  /** The newest version of `key` with a sequence of at most `sequenceMax`. */
  get(view: StoreView, key: Uint8Array, sequenceMax: number): StoreRead | undefined {
    hashKey(key, 0, key.length, this.hash);
    const hash = this.hash[0]!;
    if (view.active.findAt(key, hash, sequenceMax, this.inMemory))
      return this.fromMemory(view.active, view, key);
    for (const memtable of view.frozen)
      if (memtable.findAt(key, hash, sequenceMax, this.inMemory))
        return this.fromMemory(memtable, view, key);
    if (this.findInTables(view, key)) return this.fromTable(view, key);
    if (view.lostRanges.length > 0) refuseLost(view, key, -1);
    return undefined;
  }

  private findInTables(view: StoreView, key: Uint8Array): boolean {
    const levels = view.levels;
    for (const table of levels[0]!) if (inRange(table, key) && this.findIn(table, key)) return true;
    for (let level = 1; level < levels.length; level++) {
      const tables = levels[level]!;
      if (tables.length === 0) continue;
      const table = tableFor(tables, key);
      if (table !== undefined && this.findIn(table, key)) return true;
    }
    return false;
  }

  private findIn(table: Table, key: Uint8Array): boolean {
    const hash = this.hash;
    return table.get(key, hash[0]!, hash[1]!, hash[2]!, hash[3]!, this.inTable);
  }

  private fromMemory(memtable: Memtable, view: StoreView, key: Uint8Array): StoreRead | undefined {
    const { kind, sequence, valueStart, valueEnd } = this.inMemory;
    if (view.lostRanges.length > 0) refuseLost(view, key, sequence);
    if (kind !== PUT_ENTRY) return undefined;
    return { value: memtable.bytes.subarray(valueStart, valueEnd), sequence };
  }

  private fromTable(view: StoreView, key: Uint8Array): StoreRead | undefined {
    const { kind, sequence, valueBytes, valueStart, valueEnd } = this.inTable;
    if (view.lostRanges.length > 0) refuseLost(view, key, sequence);
    if (kind !== PUT_ENTRY) return undefined;
    return { value: valueBytes.subarray(valueStart, valueEnd), sequence };
  }
}

function inRange(table: Table, key: Uint8Array): boolean {
  const { smallestKey, largestKey } = table.metadata;
  return compareBytes(key, smallestKey) >= 0 && compareBytes(key, largestKey) <= 0;
}

function refuseLost(view: StoreView, key: Uint8Array, sequence: number): void {
  if (lostRangeOf(view.lostRanges, key, sequence) === undefined) return;
  throw new CorruptionError(
    "Cannot read key: the table that held its newest version is damaged",
    "",
    -1,
  );
}
