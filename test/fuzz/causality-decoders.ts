/** Records, what a record is as JSON, tokens that clients bring back, and entries that stand beside records in the store. */
import fc from "fast-check";
import { utf8, utf8Text } from "../../src/base/bytes.ts";
import { ByteReader } from "../../src/base/byte-reader.ts";
import { ByteWriter } from "../../src/base/byte-writer.ts";
import { parseActor } from "../../src/causality/actor.ts";
import type { CausalContext, ContextEntry } from "../../src/causality/causal-context.ts";
import { ContextTokens } from "../../src/causality/context-token.ts";
import { MAC_BYTES, seal } from "../../src/causality/mac.ts";
import { readPayloadHead, writePayloadHead, type Payload } from "../../src/causality/payload.ts";
import { recordFromJson, recordToJson } from "../../src/causality/record-json.ts";
import {
  decodeRecord,
  decodeSingle,
  encodeRecord,
  isPlainValue,
  isSingleTombstone,
  type Record,
} from "../../src/causality/record.ts";
import { type Session, SessionTokens } from "../../src/causality/session-token.ts";
import { encodeRemembered, recall, type RememberedWrite } from "../../src/cluster/idempotency.ts";
import { decodeCursor, encodeCursor } from "../../src/cluster/list-cursor.ts";
import { crc32 } from "../../src/kernels/kernels.ts";
import { arbitraryActor, arbitraryPayload, arbitraryRecord } from "../support/arbitrary-record.ts";
import { PUT } from "../support/one-node.ts";
import { type Decoder, decoder } from "./decoder.ts";

const CLUSTER = new Uint8Array(16).fill(7);
const SECRET = new Uint8Array(16).fill(9);
const KEY = 0x1234abcd;
const BUCKET = "demo";
const COUNTER = 77;

export function bytesOf(record: Record): Uint8Array {
  const writer = new ByteWriter(256);
  encodeRecord(writer, record);
  return writer.finish();
}

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

// Records.

const records: readonly Decoder[] = [
  decoder({
    name: "record",
    covers: [
      "causality/record.ts decodeRecord",
      "causality/record.ts decodeSingle",
      "causality/actor.ts readNode",
      "causality/actor.ts readIncarnation",
    ],
    valid: arbitraryRecord.map(bytesOf),
    decode: (input) => {
      const record = decodeRecord(input);
      const single = decodeSingle(input);
      if (isPlainValue(input) && single?.payload.expiresAtMs !== 0)
        throw new Error("a plain value expires");
      if (isSingleTombstone(input) && single?.payload.isTombstone !== true)
        throw new Error("a tombstone is none");
      return record;
    },
    encode: bytesOf,
    refusals: ["decode"],
  }),
  decoder({
    name: "payload head",
    covers: ["causality/payload.ts readPayloadHead"],
    valid: arbitraryPayload.map((payload) => headOf({ ...payload, value: new Uint8Array(0) })),
    decode: (input) => readPayloadHead(new ByteReader(input), COUNTER),
    encode: headOf,
    refusals: ["decode"],
  }),
  decoder({
    name: "record as JSON",
    covers: ["causality/record-json.ts recordFromJson", "causality/actor.ts parseActor"],
    valid: arbitraryRecord.map((record) => utf8(JSON.stringify(recordToJson(plainTexts(record))))),
    decode: (input) => {
      const record = recordFromJson(jsonOf(input));
      // What an import takes is stored: it has to come back.
      if (!Bun.deepEquals(decodeRecord(bytesOf(record)), record))
        throw new Error("it is stored as something else");
      return record;
    },
    encode: (record: Record) => utf8(JSON.stringify(recordToJson(record))),
    refusals: ["decode"],
  }),
  decoder({
    name: "actor",
    covers: ["causality/actor.ts parseActor"],
    valid: arbitraryActor.map(utf8),
    decode: (input) => parseActor(latin1(input)),
    encode: utf8,
    refusals: ["decode"],
  }),
];

function headOf(payload: Payload): Uint8Array {
  const writer = new ByteWriter(64);
  writePayloadHead(writer, payload, COUNTER);
  return writer.finish();
}

/** Text that is no JSON is somebody else's to refuse (`parseJson`). */
function jsonOf(input: Uint8Array): unknown {
  try {
    return JSON.parse(utf8Text(input) ?? "");
  } catch {
    return undefined;
  }
}

/** As a client could have written it. */
function plainTexts(record: Record): Record {
  return record.map((entry) => ({
    ...entry,
    values: entry.values.map(({ counter, payload }) => ({
      counter,
      payload: { ...payload, contentType: "text/plain", meta: [["a", "b"]] },
    })),
  }));
}

// Tokens: text to the client, bytes below.

const counter = fc.integer({ min: 1, max: 2 ** 52 });
const dot: fc.Arbitrary<ContextEntry> = fc.record({ actor: arbitraryActor, counter });
const context: fc.Arbitrary<CausalContext> = fc.record({
  entries: fc
    .uniqueArray(dot, { selector: ({ actor }) => actor, maxLength: 4 })
    .map((entries) => entries.sort((a, b) => (a.actor < b.actor ? -1 : 1))),
  dots: fc.array(dot, { maxLength: 3 }),
});
const session: fc.Arbitrary<Session> = fc.record({
  floorHlc: fc.maxSafeNat(),
  keys: fc.array(
    fc.record({
      hashLow: fc.integer({ min: 0, max: 0xffffffff }),
      hashHigh: fc.integer({ min: 0, max: 0xffffffff }),
      dots: fc.array(dot, { minLength: 1, maxLength: 3 }),
    }),
    { maxLength: 4 },
  ),
});
const contexts = new ContextTokens(CLUSTER, SECRET);
const sessions = new SessionTokens(CLUSTER, SECRET);

/** Rows work on bytes; the text form is another row's. */
const tokenText = (bytes: Uint8Array): string => bytes.toBase64({ alphabet: "base64url" });
const tokenBytes = (text: string): Uint8Array =>
  Uint8Array.fromBase64(text, { alphabet: "base64url" });

/** `damaged` without its last bytes, sealed with the right secret. */
function resealed(damaged: Uint8Array): Uint8Array {
  const writer = new ByteWriter(damaged.length + MAC_BYTES);
  writer.raw(damaged.subarray(0, Math.max(0, damaged.length - MAC_BYTES)));
  seal(writer, SECRET);
  return writer.finish();
}

function resealedCursor(damaged: Uint8Array): Uint8Array {
  const content = damaged.subarray(0, Math.max(0, damaged.length - 4));
  const writer = new ByteWriter(damaged.length + 4);
  writer.raw(content);
  writer.u32(crc32(content));
  return writer.finish();
}

const tokens: readonly Decoder[] = [
  decoder({
    name: "context token",
    covers: ["causality/context-token.ts decode"],
    valid: fc
      .tuple(context, fc.maxSafeNat())
      .map(([known, hlc]) => tokenBytes(contexts.encode(KEY, known, hlc))),
    decode: (input) => contexts.decode(KEY, tokenText(input)),
    encode: (value: CausalContext & { hlc: number }) =>
      tokenBytes(contexts.encode(KEY, value, value.hlc)),
    refusals: ["bad-context", "context-mismatch"],
    sealed: "whole",
    reseal: resealed,
  }),
  decoder({
    name: "context token as text",
    covers: ["causality/context-token.ts decode"],
    valid: context.map((known) => utf8(contexts.encode(KEY, known, 9))),
    decode: (input) => contexts.decode(KEY, latin1(input)),
    refusals: ["bad-context", "context-mismatch"],
    sealed: "whole",
  }),
  decoder({
    name: "session token",
    covers: ["causality/session-token.ts decode"],
    valid: session.map((seen) => tokenBytes(sessions.encode(seen))),
    decode: (input) => sessions.decode(tokenText(input)),
    encode: (value: Session) => tokenBytes(sessions.encode(value)),
    refusals: ["bad-session"],
    sealed: "whole",
    reseal: resealed,
  }),
  decoder({
    name: "session token as text",
    covers: ["causality/session-token.ts decode"],
    valid: session.map((seen) => utf8(sessions.encode(seen))),
    decode: (input) => sessions.decode(latin1(input)),
    refusals: ["bad-session"],
    sealed: (origin, value) =>
      Bun.deepEquals(value, sessions.decode("new")) ||
      Bun.deepEquals(value, sessions.decode(latin1(origin))),
  }),
  decoder({
    name: "list cursor",
    covers: ["cluster/list-cursor.ts decodeCursor"],
    valid: fc
      .uint8Array({ maxLength: 40 })
      .map((bound) => tokenBytes(encodeCursor(BUCKET, false, bound))),
    decode: (input) => decodeCursor(BUCKET, false, tokenText(input)),
    encode: (bound: Uint8Array) => tokenBytes(encodeCursor(BUCKET, false, bound)),
    refusals: ["bad-cursor"],
    sealed: "whole",
    reseal: resealedCursor,
  }),
  decoder({
    name: "remembered write",
    covers: ["cluster/idempotency.ts recall"],
    valid: fc
      .tuple(arbitraryRecord, arbitraryActor, counter, fc.string({ maxLength: 20 }), fc.nat())
      .map(([record, actor, own, token, conflictDropped]) =>
        encodeRemembered(PUT, {
          expiresAtMs: 1000,
          actor,
          counter: own,
          conflictDropped,
          context: token,
          record,
        }),
      ),
    decode: (input) => recall(input, PUT, 0),
    encode: (value: RememberedWrite | undefined) =>
      value === undefined ? new Uint8Array(9) : encodeRemembered(PUT, value),
    refusals: ["decode", "idempotency-mismatch"],
  }),
];

export const CAUSALITY_DECODERS: readonly Decoder[] = [...records, ...tokens];
