/**
 * Equal concurrent values are one to the reader (R15): internal retries of a client must not look like a conflict. Equality is of what a
 * client can see: deleted or not, value bytes, content type and encoding, metadata. The state itself keeps every dot.
 */
import { equalBytes } from "../base/bytes.ts";
import type { Dotted } from "./lww.ts";
import type { Payload, PayloadMetadata } from "./payload.ts";

/** A tombstone, or past its expiry at `nowMs` (R23). */
export function isDead(payload: Payload, nowMs: number): boolean {
  return payload.isTombstone || (payload.expiresAtMs !== 0 && payload.expiresAtMs <= nowMs);
}

/** The first of each set of equal ones, order kept. */
export function distinctValues(values: readonly Dotted[], nowMs: number): readonly Dotted[] {
  if (values.length < 2) return values;
  const distinct: Dotted[] = [];
  for (const value of values)
    if (!distinct.some((other) => looksEqual(other.payload, value.payload, nowMs)))
      distinct.push(value);
  return distinct;
}

function looksEqual(a: Payload, b: Payload, nowMs: number): boolean {
  const isGone = isDead(a, nowMs);
  if (isGone !== isDead(b, nowMs)) return false;
  if (isGone) return true;
  return (
    a.contentType === b.contentType &&
    a.contentEncoding === b.contentEncoding &&
    equalBytes(a.value, b.value) &&
    equalMetadata(a.meta, b.meta)
  );
}

function equalMetadata(a: PayloadMetadata, b: PayloadMetadata): boolean {
  return (
    a.length === b.length && a.every(([name, value], i) => b[i]![0] === name && b[i]![1] === value)
  );
}
