/** What a replica needs of storage, and the keys that are the node's own. */
import { CorruptionError } from "../base/errors.ts";
import { DecodeError } from "../base/byte-reader.ts";
import { concatBytes, utf8 } from "../base/bytes.ts";
import { type Record, decodeRecord } from "../causality/record.ts";
import { SYSTEM_KEY_MARK } from "../causality/retention.ts";
import type { Store } from "../storage/store.ts";

export type ReplicaStore = Pick<
  Store,
  "admit" | "get" | "apply" | "whenDurable" | "snapshot" | "reportDamage" | "failure"
>;

/** Partition 0x0000, the system mark, a name: sorts before every bucket of partition 0. */
export function systemKey(name: string): Uint8Array {
  return concatBytes(new Uint8Array([0, 0, SYSTEM_KEY_MARK]), utf8(name));
}

/**
 * A stored record whose checksum was right and which still cannot be decoded is damage all the same: `data-corrupt`, never "absent".
 */
export function decodeStored(bytes: Uint8Array): Record {
  try {
    return decodeRecord(bytes);
  } catch (thrown) {
    throw asCorruption(thrown);
  }
}

export function asCorruption(thrown: unknown): unknown {
  if (!(thrown instanceof DecodeError)) return thrown;
  return new CorruptionError(`Cannot read stored record: ${thrown.message}`, "", -1, thrown);
}
