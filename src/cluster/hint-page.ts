/** A bounded piece of the hints for one target, in key order: replay and sweep never hold more than one in memory. */
import { startsWith } from "../base/bytes.ts";
import type { NodeId } from "../gossip/member.ts";
import type { EntryIterator } from "../storage/store.ts";
import { type Hint, decodeHint, hintKey, hintedKeyAt } from "./hint-format.ts";

/** Owns its bytes. */
export interface StoredHint {
  readonly internalKey: Uint8Array;
  /** As stored: whoever removes the hint shows it. */
  readonly value: Uint8Array;
  /** Views on `value`. */
  readonly hint: Hint;
}

const NOTHING = new Uint8Array(0);

/** @param after the last internal key of the page before */
export function readPage(
  iterator: EntryIterator,
  target: NodeId,
  after: Uint8Array | undefined,
  countMax: number,
  bytesMax: number,
): StoredHint[] {
  const prefix = hintKey(target, NOTHING);
  const page: StoredHint[] = [];
  let bytes = 0;
  for (iterator.seek(startOf(target, after)); iterator.isValid; iterator.next()) {
    if (page.length >= countMax || bytes >= bytesMax) break;
    const { keyBytes, keyStart, keyEnd, valueBytes, valueStart, valueEnd } = iterator;
    if (!startsWith(keyBytes.subarray(keyStart, keyEnd), prefix)) break;
    const value = valueBytes.slice(valueStart, valueEnd);
    const internalKey = hintedKeyAt(keyBytes, keyStart, keyEnd);
    page.push({ internalKey, value, hint: decodeHint(value) });
    bytes += value.length;
  }
  return page;
}

/** The least key behind `after`. */
function startOf(target: NodeId, after: Uint8Array | undefined): Uint8Array {
  if (after === undefined) return hintKey(target, NOTHING);
  const next = new Uint8Array(after.length + 1);
  next.set(after);
  return hintKey(target, next);
}
