/**
 * The bytes between two nodes: a *hello* each way, then *batches* of frames. All fixed widths are little-endian.
 *
 *   hello   crc u32 | versions min u8, max u8 | purpose u8 | cluster id 16 | node id 8 | incarnation varint | cluster name text
 *   batch   version u8 | crc u32 | sentAt u32 | frame ...              the crc is of everything behind it; sentAt: `link-age.ts`
 *
 *   request 1..127    kind u8 | bytes u32 | budgetMs u32 | id varint | body        bytes: of what follows this field
 *                     body | trace (`peer-trace.ts`)                               of what is traced, and only of that
 *   reply   128..255  kind u8 | bytes u32 | id varint | body
 *
 * The hello is the same for all versions to come as far as the purpose; what a later version adds stands at its end. Batches are of the highest
 * version that both sides know. A frame's length lets a node answer `not-implemented` to a kind of request that it does not know.
 *
 * A frame is written once, straight into the queue that it waits in (`peer-frames.ts`); its budget is filled in when it leaves. Reading checks
 * the checksum first and each bound before anything is made; whatever does not follow the format, trailing bytes included, is a `DecodeError`
 * and ends the link (row 62).
 */
import { assert } from "../base/assert.ts";
import { ByteReader, DecodeError, readU32 } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { readNode } from "../causality/actor.ts";
import type { NodeId } from "../gossip/member.ts";
import { crc32 } from "../kernels/kernels.ts";
import { HELLO_BYTES_MAX } from "../ports/transport.ts";
import { readChoice, readText, writeChoice, writeNodeId, writeText } from "./peer-codec-fields.ts";
import { decodeReply, encodeReply, REPLY_CODES } from "./peer-codec-replies.ts";
import { decodeRequest, encodeRequest, REQUEST_CODES } from "./peer-codec-requests.ts";
import type { PeerReply, PeerRequest } from "./peer-messages.ts";
import { isTraceable, readTrace, TRACE_BYTES_MIN, traceOf, writeTrace } from "./peer-trace.ts";

/** Versions of batches that this build speaks. */
export interface VersionRange {
  readonly min: number;
  readonly max: number;
}
export const VERSIONS: VersionRange = { min: 1, max: 1 };

export const CLUSTER_ID_BYTES = 16;
const CLUSTER_NAME_BYTES_MAX = 256;

/** Who is at the other end, and what for. A `knock` asks to be let into a cluster and may ask nothing else. */
export interface Hello {
  readonly versions: VersionRange;
  readonly purpose: "member" | "knock";
  /** All zero for a node that has none yet. */
  readonly clusterId: Uint8Array;
  readonly clusterName: string;
  readonly nodeId: NodeId;
  readonly incarnation: number;
}

/** Frozen: positions travel. */
const PURPOSES: readonly Hello["purpose"][] = ["member", "knock"];

export function encodeHello(hello: Hello): Uint8Array {
  assert(hello.clusterId.length === CLUSTER_ID_BYTES, "a cluster id has 16 bytes");
  const writer = new ByteWriter(64);
  writer.u32(0);
  writer.u8(hello.versions.min);
  writer.u8(hello.versions.max);
  writeChoice(writer, PURPOSES, hello.purpose);
  writer.raw(hello.clusterId);
  writeNodeId(writer, hello.nodeId);
  writer.varint(hello.incarnation);
  writeText(writer, hello.clusterName);
  assert(writer.length <= HELLO_BYTES_MAX, "a hello is at most 4 KiB");
  const bytes = writer.finish();
  writer.setU32(0, crc32(bytes.subarray(4)));
  return writer.finish();
}

/** A hello of this version or a later one. Its views are on `bytes`. */
export function decodeHello(bytes: Uint8Array): Hello {
  const reader = new ByteReader(bytes);
  if (reader.u32() !== crc32(bytes.subarray(4)))
    throw new DecodeError("Cannot read hello: its checksum is wrong");
  const versions = { min: reader.u8(), max: reader.u8() };
  if (versions.min === 0 || versions.min > versions.max)
    throw new DecodeError("Cannot read hello: its versions are no range");
  const purpose = readChoice(reader, PURPOSES, "purpose");
  const clusterId = reader.raw(CLUSTER_ID_BYTES);
  const nodeId = readNode(reader);
  const incarnation = reader.varint();
  const clusterName = readText(reader, CLUSTER_NAME_BYTES_MAX);
  if (versions.max <= VERSIONS.max) reader.expectEnd();
  return { versions, purpose, clusterId, clusterName, nodeId, incarnation };
}

/** The version that both sides speak, or `undefined`. */
export function commonVersion(ours: VersionRange, theirs: VersionRange): number | undefined {
  const version = Math.min(ours.max, theirs.max);
  return version >= ours.min && version >= theirs.min ? version : undefined;
}

/** version u8, crc u32, sentAt u32 */
export const BATCH_HEAD_BYTES = 9;
const CRC_OFFSET = 1;
const CRC_END = 5;
/** kind u8, bytes u32 */
const FRAME_HEAD_BYTES = 5;
const BUDGET_MS_MAX = 0xffffffff;

/** Appends a request frame without its budget, which `setBudget` fills in. */
export function writeRequestFrame(writer: ByteWriter, id: number, request: PeerRequest): void {
  const start = beginFrame(writer, REQUEST_CODES[request.kind]);
  writer.u32(0);
  writer.varint(id);
  encodeRequest(writer, request);
  const trace = traceOf(request);
  if (trace !== undefined) writeTrace(writer, trace);
  endFrame(writer, start);
}

/** Sets the budget of the request frame that starts at `start`: whole ms, at least 1. */
export function setBudget(writer: ByteWriter, start: number, budgetMs: number): void {
  const whole = Math.min(Math.max(1, Math.ceil(budgetMs)), BUDGET_MS_MAX);
  writer.setU32(start + FRAME_HEAD_BYTES, whole);
}

export function writeReplyFrame(writer: ByteWriter, id: number, reply: PeerReply): void {
  const start = beginFrame(writer, REPLY_CODES[reply.kind]);
  writer.varint(id);
  encodeReply(writer, reply);
  endFrame(writer, start);
}

function beginFrame(writer: ByteWriter, code: number): number {
  const start = writer.length;
  writer.u8(code);
  writer.u32(0);
  return start;
}

function endFrame(writer: ByteWriter, start: number): void {
  writer.setU32(start + 1, writer.length - start - FRAME_HEAD_BYTES);
}

/** An empty batch with room for `frameBytes`. */
export function beginBatch(frameBytes: number, version: number): ByteWriter {
  const batch = new ByteWriter(BATCH_HEAD_BYTES + frameBytes);
  batch.u8(version);
  batch.u32(0);
  batch.u32(0);
  return batch;
}

/**
 * The bytes of the batch, which nobody writes to any more.
 *
 * @param sentAtMs ms since the sender began to open the link, modulo 2^32
 */
export function sealBatch(batch: ByteWriter, sentAtMs = 0): Uint8Array {
  const bytes = batch.view();
  batch.setU32(CRC_END, Math.floor(sentAtMs) >>> 0);
  batch.setU32(CRC_OFFSET, crc32(bytes.subarray(CRC_END)));
  return bytes;
}

/**
 * Walks over the frames of one message: `next` goes to a frame, then `readRequest` or `readReply` gives its body. A body that is not asked for is
 * passed over.
 */
export class FrameReader {
  id = 0;
  isReply = false;
  /** Of the batch. */
  readonly sentAtMs: number;
  /** Of a request: ms that are left. */
  budgetMs = 0;
  private code = 0;
  private bodyEnd: number;
  private readonly reader: ByteReader;

  /** Checks version and checksum. */
  constructor(message: Uint8Array, version: number) {
    this.reader = new ByteReader(message);
    this.bodyEnd = BATCH_HEAD_BYTES;
    if (message.length < BATCH_HEAD_BYTES)
      throw new DecodeError(`Cannot read batch of ${message.length} bytes: too short`);
    if (message[0] !== version)
      throw new DecodeError(`Cannot read batch: version ${message[0]}, want ${version}`);
    if (readU32(message, CRC_OFFSET) !== crc32(message.subarray(CRC_END)))
      throw new DecodeError("Cannot read batch: its checksum is wrong");
    this.sentAtMs = readU32(message, CRC_END);
  }

  /** False at the end. */
  next(): boolean {
    const { reader } = this;
    reader.offset = this.bodyEnd;
    if (reader.remaining === 0) return false;
    this.code = reader.u8();
    const length = reader.u32();
    if (this.code === 0 || length > reader.remaining)
      throw new DecodeError(`Cannot read frame of ${length} bytes at ${reader.offset}`);
    this.bodyEnd = reader.offset + length;
    this.isReply = this.code >= 128;
    this.budgetMs = this.isReply ? 0 : reader.u32();
    this.id = reader.varint();
    if (reader.offset > this.bodyEnd) throw this.wrongLength();
    return true;
  }

  /** `undefined` for a kind that this version does not know. */
  readRequest(): PeerRequest | undefined {
    const request = decodeRequest(this.code, this.reader);
    if (request === undefined) return undefined;
    if (this.bodyEnd - this.reader.offset >= TRACE_BYTES_MIN && isTraceable(request))
      request.trace = readTrace(this.reader);
    this.expectBodyEnd();
    return request;
  }

  readReply(): PeerReply {
    const reply = decodeReply(this.code, this.reader);
    this.expectBodyEnd();
    return reply;
  }

  private expectBodyEnd(): void {
    if (this.reader.offset !== this.bodyEnd) throw this.wrongLength();
  }

  private wrongLength(): DecodeError {
    return new DecodeError(`Cannot read frame: it ends at ${this.bodyEnd}, its content does not`);
  }
}
