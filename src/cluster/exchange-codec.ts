/**
 * The bodies of the four topics by which two nodes compare what they hold (`peer-messages.ts`): `roots`, `hashes`, `compare`, `store`. All fixed
 * widths are little-endian; lists begin with their count; the checksum is that of the batch around them.
 *
 *   tree        partition u16 | n varint
 *   hash        low u32 | high u32
 *   key, record varint length | bytes
 *   gaps        ascending numbers, each as the varint difference to the one before (the first as it is)
 *   records     { key | record } ...                                   keys ascending, all of one partition
 *
 *   roots       { tree | isReady u8 | root hash | gcFloor varint } ...          -> { answer u8 | gcFloor varint } ... in that order
 *   hashes      tree | branches gaps                                            -> hash ...       none asked for: the 64 branches themselves
 *   compare     tree | wantsRecords u8 | hasLeaves u8, leaves gaps | lower key | upper key | hash ...
 *                                                              -> isIncomplete u8 | reached key | ownedSince varint | lacking gaps | records
 *   store       partition u16 | ownedSince varint | records                     -> unsettled gaps | suspects gaps
 *
 * An empty `upper` is the end of the partition, an empty `reached` that of the range that was asked about. What is read is checked: order, bounds and partition.
 */
import { ByteReader, DecodeError } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { compareBytes } from "../base/bytes.ts";
import type { Leaves, RootAnswer } from "../merkle/merkle-exchange.ts";
import type { Copies } from "./copies.ts";
import type { ScannedEntry } from "./peer-messages.ts";

/** The tree of all keys of a partition whose buckets have `n` copies. */
export interface TreeId {
  readonly partition: number;
  readonly n: Copies;
}

/** Trees in one `roots`; the sender asks for more with another. */
export const ROOTS_MAX = 512;
/** Entry hashes in one `compare`. */
export const HASHES_MAX = 4096;
const BRANCHES_MAX = 64;
const LEAVES_MAX = 4096;
/** Records in one message; the bytes are bounded by who makes it (`RECORD_BYTES_MAX`). */
export const RECORDS_MAX = 16_384;
/** Beyond them, one record of any size. */
export const RECORD_BYTES_MAX = 1024 * 1024;

/** What the answering side says of a root, in the words of who asks: it is "there". `not-held`: it owns no such tree. Frozen: positions travel. */
export type RootReply = RootAnswer | "not-held";
const ROOT_REPLIES: readonly RootReply[] = [
  "equal",
  "differs",
  "empty-here",
  "empty-there",
  "unknown",
  "not-held",
];

export interface RootEntry extends TreeId {
  /** `undefined` where there is no tree now. */
  readonly root: Uint32Array | undefined;
  /** Of the partition (R42). */
  readonly gcFloor: number;
}

export interface RootVerdict {
  readonly reply: RootReply;
  readonly gcFloor: number;
}

export interface HashesMessage extends TreeId {
  readonly branches: readonly number[];
}

export interface CompareMessage extends TreeId {
  /** Send what I lack, too. */
  readonly wantsRecords: boolean;
  readonly leaves: Leaves;
  /** Inclusive. */
  readonly lower: Uint8Array;
  /** Exclusive. */
  readonly upper: Uint8Array;
  /** Of the sender's entries in the range, in key order. */
  readonly hashes: Uint32Array;
}

export interface CompareReply {
  /** Something of the range is lost here. */
  readonly isIncomplete: boolean;
  /** Where the next page begins; empty where all of the range was looked at. */
  readonly reached: Uint8Array;
  readonly ownedSince: number;
  /** Positions of hashes for which there is no equal entry here. */
  readonly lacking: readonly number[];
  /** What the asker lacks, up to `reached`. */
  readonly records: readonly ScannedEntry[];
}

export interface StoreMessage {
  readonly partition: number;
  /** Since when the sender has held the partition without a gap, an HLC (R42). */
  readonly ownedSince: number;
  readonly records: readonly ScannedEntry[];
}

export function encodeRoots(entries: readonly RootEntry[]): Uint8Array {
  const writer = new ByteWriter(16 * entries.length + 16);
  writer.varint(entries.length);
  for (const entry of entries) {
    writeTree(writer, entry);
    writer.u8(entry.root === undefined ? 0 : 1);
    writer.u32(entry.root?.[0] ?? 0);
    writer.u32(entry.root?.[1] ?? 0);
    writer.varint(entry.gcFloor);
  }
  return writer.finish();
}

export function decodeRoots(body: Uint8Array): readonly RootEntry[] {
  const reader = new ByteReader(body);
  const count = readCount(reader, ROOTS_MAX);
  const entries: RootEntry[] = [];
  for (let i = 0; i < count; i++) {
    const tree = readTree(reader);
    const isReady = reader.u8() === 1;
    const root = new Uint32Array([reader.u32(), reader.u32()]);
    entries.push({ ...tree, root: isReady ? root : undefined, gcFloor: reader.varint() });
  }
  reader.expectEnd();
  return entries;
}

export function encodeRootVerdicts(verdicts: readonly RootVerdict[]): Uint8Array {
  const writer = new ByteWriter(2 * verdicts.length + 16);
  writer.varint(verdicts.length);
  for (const { reply, gcFloor } of verdicts) {
    writer.u8(ROOT_REPLIES.indexOf(reply));
    writer.varint(gcFloor);
  }
  return writer.finish();
}

/** @param expected as many as were asked about */
export function decodeRootVerdicts(body: Uint8Array, expected: number): readonly RootVerdict[] {
  const reader = new ByteReader(body);
  if (readCount(reader, ROOTS_MAX) !== expected)
    throw new DecodeError(`Cannot read answer about roots: want ${expected}`);
  const verdicts: RootVerdict[] = [];
  for (let i = 0; i < expected; i++) {
    const reply = ROOT_REPLIES[reader.u8()];
    if (reply === undefined) throw new DecodeError("Cannot read answer about a root: unknown");
    verdicts.push({ reply, gcFloor: reader.varint() });
  }
  reader.expectEnd();
  return verdicts;
}

export function encodeHashesMessage(message: HashesMessage): Uint8Array {
  const writer = new ByteWriter(96);
  writeTree(writer, message);
  writeGaps(writer, message.branches);
  return writer.finish();
}

export function decodeHashesMessage(body: Uint8Array): HashesMessage {
  const reader = new ByteReader(body);
  const message = { ...readTree(reader), branches: readGaps(reader, BRANCHES_MAX, BRANCHES_MAX) };
  reader.expectEnd();
  return message;
}

export function encodeHashes(hashes: readonly Uint32Array[]): Uint8Array {
  const writer = new ByteWriter(hashes.reduce((sum, { byteLength }) => sum + byteLength, 16));
  for (const words of hashes) for (const word of words) writer.u32(word);
  return writer.finish();
}

/** `parts` arrays of `hashesEach` hashes. */
export function decodeHashes(body: Uint8Array, parts: number, hashesEach: number): Uint32Array[] {
  const reader = new ByteReader(body);
  const decoded = Array.from({ length: parts }, () => readHashes(reader, hashesEach));
  reader.expectEnd();
  return decoded;
}

export function encodeCompare(message: CompareMessage): Uint8Array {
  const { wantsRecords, leaves, lower, upper, hashes } = message;
  const writer = new ByteWriter(hashes.byteLength + 256);
  writeTree(writer, message);
  writer.u8(wantsRecords ? 1 : 0);
  writer.u8(leaves === undefined ? 0 : 1);
  if (leaves !== undefined) writeGaps(writer, leaves);
  writer.bytes(lower);
  writer.bytes(upper);
  writer.varint(hashes.length / 2);
  for (let i = 0; i < hashes.length; i++) writer.u32(hashes[i]!);
  return writer.finish();
}

export function decodeCompare(body: Uint8Array): CompareMessage {
  const reader = new ByteReader(body);
  const tree = readTree(reader);
  const wantsRecords = reader.u8() === 1;
  const leaves = reader.u8() === 1 ? readGaps(reader, LEAVES_MAX, LEAVES_MAX) : undefined;
  const lower = reader.view();
  const upper = reader.view();
  const hashes = readHashes(reader, readCount(reader, HASHES_MAX));
  reader.expectEnd();
  return { ...tree, wantsRecords, leaves, lower, upper, hashes };
}

export function encodeCompareReply(reply: CompareReply): Uint8Array {
  const writer = new ByteWriter(256);
  writer.u8(reply.isIncomplete ? 1 : 0);
  writer.bytes(reply.reached);
  writer.varint(reply.ownedSince);
  writeGaps(writer, reply.lacking);
  writeRecords(writer, reply.records);
  return writer.finish();
}

/** @param asked what it answers */
export function decodeCompareReply(body: Uint8Array, asked: CompareMessage): CompareReply {
  const reader = new ByteReader(body);
  const isIncomplete = reader.u8() === 1;
  const reached = reader.view();
  const ownedSince = reader.varint();
  const hashCount = asked.hashes.length / 2;
  const lacking = readGaps(reader, hashCount, hashCount);
  const records = readRecords(reader, asked.partition);
  reader.expectEnd();
  if (reached.length > 0 && compareBytes(reached, asked.lower) <= 0)
    throw new DecodeError("Cannot read comparison: it got nowhere");
  return { isIncomplete, reached, ownedSince, lacking, records };
}

export function encodeStore({ partition, ownedSince, records }: StoreMessage): Uint8Array {
  const writer = new ByteWriter(4096);
  writer.u16(partition);
  writer.varint(ownedSince);
  writeRecords(writer, records);
  return writer.finish();
}

export function decodeStore(body: Uint8Array): StoreMessage {
  const reader = new ByteReader(body);
  const partition = reader.u16();
  const ownedSince = reader.varint();
  const records = readRecords(reader, partition);
  reader.expectEnd();
  return { partition, ownedSince, records };
}

/** What became of the records of a `store`, by their positions. */
export interface StoreReply {
  /** Not stored, as far as the receiver knows. */
  readonly unsettled: readonly number[];
  /** Those of them that no owner vouches for, and that may have been deleted (R42). */
  readonly suspects: readonly number[];
}

export function encodeStoreReply({ unsettled, suspects }: StoreReply): Uint8Array {
  const writer = new ByteWriter(16 + unsettled.length);
  writeGaps(writer, unsettled);
  writeGaps(writer, suspects);
  return writer.finish();
}

export function decodeStoreReply(body: Uint8Array, recordCount: number): StoreReply {
  const reader = new ByteReader(body);
  const unsettled = readGaps(reader, recordCount, recordCount);
  const suspects = readGaps(reader, recordCount, recordCount);
  reader.expectEnd();
  return { unsettled, suspects };
}

function writeTree(writer: ByteWriter, { partition, n }: TreeId): void {
  writer.u16(partition);
  writer.varint(n);
}

function readTree(reader: ByteReader): TreeId {
  return { partition: reader.u16(), n: reader.varint() };
}

function readCount(reader: ByteReader, countMax: number): number {
  const count = reader.varint();
  if (count > countMax) throw new DecodeError(`Cannot read list of ${count}: at most ${countMax}`);
  return count;
}

function readHashes(reader: ByteReader, count: number): Uint32Array {
  if (count * 8 > reader.remaining) throw new DecodeError(`Cannot read ${count} hashes: too short`);
  const words = new Uint32Array(2 * count);
  for (let i = 0; i < words.length; i++) words[i] = reader.u32();
  return words;
}

function writeGaps(writer: ByteWriter, numbers: readonly number[]): void {
  writer.varint(numbers.length);
  let before = 0;
  for (const number of numbers) {
    writer.varint(number - before);
    before = number;
  }
}

/** At most `countMax` numbers below `end`, strictly ascending. */
function readGaps(reader: ByteReader, countMax: number, end: number): number[] {
  const count = readCount(reader, countMax);
  const numbers: number[] = [];
  let last = 0;
  for (let i = 0; i < count; i++) {
    const gap = reader.varint();
    last += gap;
    if ((i > 0 && gap === 0) || last >= end)
      throw new DecodeError(`Cannot read number ${last}: want ascending ones below ${end}`);
    numbers.push(last);
  }
  return numbers;
}

function writeRecords(writer: ByteWriter, records: readonly ScannedEntry[]): void {
  writer.varint(records.length);
  for (const { key, record } of records) {
    writer.bytes(key);
    writer.bytes(record);
  }
}

function readRecords(reader: ByteReader, partition: number): ScannedEntry[] {
  const count = readCount(reader, RECORDS_MAX);
  const records: ScannedEntry[] = [];
  for (let i = 0; i < count; i++) {
    const key = reader.view();
    if (key[0] !== partition >>> 8 || key[1] !== (partition & 0xff))
      throw new DecodeError(`Cannot read record: its key is not of partition ${partition}`);
    if (i > 0 && compareBytes(records[i - 1]!.key, key) >= 0)
      throw new DecodeError("Cannot read records: their keys are not in order");
    records.push({ key, record: reader.view() });
  }
  return records;
}
