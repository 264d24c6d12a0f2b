/** Rows 80 to 84: whatever happens to the bytes, an answer is right or it is a `CorruptionError`. */
import { describe, expect, test } from "bun:test";
import { compareBytes, utf8 } from "../../../src/base/bytes.ts";
import { ByteWriter } from "../../../src/base/byte-writer.ts";
import { CorruptionError, HutchError } from "../../../src/base/errors.ts";
import { Prng } from "../../../src/base/prng.ts";
import { zstdCompression } from "../../../src/bun/compression.ts";
import { crc32 } from "../../../src/kernels/kernels.ts";
import { SimDisk } from "../../../src/sim/disk.ts";
import { fileName } from "../../../src/storage/file-names.ts";
import { bloomOffset, decodeFooter, FOOTER_BYTES } from "../../../src/storage/table/footer.ts";
import { TableFile } from "../../../src/storage/table/table-file.ts";
import { readTableMetadata } from "../../../src/storage/table/table-summary.ts";
import type { TableMetadata } from "../../../src/storage/table/table-metadata.ts";
import {
  backwards,
  type Entry,
  find,
  forwards,
  openTable,
  orCorrupt,
  put,
  randomEntries,
  show,
  showAll,
  writeTable,
} from "./support.ts";

const PATH = fileName("table", 1);
const MODES = ["map", "read"] as const;

/** Captures the arrays that maps hand out, so that a bit can flip under a table that is already open. */
class CapturingDisk extends SimDisk {
  lastMap: Uint8Array | undefined;
  override map(path: string): Uint8Array {
    return (this.lastMap = super.map(path));
  }
}

function smallTable(
  disk: SimDisk,
  isCompressed: boolean,
): { entries: Entry[]; metadata: TableMetadata } {
  const entries = randomEntries(new Prng("small"), {
    count: 24,
    valueBytesMax: isCompressed ? 120 : 20,
    isCompressible: isCompressed,
  });
  const compression = isCompressed ? zstdCompression : undefined;
  const blockBytes = isCompressed ? 256 : 100;
  return { entries, metadata: writeTable(disk, 1, entries, { blockBytes, compression }) };
}

/** Every key and a few absent ones: the right answer, or "corrupt". Returns how many were corrupt. */
function expectNeverWrong(table: ReturnType<typeof openTable>, entries: readonly Entry[]): number {
  let corrupt = 0;
  const absent = [utf8("absent"), utf8(""), utf8("bucket/"), new Uint8Array([255, 255, 255, 255])];
  for (const key of [...entries.map((entry) => entry.key), ...absent]) {
    const answer = orCorrupt(() => show(find(table, key)));
    if (answer === "corrupt") corrupt++;
    else expect(answer).toBe(show(entries.find((entry) => compareBytes(entry.key, key) === 0)));
  }
  return corrupt;
}

/** A scan gives the right entries up to where it throws; it throws exactly when a lookup does. */
function expectScanNeverWrong(
  table: ReturnType<typeof openTable>,
  entries: readonly Entry[],
): boolean {
  let threw = false;
  for (const [scan, expected] of [
    [forwards, showAll(entries)],
    [backwards, showAll(entries).reverse()],
  ] as const) {
    const seen: string[] = [];
    const end = orCorrupt(() => {
      for (const entry of scan(table.iterator())) seen.push(show(entry));
    });
    expect(seen).toEqual(expected.slice(0, seen.length));
    if (end === "corrupt") threw = true;
    else expect(seen.length).toBe(expected.length);
  }
  return threw;
}

describe("row 80: every byte of a table flipped", () => {
  for (const mode of MODES) {
    for (const isCompressed of [false, true]) {
      test(`before it is opened, ${mode}, ${isCompressed ? "zstd" : "plain"}`, () => {
        const disk = new SimDisk();
        const { entries, metadata } = smallTable(disk, isCompressed);
        const bits = new Prng("bits");
        const counts = { atOpen: 0, atRead: 0, bloomOnly: 0 };
        for (let offset = 0; offset < metadata.fileBytes; offset++) {
          const bit = offset * 8 + bits.below(8);
          disk.damage.flipBit(PATH, bit);
          const table = orCorrupt(() => openTable(disk, metadata, mode));
          if (table === "corrupt") counts.atOpen++;
          else {
            const corrupt = expectNeverWrong(table, entries);
            expect(expectScanNeverWrong(table, entries)).toBe(corrupt > 0);
            if (corrupt > 0) counts.atRead++;
            else {
              expect(table.isBloomDamaged).toBe(true);
              counts.bloomOnly++;
            }
            table.close();
          }
          disk.damage.flipBit(PATH, bit);
        }
        const footer = TableFile.open(disk, metadata).footer;
        expect(counts).toEqual({
          atRead: footer.indexOffset,
          bloomOnly: footer.bloomBytes,
          atOpen: metadata.fileBytes - footer.indexOffset - footer.bloomBytes,
        });
      });
    }
  }

  test("under a table that is open and mapped", () => {
    const disk = new CapturingDisk();
    const { entries, metadata } = smallTable(disk, false);
    const table = openTable(disk, metadata, "map");
    const map = disk.lastMap!;
    const dataBytes = TableFile.open(disk, metadata).footer.indexOffset;
    for (let offset = 0; offset < map.length; offset++) {
      map[offset]! ^= 0x10;
      const corrupt = expectNeverWrong(table, entries);
      expect(corrupt > 0).toBe(offset < dataBytes);
      map[offset]! ^= 0x10;
    }
    expect(expectNeverWrong(table, entries)).toBe(0);
  });

  test("the error names the file and where the block is", () => {
    const disk = new SimDisk();
    const { entries, metadata } = smallTable(disk, false);
    disk.damage.flipBit(PATH, 8);
    const table = openTable(disk, metadata, "map");
    const error = catching(() => find(table, entries[0]!.key));
    expect(error).toBeInstanceOf(CorruptionError);
    expect(error).toMatchObject({ code: "data-corrupt", file: PATH, offset: 0 });
  });

  test("C14: a damaged bloom filter costs time, not answers", () => {
    const disk = new SimDisk();
    const { entries, metadata } = smallTable(disk, false);
    const { footer } = TableFile.open(disk, metadata);
    disk.damage.overwrite(PATH, new Uint8Array(footer.bloomBytes), bloomOffset(footer));
    const table = openTable(disk, metadata, "map");
    expect(table.isBloomDamaged).toBe(true);
    expect(expectNeverWrong(table, entries)).toBe(0);
  });
});

describe("row 81: a table that is cut, empty or gone", () => {
  for (const mode of MODES) {
    test(`is found at open, at every length, ${mode}`, () => {
      const disk = new SimDisk();
      const { metadata } = smallTable(disk, false);
      for (let size = metadata.fileBytes - 1; size >= 0; size--) {
        disk.damage.truncate(PATH, size);
        expect(orCorrupt(() => openTable(disk, metadata, mode))).toBe("corrupt");
      }
      disk.unlink(PATH);
      expect(orCorrupt(() => openTable(disk, metadata, mode))).toBe("corrupt");
    });
  }

  test("is found without its metadata, too", () => {
    const disk = new SimDisk();
    const { metadata } = smallTable(disk, false);
    for (let size = metadata.fileBytes - 1; size >= 0; size--) {
      disk.damage.truncate(PATH, size);
      expect(orCorrupt(() => readTableMetadata(disk, 1))).toBe("corrupt");
    }
    disk.unlink(PATH);
    expect(orCorrupt(() => readTableMetadata(disk, 1))).toBe("corrupt");
  });

  test("is not mapped when its size has changed since it was opened", () => {
    const disk = new SimDisk();
    const { metadata } = smallTable(disk, false);
    const table = openTable(disk, metadata, "read");
    disk.damage.truncate(PATH, metadata.fileBytes - 1);
    expect(() => table.switchToMap()).toThrow(CorruptionError);
  });
});

describe("C10: a table in the wrong place", () => {
  test("another table under the right name is refused, of equal length, too", () => {
    const disk = new SimDisk();
    const first = writeTable(disk, 1, [put("a", 1, "x")]);
    const second = writeTable(disk, 2, [put("a", 1, "x")]);
    expect(first.fileBytes).toBe(second.fileBytes);
    disk.rename(fileName("table", 2), PATH);
    expect(orCorrupt(() => openTable(disk, first, "map"))).toBe("corrupt");
    expect(orCorrupt(() => readTableMetadata(disk, 1))).toBe("corrupt");
  });

  test("a table of the same id and length from another data directory is refused", () => {
    const [ours, theirs] = [new SimDisk(), new SimDisk()];
    const metadata = writeTable(ours, 1, [put("a", 1, "x")]);
    writeTable(theirs, 1, [put("a", 1, "y")]);
    expect(orCorrupt(() => openTable(theirs, metadata, "map"))).toBe("corrupt");
  });

  test("an intact block at another block's place does not verify", () => {
    const disk = new SimDisk();
    const entries = Array.from({ length: 8 }, (_, i) => put(`k${i}`, 1, "same length"));
    const metadata = writeTable(disk, 1, entries, { blockBytes: 1 });
    const table = openTable(disk, metadata, "read", 0);
    const { index } = table;
    const bytes = new Uint8Array(index.blockEnd(3) - index.blockOffset(3));
    expect(index.blockEnd(5) - index.blockOffset(5)).toBe(bytes.length);
    disk.open(PATH, "read").read(bytes, index.blockOffset(3));
    disk.damage.overwrite(PATH, bytes, index.blockOffset(5));
    expect(orCorrupt(() => find(table, utf8("k5")))).toBe("corrupt");
    expect(show(find(table, utf8("k3")))).toBe(show(entries[3]));
  });
});

describe("row 84: EIO on read", () => {
  test("is a corrupt block, with the disk's error as cause, and other blocks stay readable", () => {
    const disk = new SimDisk();
    const { entries, metadata } = smallTable(disk, false);
    const table = openTable(disk, metadata, "read", 0);
    disk.damage.failReads(PATH, 0, 1);
    const error = catching(() => find(table, entries[0]!.key));
    expect(error).toMatchObject({ name: "CorruptionError", cause: { kind: "io" } });
    const corrupt = expectNeverWrong(table, entries);
    expect(corrupt).toBeGreaterThan(0);
    expect(corrupt).toBeLessThan(entries.length);
  });

  test("at open is corruption for each of its reads but the bloom filter's", () => {
    const outcomes: string[] = [];
    for (let nth = 1; nth <= 4; nth++) {
      const disk = new SimDisk();
      const { metadata } = smallTable(disk, false);
      disk.faults.failNth("read", nth, "io");
      const table = orCorrupt(() => openTable(disk, metadata, "map"));
      outcomes.push(table === "corrupt" ? table : `bloom damaged ${table.isBloomDamaged}`);
    }
    expect(outcomes).toEqual(["corrupt", "corrupt", "corrupt", "bloom damaged true"]);
  });
});

describe("a read that the device sends elsewhere", () => {
  test("is corruption or a bloom filter not used, never a wrong answer", () => {
    let corrupt = 0;
    for (let seed = 0; seed < 40; seed++) {
      for (let nth = 1; nth <= 8; nth++) {
        const disk = new SimDisk({ seed });
        const { entries, metadata } = smallTable(disk, false);
        disk.faults.failNth("read", nth, "misdirected");
        const table = orCorrupt(() => openTable(disk, metadata, "read", 0));
        if (table === "corrupt") corrupt++;
        else corrupt += expectNeverWrong(table, entries);
      }
    }
    // Of the eight reads only the bloom filter's does no harm.
    expect(corrupt).toBe(40 * 7);
  });
});

describe("row 92: an intact footer of another format", () => {
  for (const [name, at] of [
    ["version", 8],
    ["flags", 10],
  ] as const) {
    test(`is refused, not called damage: ${name}`, () => {
      const disk = new SimDisk();
      const { metadata } = smallTable(disk, false);
      const footer = new Uint8Array(FOOTER_BYTES);
      disk.open(PATH, "read").read(footer, metadata.fileBytes - FOOTER_BYTES);
      footer[at] = 9;
      const sealed = new ByteWriter();
      sealed.raw(footer.subarray(0, 60));
      sealed.u32(crc32(footer.subarray(0, 60)));
      const error = catching(() => decodeFooter(sealed.finish(), PATH, metadata.fileBytes));
      expect(error).toBeInstanceOf(HutchError);
      expect(error).toMatchObject({ code: "data-refused" });
    });
  }
});

function catching(action: () => unknown): unknown {
  try {
    action();
  } catch (thrown) {
    return thrown;
  }
  throw new Error("nothing was thrown");
}
