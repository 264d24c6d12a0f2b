/**
 * The memory of `Idempotency-Key`: a retry within ten minutes is the same write and gets the first answer. Stored in the batch of the write
 * itself, so either both are there or neither.
 *
 *   key     partition u16 | 0x02 | xxHash128 of (length u32, internal key, idempotency key)
 *   value   u8 1 | may go at u64 | body digest 16 | node id 8, incarnation varint, counter varint (the write's dot)
 *           | conflicts dropped varint | context token (string) | record after the write, with the written value left out
 *
 * The value itself is not kept a second time: a retry brings it along, and the digest says that it is the same.
 */
import { ByteReader } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { EMPTY_BYTES, equalBytes, utf8, utf8Text } from "../base/bytes.ts";
import { HutchError } from "../base/errors.ts";
import {
  type Actor,
  incarnationOf,
  joinActor,
  readIncarnation,
  readNode,
  writeNode,
} from "../causality/actor.ts";
import type { Payload } from "../causality/payload.ts";
import { type Record, decodeRecord, encodeRecord } from "../causality/record.ts";
import { IDEMPOTENCY_KEY_MARK } from "../causality/retention.ts";
import { stateDigest } from "../kernels/kernels.ts";
import type { WriteRequest } from "../quorum/operation.ts";

export const IDEMPOTENCY_WINDOW_MS = 600_000;
const VERSION = 1;
const DIGEST_BYTES = 16;

/** The first answer. */
export interface RememberedWrite {
  readonly expiresAtMs: number;
  readonly actor: Actor;
  readonly counter: number;
  readonly conflictDropped: number;
  readonly context: string;
  readonly record: Record;
}

export function idempotencyKeyOf(internalKey: Uint8Array, idempotencyKey: string): Uint8Array {
  const writer = new ByteWriter(internalKey.length + idempotencyKey.length + 8);
  writer.u32(internalKey.length);
  writer.raw(internalKey);
  writer.raw(utf8(idempotencyKey));
  const key = new Uint8Array(3 + DIGEST_BYTES);
  key[0] = internalKey[0]!;
  key[1] = internalKey[1]!;
  key[2] = IDEMPOTENCY_KEY_MARK;
  key.set(stateDigest(writer.view()), 3);
  return key;
}

/** What makes two requests the same one: what they would store. */
function bodyDigest(request: WriteRequest): Uint8Array {
  const writer = new ByteWriter(request.value.length + 256);
  writer.u8(request.kind === "put" ? 1 : 2);
  writer.bytes(utf8(request.contentType));
  writer.bytes(utf8(request.contentEncoding));
  writer.varint(request.meta.length);
  for (const [name, value] of request.meta) {
    writer.bytes(utf8(name));
    writer.bytes(utf8(value));
  }
  writer.raw(request.value);
  return stateDigest(writer.view());
}

export function encodeRemembered(request: WriteRequest, remembered: RememberedWrite): Uint8Array {
  const { actor, counter } = remembered;
  const writer = new ByteWriter(512);
  writer.u8(VERSION);
  writer.u64(remembered.expiresAtMs);
  writer.raw(bodyDigest(request));
  writeNode(writer, actor);
  writer.varint(incarnationOf(actor));
  writer.varint(counter);
  writer.varint(remembered.conflictDropped);
  writer.bytes(utf8(remembered.context));
  encodeRecord(writer, withOwnValue(remembered.record, actor, counter, EMPTY_BYTES));
  return writer.finish();
}

/**
 * The answer to repeat, or `undefined` when the entry's window is over. Throws `idempotency-mismatch` when `request` is not the
 * one that made it, `DecodeError` when the entry is none.
 */
export function recall(
  bytes: Uint8Array,
  request: WriteRequest,
  nowMs: number,
): RememberedWrite | undefined {
  const reader = new ByteReader(bytes);
  reader.u8();
  const expiresAtMs = reader.u64();
  if (expiresAtMs <= nowMs) return undefined;
  if (!equalBytes(reader.raw(DIGEST_BYTES), bodyDigest(request))) throw mismatch();
  const actor = joinActor(readNode(reader), readIncarnation(reader));
  const counter = reader.varint();
  const conflictDropped = reader.varint();
  const context = utf8Text(reader.view()) ?? "";
  const stored = decodeRecord(reader.raw(reader.remaining));
  const record = withOwnValue(stored, actor, counter, request.value);
  return { expiresAtMs, actor, counter, conflictDropped, context, record };
}

function withOwnValue(record: Record, actor: Actor, counter: number, value: Uint8Array): Record {
  const fill = (payload: Payload): Payload =>
    payload.isTombstone ? payload : { ...payload, value };
  return record.map((entry) =>
    entry.actor !== actor
      ? entry
      : {
          ...entry,
          values: entry.values.map((own) =>
            own.counter === counter ? { counter, payload: fill(own.payload) } : own,
          ),
        },
  );
}

function mismatch(): HutchError {
  return new HutchError(
    "idempotency-mismatch",
    "Cannot repeat the write: the Idempotency-Key was used for this key with another body",
  );
}
