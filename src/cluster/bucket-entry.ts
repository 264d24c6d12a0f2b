/**
 * What is written down of one bucket, on disk and between nodes.
 *
 *   u8 2 | hlc u64 | node id 8 | u8 deleted | JSON of the explicitly set properties
 *   u8 1 | JSON, from before there were several nodes: stamped as the first of all
 *
 * Of two entries for one bucket the one with the greater (hlc, node id) is later, so all nodes come to the same one.
 */
import { ByteReader, DecodeError, readU32 } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { utf8, utf8Text } from "../base/bytes.ts";
import { NODE_ID_BYTES, readNode } from "../causality/actor.ts";
import { stateDigest } from "../kernels/kernels.ts";
import type { NodeId } from "../gossip/member.ts";
import type { BucketProperties } from "../quorum/operation.ts";

export const BUCKET_ENTRIES_MAX = 20_000;
const NAME_BYTES_MAX = 63;
const JSON_BYTES_MAX = 4096;
const UNSTAMPED = 1;
const STAMPED = 2;

export interface BucketStamp {
  readonly hlc: number;
  readonly node: NodeId;
}

export interface BucketEntry extends BucketStamp {
  readonly name: string;
  readonly explicit: Partial<BucketProperties>;
  readonly isDeleted: boolean;
}

/** Of a bucket that somebody has written to and nobody has set anything of: earlier than every other. */
export const FIRST_STAMP: BucketStamp = { hlc: 0, node: "00".repeat(NODE_ID_BYTES) };

export function isLater(a: BucketStamp, b: BucketStamp): boolean {
  return a.hlc !== b.hlc ? a.hlc > b.hlc : a.node > b.node;
}

export function encodeEntry({ hlc, node, explicit, isDeleted }: BucketEntry): Uint8Array {
  const writer = new ByteWriter(128);
  writer.u8(STAMPED);
  writer.u64(hlc);
  writer.raw(Uint8Array.fromHex(node));
  writer.u8(isDeleted ? 1 : 0);
  writer.raw(utf8(JSON.stringify(explicit)));
  return writer.finish();
}

/** Throws `DecodeError`; whether the properties are possible is for the caller to say. */
export function decodeEntry(name: string, bytes: Uint8Array): BucketEntry {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  if (version !== UNSTAMPED && version !== STAMPED)
    throw new DecodeError(`Cannot read bucket entry: version ${version}`);
  const stamp = version === UNSTAMPED ? FIRST_STAMP : { hlc: reader.u64(), node: readNode(reader) };
  const isDeleted = version === STAMPED && reader.u8() === 1;
  return { name, ...stamp, isDeleted, explicit: parseExplicit(reader.raw(reader.remaining)) };
}

function parseExplicit(json: Uint8Array): Partial<BucketProperties> {
  if (json.length > JSON_BYTES_MAX) throw new DecodeError("Cannot read bucket entry: too long");
  try {
    const explicit: unknown = JSON.parse(utf8Text(json) ?? "");
    if (typeof explicit !== "object" || explicit === null) throw new SyntaxError("not an object");
    return explicit;
  } catch (cause) {
    throw new DecodeError(`Cannot read bucket entry: ${String(cause)}`);
  }
}

/**
 * Of the name and the entry's bytes. Not a CRC: hashes of entries are joined by exclusive or, under which the CRCs of names that differ alike,
 * such as b0, b1, b2, b3, cancel out.
 */
export function entryHash(entry: BucketEntry): number {
  const writer = new ByteWriter(128);
  writer.bytes(utf8(entry.name));
  writer.raw(encodeEntry(entry));
  return readU32(stateDigest(writer.view()), 0);
}

/** entries varint, each: name (string) | entry (bytes) */
export function encodeEntries(entries: readonly BucketEntry[]): Uint8Array {
  const writer = new ByteWriter(1024);
  writer.varint(entries.length);
  for (const entry of entries) {
    writer.bytes(utf8(entry.name));
    writer.bytes(encodeEntry(entry));
  }
  return writer.finish();
}

/** Throws `DecodeError` for anything that `encodeEntries` does not make. */
export function decodeEntries(bytes: Uint8Array): BucketEntry[] {
  const reader = new ByteReader(bytes);
  const count = reader.varint();
  if (count > BUCKET_ENTRIES_MAX) throw new DecodeError(`Cannot read ${count} bucket entries`);
  const entries: BucketEntry[] = [];
  for (let i = 0; i < count; i++) {
    const name = reader.view();
    if (name.length === 0 || name.length > NAME_BYTES_MAX)
      throw new DecodeError("Cannot read bucket entry: no such name");
    entries.push(decodeEntry(utf8Text(name) ?? "", reader.view()));
  }
  reader.expectEnd();
  return entries;
}
