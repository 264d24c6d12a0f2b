/**
 * The bytes of a hint: a copy of a key's state that this node keeps for `target` until the target has it (Dynamo, section 4.6).
 *
 *   key     +---------------+--------+----------+------------------------------+
 *           | partition 0 2 | 0x03 1 | target 8 | internal key of the record   |
 *           +---------------+--------+----------+------------------------------+
 *   value   +-----+----------------------+----------+----------------------------+---------------------+
 *           | 1 1 | stored at, Unix ms 8 | sides v  | { key, value } oldest first| record, up to the end|
 *           +-----+----------------------+----------+----------------------------+---------------------+
 *                                          v = varint, key and value = varint length and bytes
 *
 * All hints of a node are one range of its store, all hints for a target one range in that, in key order. Targets are node ids, never
 * addresses (R28). `stored at` is that of the oldest state merged into the hint: what must not be delivered any more after the
 * time to live is that one (R27). A side is the memory of an `Idempotency-Key`; there is one for each such write.
 */
import { ByteReader, DecodeError, readU32 } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { equalBytes } from "../base/bytes.ts";
import { NODE_ID_BYTES, nodeAt } from "../causality/actor.ts";
import { decodeRecord, encodeRecord } from "../causality/record.ts";
import { HINT_KEY_MARK } from "../causality/retention.ts";
import { merge } from "../causality/siblings.ts";
import type { NodeId } from "../gossip/member.ts";
import type { SideEntry } from "./peer-messages.ts";
import { asCorruption } from "./replica-store.ts";

const VERSION = 1;
const STORED_AT_AT = 1;
const MARK_AT = 2;
const TARGET_AT = 3;
const INTERNAL_KEY_AT = TARGET_AT + NODE_ID_BYTES;
/** Of one key within one outage; an older one is forgotten, and with it that a retry of its write is a retry. */
export const SIDES_MAX = 16;

/** Views on the value it was decoded from. */
export interface Hint {
  readonly storedAtMs: number;
  readonly sides: readonly SideEntry[];
  /** Encoded, as in messages. */
  readonly record: Uint8Array;
}

/** Before every hint and behind every hint. */
export const HINTS_START = new Uint8Array([0, 0, HINT_KEY_MARK]);
export const HINTS_END = new Uint8Array([0, 0, HINT_KEY_MARK + 1]);

export function hintKey(target: NodeId, internalKey: Uint8Array): Uint8Array {
  const key = new Uint8Array(INTERNAL_KEY_AT + internalKey.length);
  key[MARK_AT] = HINT_KEY_MARK;
  key.subarray(TARGET_AT, INTERNAL_KEY_AT).setFromHex(target);
  key.set(internalKey, INTERNAL_KEY_AT);
  return key;
}

/** The target of the hint key that starts at `start`. */
export function hintTargetAt(bytes: Uint8Array, start: number): NodeId {
  return nodeAt(bytes, start + TARGET_AT);
}

/** A copy of the internal key in the hint key `bytes[start, end)`. */
export function hintedKeyAt(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return bytes.slice(start + INTERNAL_KEY_AT, end);
}

/** Of the value that starts at `start`, without reading the rest. */
export function storedAtMsOf(bytes: Uint8Array, start: number): number {
  const at = start + STORED_AT_AT;
  return readU32(bytes, at + 4) * 4294967296 + readU32(bytes, at);
}

export function encodeHint({ storedAtMs, sides, record }: Hint): Uint8Array {
  const writer = new ByteWriter(record.length + 64);
  writer.u8(VERSION);
  writer.u64(storedAtMs);
  writer.varint(sides.length);
  for (const side of sides) {
    writer.bytes(side.key);
    writer.bytes(side.value);
  }
  writer.raw(record);
  return writer.finish();
}

/** Throws `CorruptionError`: only our own store holds hints. */
export function decodeHint(value: Uint8Array): Hint {
  try {
    const reader = new ByteReader(value);
    const version = reader.u8();
    if (version !== VERSION) throw new DecodeError(`Cannot read hint: version ${version}`);
    const storedAtMs = reader.u64();
    const count = reader.varint();
    const sides: SideEntry[] = [];
    for (let i = 0; i < count; i++) sides.push({ key: reader.view(), value: reader.view() });
    return { storedAtMs, sides, record: reader.raw(reader.remaining) };
  } catch (thrown) {
    throw asCorruption(thrown);
  }
}

/** Both states in one hint. The receiver collapses where its bucket wants that; here nothing is thrown away. */
export function mergeHints(before: Hint, after: Hint): Hint {
  const writer = new ByteWriter(before.record.length + after.record.length);
  encodeRecord(writer, merge(decodeRecord(before.record), decodeRecord(after.record)));
  return {
    storedAtMs: Math.min(before.storedAtMs, after.storedAtMs),
    sides: mergeSides(before.sides, after.sides),
    record: writer.finish(),
  };
}

function mergeSides(before: readonly SideEntry[], after: readonly SideEntry[]): SideEntry[] {
  const kept = before.filter(({ key }) => !after.some((side) => equalBytes(side.key, key)));
  return [...kept, ...after].slice(-SIDES_MAX);
}
