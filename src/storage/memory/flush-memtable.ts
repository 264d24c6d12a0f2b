/**
 * The flush job: a frozen memtable's arena in, one level-0 table out. Runs in a worker on the shared memory itself.
 *
 *   1. walk the arena and count entries by the first two bytes of their key
 *   2. place the offsets group by group, sort each group by key, newest version first
 *   3. write the newest version of each key
 *
 * Invariant: the arena is frozen; what the loop still reads from it never changes.
 */
import type { JobEnvironment } from "../../ports/workers.ts";
import type { Compression } from "../table/compression.ts";
import type { TableMetadata } from "../table/table-metadata.ts";
import { TableWriter } from "../table/table-writer.ts";
import type { EntryKind } from "../iterators/entry-iterator.ts";
import { compareEntryKeys, ENTRY_HEADER_WORDS } from "./memtable.ts";

export interface FlushJob {
  readonly memory: SharedArrayBuffer;
  readonly usedWords: number;
  readonly tableId: number;
  readonly blockBytes: number;
}

/** `undefined` when nothing is left to write (all was rolled back). */
export async function flushMemtable(
  environment: JobEnvironment,
  job: FlushJob,
  compression: Compression,
): Promise<TableMetadata | undefined> {
  const words = new Int32Array(job.memory);
  const bytes = new Uint8Array(job.memory);
  const offsets = newestVersionsInOrder(words, bytes, job.usedWords);
  if (offsets.length === 0) return undefined;
  const writer = new TableWriter(environment.disk, job.tableId, {
    blockBytes: job.blockBytes,
    compression,
    origin: "flush",
    createdMs: environment.clock.wallMs(),
  });
  try {
    for (const offset of offsets) addEntry(writer, words, bytes, offset);
    return writer.finish();
  } catch (error) {
    writer.abandon();
    throw error;
  }
}

function addEntry(writer: TableWriter, words: Int32Array, bytes: Uint8Array, offset: number): void {
  const packed = words[offset + 3]!;
  const keyStart = (offset + ENTRY_HEADER_WORDS) * 4;
  const keyEnd = keyStart + (packed & 0xffff);
  const kind = (packed >>> 16) as EntryKind;
  writer.add(
    bytes,
    keyStart,
    keyEnd,
    kind,
    sequenceAt(words, offset),
    bytes,
    keyEnd,
    keyEnd + words[offset + 4]!,
  );
}

function sequenceAt(words: Int32Array, offset: number): number {
  return words[offset + 6]! * 4294967296 + (words[offset + 5]! >>> 0);
}

/** Offsets of the newest version of each key, in key order. */
export function newestVersionsInOrder(
  words: Int32Array,
  bytes: Uint8Array,
  usedWords: number,
): Int32Array {
  const { offsets, groupEnds } = placeByGroup(words, bytes, usedWords);
  const byKeyThenNewest = (a: number, b: number): number =>
    compareEntryKeys(bytes, words, a, b) || sequenceAt(words, b) - sequenceAt(words, a);
  let start = 0;
  for (const end of groupEnds) {
    if (end - start > 1) offsets.subarray(start, end).sort(byKeyThenNewest);
    start = end;
  }
  let kept = 0;
  for (let i = 0; i < offsets.length; i++) {
    const isOlder =
      kept > 0 && compareEntryKeys(bytes, words, offsets[kept - 1]!, offsets[i]!) === 0;
    if (!isOlder) offsets[kept++] = offsets[i]!;
  }
  return offsets.subarray(0, kept);
}

/** A counting sort by the first two bytes of the key: `groupEnds[g]` is where group `g` ends in `offsets`. */
function placeByGroup(
  words: Int32Array,
  bytes: Uint8Array,
  usedWords: number,
): { offsets: Int32Array; groupEnds: Int32Array } {
  const counts = new Int32Array(65_536);
  forEachEntry(words, usedWords, (offset) => counts[groupAt(words, bytes, offset)]!++);
  const next = new Int32Array(65_536);
  let total = 0;
  for (let group = 0; group < counts.length; group++) {
    next[group] = total;
    total += counts[group]!;
  }
  const offsets = new Int32Array(total);
  forEachEntry(words, usedWords, (offset) => {
    offsets[next[groupAt(words, bytes, offset)]!++] = offset;
  });
  return { offsets, groupEnds: next };
}

function forEachEntry(words: Int32Array, usedWords: number, visit: (offset: number) => void): void {
  let offset = 1;
  while (offset < usedWords) {
    if (words[offset + 6]! >= 0) visit(offset); // else rolled back
    const content = (words[offset + 3]! & 0xffff) + words[offset + 4]!;
    offset += ENTRY_HEADER_WORDS + ((content + 3) >>> 2);
  }
}

function groupAt(words: Int32Array, bytes: Uint8Array, offset: number): number {
  const start = (offset + ENTRY_HEADER_WORDS) * 4;
  const length = words[offset + 3]! & 0xffff;
  return (bytes[start]! << 8) | (length > 1 ? bytes[start + 1]! : 0);
}
