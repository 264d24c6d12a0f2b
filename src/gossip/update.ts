/**
 * What nodes tell of each other, in bytes: a node's own record, or an opinion about it. Also whole tables, for the exchange over HTTP/2.
 *
 *   update   kind u8 | 1 record: RECORD  · 2 suspect, 3 down: id 8, incarnation varint, by 8
 *   RECORD   id 8 | incarnation varint | version varint | phase u8 | layout version varint | layout hash u32 | buckets hash u32 | weight varint
 *            | name, peer address, client address, dc, rack, host: each varint length + UTF-8
 *   table    version u8 = 1 | count varint | count x (liveness u8 + RECORD)
 *
 * Weight is in thousandths. Numbers of kinds, phases and liveness are frozen.
 */
import { assert } from "../base/assert.ts";
import { ByteReader, DecodeError } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { hex, utf8, utf8Text } from "../base/bytes.ts";
import type { Liveness, Member, MemberRecord, NodeId } from "./member.ts";

export const NODE_ID_BYTES = 8;
export const NAME_BYTES_MAX = 64;
/** A DNS name of 253 characters, brackets and port. */
export const ADDRESS_BYTES_MAX = 261;
export const ZONE_BYTES_MAX = 64;
/** 8 + 8 + 8 + 1 + 8 + 4 + 4 + 8, (1 + 64) + 2 x (2 + 261) + 3 x (1 + 64). */
export const RECORD_BYTES_MAX = 835;
/** Members in one table; a longer one is refused before anything is made of it. */
export const TABLE_MEMBERS_MAX = 65_536;
const RECORD_BYTES_MIN = NODE_ID_BYTES + 1 + 1 + 1 + 1 + 4 + 4 + 1 + 6;
const TABLE_VERSION = 1;
const WEIGHT_SCALE = 1000;

const PHASES = ["syncing", "serving", "leaving", "left"] as const;
const LIVENESS = ["alive", "suspect", "down"] as const satisfies readonly Liveness[];
const KIND_RECORD = 1;
const KIND_SUSPECT = 2;
const KIND_DOWN = 3;

export interface RecordUpdate {
  readonly kind: "record";
  readonly record: MemberRecord;
}

/** `by` has come to this opinion by itself; who passes it on keeps the name. */
export interface Opinion {
  readonly kind: "suspect" | "down";
  readonly id: NodeId;
  readonly incarnation: number;
  readonly by: NodeId;
}

export type Update = RecordUpdate | Opinion;

export function encodeUpdate(update: Update): Uint8Array {
  const writer = new ByteWriter(128);
  if (update.kind === "record") {
    writer.u8(KIND_RECORD);
    writeRecord(writer, update.record);
  } else {
    writer.u8(update.kind === "suspect" ? KIND_SUSPECT : KIND_DOWN);
    writeNodeId(writer, update.id);
    writer.varint(update.incarnation);
    writeNodeId(writer, update.by);
  }
  return writer.finish();
}

/** Throws `DecodeError`. */
export function readUpdate(reader: ByteReader): Update {
  const kind = reader.u8();
  if (kind === KIND_RECORD) return { kind: "record", record: readRecord(reader) };
  if (kind !== KIND_SUSPECT && kind !== KIND_DOWN)
    throw new DecodeError(`Cannot read update: kind ${kind} is not known`);
  const id = readNodeId(reader);
  const incarnation = reader.varint();
  return { kind: kind === KIND_DOWN ? "down" : "suspect", id, incarnation, by: readNodeId(reader) };
}

export function encodeTable(members: readonly Member[]): Uint8Array {
  assert(members.length <= TABLE_MEMBERS_MAX, "a table fits into one exchange");
  const writer = new ByteWriter(16 + 128 * members.length);
  writer.u8(TABLE_VERSION);
  writer.varint(members.length);
  for (const { record, liveness } of members) {
    writer.u8(LIVENESS.indexOf(liveness));
    writeRecord(writer, record);
  }
  return writer.finish();
}

/** Throws `DecodeError`. */
export function decodeTable(bytes: Uint8Array): Member[] {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  if (version !== TABLE_VERSION)
    throw new DecodeError(`Cannot read members: version ${version}, known is ${TABLE_VERSION}`);
  const count = reader.varint();
  if (count > TABLE_MEMBERS_MAX || count * RECORD_BYTES_MIN > reader.remaining)
    throw new DecodeError(`Cannot read members: ${count} in ${reader.remaining} bytes`);
  const members: Member[] = [];
  for (let i = 0; i < count; i++) {
    const liveness = oneOf(LIVENESS, reader.u8(), "liveness");
    members.push({ liveness, record: readRecord(reader) });
  }
  reader.expectEnd();
  return members;
}

function writeRecord(writer: ByteWriter, record: MemberRecord): void {
  writeNodeId(writer, record.id);
  writer.varint(record.incarnation);
  writer.varint(record.version);
  writer.u8(PHASES.indexOf(record.phase));
  writer.varint(record.layoutVersion);
  writer.u32(record.layoutHash);
  writer.u32(record.bucketsHash);
  writer.varint(Math.round(record.weight * WEIGHT_SCALE));
  writeText(writer, record.name, NAME_BYTES_MAX);
  writeText(writer, record.peerAddress, ADDRESS_BYTES_MAX);
  writeText(writer, record.clientAddress, ADDRESS_BYTES_MAX);
  writeText(writer, record.zone.dc, ZONE_BYTES_MAX);
  writeText(writer, record.zone.rack, ZONE_BYTES_MAX);
  writeText(writer, record.zone.host, ZONE_BYTES_MAX);
}

function readRecord(reader: ByteReader): MemberRecord {
  const id = readNodeId(reader);
  const incarnation = reader.varint();
  const version = reader.varint();
  const phase = oneOf(PHASES, reader.u8(), "phase");
  const layoutVersion = reader.varint();
  const layoutHash = reader.u32();
  const bucketsHash = reader.u32();
  const weight = reader.varint() / WEIGHT_SCALE;
  const name = readText(reader, NAME_BYTES_MAX);
  const peerAddress = readText(reader, ADDRESS_BYTES_MAX);
  const clientAddress = readText(reader, ADDRESS_BYTES_MAX);
  const dc = readText(reader, ZONE_BYTES_MAX);
  const rack = readText(reader, ZONE_BYTES_MAX);
  const host = readText(reader, ZONE_BYTES_MAX);
  const zone = { dc, rack, host };
  return {
    id,
    name,
    peerAddress,
    clientAddress,
    zone,
    weight,
    incarnation,
    version,
    phase,
    layoutVersion,
    layoutHash,
    bucketsHash,
  };
}

/** True for a record that goes through the codec unchanged. */
export function fitsRecord({ name, peerAddress, clientAddress, zone }: MemberRecord): boolean {
  const addresses = [peerAddress, clientAddress];
  return (
    utf8(name).length <= NAME_BYTES_MAX &&
    addresses.every((address) => utf8(address).length <= ADDRESS_BYTES_MAX) &&
    [zone.dc, zone.rack, zone.host].every((part) => utf8(part).length <= ZONE_BYTES_MAX)
  );
}

export function writeNodeId(writer: ByteWriter, id: NodeId): void {
  writer.reserve(NODE_ID_BYTES);
  writer.buffer.subarray(writer.length, writer.length + NODE_ID_BYTES).setFromHex(id);
  writer.length += NODE_ID_BYTES;
}

export function readNodeId(reader: ByteReader): NodeId {
  return hex(reader.raw(NODE_ID_BYTES));
}

function writeText(writer: ByteWriter, text: string, bytesMax: number): void {
  const bytes = utf8(text);
  assert(bytes.length <= bytesMax, `"${text}" has at most ${bytesMax} bytes`);
  writer.bytes(bytes);
}

function readText(reader: ByteReader, bytesMax: number): string {
  const bytes = reader.view();
  const text = bytes.length <= bytesMax ? utf8Text(bytes) : undefined;
  if (text === undefined) throw new DecodeError(`Cannot read text of ${bytes.length} bytes`);
  return text;
}

function oneOf<T>(names: readonly T[], index: number, what: string): T {
  const name = names[index];
  if (name === undefined) throw new DecodeError(`Cannot read ${what}: ${index} is not known`);
  return name;
}
