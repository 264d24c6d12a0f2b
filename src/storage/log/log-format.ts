/**
 * The one log format: the write-ahead log and the manifest are both sequences of these records (drawn in FORMATS.md).
 *
 *   file    = header record*
 *   header  = magic 8 | format u8 | kind u8 | checksum u8 | 0 u8 | file id u64 | cluster id 16 | node id 8
 *             | start sequence u64 | durable sequence u64 | salt u32 | masked crc u32                  = 68 bytes
 *   record  = masked crc u32 | payload length u32 | type u8 | salt u32
 *             | sequence u64 | durable sequence u64 | payload                                          = 29 + length bytes
 *
 * The crc covers everything after itself; it is masked because logs are copied into logs (LevelDB's reason). The salt is random
 * for each file and repeated in each record: bytes of an older file are never taken as valid, and nobody can store a value that
 * looks like a record when a torn log is searched.
 *
 * `durable sequence` is what makes damage distinguishable from a torn tail: it is the highest sequence that had been synced when
 * the record was appended. A damaged record at sequence s was acknowledged only if some later record proves durable >= s
 * (docs/decisions/torn-tail.md).
 */
import { equalBytes } from "../../base/bytes.ts";
import { ByteReader, readU32 } from "../../base/byte-reader.ts";
import { ByteWriter } from "../../base/byte-writer.ts";
import { crc32 } from "../../kernels/kernels.ts";

export const LOG_HEADER_BYTES = 68;
export const RECORD_HEADER_BYTES = 29;
/** Frozen. */
export const LOG_FORMAT = 1;
export const LOG_KINDS = { wal: 1, manifest: 2 } as const;
export type LogKind = keyof typeof LOG_KINDS;
const CHECKSUM_CRC32 = 1;
const MAGIC = new Uint8Array([0x48, 0x55, 0x54, 0x43, 0x48, 0x4c, 0x4f, 0x47]); // HUTCHLOG

/** Frozen. Zero is reserved: a zero-filled region is never a record (C2). */
export const RECORD_TYPES = { batch: 1, mark: 2, close: 3, edit: 4 } as const;
const RECORD_TYPE_MAX = 4;

/** Who wrote a file: files of another node or cluster are refused (C3, row 79). */
export interface LogOwner {
  readonly clusterId: Uint8Array;
  readonly nodeId: Uint8Array;
}

export interface LogHeader {
  readonly kind: number;
  readonly format: number;
  readonly fileId: number;
  readonly clusterId: Uint8Array;
  readonly nodeId: Uint8Array;
  readonly startSequence: number;
  readonly durableSequence: number;
  readonly salt: number;
}

/** LevelDB's mask: rotate by 15 and add a constant. */
export function maskChecksum(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

export function encodeLogHeader(
  kind: LogKind,
  fileId: number,
  owner: LogOwner,
  startSequence: number,
  durableSequence: number,
  salt: number,
): Uint8Array {
  const writer = new ByteWriter(LOG_HEADER_BYTES);
  writer.raw(MAGIC);
  writer.u8(LOG_FORMAT);
  writer.u8(LOG_KINDS[kind]);
  writer.u8(CHECKSUM_CRC32);
  writer.u8(0);
  writer.u64(fileId);
  writer.raw(owner.clusterId);
  writer.raw(owner.nodeId);
  writer.u64(startSequence);
  writer.u64(durableSequence);
  writer.u32(salt);
  writer.u32(maskChecksum(crc32(writer.view())));
  return writer.finish();
}

/** The header at the start of `bytes`, or a sentence that says why there is none. */
export function decodeLogHeader(bytes: Uint8Array): LogHeader | string {
  if (bytes.length < LOG_HEADER_BYTES)
    return `file has ${bytes.length} bytes, a header has ${LOG_HEADER_BYTES}`;
  if (!equalBytes(bytes.subarray(0, 8), MAGIC))
    return "file does not start with the magic of a log";
  const stored = readU32(bytes, LOG_HEADER_BYTES - 4);
  if (stored !== maskChecksum(crc32(bytes.subarray(0, LOG_HEADER_BYTES - 4))))
    return "header checksum does not match";
  const reader = new ByteReader(bytes, 8, LOG_HEADER_BYTES);
  const format = reader.u8();
  const kind = reader.u8();
  reader.u16();
  return {
    format,
    kind,
    fileId: reader.u64(),
    clusterId: reader.raw(16).slice(),
    nodeId: reader.raw(8).slice(),
    startSequence: reader.u64(),
    durableSequence: reader.u64(),
    salt: reader.u32(),
  };
}

/** Opens a record at the end of `writer`; write the payload next and call `endRecord` with the returned offset. */
export function beginRecord(writer: ByteWriter): number {
  const start = writer.length;
  writer.reserve(RECORD_HEADER_BYTES);
  writer.length += RECORD_HEADER_BYTES;
  return start;
}

export function endRecord(
  writer: ByteWriter,
  start: number,
  type: number,
  salt: number,
  sequence: number,
  durableSequence: number,
): void {
  const buffer = writer.buffer;
  writer.setU32(start + 4, writer.length - start - RECORD_HEADER_BYTES);
  buffer[start + 8] = type;
  writer.setU32(start + 9, salt);
  writer.setU32(start + 13, sequence % 4294967296);
  writer.setU32(start + 17, Math.floor(sequence / 4294967296));
  writer.setU32(start + 21, durableSequence % 4294967296);
  writer.setU32(start + 25, Math.floor(durableSequence / 4294967296));
  writer.setU32(start, maskChecksum(crc32(buffer.subarray(start + 4, writer.length))));
}

/** A verified record inside `bytes`. */
export interface LogRecord {
  readonly type: number;
  readonly sequence: number;
  readonly durableSequence: number;
  readonly payloadStart: number;
  readonly end: number;
}

/** The record at `offset` if one verifies there. */
export function recordAt(bytes: Uint8Array, offset: number, salt: number): LogRecord | undefined {
  if (offset + RECORD_HEADER_BYTES > bytes.length) return undefined;
  const length = readU32(bytes, offset + 4);
  const end = offset + RECORD_HEADER_BYTES + length;
  if (end > bytes.length) return undefined;
  const type = bytes[offset + 8]!;
  if (type === 0 || type > RECORD_TYPE_MAX) return undefined;
  if (readU32(bytes, offset + 9) !== salt) return undefined;
  if (readU32(bytes, offset) !== maskChecksum(crc32(bytes.subarray(offset + 4, end))))
    return undefined;
  return {
    type,
    sequence: readU32(bytes, offset + 17) * 4294967296 + readU32(bytes, offset + 13),
    durableSequence: readU32(bytes, offset + 25) * 4294967296 + readU32(bytes, offset + 21),
    payloadStart: offset + RECORD_HEADER_BYTES,
    end,
  };
}
