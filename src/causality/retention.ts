/**
 * Which stored entries may go, and when: the meaning that storage itself does not know.
 *
 *   record        compaction never drops one (R40). When nothing in it is live it may be collected: by all its owners together, some time after
 *                 the last of it has died (R23, R39, `cluster/tombstone-collector.ts`)
 *   idempotency   compaction drops it when its window is over
 *   system        stays
 *   hint          stays: the hint store deletes it itself, when it is delivered or too old (R24, R27)
 *
 * What cannot be decoded stays: a damaged record must be found by a reader, not vanish. `retainEntries` runs in workers.
 */
import { DecodeError, readU32 } from "../base/byte-reader.ts";
import { wallMsOfHlc } from "./hlc.ts";
import type { Payload } from "./payload.ts";
import { type Record, decodeRecord, isPlainValue } from "./record.ts";

/** The byte behind the partition of an internal key; bucket names start with a letter or digit. Frozen. */
export const SYSTEM_KEY_MARK = 0x01;
export const IDEMPOTENCY_KEY_MARK = 0x02;
export const HINT_KEY_MARK = 0x03;
const MARK_AT = 2;

/** An idempotency entry starts with a version byte and, as u64, the Unix ms at which it may go. */
export const IDEMPOTENCY_EXPIRY_AT = 1;

type RetainEntry = (
  keyBytes: Uint8Array,
  keyStart: number,
  keyEnd: number,
  valueBytes: Uint8Array,
  valueStart: number,
  valueEnd: number,
) => boolean;

/** The retention of one compaction; of `parameters` it reads `nowMs`, Unix ms. Without that everything stays. */
export function retainEntries(
  parameters: Readonly<globalThis.Record<string, number>>,
): RetainEntry {
  const nowMs = parameters["nowMs"] ?? 0;
  return (keyBytes, keyStart, keyEnd, valueBytes, valueStart, valueEnd) => {
    const mark = keyEnd - keyStart > MARK_AT ? keyBytes[keyStart + MARK_AT]! : SYSTEM_KEY_MARK;
    if (mark !== IDEMPOTENCY_KEY_MARK) return true;
    return !isIdempotencyOver(valueBytes.subarray(valueStart, valueEnd), nowMs);
  };
}

function isIdempotencyOver(value: Uint8Array, nowMs: number): boolean {
  if (value.length < IDEMPOTENCY_EXPIRY_AT + 8) return false;
  const high = readU32(value, IDEMPOTENCY_EXPIRY_AT + 4);
  return high * 4294967296 + readU32(value, IDEMPOTENCY_EXPIRY_AT) <= nowMs;
}

/** Nothing in the record is live, and the last of it died before `collectBeforeMs`. */
export function mayCollect(bytes: Uint8Array, collectBeforeMs: number): boolean {
  return deathOf(bytes) < collectBeforeMs;
}

/** Unix ms at which the last value of a stored record died or will have expired; Infinity for one that lives, and for what is none. */
export function deathOf(bytes: Uint8Array): number {
  if (isPlainValue(bytes)) return Infinity;
  try {
    return deathOfRecord(decodeRecord(bytes));
  } catch (thrown) {
    if (thrown instanceof DecodeError) return Infinity;
    throw thrown;
  }
}

/** What is superseded in it died with the write that superseded it, of which the counters tell. */
function deathOfRecord(record: Record): number {
  let deathMs = 0;
  for (const { counterMax, values } of record) {
    deathMs = Math.max(deathMs, wallMsOfHlc(counterMax));
    for (const { payload } of values) deathMs = Math.max(deathMs, diedAtMs(payload));
  }
  return deathMs;
}

/** A tombstone died when it was written; a value when it expired, or was written already expired. */
function diedAtMs(payload: Payload): number {
  const writtenMs = wallMsOfHlc(payload.hlc);
  if (payload.isTombstone) return writtenMs;
  return payload.expiresAtMs === 0 ? Infinity : Math.max(payload.expiresAtMs, writtenMs);
}
