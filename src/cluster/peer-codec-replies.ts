/**
 * The bodies of replies between nodes. Records and keys that come out of `decodeReply` are views on the message, which belongs to the receiver.
 *
 *   record        flags u8: bit 0 serving, bits 1-2 absent, same, present | record, only where present
 *   stored        flags u8: bit 0 durable
 *   coordinated   flags u8: bit 0 replay | context text | record | nowMs, dropped varints | acks: n ok primary hinted durable varints | session text
 *   hints-held    flags u8: bit 0 incomplete | count, last generation varints
 *   scan          flags u8: bit 0 more, bit 1 incomplete | count varint | key, record ...
 *   exchange      body
 *   status        keys, bytes, data incarnation varints | count varint | target 8, count, bytes, oldestMs varints ...
 *   knock         body
 *   repair        body
 *   failed        retry u8 | code text | message text | data text (JSON)
 *
 * Everything without a width is a byte string with a varint length.
 */
import { assert, unreachable } from "../base/assert.ts";
import { type ByteReader, DecodeError } from "../base/byte-reader.ts";
import type { ByteWriter } from "../base/byte-writer.ts";
import { EMPTY_BYTES } from "../base/bytes.ts";
import { NODE_ID_BYTES, readNode } from "../causality/actor.ts";
import type { AckCounts } from "../quorum/operation.ts";
import {
  choiceAt,
  readBoolean,
  readCount,
  readFlags,
  readText,
  writeNodeId,
  writeText,
  writeWhole,
} from "./peer-codec-fields.ts";
import { decodeFailed, encodeFailed } from "./peer-failure.ts";
import type {
  CoordinatedReply,
  HintsHeldReply,
  PeerReply,
  RecordReply,
  ScannedEntry,
  ScanReply,
  StatusReply,
} from "./peer-messages.ts";

/** Frozen: they travel. The high bit says that it is a reply. */
export const REPLY_CODES = {
  record: 129,
  stored: 130,
  coordinated: 131,
  "hints-held": 132,
  scan: 133,
  exchange: 134,
  status: 135,
  knock: 136,
  failed: 137,
  repair: 138,
} as const satisfies Record<PeerReply["kind"], number>;

/** Entries of one page of a scan. */
export const SCAN_ENTRIES_MAX = 65_536;
/** Nodes for which hints can be held. */
const HINT_TARGETS_MAX = 65_536;

const STATES: readonly RecordReply["state"][] = ["absent", "same", "present"];
const IS_SERVING = 1;
const STATE_SHIFT = 1;
const RECORD_FLAGS = 0b111;
const IS_PRESENT = 2; // the place of "present" in STATES

const HAS_MORE = 1;
const IS_INCOMPLETE = 1 << 1;

export function encodeReply(writer: ByteWriter, reply: PeerReply): void {
  switch (reply.kind) {
    case "record":
      return encodeRecord(writer, reply);
    case "stored":
      return writer.u8(reply.isDurable ? 1 : 0);
    case "coordinated":
      return encodeCoordinated(writer, reply);
    case "hints-held":
      writer.u8(reply.isIncomplete ? 1 : 0);
      writer.varint(reply.count);
      return writer.varint(reply.lastGeneration);
    case "scan":
      return encodeScanReply(writer, reply);
    case "status":
      return encodeStatus(writer, reply);
    case "exchange":
    case "knock":
    case "repair":
      return writer.bytes(reply.body);
    case "failed":
      return encodeFailed(writer, reply);
    default:
      unreachable(reply);
  }
}

function encodeRecord(writer: ByteWriter, reply: RecordReply): void {
  const state = STATES.indexOf(reply.state);
  writer.u8((reply.isServing ? IS_SERVING : 0) | (state << STATE_SHIFT));
  if (state === IS_PRESENT) writer.bytes(reply.record);
}

function encodeCoordinated(writer: ByteWriter, reply: CoordinatedReply): void {
  const { acks } = reply;
  writer.u8(reply.isReplay ? 1 : 0);
  writeText(writer, reply.context);
  writer.bytes(reply.record);
  writeWhole(writer, reply.nowMs);
  writer.varint(reply.conflictDropped);
  writer.varint(acks.n);
  writer.varint(acks.ok);
  writer.varint(acks.primary);
  writer.varint(acks.hinted);
  writer.varint(acks.durable);
  writeText(writer, reply.session);
}

function encodeScanReply(writer: ByteWriter, reply: ScanReply): void {
  const { entries } = reply;
  assert(entries.length <= SCAN_ENTRIES_MAX, "a page of a scan has at most 65,536 entries");
  writer.u8((reply.hasMore ? HAS_MORE : 0) | (reply.isIncomplete ? IS_INCOMPLETE : 0));
  writer.varint(entries.length);
  for (const { key, record } of entries) {
    writer.bytes(key);
    writer.bytes(record);
  }
}

function encodeStatus(writer: ByteWriter, reply: StatusReply): void {
  assert(reply.hints.length <= HINT_TARGETS_MAX, "hints are for at most 65,536 nodes");
  writeWhole(writer, reply.keys);
  writeWhole(writer, reply.bytes);
  writer.varint(reply.dataIncarnation);
  writer.varint(reply.hints.length);
  for (const { target, count, bytes, oldestMs } of reply.hints) {
    writeNodeId(writer, target);
    writeWhole(writer, count);
    writeWhole(writer, bytes);
    writeWhole(writer, oldestMs);
  }
}

/** Throws `DecodeError` for a kind that this version does not know too: nobody answers with what was not asked for. */
export function decodeReply(code: number, reader: ByteReader): PeerReply {
  switch (code) {
    case REPLY_CODES.record:
      return decodeRecord(reader);
    case REPLY_CODES.stored:
      return { kind: "stored", isDurable: readBoolean(reader) };
    case REPLY_CODES.coordinated:
      return decodeCoordinated(reader);
    case REPLY_CODES["hints-held"]:
      return decodeHintsHeld(reader);
    case REPLY_CODES.scan:
      return decodeScanReply(reader);
    case REPLY_CODES.exchange:
      return { kind: "exchange", body: reader.view() };
    case REPLY_CODES.status:
      return decodeStatus(reader);
    case REPLY_CODES.knock:
      return { kind: "knock", body: reader.view() };
    case REPLY_CODES.repair:
      return { kind: "repair", body: reader.view() };
    case REPLY_CODES.failed:
      return decodeFailed(reader);
    default:
      throw new DecodeError(`Cannot read reply: kind ${code} is unknown`);
  }
}

function decodeRecord(reader: ByteReader): RecordReply {
  const flags = readFlags(reader, RECORD_FLAGS);
  const state = choiceAt(STATES, flags >>> STATE_SHIFT, "record state");
  const record = state === "present" ? reader.view() : EMPTY_BYTES;
  return { kind: "record", isServing: (flags & IS_SERVING) !== 0, state, record };
}

function decodeCoordinated(reader: ByteReader): CoordinatedReply {
  return {
    kind: "coordinated",
    isReplay: readBoolean(reader),
    context: readText(reader),
    record: reader.view(),
    nowMs: reader.varint(),
    conflictDropped: reader.varint(),
    acks: decodeAcks(reader),
    session: readText(reader),
  };
}

function decodeAcks(reader: ByteReader): AckCounts {
  return {
    n: reader.varint(),
    ok: reader.varint(),
    primary: reader.varint(),
    hinted: reader.varint(),
    durable: reader.varint(),
  };
}

function decodeHintsHeld(reader: ByteReader): HintsHeldReply {
  const isIncomplete = readBoolean(reader);
  const count = reader.varint();
  return { kind: "hints-held", isIncomplete, count, lastGeneration: reader.varint() };
}

function decodeScanReply(reader: ByteReader): ScanReply {
  const flags = readFlags(reader, HAS_MORE | IS_INCOMPLETE);
  const count = readCount(reader, SCAN_ENTRIES_MAX, 2);
  const entries: ScannedEntry[] = [];
  for (let i = 0; i < count; i++) entries.push({ key: reader.view(), record: reader.view() });
  return {
    kind: "scan",
    entries,
    hasMore: (flags & HAS_MORE) !== 0,
    isIncomplete: (flags & IS_INCOMPLETE) !== 0,
  };
}

function decodeStatus(reader: ByteReader): StatusReply {
  const keys = reader.varint();
  const bytes = reader.varint();
  const dataIncarnation = reader.varint();
  const count = readCount(reader, HINT_TARGETS_MAX, NODE_ID_BYTES + 3);
  const hints: StatusReply["hints"][number][] = [];
  for (let i = 0; i < count; i++) hints.push(decodeHintsFor(reader));
  return { kind: "status", keys, bytes, dataIncarnation, hints };
}

function decodeHintsFor(reader: ByteReader): StatusReply["hints"][number] {
  return {
    target: readNode(reader),
    count: reader.varint(),
    bytes: reader.varint(),
    oldestMs: reader.varint(),
  };
}
