/**
 * The bytes of topic `held` (R42): what the owners of a key know of entries that are suspect somewhere.
 *
 *   ask       u8 1 | u8 0 | internal key (string) | entries varint, each: node id 8 | incarnation varint | counters varint, each: counter varint
 *   answer    u8 1 | serving u8 | owned since varint | gc floor varint | entries varint, each: knowledge u8
 *
 *   accept    u8 1 | u8 1 | internal key (string) | record to the end      an operator says that it is to be merged
 *   accepted  u8 1
 *
 *   knowledge   lists        every one of these values is here
 *               lacks        at least one of them is unknown here
 *               superseded   all are known, and at least one has been replaced or deleted
 */
import { type Actor, incarnationOf, joinActor, writeNode } from "../causality/actor.ts";
import { readIncarnation, readNode } from "../causality/actor.ts";
import { ByteReader, DecodeError } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import type { Record } from "../causality/record.ts";
import { entryOf } from "../causality/siblings.ts";
import { readBoolean, readChoice, readCount, writeChoice } from "./peer-codec-fields.ts";

const VERSION = 1;
/** Of one question; a state with more is asked about in part, and the rest waits. */
const ENTRIES_MAX = 4096;
const COUNTERS_MAX = 65_536;
/** Node id, incarnation, number of counters, one counter. */
const ENTRY_BYTES_MIN = 11;

/** Frozen: positions travel; append only. */
const KNOWLEDGE = ["lists", "lacks", "superseded"] as const;
const REQUESTS = ["ask", "accept"] as const;

export type Knowledge = (typeof KNOWLEDGE)[number];

/** Values of one actor. */
export interface AskedEntry {
  readonly actor: Actor;
  readonly counters: readonly number[];
}

export type HeldRequest =
  | {
      readonly kind: "ask";
      readonly internalKey: Uint8Array;
      readonly entries: readonly AskedEntry[];
    }
  | { readonly kind: "accept"; readonly internalKey: Uint8Array; readonly record: Uint8Array };

export interface HeldAnswer {
  /** What the owner says of absences counts (R4). */
  readonly isServing: boolean;
  /** 0 where it is no owner. */
  readonly ownedSince: number;
  readonly gcFloor: number;
  /** One for each entry, in order. */
  readonly knowledge: readonly Knowledge[];
}

/** What an owner that holds `record` says of `entry`. */
export function knowledgeOf(record: Record, { actor, counters }: AskedEntry): Knowledge {
  const own = entryOf(record, actor);
  const known = own?.counterMax ?? 0;
  if (counters.some((counter) => counter > known)) return "lacks";
  const listed = new Set(own?.values.map(({ counter }) => counter));
  return counters.every((counter) => listed.has(counter)) ? "lists" : "superseded";
}

export function encodeHeldRequest(request: HeldRequest): Uint8Array {
  const writer = new ByteWriter(256);
  writer.u8(VERSION);
  writeChoice(writer, REQUESTS, request.kind);
  writer.bytes(request.internalKey);
  if (request.kind === "accept") writer.raw(request.record);
  else writeEntries(writer, request.entries);
  return writer.finish();
}

function writeEntries(writer: ByteWriter, entries: readonly AskedEntry[]): void {
  writer.varint(entries.length);
  for (const { actor, counters } of entries) {
    writeNode(writer, actor);
    writer.varint(incarnationOf(actor));
    writer.varint(counters.length);
    for (const counter of counters) writer.varint(counter);
  }
}

/** Views on `body`; throws `DecodeError`. */
export function decodeHeldRequest(body: Uint8Array): HeldRequest {
  const reader = readerOf(body);
  const kind = readChoice(reader, REQUESTS, "request");
  const internalKey = reader.view();
  if (kind === "accept") return { kind, internalKey, record: reader.raw(reader.remaining) };
  const count = readCount(reader, ENTRIES_MAX, ENTRY_BYTES_MIN);
  const entries: AskedEntry[] = [];
  for (let i = 0; i < count; i++) entries.push(readEntry(reader));
  reader.expectEnd();
  return { kind, internalKey, entries };
}

function readEntry(reader: ByteReader): AskedEntry {
  const actor = joinActor(readNode(reader), readIncarnation(reader));
  const count = readCount(reader, COUNTERS_MAX, 1);
  const counters: number[] = [];
  for (let i = 0; i < count; i++) counters.push(reader.varint());
  return { actor, counters };
}

export function encodeHeldAnswer(answer: HeldAnswer): Uint8Array {
  const { isServing, ownedSince, gcFloor, knowledge } = answer;
  const writer = new ByteWriter(32 + knowledge.length);
  writer.u8(VERSION);
  writer.u8(isServing ? 1 : 0);
  writer.varint(ownedSince);
  writer.varint(gcFloor);
  writer.varint(knowledge.length);
  for (const word of knowledge) writeChoice(writer, KNOWLEDGE, word);
  return writer.finish();
}

/** Throws `DecodeError` unless it speaks of `count` entries. */
export function decodeHeldAnswer(body: Uint8Array, count: number): HeldAnswer {
  const reader = readerOf(body);
  const isServing = readBoolean(reader);
  const ownedSince = reader.varint();
  const gcFloor = reader.varint();
  const stated = readCount(reader, ENTRIES_MAX, 1);
  if (stated !== count) throw new DecodeError(`Cannot read ${stated} entries: want ${count}`);
  const knowledge: Knowledge[] = [];
  for (let i = 0; i < count; i++) knowledge.push(readChoice(reader, KNOWLEDGE, "knowledge"));
  reader.expectEnd();
  return { isServing, ownedSince, gcFloor, knowledge };
}

export const ACCEPTED = new Uint8Array([VERSION]);

function readerOf(body: Uint8Array): ByteReader {
  const reader = new ByteReader(body);
  const version = reader.u8();
  if (version !== VERSION) throw new DecodeError(`Cannot read message: version ${version}`);
  return reader;
}
