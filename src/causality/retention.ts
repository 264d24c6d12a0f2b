/**
 * Which stored entries compaction may forget (C26, R23, R40): the meaning that storage itself does not know. Runs in workers.
 *
 *   record        goes when nothing in it is live and the last of it died before `collectBeforeMs`: every value is a tombstone
 *                 written, or expired, before that instant. Whoever sets the instant vouches that all owners have the
 *                 deletion (R39); 0 forgets nothing.
 *   idempotency   goes when its window is over
 *   system        stays
 *   hint          stays: the hint store deletes it itself, when it is delivered or too old (R24, R27)
 *
 * What cannot be decoded stays: a damaged record must be found by a reader, not vanish.
 */
import { DecodeError, readU32 } from "../base/byte-reader.ts";
import { wallMsOfHlc } from "./hlc.ts";
import type { Payload } from "./payload.ts";
import { type Record, decodeRecord } from "./record.ts";

/** The byte behind the partition of an internal key; bucket names start with a letter or digit. Frozen. */
export const SYSTEM_KEY_MARK = 0x01;
export const IDEMPOTENCY_KEY_MARK = 0x02;
export const HINT_KEY_MARK = 0x03;
const MARK_AT = 2;

/** An idempotency entry starts with a version byte and, as u64, the Unix ms at which it may go. */
export const IDEMPOTENCY_EXPIRY_AT = 1;

/** Plain numbers, because they travel to a worker. */
export type CollectionInstants = Readonly<globalThis.Record<string, number>> & {
  /** Unix ms now, for idempotency entries. */
  readonly nowMs: number;
  readonly collectBeforeMs: number;
};

type RetainEntry = (
  keyBytes: Uint8Array,
  keyStart: number,
  keyEnd: number,
  valueBytes: Uint8Array,
  valueStart: number,
  valueEnd: number,
) => boolean;

/** The retention of one compaction. Absent parameters retain everything. */
export function retainEntries(
  parameters: Readonly<globalThis.Record<string, number>>,
): RetainEntry {
  const nowMs = parameters["nowMs"] ?? 0;
  const collectBeforeMs = parameters["collectBeforeMs"] ?? 0;
  return (keyBytes, keyStart, keyEnd, valueBytes, valueStart, valueEnd) => {
    const mark = keyEnd - keyStart > MARK_AT ? keyBytes[keyStart + MARK_AT]! : SYSTEM_KEY_MARK;
    if (mark === SYSTEM_KEY_MARK || mark === HINT_KEY_MARK) return true;
    const value = valueBytes.subarray(valueStart, valueEnd);
    if (mark === IDEMPOTENCY_KEY_MARK) return !isIdempotencyOver(value, nowMs);
    return !mayCollect(value, collectBeforeMs);
  };
}

function isIdempotencyOver(value: Uint8Array, nowMs: number): boolean {
  if (value.length < IDEMPOTENCY_EXPIRY_AT + 8) return false;
  const high = readU32(value, IDEMPOTENCY_EXPIRY_AT + 4);
  return high * 4294967296 + readU32(value, IDEMPOTENCY_EXPIRY_AT) <= nowMs;
}

/** Nothing in the record is live, and the last of it died before `collectBeforeMs`. */
export function mayCollect(bytes: Uint8Array, collectBeforeMs: number): boolean {
  if (collectBeforeMs <= 0) return false;
  try {
    return diedBefore(decodeRecord(bytes), collectBeforeMs);
  } catch (thrown) {
    if (thrown instanceof DecodeError) return false;
    throw thrown;
  }
}

function diedBefore(record: Record, instantMs: number): boolean {
  return record.every((entry) =>
    entry.values.every(({ payload }) => diedAtMs(payload) < instantMs),
  );
}

/** A tombstone died when it was written; a value when it expired, or was written already expired. */
function diedAtMs(payload: Payload): number {
  const writtenMs = wallMsOfHlc(payload.hlc);
  if (payload.isTombstone) return writtenMs;
  return payload.expiresAtMs === 0 ? Infinity : Math.max(payload.expiresAtMs, writtenMs);
}
