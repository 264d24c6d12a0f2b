/**
 * The bodies of requests between nodes. Keys, records and values that come out of `decodeRequest` are views on the message, which belongs to
 * the receiver.
 *
 *   read         key | digest (16 bytes or none)
 *   merge        flags u8: bits 0-1 purpose, bit 2 conditional, bit 3 side | key | record | side key, side value
 *   hint         flags u8: bit 3 side | target 8 | its incarnation varint | key | record | side key, side value
 *   coordinate   bucket text | key | write (`peer-codec-write.ts`)
 *   hints-held   flags u8: bit 0 repaired | incarnation varint
 *   scan         flags u8: bit 0 reverse | bucket text | partitions | lower | upper | keysMax, bytesMax varints
 *   exchange     topic u8 | body
 *   status       -
 *   knock        body
 *   repair       topic u8 | body (each topic has a codec of its own)
 *
 * Everything without a width is a byte string with a varint length.
 */
import { assert, unreachable } from "../base/assert.ts";
import { type ByteReader, DecodeError } from "../base/byte-reader.ts";
import type { ByteWriter } from "../base/byte-writer.ts";
import { readNode } from "../causality/actor.ts";
import {
  choiceAt,
  readChoice,
  readFixedOrEmpty,
  readFlags,
  readText,
  writeChoice,
  writeNodeId,
  writeText,
  writeWhole,
  readBoolean,
} from "./peer-codec-fields.ts";
import { decodeWriteRequest, encodeWriteRequest } from "./peer-codec-write.ts";
import type {
  CoordinateMessage,
  ExchangeMessage,
  HintMessage,
  MergeMessage,
  PeerRequest,
  ReadMessage,
  RepairTopic,
  ScanMessage,
  SideEntry,
} from "./peer-messages.ts";

/** Frozen: they travel. 0 is never used; from 128 on they are replies. */
export const REQUEST_CODES = {
  read: 1,
  merge: 2,
  hint: 3,
  coordinate: 4,
  "hints-held": 5,
  scan: 6,
  exchange: 7,
  status: 8,
  knock: 9,
  repair: 10,
} as const satisfies Record<PeerRequest["kind"], number>;

const DIGEST_BYTES = 16;
/** One bit for each of 65,536 partitions. */
const PARTITION_BITMAP_BYTES_MAX = 8192;

const PURPOSES: readonly MergeMessage["purpose"][] = ["write", "repair", "handoff"];
const TOPICS: readonly ExchangeMessage["topic"][] = [
  "members",
  "layout",
  "buckets",
  "propose",
  "join",
];
const REPAIR_TOPICS: readonly RepairTopic[] = [
  "roots",
  "hashes",
  "compare",
  "store",
  "collect",
  "held",
];

const PURPOSE_MASK = 0b11;
const IS_CONDITIONAL = 1 << 2;
const HAS_SIDE = 1 << 3;
const MERGE_FLAGS = PURPOSE_MASK | IS_CONDITIONAL | HAS_SIDE;
const IS_REVERSE = 1;

export function encodeRequest(writer: ByteWriter, request: PeerRequest): void {
  switch (request.kind) {
    case "read":
      writer.bytes(request.internalKey);
      return writer.bytes(request.knownDigest);
    case "merge":
      return encodeMerge(writer, request);
    case "hint":
      return encodeHint(writer, request);
    case "coordinate":
      return encodeCoordinate(writer, request);
    case "hints-held":
      writer.u8(request.isRepaired ? 1 : 0);
      return writer.varint(request.incarnation);
    case "scan":
      return encodeScan(writer, request);
    case "exchange":
      writeChoice(writer, TOPICS, request.topic);
      return writer.bytes(request.body);
    case "status":
      return;
    case "knock":
      return writer.bytes(request.body);
    case "repair":
      writeChoice(writer, REPAIR_TOPICS, request.topic);
      return writer.bytes(request.body);
    default:
      unreachable(request);
  }
}

function encodeMerge(writer: ByteWriter, message: MergeMessage): void {
  const { side } = message;
  writer.u8(
    PURPOSES.indexOf(message.purpose) |
      (message.isConditional ? IS_CONDITIONAL : 0) |
      (side === undefined ? 0 : HAS_SIDE),
  );
  writer.bytes(message.internalKey);
  writer.bytes(message.record);
  if (side !== undefined) encodeSide(writer, side);
}

function encodeSide(writer: ByteWriter, side: SideEntry): void {
  writer.bytes(side.key);
  writer.bytes(side.value);
}

function encodeHint(writer: ByteWriter, message: HintMessage): void {
  const { side } = message;
  writer.u8(side === undefined ? 0 : HAS_SIDE);
  writeNodeId(writer, message.target);
  writer.varint(message.targetIncarnation);
  writer.bytes(message.internalKey);
  writer.bytes(message.record);
  if (side !== undefined) encodeSide(writer, side);
}

function encodeCoordinate(writer: ByteWriter, message: CoordinateMessage): void {
  writeText(writer, message.bucket);
  writer.bytes(message.key);
  encodeWriteRequest(writer, message.request);
}

function encodeScan(writer: ByteWriter, message: ScanMessage): void {
  const { partitions } = message;
  assert(partitions.length <= PARTITION_BITMAP_BYTES_MAX, "a bitmap has at most 65,536 partitions");
  writer.u8(message.isReverse ? IS_REVERSE : 0);
  writeText(writer, message.bucket);
  writer.bytes(partitions);
  writer.bytes(message.lower);
  writer.bytes(message.upper);
  writeWhole(writer, message.keysMax);
  writeWhole(writer, message.bytesMax);
}

/** `undefined` for a kind that this version does not know. */
export function decodeRequest(code: number, reader: ByteReader): PeerRequest | undefined {
  switch (code) {
    case REQUEST_CODES.read:
      return decodeRead(reader);
    case REQUEST_CODES.merge:
      return decodeMerge(reader);
    case REQUEST_CODES.hint:
      return decodeHint(reader);
    case REQUEST_CODES.coordinate:
      return decodeCoordinate(reader);
    case REQUEST_CODES["hints-held"]:
      return { kind: "hints-held", isRepaired: readBoolean(reader), incarnation: reader.varint() };
    case REQUEST_CODES.scan:
      return decodeScan(reader);
    case REQUEST_CODES.exchange:
      return {
        kind: "exchange",
        topic: readChoice(reader, TOPICS, "topic"),
        body: reader.view(),
      };
    case REQUEST_CODES.status:
      return { kind: "status" };
    case REQUEST_CODES.knock:
      return { kind: "knock", body: reader.view() };
    case REQUEST_CODES.repair:
      return {
        kind: "repair",
        topic: readChoice(reader, REPAIR_TOPICS, "repair topic"),
        body: reader.view(),
      };
    default:
      return undefined;
  }
}

function decodeRead(reader: ByteReader): ReadMessage {
  return {
    kind: "read",
    internalKey: reader.view(),
    knownDigest: readFixedOrEmpty(reader, DIGEST_BYTES),
  };
}

function decodeMerge(reader: ByteReader): MergeMessage {
  const flags = readFlags(reader, MERGE_FLAGS);
  return {
    kind: "merge",
    purpose: choiceAt(PURPOSES, flags & PURPOSE_MASK, "purpose"),
    isConditional: (flags & IS_CONDITIONAL) !== 0,
    internalKey: reader.view(),
    record: reader.view(),
    side: (flags & HAS_SIDE) === 0 ? undefined : decodeSide(reader),
  };
}

function decodeSide(reader: ByteReader): SideEntry {
  return { key: reader.view(), value: reader.view() };
}

function decodeHint(reader: ByteReader): HintMessage {
  const flags = readFlags(reader, HAS_SIDE);
  return {
    kind: "hint",
    target: readNode(reader),
    targetIncarnation: reader.varint(),
    internalKey: reader.view(),
    record: reader.view(),
    side: flags === 0 ? undefined : decodeSide(reader),
  };
}

function decodeCoordinate(reader: ByteReader): CoordinateMessage {
  return {
    kind: "coordinate",
    bucket: readText(reader),
    key: reader.view(),
    request: decodeWriteRequest(reader),
  };
}

function decodeScan(reader: ByteReader): ScanMessage {
  const isReverse = readFlags(reader, IS_REVERSE) !== 0;
  const bucket = readText(reader);
  const partitions = reader.view();
  if (partitions.length > PARTITION_BITMAP_BYTES_MAX)
    throw new DecodeError(`Cannot read a bitmap of ${partitions.length} bytes: too long`);
  return {
    kind: "scan",
    isReverse,
    bucket,
    partitions,
    lower: reader.view(),
    upper: reader.view(),
    keysMax: reader.varint(),
    bytesMax: reader.varint(),
  };
}
