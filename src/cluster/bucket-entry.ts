/**
 * What is written down of one bucket, on disk and between nodes.
 *
 *   u8 3 | hlc u64 | node id 8 | u8 deleted | n u8, 0 for unset | since varint | JSON of the other explicitly set properties
 *   u8 2 | hlc u64 | node id 8 | u8 deleted | JSON of all of them; since 0
 *   u8 1 | JSON, from before there were several nodes: stamped as the first of all
 *
 * Of two entries for one bucket the one with the greater (hlc, node id) is later. Number of copies and all the rest are joined each by itself (`joinEntries`),
 * so all nodes come to the same entry.
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
const WITH_SINCE = 3;

export interface BucketStamp {
  readonly hlc: number;
  readonly node: NodeId;
}

export interface BucketEntry extends BucketStamp {
  readonly name: string;
  readonly explicit: Partial<BucketProperties>;
  readonly isDeleted: boolean;
  /** The layout version that has brought its n; 0 where it was set before anything could be in the bucket. */
  readonly copiesSince: number;
}

/** Of a bucket that somebody has written to and nobody has set anything of: earlier than every other. */
export const FIRST_STAMP: BucketStamp = { hlc: 0, node: "00".repeat(NODE_ID_BYTES) };

export function isLater(a: BucketStamp, b: BucketStamp): boolean {
  return a.hlc !== b.hlc ? a.hlc > b.hlc : a.node > b.node;
}

/**
 * Of what two nodes have: all properties of the later entry, but the n that the later layout version has brought. An n that came with no version is
 * as late as its entry.
 */
export function joinEntries(a: BucketEntry, b: BucketEntry): BucketEntry {
  const later = isLater(b, a) ? b : a;
  const other = later === a ? b : a;
  const hasOtherN =
    other.copiesSince > later.copiesSince ||
    (other.copiesSince === later.copiesSince && later.copiesSince > 0 && nOf(other) > nOf(later)); // only a version that was forced twice brings two
  return hasOtherN ? withCopies(later, other.explicit.n, other.copiesSince) : later;
}

function nOf({ explicit }: BucketEntry): number {
  return explicit.n ?? 0;
}

/** `entry` with another n; `undefined` for none. */
export function withCopies(
  entry: BucketEntry,
  n: number | undefined,
  copiesSince: number,
): BucketEntry {
  const { n: _, ...rest } = entry.explicit;
  return { ...entry, explicit: n === undefined ? rest : { ...rest, n }, copiesSince };
}

export function encodeEntry(entry: BucketEntry): Uint8Array {
  const { hlc, node, isDeleted, copiesSince } = entry;
  const { n = 0, ...rest } = entry.explicit;
  const writer = new ByteWriter(128);
  writer.u8(WITH_SINCE);
  writer.u64(hlc);
  writer.raw(Uint8Array.fromHex(node));
  writer.u8(isDeleted ? 1 : 0);
  writer.u8(n);
  writer.varint(copiesSince);
  writer.raw(utf8(JSON.stringify(rest)));
  return writer.finish();
}

/** Throws `DecodeError`; whether the properties are possible is for the caller to say. */
export function decodeEntry(name: string, bytes: Uint8Array): BucketEntry {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  if (version < UNSTAMPED || version > WITH_SINCE)
    throw new DecodeError(`Cannot read bucket entry: version ${version}`);
  const stamp = version === UNSTAMPED ? FIRST_STAMP : { hlc: reader.u64(), node: readNode(reader) };
  const isDeleted = version !== UNSTAMPED && reader.u8() === 1;
  const n = version === WITH_SINCE ? reader.u8() : 0;
  const copiesSince = version === WITH_SINCE ? reader.varint() : 0;
  const rest = parseExplicit(reader.raw(reader.remaining));
  const explicit = n === 0 ? rest : { ...rest, n };
  return { name, ...stamp, isDeleted, explicit, copiesSince };
}

function parseExplicit(json: Uint8Array): Partial<BucketProperties> {
  if (json.length > JSON_BYTES_MAX) throw new DecodeError("Cannot read bucket entry: too long");
  try {
    const explicit: unknown = JSON.parse(utf8Text(json) ?? "");
    if (typeof explicit !== "object" || explicit === null || Array.isArray(explicit))
      throw new SyntaxError("not an object");
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
    const bytesOfName = reader.view();
    const name = bytesOfName.length > NAME_BYTES_MAX ? undefined : utf8Text(bytesOfName);
    if (name === undefined || name === "")
      throw new DecodeError("Cannot read bucket entry: no such name");
    entries.push(decodeEntry(name, reader.view()));
  }
  reader.expectEnd();
  return entries;
}
