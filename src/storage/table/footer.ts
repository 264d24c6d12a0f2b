/**
 * The footer: the last 64 bytes of a table file, at the same place with the same meaning in every format version.
 *
 *    0 magic "hutchSST"        8     32 index offset            8
 *    8 format version u16      2     40 index bytes u32         4
 *   10 flags u16 (incompatible) 2    44 bloom bytes u32         4
 *   12 data block count u32    4     48 properties bytes u32    4
 *   16 table id u64            8     52 zero                    4
 *   24 file bytes u64          8     56 whole-file checksum u32 4
 *                                    60 footer checksum u32     4
 *
 * Sections follow each other without a gap: data blocks from 0, then index, bloom filter, properties, footer; the byte
 * counts include the trailers. The whole-file checksum is the CRC-32 of all section checksums (four bytes each, in file order)
 * followed by the footer's bytes [0, 56); the footer checksum is the CRC-32 of its bytes [0, 60).
 */
import { equalBytes, utf8 } from "../../base/bytes.ts";
import { ByteReader, readU32 } from "../../base/byte-reader.ts";
import { ByteWriter } from "../../base/byte-writer.ts";
import { CorruptionError, HutchError } from "../../base/errors.ts";
import { crc32 } from "../../kernels/kernels.ts";
import { TRAILER_BYTES } from "./section.ts";

export const FOOTER_BYTES = 64;
const CHECKSUM_AT = 56;
const FOOTER_CHECKSUM_AT = 60;
const MAGIC = utf8("hutchSST");
/** Frozen per release; readers accept this and, once there is one, the version before (C21). */
export const TABLE_FORMAT_VERSION = 1;

export interface Footer {
  readonly tableId: number;
  readonly fileBytes: number;
  readonly blockCount: number;
  readonly indexOffset: number;
  /** Trailer included, like the next two. */
  readonly indexBytes: number;
  readonly bloomBytes: number;
  readonly propertiesBytes: number;
  /** Of the whole file; what the manifest keeps. */
  readonly checksum: number;
}

export const bloomOffset = (footer: Footer): number => footer.indexOffset + footer.indexBytes;
export const propertiesOffset = (footer: Footer): number => bloomOffset(footer) + footer.bloomBytes;

/** Encodes `footer`; `sectionChecksums` are those of all sections in file order, as stored. */
export function encodeFooter(
  footer: Omit<Footer, "checksum">,
  sectionChecksums: Uint8Array,
): { bytes: Uint8Array; checksum: number } {
  const writer = new ByteWriter(FOOTER_BYTES);
  writer.raw(MAGIC);
  writer.u16(TABLE_FORMAT_VERSION);
  writer.u16(0);
  writer.u32(footer.blockCount);
  writer.u64(footer.tableId);
  writer.u64(footer.fileBytes);
  writer.u64(footer.indexOffset);
  writer.u32(footer.indexBytes);
  writer.u32(footer.bloomBytes);
  writer.u32(footer.propertiesBytes);
  writer.u32(0);
  const checksum = wholeFileChecksum(sectionChecksums, writer.view());
  writer.u32(checksum);
  writer.u32(crc32(writer.view()));
  return { bytes: writer.finish(), checksum };
}

/** The checksum over the stored checksums of all sections and the first 56 bytes of the footer. */
export function wholeFileChecksum(sectionChecksums: Uint8Array, footer: Uint8Array): number {
  const chain = new Uint8Array(sectionChecksums.length + CHECKSUM_AT);
  chain.set(sectionChecksums);
  chain.set(footer.subarray(0, CHECKSUM_AT), sectionChecksums.length);
  return crc32(chain);
}

/**
 * Decodes the footer of a file of `fileBytes` bytes. Throws `CorruptionError` for damage, `HutchError` `data-refused` for an
 * intact footer of a format that this program does not know (C21).
 */
export function decodeFooter(bytes: Uint8Array, file: string, fileBytes: number): Footer {
  const offset = fileBytes - FOOTER_BYTES;
  const damaged = (state: string): CorruptionError =>
    new CorruptionError(`Cannot read footer of table "${file}": ${state}`, file, offset);
  if (bytes.length !== FOOTER_BYTES) throw damaged("file too short");
  if (crc32(bytes.subarray(0, FOOTER_CHECKSUM_AT)) !== readU32(bytes, FOOTER_CHECKSUM_AT))
    throw damaged("checksum mismatch");
  if (!equalBytes(bytes.subarray(0, 8), MAGIC)) throw damaged("not a table");
  const reader = new ByteReader(bytes, 8);
  refuseUnknownFormat(reader.u16(), reader.u16(), file);
  const footer = {
    blockCount: reader.u32(),
    tableId: reader.u64(),
    fileBytes: reader.u64(),
    indexOffset: reader.u64(),
    indexBytes: reader.u32(),
    bloomBytes: reader.u32(),
    propertiesBytes: reader.u32(),
    checksum: readU32(bytes, CHECKSUM_AT),
  };
  if (footer.fileBytes !== fileBytes)
    throw damaged(`it belongs to a file of ${footer.fileBytes} bytes, this one has ${fileBytes}`);
  if (!areSectionsContiguous(footer)) throw damaged("sections do not fill the file");
  return footer;
}

function refuseUnknownFormat(version: number, flags: number, file: string): void {
  if (version === TABLE_FORMAT_VERSION && flags === 0) return;
  throw new HutchError(
    "data-refused",
    `Cannot open table "${file}": format version ${version} flags ${flags}, this program knows version ${TABLE_FORMAT_VERSION}`,
    { data: { file, version, flags } },
  );
}

function areSectionsContiguous(footer: Footer): boolean {
  return (
    footer.indexBytes >= TRAILER_BYTES &&
    footer.bloomBytes >= TRAILER_BYTES &&
    footer.propertiesBytes >= TRAILER_BYTES &&
    propertiesOffset(footer) + footer.propertiesBytes + FOOTER_BYTES === footer.fileBytes
  );
}
