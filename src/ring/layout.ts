/**
 * Who owns what: one immutable version of the assignment of all partitions (D1, D5, R57).
 *
 * Owners are indexes into `members`, N per partition, the first one minting blind writes (D3). Members are in byte order of their ids, so equal
 * layouts have equal bytes.
 *
 *   format u8 = 1 or 2 | version varint | log2 q u8 | n u8 | member count varint
 *   member:  id 8 bytes | name | dc | rack | host | weight varint | peer address         texts: varint length, UTF-8
 *   owners:  q x n member indexes, varint
 *   copies:  bucket | n u8 | before u8                   with format 2 only, which has it
 *
 * Its bytes come from peers and from disk, so decoding checks every bound and allocates nothing that the input cannot back.
 */
import { assert } from "../base/assert.ts";
import { ByteReader, DecodeError } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { equalBytes, hex, utf8, utf8Text } from "../base/bytes.ts";
import { stateDigest } from "../kernels/kernels.ts";
import { PARTITION_COUNT_MAX, PARTITION_COUNT_MIN, partitionBitsOf } from "./partition.ts";

/** A bucket with a smaller n uses the first n owners; one with a greater n goes on along the preference list (`preference-list.ts`). */
export interface LayoutMember {
  /** 16 hex digits. */
  readonly id: string;
  /** As people know it. */
  readonly name: string;
  readonly zone: { readonly dc: string; readonly rack: string; readonly host: string };
  readonly weight: number;
  /** Where it was when the layout was made; gossip knows better. */
  readonly peerAddress: string;
}

/** From this version on a bucket has another number of copies (row 107). */
export interface CopiesChange {
  readonly bucket: string;
  readonly n: number;
  /** In the versions before. */
  readonly before: number;
}

export interface Layout {
  /** 1 for the first. */
  readonly version: number;
  /** Partitions. */
  readonly q: number;
  /** Owners per partition: min(the N it was made for, members). */
  readonly n: number;
  readonly members: readonly LayoutMember[];
  /** Index into `members` of owner `i` of partition `p` at `p * n + i`. */
  readonly owners: Uint16Array;
  /** Nearly always left out. */
  readonly copies?: CopiesChange;
}

export const LAYOUT_MEMBERS_MAX = 1024;
export const REPLICAS_MAX = 15;
export const WEIGHT_MAX = 1000;
/** That a bucket can ask for. */
export const COPIES_MAX = 16;
/** Of each text of a member, in UTF-8. */
export const MEMBER_TEXT_BYTES_MAX = 255;

const FORMAT = 1;
const FORMAT_WITH_COPIES = 2;
export const ID_BYTES = 8;
const TEXTS_PER_MEMBER = 5;
/** Id, weight and the lengths of five empty texts. */
const MEMBER_BYTES_MIN = ID_BYTES + 1 + TEXTS_PER_MEMBER;

export function encodeLayout(layout: Layout): Uint8Array {
  const { version, q, n, members, owners, copies } = layout;
  assert(owners.length === q * n, "a layout has n owners for each partition");
  const writer = new ByteWriter(64 + members.length * 96 + owners.length * 2);
  writer.u8(copies === undefined ? FORMAT : FORMAT_WITH_COPIES);
  writer.varint(version);
  writer.u8(partitionBitsOf(q));
  writer.u8(n);
  writer.varint(members.length);
  for (const member of members) writeMember(writer, member);
  for (let i = 0; i < owners.length; i++) writer.varint(owners[i]!);
  if (copies !== undefined) writeCopies(writer, copies);
  return writer.finish();
}

function writeCopies(writer: ByteWriter, { bucket, n, before }: CopiesChange): void {
  writer.bytes(utf8(bucket));
  writer.u8(n);
  writer.u8(before);
}

export function writeMember(writer: ByteWriter, member: LayoutMember): void {
  const { id, name, zone, weight, peerAddress } = member;
  writer.raw(Uint8Array.fromHex(id));
  for (const text of [name, zone.dc, zone.rack, zone.host]) writer.bytes(utf8(text));
  writer.varint(weight);
  writer.bytes(utf8(peerAddress));
}

/** Throws `DecodeError` for bytes that are no layout. */
export function decodeLayout(bytes: Uint8Array): Layout {
  const reader = new ByteReader(bytes);
  const format = within(reader.u8(), FORMAT, FORMAT_WITH_COPIES, "format");
  const version = within(reader.varint(), 1, Number.MAX_SAFE_INTEGER, "version");
  const partitionBits = within(reader.u8(), PARTITION_BITS_MIN, PARTITION_BITS_MAX, "log2 q");
  const n = within(reader.u8(), 1, REPLICAS_MAX, "n");
  const memberCount = within(reader.varint(), n, LAYOUT_MEMBERS_MAX, "member count");
  const members = readMembers(reader, memberCount);
  const q = 2 ** partitionBits;
  const owners = readOwners(reader, q, n, memberCount);
  const copies = format === FORMAT_WITH_COPIES ? readCopies(reader) : undefined;
  reader.expectEnd();
  return { version, q, n, members, owners, ...(copies && { copies }) };
}

function readCopies(reader: ByteReader): CopiesChange {
  const bucket = readText(reader);
  const n = within(reader.u8(), 1, COPIES_MAX, "copies");
  return { bucket, n, before: within(reader.u8(), 1, COPIES_MAX, "copies before") };
}

const PARTITION_BITS_MIN = partitionBitsOf(PARTITION_COUNT_MIN);
const PARTITION_BITS_MAX = partitionBitsOf(PARTITION_COUNT_MAX);

export function within(value: number, least: number, most: number, what: string): number {
  if (value < least || value > most)
    throw new DecodeError(`Cannot read layout: ${what} ${value} is not in ${least}..${most}`);
  return value;
}

function readMembers(reader: ByteReader, count: number): LayoutMember[] {
  within(count * MEMBER_BYTES_MIN, 0, reader.remaining, "bytes of members");
  const members: LayoutMember[] = [];
  let lastId = "";
  for (let i = 0; i < count; i++) {
    const member = readMember(reader);
    if (member.id <= lastId)
      throw new DecodeError(`Cannot read layout: member "${member.id}" is out of order`);
    lastId = member.id;
    members.push(member);
  }
  return members;
}

export function readMember(reader: ByteReader): LayoutMember {
  const id = hex(reader.raw(ID_BYTES));
  const name = readText(reader);
  const zone = { dc: readText(reader), rack: readText(reader), host: readText(reader) };
  const weight = within(reader.varint(), 1, WEIGHT_MAX, "weight");
  return { id, name, zone, weight, peerAddress: readText(reader) };
}

export function readText(reader: ByteReader): string {
  const byteCount = within(reader.varint(), 0, MEMBER_TEXT_BYTES_MAX, "length of a text");
  const text = utf8Text(reader.raw(byteCount));
  if (text === undefined) throw new DecodeError("Cannot read layout: a text is not UTF-8");
  return text;
}

function readOwners(reader: ByteReader, q: number, n: number, memberCount: number): Uint16Array {
  within(q * n, 0, reader.remaining, "bytes of owners");
  const owners = new Uint16Array(q * n);
  for (let at = 0; at < owners.length; at++) {
    const owner = within(reader.varint(), 0, memberCount - 1, "owner");
    for (let earlier = at - (at % n); earlier < at; earlier++)
      if (owners[earlier] === owner)
        throw new DecodeError(`Cannot read layout: member ${owner} owns a partition twice`);
    owners[at] = owner;
  }
  return owners;
}

/** 32 bits that tell two contents of one version apart (R57). */
export function layoutHash(layout: Layout): number {
  const digest = stateDigest(encodeLayout(layout));
  return ((digest[0]! << 24) | (digest[1]! << 16) | (digest[2]! << 8) | digest[3]!) >>> 0;
}

export function equalLayouts(a: Layout, b: Layout): boolean {
  return a === b || equalBytes(encodeLayout(a), encodeLayout(b));
}

/** The ids of the owners of `partition`, the minter first. */
export function ownersOf(layout: Layout, partition: number): string[] {
  const { n, members, owners } = layout;
  const at = partition * n;
  return Array.from(owners.subarray(at, at + n), (index) => members[index]!.id);
}
