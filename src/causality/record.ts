/**
 * The stored bytes of one key: its whole causal state (drawn in FORMATS.md). The newest record of a key is the merge of all before it
 * (R44), and equal states have equal bytes.
 *
 *   version 2, one value      the commonest: one entry, one value, its dot the newest
 *     u8 2 | node id 8 | incarnation u32 | counter u64 | payload head | value up to the end
 *
 *   version 1, any state      entries grouped by node id, so that incarnations of one node share it
 *     u8 1 | groups varint, each:
 *       node id 8 | entries varint, each:
 *         incarnation varint | counterMax varint | values varint, each:
 *           counterMax - counter varint | payload head | value length varint | value
 *
 * Decoded values are views on the record.
 */
import { ByteReader, DecodeError, readU32 } from "../base/byte-reader.ts";
import type { ByteWriter } from "../base/byte-writer.ts";
import { EMPTY_BYTES } from "../base/bytes.ts";
import {
  type Actor,
  NODE_ID_BYTES,
  incarnationOf,
  joinActor,
  nodeAt,
  nodeOf,
  readIncarnation,
  readNode,
  writeNode,
} from "./actor.ts";
import {
  NO_METADATA,
  type Payload,
  TOMBSTONE_KIND,
  readPayloadHead,
  writePayloadHead,
} from "./payload.ts";
import type { DottedValue, Entry, Siblings } from "./siblings.ts";

export type Record = Siblings<Payload>;

const ANY_STATE = 1;
const ONE_VALUE = 2;
/** version, node id, incarnation, counter, flags */
const ONE_VALUE_HEAD_BYTES = 1 + NODE_ID_BYTES + 4 + 8 + 1;
const INCARNATION_AT = 1 + NODE_ID_BYTES;
const COUNTER_AT = INCARNATION_AT + 4;
const FLAGS_AT = COUNTER_AT + 8;
/** The high word of a counter below 2^53. */
const COUNTER_HIGH_LIMIT = 0x200000;

/** A record of version 2. */
export interface SingleRecord {
  readonly actor: Actor;
  readonly counter: number;
  readonly payload: Payload;
}

export function encodeRecord(writer: ByteWriter, record: Record): void {
  const only = record.length === 1 ? record[0]! : undefined;
  const value = only?.values.length === 1 ? only.values[0]! : undefined;
  if (only !== undefined && value !== undefined && value.counter === only.counterMax)
    encodeSingle(writer, only.actor, value.counter, value.payload);
  else encodeAny(writer, record);
}

/** `encodeRecord` of a state with one entry and one value. */
export function encodeSingle(
  writer: ByteWriter,
  actor: Actor,
  counter: number,
  payload: Payload,
): void {
  writer.u8(ONE_VALUE);
  writeNode(writer, actor);
  writer.u32(incarnationOf(actor));
  writer.u64(counter);
  writePayloadHead(writer, payload, counter);
  writer.raw(payload.value);
}

function encodeAny(writer: ByteWriter, record: Record): void {
  const groups = groupByNode(record);
  writer.u8(ANY_STATE);
  writer.varint(groups.length);
  for (const group of groups) {
    writeNode(writer, group[0]!.actor);
    writer.varint(group.length);
    for (const entry of group) writeEntry(writer, entry);
  }
}

function groupByNode(record: Record): Entry<Payload>[][] {
  const groups: Entry<Payload>[][] = [];
  let node = "";
  for (const entry of record) {
    if (nodeOf(entry.actor) !== node) groups.push([]);
    node = nodeOf(entry.actor);
    groups.at(-1)!.push(entry);
  }
  return groups;
}

function writeEntry(writer: ByteWriter, entry: Entry<Payload>): void {
  writer.varint(incarnationOf(entry.actor));
  writer.varint(entry.counterMax);
  writer.varint(entry.values.length);
  for (const { counter, payload } of entry.values) {
    writer.varint(entry.counterMax - counter);
    writePayloadHead(writer, payload, counter);
    writer.bytes(payload.value);
  }
}

/** The state in `bytes`; throws `DecodeError` unless it is exactly one. */
export function decodeRecord(bytes: Uint8Array): Record {
  const single = decodeSingle(bytes);
  if (single === undefined) return decodeAny(bytes);
  const { actor, counter, payload } = single;
  return [{ actor, counterMax: counter, values: [{ counter, payload }] }];
}

/**
 * The fast path of a read: the only value of a record of version 2, `undefined` for a record of another version. Throws
 * `DecodeError` where version 2 is promised and not kept.
 */
export function decodeSingle(bytes: Uint8Array): SingleRecord | undefined {
  if (bytes[0] !== ONE_VALUE) return undefined;
  if (bytes.length < ONE_VALUE_HEAD_BYTES)
    throw new DecodeError(`Cannot read record: ${bytes.length} bytes`);
  const counter = readCounter(bytes);
  const actor = joinActor(nodeAt(bytes, 1), readU32(bytes, INCARNATION_AT));
  const flags = bytes[FLAGS_AT]!;
  const payload = flags === 0 ? plainValue(bytes, counter) : readTail(bytes, counter);
  return { actor, counter, payload };
}

function readCounter(bytes: Uint8Array): number {
  const high = readU32(bytes, COUNTER_AT + 4);
  const counter = high * 4294967296 + readU32(bytes, COUNTER_AT);
  if (high >= COUNTER_HIGH_LIMIT || counter === 0)
    throw new DecodeError(`Cannot read record: counter ${counter} is not possible`);
  return counter;
}

function plainValue(bytes: Uint8Array, counter: number): Payload {
  return {
    isTombstone: false,
    hlc: counter,
    expiresAtMs: 0,
    contentType: "",
    contentEncoding: "",
    meta: NO_METADATA,
    value: bytes.subarray(ONE_VALUE_HEAD_BYTES),
  };
}

function readTail(bytes: Uint8Array, counter: number): Payload {
  const reader = new ByteReader(bytes, FLAGS_AT);
  const head = readPayloadHead(reader, counter);
  return withValue(head, reader.raw(reader.remaining));
}

function withValue(head: Payload, value: Uint8Array): Payload {
  if (head.isTombstone) {
    if (value.length > 0) throw new DecodeError("Cannot read record: a tombstone with a value");
    return head;
  }
  return { ...head, value };
}

function decodeAny(bytes: Uint8Array): Record {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  if (version !== ANY_STATE) throw new DecodeError(`Cannot read record: version ${version}`);
  const entries: Entry<Payload>[] = [];
  const groups = reader.varint();
  for (let group = 0; group < groups; group++) readGroup(reader, entries);
  reader.expectEnd();
  expectCanonical(entries);
  return entries;
}

function readGroup(reader: ByteReader, entries: Entry<Payload>[]): void {
  const node = readNode(reader);
  const count = reader.varint();
  if (count === 0) throw new DecodeError("Cannot read record: a node without entries");
  if (entries.length > 0 && nodeOf(entries.at(-1)!.actor) >= node)
    throw new DecodeError("Cannot read record: nodes out of order");
  for (let i = 0; i < count; i++) {
    const actor = joinActor(node, readIncarnation(reader));
    const counterMax = reader.varint();
    if (counterMax === 0) throw new DecodeError("Cannot read record: an entry without a counter");
    entries.push({ actor, counterMax, values: readValues(reader, counterMax) });
  }
}

function readValues(reader: ByteReader, counterMax: number): DottedValue<Payload>[] {
  const count = reader.varint();
  const values: DottedValue<Payload>[] = [];
  for (let i = 0; i < count; i++) {
    const counter = counterMax - reader.varint();
    if (counter <= (values.at(-1)?.counter ?? 0))
      throw new DecodeError("Cannot read record: counters out of order");
    const head = readPayloadHead(reader, counter);
    values.push({ counter, payload: withValue(head, reader.view()) });
  }
  return values;
}

/** Entries in order, and not a state that version 2 would have encoded. */
function expectCanonical(entries: Record): void {
  for (let i = 1; i < entries.length; i++)
    if (entries[i - 1]!.actor >= entries[i]!.actor)
      throw new DecodeError("Cannot read record: entries out of order");
  const only = entries.length === 1 ? entries[0]! : undefined;
  if (only?.values.length === 1 && only.values[0]!.counter === only.counterMax)
    throw new DecodeError("Cannot read record: one value in the form for many");
  if (entries.length === 0) throw new DecodeError("Cannot read record: no entries");
}

/** Is this a record of version 2 with one value that nothing is said about, so that it never expires? Reads nothing but the flags. */
export function isPlainValue(bytes: Uint8Array): boolean {
  return bytes[0] === ONE_VALUE && bytes[FLAGS_AT] === 0;
}

/** Is the only thing in this record of version 2 a tombstone? Reads nothing but the flags. */
export function isSingleTombstone(bytes: Uint8Array): boolean {
  return bytes[0] === ONE_VALUE && (bytes[FLAGS_AT]! & 0b11) === TOMBSTONE_KIND;
}

/** A copy that owns all its bytes. */
export function copyPayload(payload: Payload): Payload {
  return payload.value.length === 0
    ? { ...payload, value: EMPTY_BYTES }
    : { ...payload, value: payload.value.slice() };
}
