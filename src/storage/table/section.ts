/**
 * Sections: the checksummed pieces that a table file is made of. Data blocks, index, bloom filter and properties are all
 * one section each:
 *
 *   content (n) | type u8 | checksum u32
 *
 *   checksum = CRC-32(content, type) xor placement(table id, file offset of the section)
 *
 * The xor says *where* the section belongs: one that is intact but was written to, or read from, another place or
 * another table does not verify. Within one table below 4 GiB no two places share a placement word.
 */
import { readU32 } from "../../base/byte-reader.ts";
import { crc32 } from "../../kernels/kernels.ts";

/** Type and checksum. */
export const TRAILER_BYTES = 5;

/** The table's half of the placement word. */
export function tableSalt(tableId: number): number {
  return mix32(((tableId % 2 ** 32) | 0) ^ Math.imul(Math.floor(tableId / 2 ** 32), 0x9e3779b1));
}

/** What the checksum of a section at `offset` is combined with. */
export function placement(salt: number, offset: number): number {
  const high = Math.floor(offset / 2 ** 32);
  return mix32(salt ^ (offset | 0) ^ Math.imul(high, 0x85ebca77));
}

/** The finalizer of murmur3: a bijection in which each input bit changes about half of the output bits. */
function mix32(word: number): number {
  let mixed = word;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

/** The checksum to store for a section whose content and type byte are `contentAndType`. */
export function sectionChecksum(contentAndType: Uint8Array, salt: number, offset: number): number {
  return (crc32(contentAndType) ^ placement(salt, offset)) >>> 0;
}

/**
 * True where the section in `bytes[start, end)`, trailer included, is the one that belongs at `fileOffset`.
 * One view, no other allocation: it runs once for every block that is read.
 */
export function isSectionIntact(
  bytes: Uint8Array,
  start: number,
  end: number,
  salt: number,
  fileOffset: number,
): boolean {
  if (end - start < TRAILER_BYTES) return false;
  return (
    sectionChecksum(bytes.subarray(start, end - 4), salt, fileOffset) === readU32(bytes, end - 4)
  );
}
