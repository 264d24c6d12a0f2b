import { describe, expect, test } from "bun:test";
import { AssertionError } from "../../../src/base/assert.ts";
import { equalBytes, utf8 } from "../../../src/base/bytes.ts";
import { Prng } from "../../../src/base/prng.ts";
import { zstdCompression } from "../../../src/bun/compression.ts";
import { DiskError } from "../../../src/ports/disk.ts";
import { SimDisk } from "../../../src/sim/disk.ts";
import { fileName } from "../../../src/storage/file-names.ts";
import { BlockCache } from "../../../src/storage/table/block-cache.ts";
import { Table } from "../../../src/storage/table/table.ts";
import { readTableMetadata } from "../../../src/storage/table/table-summary.ts";
import { TableWriter } from "../../../src/storage/table/table-writer.ts";
import {
  addEntry,
  backwards,
  find,
  forwards,
  openTable,
  put,
  randomEntries,
  remove,
  show,
  showAll,
  writeTable,
} from "./support.ts";

const MODES = ["map", "read"] as const;

describe("a table gives back what was written", () => {
  for (const mode of MODES) {
    for (const compression of [undefined, zstdCompression]) {
      const title = `${mode}, ${compression ? "zstd" : "plain"}`;

      test(`random entries, ${title}`, () => {
        for (let seed = 0; seed < 30; seed++) {
          const prng = new Prng(`table/${seed}`);
          const entries = randomEntries(prng, {
            count: prng.pick([1, 2, 17, 300]),
            valueBytesMax: prng.pick([0, 10, 100, 9000]),
            isCompressible: prng.chance(0.5),
          });
          const disk = new SimDisk({ seed });
          const blockBytes = prng.pick([1, 64, 4096]);
          const metadata = writeTable(disk, 7, entries, { blockBytes, compression });
          const table = openTable(disk, metadata, mode, prng.pick([0, 3000, 1 << 20]));
          for (const entry of entries) expect(show(find(table, entry.key))).toBe(show(entry));
          for (const entry of randomEntries(prng, { count: 50 })) {
            const twin = entries.find((one) => equalBytes(one.key, entry.key));
            expect(show(find(table, entry.key))).toBe(show(twin));
          }
          expect(showAll(forwards(table.iterator()))).toEqual(showAll(entries));
          expect(showAll(backwards(table.iterator()))).toEqual(showAll(entries).reverse());
          table.close();
        }
      });

      test(`values of 16 MiB beside small ones, ${title}`, () => {
        const prng = new Prng("huge");
        const huge = new Uint8Array(16 << 20).fill(7);
        huge.set(prng.bytes(100_000), 5_000_000);
        const entries = [
          put("a", 1, "small"),
          { ...put("b", 2, ""), value: huge },
          put("c", 3, "small too"),
        ];
        const disk = new SimDisk();
        const metadata = writeTable(disk, 1, entries, { compression });
        const table = openTable(disk, metadata, mode);
        expect(equalBytes(find(table, utf8("b"))!.value, huge)).toBe(true);
        expect(show(find(table, utf8("a")))).toBe(show(entries[0]));
        expect(show(find(table, utf8("c")))).toBe(show(entries[2]));
        // A block of its own: the small neighbours are not read with it.
        expect(table.index.blockCount).toBe(3);
      });
    }
  }

  test("metadata say what is in the table, and the file says the same", () => {
    const disk = new SimDisk();
    const entries = [put("b", 5, "x"), remove("c", 9), put("d", 2, "y")];
    const metadata = writeTable(disk, 3, entries);
    expect(metadata).toMatchObject({
      id: 3,
      entryCount: 3,
      deletionCount: 1,
      smallestKey: utf8("b"),
      largestKey: utf8("d"),
      smallestSequence: 2,
      largestSequence: 9,
      fileBytes: disk.sizeOf(fileName("table", 3)),
    });
    expect(readTableMetadata(disk, 3)).toEqual(metadata);
  });

  test("equal entries make equal files, and a golden checksum holds the format", () => {
    const entries = Array.from({ length: 100 }, (_, i) =>
      put(`key-${String(i).padStart(3, "0")}`, i, `value ${i}`),
    );
    const checksums = [1, 1, 2].map((id) => writeTable(new SimDisk(), id, entries).checksum);
    expect(checksums[0]).toBe(checksums[1]!);
    expect(checksums[0]).not.toBe(checksums[2]!);
    expect(checksums[0]).toBe(GOLDEN_CHECKSUM);
  });

  test("a block is compressed only where that saves an eighth", () => {
    const prng = new Prng("saves");
    const noise = randomEntries(prng, { count: 200, valueBytesMax: 400 });
    const repeats = randomEntries(prng, { count: 200, valueBytesMax: 400, isCompressible: true });
    const sizes = (entries: typeof noise): number[] =>
      [undefined, zstdCompression].map(
        (compression) => writeTable(new SimDisk(), 1, entries, { compression }).fileBytes,
      );
    const [noisePlain, noiseZstd] = sizes(noise);
    const [repeatsPlain, repeatsZstd] = sizes(repeats);
    expect(noiseZstd! / noisePlain!).toBeGreaterThan(0.95);
    expect(repeatsZstd! / repeatsPlain!).toBeLessThan(0.7);
  });

  test("the bloom filter turns nearly all misses away without reading a block", () => {
    const disk = new SimDisk();
    const entries = Array.from({ length: 5000 }, (_, i) => put(`key-${100_000 + 2 * i}`, i, "v"));
    const table = openTable(disk, writeTable(disk, 1, entries), "read", 0);
    const readsBefore = disk.calls.filter((call) => call.kind === "read").length;
    for (let i = 0; i < 5000; i++)
      expect(find(table, utf8(`key-${100_001 + 2 * i}`))).toBeUndefined();
    const reads = disk.calls.filter((call) => call.kind === "read").length - readsBefore;
    expect(reads).toBeLessThan(100);
  });
});

/** Taken from the first release of format version 1; a change of it is a change of the format. */
const GOLDEN_CHECKSUM = 2_824_810_146;

describe("TableWriter", () => {
  test("C7: the name appears after the sync of the file, and the directory is synced last", () => {
    const disk = new SimDisk();
    writeTable(disk, 1, [put("a", 1, "x")]);
    const kinds = disk.calls.map((call) => call.kind);
    expect(kinds).toEqual(["create", "append", "syncNow", "closeFile", "rename", "syncDirectory"]);
    expect(disk.list("")).toEqual([fileName("table", 1)]);
  });

  test("C7: after power loss at any call there is the whole table or none", () => {
    const entries = randomEntries(new Prng("power"), { count: 50 });
    const calls = 6;
    for (let nth = 1; nth <= calls + 1; nth++) {
      for (let seed = 0; seed < 20; seed++) {
        const disk = new SimDisk({ seed });
        disk.crashAtCall(nth);
        let metadata;
        try {
          metadata = writeTable(disk, 1, entries);
        } catch {
          metadata = undefined;
        }
        expect(metadata === undefined).toBe(nth <= calls);
        const next = disk.powerLoss("strict");
        if (next.sizeOf(fileName("table", 1)) < 0) expect(metadata).toBeUndefined();
        else expect(readTableMetadata(next, 1).entryCount).toBe(entries.length);
      }
    }
  });

  test("keys that do not ascend strictly are a programmer's error", () => {
    const writer = new TableWriter(new SimDisk(), 1, { blockBytes: 1 });
    addEntry(writer, put("b", 1, ""));
    expect(() => addEntry(writer, put("b", 2, ""))).toThrow(AssertionError);
    expect(() => addEntry(writer, put("a", 2, ""))).toThrow(AssertionError);
  });

  test("row 88: a full disk is an error, and abandon leaves nothing behind", () => {
    const disk = new SimDisk();
    disk.faults.quotaBytes = 1000;
    const writer = new TableWriter(disk, 1);
    for (const entry of randomEntries(new Prng(1), { count: 100 })) addEntry(writer, entry);
    expect(() => writer.finish()).toThrow(DiskError);
    writer.abandon();
    expect(disk.list("")).toEqual([]);
  });

  test("row 86: a failed sync is an error, and abandon leaves nothing behind", () => {
    for (const kind of ["syncNow", "rename", "syncDirectory"] as const) {
      const disk = new SimDisk();
      disk.faults.failNth(kind, 1, "io");
      const writer = new TableWriter(disk, 1);
      addEntry(writer, put("a", 1, ""));
      expect(() => writer.finish()).toThrow(DiskError);
      writer.abandon();
      expect(disk.list("")).toEqual([]);
    }
  });

  test("fileBytes is close to what the file becomes", () => {
    const writer = new TableWriter(new SimDisk(), 1);
    for (const entry of randomEntries(new Prng(3), { count: 2000 })) addEntry(writer, entry);
    const estimate = writer.fileBytes;
    const actual = writer.finish().fileBytes;
    expect(Math.abs(estimate - actual)).toBeLessThan(actual * 0.02 + 2000);
  });
});

describe("Table", () => {
  test("switchToMap serves the same answers, also to an iterator that is under way", () => {
    const disk = new SimDisk();
    const entries = randomEntries(new Prng("switch"), { count: 300 });
    const table = openTable(disk, writeTable(disk, 1, entries, { blockBytes: 128 }), "read");
    const iterator = table.iterator();
    iterator.seek(entries[100]!.key);
    expect(table.isMapped).toBe(false);
    table.switchToMap();
    expect(table.isMapped).toBe(true);
    const rest: string[] = [];
    for (; iterator.isValid; iterator.next())
      rest.push(
        show({
          key: iterator.keyBytes.slice(iterator.keyStart, iterator.keyEnd),
          kind: iterator.kind,
          sequence: iterator.sequence,
          value: iterator.valueBytes.slice(iterator.valueStart, iterator.valueEnd),
        }),
      );
    expect(rest).toEqual(showAll(entries.slice(100)));
    for (const entry of entries) expect(show(find(table, entry.key))).toBe(show(entry));
  });

  test("where mapping is refused, reading goes on", () => {
    const disk = new SimDisk();
    const metadata = writeTable(disk, 1, [put("a", 1, "x")]);
    disk.faults.failNth("map", 1, "read-only");
    const table = openTable(disk, metadata, "map");
    expect(table.isMapped).toBe(false);
    expect(show(find(table, utf8("a")))).toBe(show(put("a", 1, "x")));
  });

  test("the block cache saves reads, and a scan does not fill it", () => {
    const disk = new SimDisk();
    const metadata = writeTable(disk, 1, [put("a", 1, "x"), put("b", 2, "y")]);
    const cache = new BlockCache(1 << 20);
    const table = Table.open(disk, metadata, { mode: "read", cache, compression: zstdCompression });
    expect([...forwards(table.iterator())].length).toBe(2);
    expect(cache.blockCount).toBe(0);
    find(table, utf8("a"));
    const callsBefore = disk.callCount;
    find(table, utf8("b"));
    expect(disk.callCount).toBe(callsBefore);
    expect(cache.blockCount).toBe(1);
  });

  test("open and close leave no file open", () => {
    const disk = new SimDisk();
    const metadata = writeTable(disk, 1, [put("a", 1, "x")]);
    disk.faults.openFilesMax = 1;
    for (const mode of MODES) for (let i = 0; i < 3; i++) openTable(disk, metadata, mode).close();
    disk.damage.flipBit(fileName("table", 1), 0);
    disk.damage.flipBit(fileName("table", 1), 8 * (metadata.fileBytes - 70));
    for (let i = 0; i < 3; i++)
      expect(() => openTable(disk, metadata, "map")).toThrow("Cannot read");
  });

  test("row 90: no descriptor left is not corruption", () => {
    const disk = new SimDisk();
    const metadata = writeTable(disk, 1, [put("a", 1, "x")]);
    disk.faults.openFilesMax = 0;
    expect(() => openTable(disk, metadata, "map")).toThrow(DiskError);
  });
});
