/**
 * One datagram.
 *
 *   version u8 = 1 | crc32 of all that follows u32 | cluster id 16 | kind u8 | flags u8 | sender id 8 | target id 8 | sequence u32
 *   | sender's incarnation varint | its version varint | its heartbeat varint | digest of its member table u32
 *   | updates: count u8, each as in `update.ts` | heartbeats: count u8, each id 8 + generation varint + heartbeat varint
 *
 *   ping            are you there?                             target: who is meant, whatever the address says (R52)
 *   ack             yes; same sequence                         target: who asked
 *   ping-request    ping `target` for me, I could not          (SWIM: k helpers, so that one bad path convicts nobody)
 *   indirect-ack    the answer to it: flag `reached` or not    target: who was to be pinged. Not reached tells that at least the helper hears us
 *   news            no answer wanted                           target: the receiver
 *
 * The checksum is against damage, the cluster id against a neighbour (N14), neither against an attacker: that is what the seal is for, in which a datagram
 * travels where the cluster has a key (the format is drawn in `cluster/sealed-datagrams.ts`). Numbers are frozen.
 */
import { assert } from "../base/assert.ts";
import { ByteReader, DecodeError } from "../base/byte-reader.ts";
import { readU32 } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { crc32 } from "../kernels/kernels.ts";
import type { NodeId } from "./member.ts";
import { readNodeId, readUpdate, type Update, writeNodeId } from "./update.ts";

/** As `DATAGRAM_BYTES_MAX` of the port: an Ethernet frame less the headers, with room for tunnels (N18). */
export const MESSAGE_BYTES_MAX = 1400;
export const CLUSTER_ID_BYTES = 16;
/** Updates of a datagram together; a record always fits, and so do heartbeats beside it. */
export const UPDATE_BYTES_MAX = 1000;
/** A constant, so that the bytes of a datagram do not grow with the cluster. */
export const HEARTBEATS_MAX = 12;

const FORMAT_VERSION = 1;
const CRC_OFFSET = 1;
const BODY_OFFSET = 5;
const ID_OFFSET = BODY_OFFSET;
const MESSAGE_BYTES_MIN = BODY_OFFSET + CLUSTER_ID_BYTES + 1 + 1 + 8 + 8 + 4 + 3 + 4 + 1 + 1;
const KINDS = ["ping", "ack", "ping-request", "indirect-ack", "news"] as const;
const FLAG_WANTS_RECORD = 1;
const FLAG_REACHED = 2;

export type MessageKind = (typeof KINDS)[number];

export interface Heartbeat {
  readonly id: NodeId;
  /** Start of its process; heartbeats of two generations do not compare. */
  readonly generation: number;
  readonly heartbeat: number;
}

export interface MessageHead {
  readonly kind: MessageKind;
  /** The sender holds an older record of the receiver than the receiver's datagrams speak of. */
  readonly wantsRecord: boolean;
  /** Of an `indirect-ack`: the target has answered the helper. */
  readonly isReached: boolean;
  readonly sender: NodeId;
  readonly target: NodeId;
  /** u32; acks repeat it. */
  readonly sequence: number;
  readonly incarnation: number;
  readonly version: number;
  readonly heartbeat: number;
  /** See `MemberTable.digest`. */
  readonly digest: number;
}

export interface Message extends MessageHead {
  readonly updates: readonly Update[];
  readonly heartbeats: readonly Heartbeat[];
}

export type Rejected = "malformed" | "wrong-cluster";

/** Builds one datagram after the other in one buffer: `begin`, updates, heartbeats, `finish`. */
export class MessageWriter {
  readonly #clusterId: Uint8Array;
  readonly #writer = new ByteWriter(MESSAGE_BYTES_MAX);
  #updatesOffset = 0;
  #updateCount = 0;

  constructor(clusterId: Uint8Array) {
    assert(clusterId.length === CLUSTER_ID_BYTES, "a cluster id has 16 bytes");
    this.#clusterId = clusterId;
  }

  begin(head: MessageHead): void {
    const writer = this.#writer;
    writer.reset();
    writer.u8(FORMAT_VERSION);
    writer.u32(0);
    writer.raw(this.#clusterId);
    writer.u8(KINDS.indexOf(head.kind));
    writer.u8((head.wantsRecord ? FLAG_WANTS_RECORD : 0) | (head.isReached ? FLAG_REACHED : 0));
    writeNodeId(writer, head.sender);
    writeNodeId(writer, head.target);
    writer.u32(head.sequence);
    writer.varint(head.incarnation);
    writer.varint(head.version);
    writer.varint(head.heartbeat);
    writer.u32(head.digest);
    this.#updatesOffset = writer.length;
    this.#updateCount = 0;
    writer.u8(0);
  }

  /** Room for further updates. */
  get updateBytesLeft(): number {
    if (this.#updateCount === 0xff) return 0;
    return Math.max(0, UPDATE_BYTES_MAX - (this.#writer.length - this.#updatesOffset - 1));
  }

  /** `update` as `encodeUpdate` gives it; false and nothing written where it does not fit. */
  addUpdate(update: Uint8Array): boolean {
    if (update.length > this.updateBytesLeft) return false;
    this.#writer.raw(update);
    this.#writer.buffer[this.#updatesOffset] = ++this.#updateCount;
    return true;
  }

  /** The datagram with these heartbeats, of which there are at most `HEARTBEATS_MAX`. */
  finish(heartbeats: readonly Heartbeat[]): Uint8Array {
    assert(heartbeats.length <= HEARTBEATS_MAX, "heartbeats are a bounded sample");
    const writer = this.#writer;
    writer.u8(heartbeats.length);
    for (const { id, generation, heartbeat } of heartbeats) {
      writeNodeId(writer, id);
      writer.varint(generation);
      writer.varint(heartbeat);
    }
    assert(writer.length <= MESSAGE_BYTES_MAX, "a datagram fits into a frame");
    writer.setU32(CRC_OFFSET, crc32(writer.buffer.subarray(BODY_OFFSET, writer.length)));
    return writer.finish();
  }
}

/** Never throws for what `bytes` hold. */
export function decodeMessage(bytes: Uint8Array, clusterId: Uint8Array): Message | Rejected {
  if (bytes.length < MESSAGE_BYTES_MIN || bytes.length > MESSAGE_BYTES_MAX) return "malformed";
  if (bytes[0] !== FORMAT_VERSION) return "malformed";
  if (crc32(bytes.subarray(BODY_OFFSET)) !== readU32(bytes, CRC_OFFSET)) return "malformed";
  for (let i = 0; i < CLUSTER_ID_BYTES; i++)
    if (bytes[ID_OFFSET + i] !== clusterId[i]) return "wrong-cluster";
  try {
    return readBody(new ByteReader(bytes, ID_OFFSET + CLUSTER_ID_BYTES));
  } catch (error) {
    if (error instanceof DecodeError) return "malformed";
    throw error;
  }
}

function readBody(reader: ByteReader): Message {
  const kind = KINDS[reader.u8()];
  if (kind === undefined) throw new DecodeError("Cannot read datagram: its kind is not known");
  const flags = reader.u8();
  const message = {
    kind,
    wantsRecord: (flags & FLAG_WANTS_RECORD) !== 0,
    isReached: (flags & FLAG_REACHED) !== 0,
    sender: readNodeId(reader),
    target: readNodeId(reader),
    sequence: reader.u32(),
    incarnation: reader.varint(),
    version: reader.varint(),
    heartbeat: reader.varint(),
    digest: reader.u32(),
    updates: readMany(reader, 0xff, readUpdate),
    heartbeats: readMany(reader, HEARTBEATS_MAX, readHeartbeat),
  };
  reader.expectEnd();
  return message;
}

function readHeartbeat(reader: ByteReader): Heartbeat {
  return { id: readNodeId(reader), generation: reader.varint(), heartbeat: reader.varint() };
}

/** What is read is bounded by the datagram, so a lying count costs nothing. */
function readMany<T>(reader: ByteReader, countMax: number, read: (reader: ByteReader) => T): T[] {
  const count = reader.u8();
  if (count > countMax) throw new DecodeError(`Cannot read ${count} items: at most ${countMax}`);
  const items: T[] = [];
  for (let i = 0; i < count; i++) items.push(read(reader));
  return items;
}
