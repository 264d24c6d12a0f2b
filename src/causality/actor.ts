/**
 * Who gave a write its number: one node's local copy of the data, from one start that may have forgotten something to the
 * next (R11, R12).
 *
 *   actor = node id (8 bytes) + incarnation (u32)      text: 24 hex digits, node id first, both big-endian
 *   dot   = actor + counter                            text: `actor.counter`
 *
 * Text order of actors is byte order, which the LWW order (R21) and every sorted list of entries use.
 */
import { assert } from "../base/assert.ts";
import { DecodeError } from "../base/byte-reader.ts";
import type { ByteReader } from "../base/byte-reader.ts";
import type { ByteWriter } from "../base/byte-writer.ts";
import { hex } from "../base/bytes.ts";

declare const actorBrand: unique symbol;
export type Actor = string & { readonly [actorBrand]: true };

export const NODE_ID_BYTES = 8;
const NODE_ID_DIGITS = 2 * NODE_ID_BYTES;
const ACTOR_TEXT = /^[0-9a-f]{24}$/;

export function makeActor(nodeId: Uint8Array, incarnation: number): Actor {
  assert(nodeId.length === NODE_ID_BYTES, "a node id has 8 bytes");
  assert(incarnation >>> 0 === incarnation, "an incarnation is a u32");
  return joinActor(hex(nodeId), incarnation);
}

/** Nearly every record of a node names one actor, so its text is kept. */
let lastJoinedNode = "";
let lastIncarnation = -1;
let lastActor = "" as Actor; // never given out: no incarnation is -1

/** From a node id in text form: 16 lower-case digits. */
export function joinActor(node: string, incarnation: number): Actor {
  if (incarnation === lastIncarnation && node === lastJoinedNode) return lastActor;
  lastJoinedNode = node;
  lastIncarnation = incarnation;
  lastActor = (node + incarnation.toString(16).padStart(8, "0")) as Actor; // 16 + 8 digits
  return lastActor;
}

/** The node id of `actor` in text form. */
export function nodeOf(actor: Actor): string {
  return actor.slice(0, NODE_ID_DIGITS);
}

export function incarnationOf(actor: Actor): number {
  if (actor !== splitActor) split(actor);
  return splitIncarnation;
}

/** Writes the node id of `actor`, eight bytes. */
export function writeNode(writer: ByteWriter, actor: Actor): void {
  if (actor !== splitActor) split(actor);
  writer.reserve(NODE_ID_BYTES);
  const { buffer } = writer;
  for (let i = 0; i < NODE_ID_BYTES; i++) buffer[writer.length++] = splitNode[i]!;
}

/** The last actor taken apart: tokens, ETags and records of one answer name the same one. */
let splitActor: Actor | undefined;
let splitIncarnation = 0;
const splitNode = new Uint8Array(NODE_ID_BYTES);

function split(actor: Actor): void {
  splitNode.setFromHex(nodeOf(actor));
  splitIncarnation = Number.parseInt(actor.slice(NODE_ID_DIGITS), 16);
  splitActor = actor;
}

/** Throws `DecodeError` for text that is no actor. */
export function parseActor(text: string): Actor {
  if (!ACTOR_TEXT.test(text))
    throw new DecodeError(`Cannot read actor: "${text}" is not 24 hex digits`);
  return text as Actor; // just checked
}

export function dotText(actor: Actor, counter: number): string {
  return `${actor}.${counter}`;
}

/** The node that nearly every record names is the same one, so its text is kept. */
const lastNodeBytes = new Uint8Array(NODE_ID_BYTES);
let lastNode = "00".repeat(NODE_ID_BYTES);

/** The text of the node id at `bytes[offset, offset + 8)`; the caller has checked the bounds. */
export function nodeAt(bytes: Uint8Array, offset: number): string {
  for (let i = 0; i < NODE_ID_BYTES; i++)
    if (bytes[offset + i] !== lastNodeBytes[i]) return rememberNode(bytes, offset);
  return lastNode;
}

function rememberNode(bytes: Uint8Array, offset: number): string {
  for (let i = 0; i < NODE_ID_BYTES; i++) lastNodeBytes[i] = bytes[offset + i]!;
  lastNode = hex(lastNodeBytes);
  return lastNode;
}

export function readNode(reader: ByteReader): string {
  const at = reader.offset;
  if (reader.remaining < NODE_ID_BYTES)
    throw new DecodeError(`Cannot read node id at ${at}: input ends at ${reader.end}`);
  reader.offset = at + NODE_ID_BYTES;
  return nodeAt(reader.bytes, at);
}

export function readIncarnation(reader: ByteReader): number {
  const incarnation = reader.varint();
  if (incarnation > 0xffffffff)
    throw new DecodeError(`Cannot read incarnation before ${reader.offset}: above 2^32`);
  return incarnation;
}
