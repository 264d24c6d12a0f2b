/**
 * Fields that several messages of the peer protocol share: texts, node ids, choices out of a frozen list.
 *
 * Writers trust their caller, who holds typed values; readers trust nobody and throw `DecodeError`. Every reader checks its bound before it
 * makes anything.
 */
import { assert } from "../base/assert.ts";
import { type ByteReader, DecodeError } from "../base/byte-reader.ts";
import type { ByteWriter } from "../base/byte-writer.ts";
import { utf8, utf8Text } from "../base/bytes.ts";
import { NODE_ID_BYTES } from "../causality/actor.ts";
import type { NodeId } from "../gossip/member.ts";

/** The longest text of any message, in bytes; the longest that a client can cause is a context token of 8 KiB. */
export const TEXT_BYTES_MAX = 64 * 1024;
/** Texts up to here are written without the detour over an encoder; their length is one byte. */
const SHORT_LENGTH_MAX = 127;

/** A varint length and UTF-8. */
export function writeText(writer: ByteWriter, text: string): void {
  if (text.length <= SHORT_LENGTH_MAX && writeShortAscii(writer, text)) return;
  const bytes = utf8(text);
  assert(bytes.length <= TEXT_BYTES_MAX, "a text of a peer message is at most 64 KiB");
  writer.bytes(bytes);
}

/** False, and nothing written, where a character is not ASCII. */
function writeShortAscii(writer: ByteWriter, text: string): boolean {
  const { length } = text;
  writer.reserve(1 + length);
  const { buffer } = writer;
  let at = writer.length;
  buffer[at++] = length;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code > 127) return false;
    buffer[at++] = code;
  }
  writer.length = at;
  return true;
}

export function readText(reader: ByteReader, bytesMax = TEXT_BYTES_MAX): string {
  const length = reader.varint();
  if (length === 0) return "";
  if (length > bytesMax)
    throw new DecodeError(`Cannot read text of ${length} bytes: more than ${bytesMax}`);
  const text = utf8Text(reader.raw(length));
  if (text === undefined)
    throw new DecodeError(`Cannot read text before ${reader.offset}: not UTF-8`);
  return text;
}

/** Eight bytes; read with `readNode` of `causality/actor.ts`. */
export function writeNodeId(writer: ByteWriter, node: NodeId): void {
  assert(node.length === 2 * NODE_ID_BYTES, "a node id has 16 hex digits");
  writer.raw(Uint8Array.fromHex(node));
}

/** The place of `value` in `choices`, one byte. Positions are frozen: append only. */
export function writeChoice<T>(writer: ByteWriter, choices: readonly T[], value: T): void {
  const index = choices.indexOf(value);
  assert(index >= 0, "a choice is one of its list");
  writer.u8(index);
}

export function readChoice<T>(reader: ByteReader, choices: readonly T[], what: string): T {
  return choiceAt(choices, reader.u8(), what);
}

/** `choices[index]`, or a `DecodeError` past the end. */
export function choiceAt<T>(choices: readonly T[], index: number, what: string): T {
  if (index >= choices.length) throw new DecodeError(`Cannot read ${what}: ${index} is unknown`);
  return choices[index]!;
}

export function readBoolean(reader: ByteReader): boolean {
  const byte = reader.u8();
  if (byte > 1) throw new DecodeError(`Cannot read boolean before ${reader.offset}: ${byte}`);
  return byte === 1;
}

/** A byte of flags of which only the bits in `known` may be set. */
export function readFlags(reader: ByteReader, known: number): number {
  const flags = reader.u8();
  if ((flags & ~known) !== 0)
    throw new DecodeError(`Cannot read flags before ${reader.offset}: ${flags} has unknown bits`);
  return flags;
}

/** How many things follow. Nothing is made from it: each thing takes at least `leastBytes`, which the input has to have. */
export function readCount(reader: ByteReader, countMax: number, leastBytes: number): number {
  const count = reader.varint();
  if (count > countMax || count * leastBytes > reader.remaining)
    throw new DecodeError(`Cannot read ${count} items before ${reader.offset}: too many`);
  return count;
}

/** A time or size that a caller may hold as a fraction: rounded up, never below 0. */
export function writeWhole(writer: ByteWriter, value: number): void {
  const whole = value > 0 ? Math.ceil(value) : 0;
  assert(Number.isSafeInteger(whole), "a number of a peer message is below 2^53");
  writer.varint(whole);
}

/** A byte string of exactly `length` bytes, or empty. */
export function readFixedOrEmpty(reader: ByteReader, length: number): Uint8Array {
  const bytes = reader.view();
  if (bytes.length !== 0 && bytes.length !== length)
    throw new DecodeError(`Cannot read ${bytes.length} bytes: want ${length} or none`);
  return bytes;
}
