/**
 * The properties section: what the manifest says about the table, once more, so that `repair` can rebuild a manifest from
 * the tables alone, and who made it.
 *
 *   version u8 = 1 | origin u8 | table id u64 | entry count u64 | deletion count u64 | smallest sequence u64 |
 *   largest sequence u64 | smallest key bytes | largest key bytes | uncompressed data bytes u64 | created, Unix ms u64
 */
import { ByteReader, DecodeError } from "../../base/byte-reader.ts";
import { ByteWriter } from "../../base/byte-writer.ts";

const PROPERTIES_VERSION = 1;

/** Frozen: the index is the byte on disk. */
export const TABLE_ORIGINS = ["flush", "compaction", "salvage"] as const;
export type TableOrigin = (typeof TABLE_ORIGINS)[number];

export interface TableProperties {
  readonly origin: TableOrigin;
  readonly id: number;
  readonly entryCount: number;
  readonly deletionCount: number;
  readonly smallestSequence: number;
  readonly largestSequence: number;
  readonly smallestKey: Uint8Array;
  readonly largestKey: Uint8Array;
  /** Of the data blocks before compression. */
  readonly contentBytes: number;
  /** Unix time; for people, and for when it is read back as a whole for the first time. */
  readonly createdMs: number;
}

export function encodeProperties(properties: TableProperties): Uint8Array {
  const writer = new ByteWriter(128);
  writer.u8(PROPERTIES_VERSION);
  writer.u8(TABLE_ORIGINS.indexOf(properties.origin));
  writer.u64(properties.id);
  writer.u64(properties.entryCount);
  writer.u64(properties.deletionCount);
  writer.u64(properties.smallestSequence);
  writer.u64(properties.largestSequence);
  writer.bytes(properties.smallestKey);
  writer.bytes(properties.largestKey);
  writer.u64(properties.contentBytes);
  writer.u64(properties.createdMs);
  return writer.finish();
}

/** Throws `DecodeError`. Keys are copies. */
export function decodeProperties(bytes: Uint8Array): TableProperties {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  const origin = TABLE_ORIGINS[reader.u8()];
  if (version !== PROPERTIES_VERSION || origin === undefined)
    throw new DecodeError(`Cannot read table properties: version ${version}, origin ${origin}`);
  const properties = {
    origin,
    id: reader.u64(),
    entryCount: reader.u64(),
    deletionCount: reader.u64(),
    smallestSequence: reader.u64(),
    largestSequence: reader.u64(),
    smallestKey: reader.view().slice(),
    largestKey: reader.view().slice(),
    contentBytes: reader.u64(),
    createdMs: reader.u64(),
  };
  reader.expectEnd();
  return properties;
}
