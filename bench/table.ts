/**
 * Tables: point lookups and scans of one table of 500,000 entries of 100 bytes, mapped, read and compressed.
 *
 *   bun bench/table.ts [entries]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { utf8 } from "../src/base/bytes.ts";
import { Prng } from "../src/base/prng.ts";
import { BunClock } from "../src/bun/clock.ts";
import { zstdCompression } from "../src/bun/compression.ts";
import { BunDisk } from "../src/bun/disk.ts";
import "../src/bun/native-kernels.ts";
import { hashKey } from "../src/kernels/kernels.ts";
import { mergeTables } from "../src/storage/compaction/merge-tables.ts";
import { PUT_ENTRY } from "../src/storage/iterators/entry-iterator.ts";
import { BlockCache } from "../src/storage/table/block-cache.ts";
import { type ReadMode, Table, TableLookup } from "../src/storage/table/table.ts";
import type { TableMetadata } from "../src/storage/table/table-metadata.ts";
import { TableWriter } from "../src/storage/table/table-writer.ts";

const ENTRY_COUNT = Number(process.argv[2] ?? 500_000);
const LOOKUP_COUNT = 500_000;
const VALUE_BYTES = 100;
const CACHE_BYTES = 16 << 20;

const prng = new Prng("bench/table");
const noise = prng.bytes(1 << 20);
const directory = mkdtempSync(join(tmpdir(), "hutch-bench-"));
const disk = new BunDisk(directory);
const keyOf = (index: number): Uint8Array => utf8(`user/${String(index).padStart(10, "0")}`);

function report(name: string, operations: number, startMs: number): void {
  const elapsedMs = performance.now() - startMs;
  const nanoseconds = Math.round((elapsedMs * 1e6) / operations);
  const perSecond = Math.round((operations / elapsedMs) * 1000);
  console.log(`${name.padEnd(36)} ${String(nanoseconds).padStart(7)} ns  ${perSecond}/s`);
}

/** Half of the value is noise, so that zstd has something to do and not everything. */
function write(id: number, isCompressed: boolean): TableMetadata {
  const startMs = performance.now();
  const compression = isCompressed ? zstdCompression : undefined;
  const writer = new TableWriter(disk, id, { compression, keyCountExpected: ENTRY_COUNT });
  const value = new Uint8Array(VALUE_BYTES).fill(97);
  for (let index = 0; index < ENTRY_COUNT; index++) {
    const key = keyOf(index * 2);
    const noiseAt = (index * 61) % (noise.length - VALUE_BYTES);
    value.set(noise.subarray(noiseAt, noiseAt + VALUE_BYTES / 2));
    writer.add(key, 0, key.length, PUT_ENTRY, index, value, 0, VALUE_BYTES);
  }
  const metadata = writer.finish();
  report(
    `write${isCompressed ? ", zstd" : ""} (${metadata.fileBytes >> 20} MiB)`,
    ENTRY_COUNT,
    startMs,
  );
  return metadata;
}

/** @param odd 0: keys that are there; 1: keys between them */
function lookups(table: Table, odd: 0 | 1): number {
  const words = new Uint32Array(4);
  const result = new TableLookup();
  let found = 0;
  for (let i = 0; i < LOOKUP_COUNT; i++) {
    const key = keys[(i * 2 + odd) % keys.length]!;
    hashKey(key, 0, key.length, words);
    if (table.get(key, words[0]!, words[1]!, words[2]!, words[3]!, result)) found++;
  }
  return found;
}

function measure(metadata: TableMetadata, mode: ReadMode, name: string): void {
  const cache = new BlockCache(CACHE_BYTES);
  const openMs = performance.now();
  const table = Table.open(disk, metadata, { mode, cache, compression: zstdCompression });
  report(`${name}: open`, 1, openMs);
  for (const [what, odd] of [
    ["get, hit", 0],
    ["get, miss", 1],
  ] as const) {
    lookups(table, odd);
    const startMs = performance.now();
    lookups(table, odd);
    report(`${name}: ${what}`, LOOKUP_COUNT, startMs);
  }
  const iterator = table.iterator();
  for (const [what, isForward] of [
    ["scan", true],
    ["scan backwards", false],
  ] as const) {
    const startMs = performance.now();
    let count = 0;
    if (isForward) for (iterator.seekToFirst(); iterator.isValid; iterator.next()) count++;
    else for (iterator.seekToLast(); iterator.isValid; iterator.previous()) count++;
    report(`${name}: ${what}`, count, startMs);
  }
  table.close();
}

/** Random order: pairs of a present key and an absent one. */
const keys = Array.from({ length: 200_000 }, () => prng.below(ENTRY_COUNT) * 2).flatMap((index) => [
  keyOf(index),
  keyOf(index + 1),
]);

try {
  const plain = write(1, false);
  const packed = write(2, true);
  measure(plain, "map", "map");
  measure(plain, "read", "read, 16 MiB cache");
  measure(packed, "map", "map, zstd, 16 MiB cache");
  const startMs = performance.now();
  await mergeTables(
    { disk, clock: new BunClock() },
    {
      inputs: [plain, packed],
      firstOutputId: 10,
      outputIdCount: 10,
      tableBytesMax: 64 << 20,
      blockBytes: 4096,
      isBottommost: true,
      bytesPerSecond: 0,
    },
    zstdCompression,
  );
  report("merge of both, per entry read", ENTRY_COUNT * 2, startMs);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
