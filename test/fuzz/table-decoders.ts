/** Table files: as a whole, and section by section. */
import fc from "fast-check";
import { concatBytes, utf8 } from "../../src/base/bytes.ts";
import { ByteReader, DecodeError } from "../../src/base/byte-reader.ts";
import { Prng } from "../../src/base/prng.ts";
import { zstdCompression } from "../../src/bun/compression.ts";
import { searchBlockWasm } from "../../src/kernels/block-kernels-wasm.ts";
import { BlockBuilder, BlockCursor, searchBlock } from "../../src/kernels/block-kernels.ts";
import { crc32 } from "../../src/kernels/kernels.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { fileName } from "../../src/storage/file-names.ts";
import { BlockIndex } from "../../src/storage/table/block-index.ts";
import { compressContent } from "../../src/storage/table/compression.ts";
import { DecodedBlock } from "../../src/storage/table/decoded-block.ts";
import { decodeFooter, encodeFooter, FOOTER_BYTES } from "../../src/storage/table/footer.ts";
import {
  isSectionIntact,
  sectionChecksum,
  tableSalt,
  TRAILER_BYTES,
} from "../../src/storage/table/section.ts";
import { TableFile, unpackBlock } from "../../src/storage/table/table-file.ts";
import { decodeProperties, encodeProperties } from "../../src/storage/table/table-properties.ts";
import {
  backwards,
  find,
  forwards,
  openTable,
  randomEntries,
  writeTable,
} from "../storage/table/support.ts";
import { type Decoder, decoder, encoded, REFUSED } from "./decoder.ts";
import { diskWith, setU32 } from "./disks.ts";

const bytes = fc.uint8Array({ maxLength: 24 });
const whole = fc.oneof(fc.nat(1000), fc.maxSafeNat());
const PATH = fileName("table", 7);
const FILE_BYTES = 4096;

const tableFile = fc
  .tuple(fc.nat(), fc.integer({ min: 1, max: 2 ** 40 }), fc.boolean())
  .map(([seed, id, isCompressible]) => {
    const disk = new SimDisk({ seed: 1 });
    const entries = randomEntries(new Prng(seed), { count: 1 + (seed % 40), isCompressible });
    const compression = isCompressible ? zstdCompression : undefined;
    writeTable(disk, id, entries, { blockBytes: 256, compression });
    return readAll(disk, fileName("table", id));
  });

function readAll(disk: SimDisk, path: string): Uint8Array {
  const file = disk.open(path, "read");
  const content = new Uint8Array(file.size());
  file.read(content, 0);
  file.close();
  return content;
}

/** All that is in the table at `PATH`, read in every way. */
function readTable(input: Uint8Array): unknown {
  const first = diskWith({ [PATH]: input });
  const opened = TableFile.openPath(first, PATH, -1);
  const { footer } = opened;
  const properties = opened.readProperties();
  const filter = opened.readBloomFilter().slice();
  opened.close();
  const disk = diskWith({ [fileName("table", footer.tableId)]: input });
  const metadata = { ...properties, ...footer, id: footer.tableId };
  const mapped = openTable(disk, metadata, "map");
  const read = openTable(disk, metadata, "read");
  const entries = [...forwards(mapped.iterator())];
  const sameBackwards = [...backwards(read.iterator())].reverse();
  if (!Bun.deepEquals(entries, sameBackwards)) throw new Error("backwards is not forwards");
  for (const entry of entries)
    if (!Bun.deepEquals(find(read, entry.key), entry)) throw new Error("a key is not found");
  mapped.close();
  read.close();
  return { properties, entries, filter: filter.length };
}

const FOOTER_CRC_AT = FOOTER_BYTES - 4;
const footer = fc
  .tuple(fc.nat(1000), whole, fc.integer({ min: 5, max: 1000 }), fc.nat(1000), fc.nat(1000))
  .map(([blockCount, tableId, indexBytes, bloom, properties]) => {
    const bloomBytes = 5 + bloom;
    const propertiesBytes = 5 + properties;
    const indexOffset = FILE_BYTES - FOOTER_BYTES - indexBytes - bloomBytes - propertiesBytes;
    const fields = { blockCount, tableId, indexOffset, indexBytes, bloomBytes, propertiesBytes };
    return encodeFooter({ ...fields, fileBytes: FILE_BYTES }, new Uint8Array(8)).bytes;
  });

const index = fc
  .array(fc.tuple(bytes, fc.integer({ min: 6, max: 100_000 })), { minLength: 1, maxLength: 8 })
  .map((blocks) =>
    encoded((writer) => {
      writer.varint(blocks.length);
      writer.varint(blocks.reduce((sum, [, length]) => sum + length, 0));
      for (const [separator, length] of blocks) {
        writer.bytes(separator);
        writer.varint(length);
      }
    }),
  );

const properties = fc.record({
  origin: fc.constantFrom("flush" as const, "compaction" as const, "salvage" as const),
  id: whole,
  entryCount: whole,
  deletionCount: whole,
  smallestSequence: whole,
  largestSequence: whole,
  smallestKey: bytes,
  largestKey: bytes,
  contentBytes: whole,
  createdMs: whole,
});

const block = fc.tuple(fc.nat(), fc.nat(60)).map(([seed, count]) => {
  const builder = new BlockBuilder();
  for (const { key: name, kind, sequence, value } of randomEntries(new Prng(seed), { count }))
    builder.add(name, 0, name.length, kind, sequence, value, 0, value.length);
  return builder.finish().slice();
});

/** Entries forwards, the same by way of `DecodedBlock`, and searches in both kernels. */
function readBlock(input: Uint8Array): unknown {
  const cursor = new BlockCursor();
  const keys: Uint8Array[] = [];
  for (let more = cursor.seekToFirst(input, 0, input.length); more; more = cursor.next()) {
    keys.push(cursor.keyBytes.slice(0, cursor.keyLength));
    if (cursor.valueEnd > input.length) throw new Error("a value reaches out of the block");
  }
  const decoded = new DecodedBlock();
  decoded.decode(input, 0, input.length, new BlockCursor());
  if (decoded.count !== keys.length) throw new Error("two ways, two counts");
  for (const wanted of [...keys.slice(0, 3), utf8("bucket/5"), new Uint8Array([255])]) {
    const found = [searchBlock, searchBlockWasm].map((search) => foundBy(search, input, wanted));
    if (found[0] !== found[1]) throw new Error(`kernels differ: ${found.join(" and ")}`);
  }
  return keys;
}

function foundBy(search: typeof searchBlock, input: Uint8Array, wanted: Uint8Array): string {
  const cursor = new BlockCursor();
  try {
    const isThere = search(input, 0, input.length, wanted, cursor);
    return isThere ? `${cursor.entryOffset} ${cursor.exact} ${cursor.valueStart}` : "none";
  } catch (thrown) {
    if (thrown instanceof DecodeError) return "damaged";
    throw thrown;
  }
}

const section = fc.tuple(fc.nat(), fc.boolean()).map(([seed, isCompressed]) => {
  const content = new Uint8Array(200 + (seed % 2000)).fill(seed);
  const packed = isCompressed ? compressContent(zstdCompression, content)! : content;
  return resealedSection(concatBytes(packed, new Uint8Array([isCompressed ? 1 : 0, 0, 0, 0, 0])));
});
const SALT = tableSalt(7);

function resealedSection(damaged: Uint8Array): Uint8Array {
  const sealed = damaged.slice();
  if (sealed.length >= TRAILER_BYTES) {
    const end = sealed.length - 4;
    setU32(sealed, end, sectionChecksum(sealed.subarray(0, end), SALT, 0));
  }
  return sealed;
}

export const TABLE_DECODERS: readonly Decoder[] = [
  decoder({
    name: "table",
    covers: ["storage/table/table-file.ts openPath", "storage/table/table.ts open"],
    valid: tableFile,
    decode: readTable,
    refusals: ["data-corrupt"],
    sealed: "whole",
    // A cache and readers of two tables.
    allocationBytes: 4 * 1024 * 1024,
  }),
  decoder({
    name: "table footer",
    covers: ["storage/table/footer.ts decodeFooter"],
    valid: footer,
    decode: (input) => decodeFooter(input, PATH, FILE_BYTES),
    refusals: ["data-corrupt", "data-refused", "decode"],
    sealed: "whole",
    reseal: (damaged) => {
      const sealed = damaged.slice(0, FOOTER_BYTES);
      if (sealed.length === FOOTER_BYTES)
        setU32(sealed, FOOTER_CRC_AT, crc32(sealed.subarray(0, FOOTER_CRC_AT)));
      return sealed;
    },
  }),
  decoder({
    name: "table index",
    covers: ["storage/table/block-index.ts decode"],
    valid: index,
    decode: (input) => {
      const reader = new ByteReader(input);
      const [count, dataEnd] = [reader.varint(), reader.varint()];
      const found = BlockIndex.decode(reader.raw(reader.remaining), count, dataEnd);
      const end = found.blockEnd(found.blockCount - 1);
      if (end !== dataEnd) throw new Error(`the blocks end at ${end}, not ${dataEnd}`);
      return found.find(input);
    },
    refusals: ["decode"],
  }),
  decoder({
    name: "table properties",
    covers: ["storage/table/table-properties.ts decodeProperties"],
    valid: properties.map(encodeProperties),
    decode: decodeProperties,
    encode: encodeProperties,
    refusals: ["decode"],
  }),
  decoder({
    name: "table block",
    covers: ["kernels/block-kernels.ts BlockCursor", "storage/table/decoded-block.ts DecodedBlock"],
    valid: block,
    decode: readBlock,
    refusals: ["decode"],
  }),
  decoder({
    name: "table section",
    covers: ["storage/table/section.ts isSectionIntact", "storage/table/table-file.ts unpackBlock"],
    valid: section,
    decode: (input) =>
      isSectionIntact(input, 0, input.length, SALT, 0)
        ? unpackBlock(input, zstdCompression, PATH, 0)
        : REFUSED,
    refusals: ["data-corrupt"],
    sealed: "whole",
    reseal: resealedSection,
  }),
];
