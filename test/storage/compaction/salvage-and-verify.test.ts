import { describe, expect, test } from "bun:test";
import { compareBytes } from "../../../src/base/bytes.ts";
import { Prng } from "../../../src/base/prng.ts";
import { zstdCompression } from "../../../src/bun/compression.ts";
import { DiskError } from "../../../src/ports/disk.ts";
import { SimDisk } from "../../../src/sim/disk.ts";
import { salvageTable, type SalvageResult } from "../../../src/storage/compaction/salvage-table.ts";
import { verifyTable } from "../../../src/storage/compaction/verify-table.ts";
import { fileName } from "../../../src/storage/file-names.ts";
import { bloomOffset, propertiesOffset } from "../../../src/storage/table/footer.ts";
import { TableFile } from "../../../src/storage/table/table-file.ts";
import type { TableMetadata } from "../../../src/storage/table/table-metadata.ts";
import {
  type Entry,
  find,
  openTable,
  put,
  randomEntries,
  show,
  StepClock,
  writeTable,
} from "../table/support.ts";

const PATH = fileName("table", 1);

function salvage(disk: SimDisk, input: TableMetadata): Promise<SalvageResult> {
  const job = { input, outputId: 2, blockBytes: 4096, bytesPerSecond: 0 };
  return salvageTable({ disk, clock: new StepClock() }, job, zstdCompression);
}

function verify(disk: SimDisk, table: TableMetadata, bytesPerSecond = 0, clock = new StepClock()) {
  return verifyTable({ disk, clock }, { table, bytesPerSecond });
}

function smallTable(disk: SimDisk): { entries: Entry[]; metadata: TableMetadata } {
  const entries = randomEntries(new Prng("salvage"), { count: 60 });
  return { entries, metadata: writeTable(disk, 1, entries, { blockBytes: 200 }) };
}

/** Each entry is in the output as it was, or its key is in a lost range; the sum of both is never less. */
function expectAccounted(disk: SimDisk, entries: readonly Entry[], result: SalvageResult): number {
  const table = result.output && openTable(disk, result.output, "map");
  let missing = 0;
  for (const entry of entries) {
    const found = table && find(table, entry.key);
    if (found !== undefined) expect(show(found)).toBe(show(entry));
    else {
      missing++;
      expect(
        result.lost.some(
          (range) =>
            compareBytes(range.start, entry.key) <= 0 &&
            compareBytes(entry.key, range.end) <= 0 &&
            entry.sequence <= range.sequenceMax,
        ),
      ).toBe(true);
    }
  }
  table?.close();
  return missing;
}

describe("salvageTable", () => {
  test("row 80: after a flip anywhere, every entry is in the new table or in a lost range", async () => {
    const disk = new SimDisk();
    const { entries, metadata } = smallTable(disk);
    const { footer } = TableFile.open(disk, metadata);
    for (let offset = 0; offset < metadata.fileBytes; offset += 3) {
      disk.damage.flipBit(PATH, offset * 8);
      const result = await salvage(disk, metadata);
      const missing = expectAccounted(disk, entries, result);
      const isData = offset < footer.indexOffset;
      const isTail = offset >= bloomOffset(footer) && offset < metadata.fileBytes - 64;
      if (isData) expect(missing).toBeLessThan(entries.length / 2);
      if (isData) expect(result.lost.length).toBe(1);
      if (isTail)
        expect(result).toMatchObject({ lost: [], output: { entryCount: entries.length } });
      if (!isData && !isTail) expect(missing).toBe(entries.length);
      if (result.output) disk.unlink(fileName("table", 2));
      disk.damage.flipBit(PATH, offset * 8);
    }
  });

  test("ranges of neighbouring blocks are joined, others are not", async () => {
    const disk = new SimDisk();
    const { entries, metadata } = smallTable(disk);
    const table = openTable(disk, metadata, "read");
    expect(table.index.blockCount).toBeGreaterThan(8);
    for (const block of [2, 3, 6]) disk.damage.flipBit(PATH, 8 * table.index.blockOffset(block));
    const result = await salvage(disk, metadata);
    expectAccounted(disk, entries, result);
    expect(result.lost.map((range) => [range.start, range.end])).toEqual([
      [table.index.separator(2), table.index.separator(4)],
      [table.index.separator(6), table.index.separator(7)],
    ]);
  });

  test("row 81: of a table that is gone everything is lost, and nothing is written", async () => {
    const disk = new SimDisk();
    const { metadata } = smallTable(disk);
    disk.unlink(PATH);
    const { output, lost } = await salvage(disk, metadata);
    expect(output).toBeUndefined();
    expect(lost).toEqual([
      {
        start: metadata.smallestKey,
        end: new Uint8Array([...metadata.largestKey, 0]),
        sequenceMax: metadata.largestSequence,
      },
    ]);
    expect(disk.list("")).toEqual([]);
  });

  test("row 84: a table whose every block is unreadable gives no output and no file", async () => {
    const disk = new SimDisk();
    const { entries, metadata } = smallTable(disk);
    disk.damage.failReads(PATH, 0, TableFile.open(disk, metadata).footer.indexOffset);
    const result = await salvage(disk, metadata);
    expect(result.output).toBeUndefined();
    expect(result.lost.length).toBe(1);
    expect(expectAccounted(disk, entries, result)).toBe(entries.length);
    expect(disk.list("")).toEqual([PATH]);
  });

  test("row 88: a full disk is an error and leaves nothing", async () => {
    const disk = new SimDisk();
    const { metadata } = smallTable(disk);
    disk.faults.quotaBytes = disk.image.usedBytes() + 500;
    const failure = await salvage(disk, metadata).catch((thrown) => thrown);
    expect(failure).toBeInstanceOf(DiskError);
    expect(disk.list("")).toEqual([PATH]);
  });
});

describe("verifyTable", () => {
  test("row 80: finds a flip of every single byte, and nothing in an intact table", async () => {
    const disk = new SimDisk();
    const { metadata } = smallTable(disk);
    expect(await verify(disk, metadata)).toEqual({ bytes: metadata.fileBytes, damage: [] });
    for (let offset = 0; offset < metadata.fileBytes; offset++) {
      disk.damage.flipBit(PATH, offset * 8 + (offset % 8));
      const { damage } = await verify(disk, metadata);
      expect(damage.map((one) => one.file)).toEqual([PATH]);
      disk.damage.flipBit(PATH, offset * 8 + (offset % 8));
    }
  });

  test("reports each bad block with its offset, and goes on behind it", async () => {
    const disk = new SimDisk();
    const { metadata } = smallTable(disk);
    const tableFile = TableFile.open(disk, metadata);
    const index = tableFile.readIndex();
    const offsets = [
      index.blockOffset(1),
      index.blockOffset(4),
      propertiesOffset(tableFile.footer),
    ];
    for (const offset of offsets) disk.damage.flipBit(PATH, 8 * offset);
    const { damage } = await verify(disk, metadata);
    expect(damage.map((one) => one.offset)).toEqual(offsets);
  });

  test("row 84: an unreadable range is damage", async () => {
    const disk = new SimDisk();
    const { metadata } = smallTable(disk);
    disk.damage.failReads(PATH, 10, 11);
    const { damage } = await verify(disk, metadata);
    expect(damage).toMatchObject([{ offset: 0 }]);
  });

  test("row 81: a missing or shorter file is damage of the whole file", async () => {
    const disk = new SimDisk();
    const { metadata } = smallTable(disk);
    disk.damage.truncate(PATH, 100);
    expect((await verify(disk, metadata)).damage).toMatchObject([{ file: PATH, offset: -1 }]);
    disk.unlink(PATH);
    expect(await verify(disk, metadata)).toMatchObject({ bytes: 0, damage: [{ offset: -1 }] });
  });

  test("row 90: no descriptor left is not damage", async () => {
    const disk = new SimDisk();
    const { metadata } = smallTable(disk);
    disk.faults.openFilesMax = 0;
    expect(await verify(disk, metadata).catch((thrown) => thrown)).toBeInstanceOf(DiskError);
  });

  test("C24: a scrub keeps to its rate", async () => {
    const disk = new SimDisk();
    const entries = Array.from({ length: 300 }, (_, i) => put(`k${1000 + i}`, i, "x".repeat(1000)));
    const metadata = writeTable(disk, 1, entries);
    const clock = new StepClock();
    await verify(disk, metadata, 100_000, clock);
    expect(clock.nowMs).toBeGreaterThan(2500);
    expect(clock.nowMs).toBeLessThan(3500);
  });
});
