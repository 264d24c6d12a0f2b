/** Sorted entries, tables made of them, and lookups: the vocabulary of the table tests. */
import { compareBytes, hex, utf8 } from "../../../src/base/bytes.ts";
import { CorruptionError } from "../../../src/base/errors.ts";
import type { Prng } from "../../../src/base/prng.ts";
import { zstdCompression } from "../../../src/bun/compression.ts";
import { hashKey } from "../../../src/kernels/kernels.ts";
import type { Clock } from "../../../src/ports/clock.ts";
import type { Disk } from "../../../src/ports/disk.ts";
import {
  DELETE_ENTRY,
  type EntryIterator,
  type EntryKind,
  PUT_ENTRY,
} from "../../../src/storage/iterators/entry-iterator.ts";
import { BlockCache } from "../../../src/storage/table/block-cache.ts";
import { type ReadMode, Table, TableLookup } from "../../../src/storage/table/table.ts";
import type { TableMetadata } from "../../../src/storage/table/table-metadata.ts";
import { TableWriter, type TableWriterOptions } from "../../../src/storage/table/table-writer.ts";

export interface Entry {
  readonly key: Uint8Array;
  readonly kind: EntryKind;
  readonly sequence: number;
  readonly value: Uint8Array;
}

export const put = (key: string, sequence: number, value: string): Entry => ({
  key: utf8(key),
  kind: PUT_ENTRY,
  sequence,
  value: utf8(value),
});

export const remove = (key: string, sequence: number): Entry => ({
  key: utf8(key),
  kind: DELETE_ENTRY,
  sequence,
  value: new Uint8Array(0),
});

export interface RandomEntriesOptions {
  readonly count: number;
  readonly valueBytesMax?: number;
  readonly isCompressible?: boolean;
  /** Keys come from a set of this size, so that runs share some. */
  readonly keySpace?: number;
}

/** Distinct keys in order, short and long, many with common prefixes, one deletion in eight. */
export function randomEntries(prng: Prng, options: RandomEntriesOptions): Entry[] {
  const { count, valueBytesMax = 40, isCompressible = false, keySpace } = options;
  const byKey = new Map<string, Entry>();
  for (let i = 0; i < count; i++) {
    const key = keySpace === undefined ? randomKey(prng) : utf8(`key-${prng.below(keySpace)}`);
    const isDelete = prng.chance(0.125);
    const length = isDelete ? 0 : prng.below(valueBytesMax + 1);
    const value = isCompressible
      ? new Uint8Array(length).fill(prng.below(256))
      : prng.bytes(length);
    const sequence = prng.chance(0.1) ? Math.floor(2 ** (prng.float() * 53)) : prng.below(1e6);
    byKey.set(hex(key), { key, kind: isDelete ? DELETE_ENTRY : PUT_ENTRY, sequence, value });
  }
  return [...byKey.values()].sort((a, b) => compareBytes(a.key, b.key));
}

function randomKey(prng: Prng): Uint8Array {
  if (prng.chance(0.5)) return utf8(`bucket/${prng.below(1e6)}`);
  const key = new Uint8Array(prng.chance(0.03) ? prng.between(200, 900) : prng.below(12));
  for (let i = 0; i < key.length; i++) key[i] = prng.pick([0, 1, 97, 98, 254, 255]);
  return key;
}

export function writeTable(
  disk: Disk,
  id: number,
  entries: readonly Entry[],
  options: Partial<TableWriterOptions> = {},
): TableMetadata {
  const writer = new TableWriter(disk, id, options);
  for (const entry of entries) addEntry(writer, entry);
  return writer.finish();
}

export function addEntry(writer: TableWriter, entry: Entry): void {
  const { key, kind, sequence, value } = entry;
  writer.add(key, 0, key.length, kind, sequence, value, 0, value.length);
}

export function openTable(
  disk: Disk,
  metadata: TableMetadata,
  mode: ReadMode,
  cacheBytes = 1 << 20,
): Table {
  const cache = new BlockCache(cacheBytes);
  return Table.open(disk, metadata, { mode, cache, compression: zstdCompression });
}

const words = new Uint32Array(4);
const lookup = new TableLookup();

/** The entry of `key` in `table`, as a copy. */
export function find(table: Table, key: Uint8Array): Entry | undefined {
  hashKey(key, 0, key.length, words);
  if (!table.get(key, words[0]!, words[1]!, words[2]!, words[3]!, lookup)) return undefined;
  const { kind, sequence, valueBytes, valueStart, valueEnd } = lookup;
  return { key, kind, sequence, value: valueBytes.slice(valueStart, valueEnd) };
}

/** The current entry of `iterator`, as a copy. */
export function current(iterator: EntryIterator): Entry | undefined {
  if (!iterator.isValid) return undefined;
  return {
    key: iterator.keyBytes.slice(iterator.keyStart, iterator.keyEnd),
    kind: iterator.kind,
    sequence: iterator.sequence,
    value: iterator.valueBytes.slice(iterator.valueStart, iterator.valueEnd),
  };
}

export function* forwards(iterator: EntryIterator): Generator<Entry> {
  for (iterator.seekToFirst(); iterator.isValid; iterator.next()) yield current(iterator)!;
}

export function* backwards(iterator: EntryIterator): Generator<Entry> {
  for (iterator.seekToLast(); iterator.isValid; iterator.previous()) yield current(iterator)!;
}

/** One line per entry, to compare whole runs. */
export const show = (entry: Entry | undefined): string =>
  entry === undefined
    ? "none"
    : `${hex(entry.key)} ${entry.kind} ${entry.sequence} ${hex(entry.value)}`;

export const showAll = (entries: Iterable<Entry>): string[] => [...entries].map(show);

/** What `action` gives, or "corrupt" for a `CorruptionError`; anything else thrown is thrown on. */
export function orCorrupt<T>(action: () => T): T | "corrupt" {
  try {
    return action();
  } catch (thrown) {
    if (thrown instanceof CorruptionError) return "corrupt";
    throw thrown;
  }
}

/** Time that passes only in `sleep`. */
export class StepClock implements Clock {
  nowMs = 0;
  wallMs(): number {
    return this.nowMs;
  }
  monoMs(): number {
    return this.nowMs;
  }
  after(): never {
    throw new Error("no timers here");
  }
  sleep(delayMs: number): Promise<void> {
    this.nowMs += delayMs;
    return Promise.resolve();
  }
}
