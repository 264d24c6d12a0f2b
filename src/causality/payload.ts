/**
 * One value of a key, or one deletion of it, as a record stores it.
 *
 *   flags u8          bits 0-1 kind (0 value, 1 tombstone; 2 and 3 are free)
 *                     bit 2 hlc present · bit 3 expiry present · bit 4 content type present
 *                     bit 5 content encoding present · bit 6 metadata present · bit 7 is 0
 *   hlc varint        only where it is not equal to the dot's counter (it nearly always is)
 *   expiry varint     Unix ms, at least 1
 *   type              u8 code of the table below, or 255 and a string
 *   encoding          string
 *   metadata          count varint, then name and value strings
 *   value             to be read by the caller, who knows where it ends
 *
 * Strings are a varint length and UTF-8. A payload has exactly one encoding.
 */
import { type ByteReader, DecodeError } from "../base/byte-reader.ts";
import type { ByteWriter } from "../base/byte-writer.ts";
import { EMPTY_BYTES, utf8, utf8Text } from "../base/bytes.ts";

export type PayloadMetadata = readonly (readonly [name: string, value: string])[];

export const NO_METADATA: PayloadMetadata = [];

export interface Payload {
  readonly isTombstone: boolean;
  readonly hlc: number;
  /** Unix milliseconds; 0 for never. */
  readonly expiresAtMs: number;
  /** "" for none given. */
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly meta: PayloadMetadata;
  /** Empty for a tombstone. */
  readonly value: Uint8Array;
}

/** Frozen: positions are written to disk; append only, at most 254. */
const CONTENT_TYPES = [
  "application/json",
  "text/plain",
  "text/plain;charset=UTF-8",
  "text/plain; charset=utf-8",
  "application/octet-stream",
  "application/json; charset=utf-8",
  "text/html",
  "text/html; charset=utf-8",
  "application/x-ndjson",
  "application/xml",
  "text/css",
  "text/csv",
  "text/javascript",
  "image/png",
  "image/jpeg",
  "image/svg+xml",
  "image/webp",
  "application/pdf",
  "application/cbor",
  "application/msgpack",
  "application/protobuf",
] as const;
const CODE_OF_CONTENT_TYPE = new Map<string, number>(
  CONTENT_TYPES.map((type, code) => [type, code]),
);
const SPELLED_OUT = 255;

const KIND_MASK = 0b11;
export const TOMBSTONE_KIND = 1;
const HAS_HLC = 1 << 2;
const HAS_EXPIRY = 1 << 3;
const HAS_CONTENT_TYPE = 1 << 4;
const HAS_CONTENT_ENCODING = 1 << 5;
const HAS_METADATA = 1 << 6;
const RESERVED = 1 << 7;

/** Pairs of metadata in one payload; REST.md allows 4 KiB in all, so this cannot bind before that does. */
const METADATA_PAIRS_MAX = 4096;

export function tombstone(hlc: number): Payload {
  return {
    isTombstone: true,
    hlc,
    expiresAtMs: 0,
    contentType: "",
    contentEncoding: "",
    meta: NO_METADATA,
    value: EMPTY_BYTES,
  };
}

/** Everything but the value. */
export function writePayloadHead(writer: ByteWriter, payload: Payload, counter: number): void {
  writer.u8(flagsOf(payload, counter));
  if (payload.hlc !== counter) writer.varint(payload.hlc);
  if (payload.expiresAtMs !== 0) writer.varint(payload.expiresAtMs);
  if (payload.contentType !== "") writeContentType(writer, payload.contentType);
  if (payload.contentEncoding !== "") writer.bytes(utf8(payload.contentEncoding));
  if (payload.meta.length > 0) writeMetadata(writer, payload.meta);
}

function flagsOf(payload: Payload, counter: number): number {
  return (
    (payload.isTombstone ? TOMBSTONE_KIND : 0) |
    (payload.hlc === counter ? 0 : HAS_HLC) |
    (payload.expiresAtMs === 0 ? 0 : HAS_EXPIRY) |
    (payload.contentType === "" ? 0 : HAS_CONTENT_TYPE) |
    (payload.contentEncoding === "" ? 0 : HAS_CONTENT_ENCODING) |
    (payload.meta.length === 0 ? 0 : HAS_METADATA)
  );
}

function writeContentType(writer: ByteWriter, type: string): void {
  const code = CODE_OF_CONTENT_TYPE.get(type);
  writer.u8(code ?? SPELLED_OUT);
  if (code === undefined) writer.bytes(utf8(type));
}

function writeMetadata(writer: ByteWriter, meta: PayloadMetadata): void {
  writer.varint(meta.length);
  for (const [name, value] of meta) {
    writer.bytes(utf8(name));
    writer.bytes(utf8(value));
  }
}

/** A payload without its value; throws `DecodeError` for anything that `writePayloadHead` does not write. */
export function readPayloadHead(reader: ByteReader, counter: number): Payload {
  const flags = reader.u8();
  const kind = flags & KIND_MASK;
  if (kind > TOMBSTONE_KIND || (flags & RESERVED) !== 0) throw damaged("flags", flags);
  const hlc = (flags & HAS_HLC) === 0 ? counter : readHlc(reader, counter);
  const expiresAtMs = (flags & HAS_EXPIRY) === 0 ? 0 : readExpiry(reader);
  const contentType = (flags & HAS_CONTENT_TYPE) === 0 ? "" : readContentType(reader);
  const contentEncoding = (flags & HAS_CONTENT_ENCODING) === 0 ? "" : readNonEmpty(reader);
  const meta = (flags & HAS_METADATA) === 0 ? NO_METADATA : readMetadata(reader);
  const isTombstone = kind === TOMBSTONE_KIND;
  return { isTombstone, hlc, expiresAtMs, contentType, contentEncoding, meta, value: EMPTY_BYTES };
}

function readHlc(reader: ByteReader, counter: number): number {
  const hlc = reader.varint();
  if (hlc === counter || hlc === 0) throw damaged("hlc", hlc);
  return hlc;
}

function readExpiry(reader: ByteReader): number {
  const expiresAtMs = reader.varint();
  if (expiresAtMs === 0) throw damaged("expiry", expiresAtMs);
  return expiresAtMs;
}

function readContentType(reader: ByteReader): string {
  const code = reader.u8();
  if (code !== SPELLED_OUT) {
    const known = CONTENT_TYPES[code];
    if (known === undefined) throw damaged("content type", code);
    return known;
  }
  const spelled = readNonEmpty(reader);
  if (CODE_OF_CONTENT_TYPE.has(spelled)) throw damaged("content type", code);
  return spelled;
}

function readMetadata(reader: ByteReader): PayloadMetadata {
  const count = reader.varint();
  if (count === 0 || count > METADATA_PAIRS_MAX) throw damaged("metadata count", count);
  const meta: [string, string][] = [];
  for (let i = 0; i < count; i++) meta.push([readText(reader), readText(reader)]);
  return meta;
}

function readNonEmpty(reader: ByteReader): string {
  const text = readText(reader);
  if (text === "") throw damaged("string length", 0);
  return text;
}

function readText(reader: ByteReader): string {
  const text = utf8Text(reader.view());
  if (text === undefined) throw damaged("string that ends", reader.offset);
  return text;
}

function damaged(field: string, found: number): DecodeError {
  return new DecodeError(`Cannot read payload: ${field} ${found} is not possible`);
}
