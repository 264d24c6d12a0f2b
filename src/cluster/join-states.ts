/** The join of two encoded states, encoded: what a coordinator does with replies that differ. */
import { ByteWriter } from "../base/byte-writer.ts";
import { collapse } from "../causality/lww.ts";
import { type Record, encodeRecord } from "../causality/record.ts";
import { merge } from "../causality/siblings.ts";
import type { BucketProperties } from "../quorum/operation.ts";
import { decodeStored } from "./replica-store.ts";

export function joinStates(
  mode: BucketProperties["conflicts"],
  a: Uint8Array,
  b: Uint8Array,
): Uint8Array {
  const joined = merge(decodeStored(a), decodeStored(b));
  return encodeState(mode === "lww" ? collapse(joined) : joined);
}

export function encodeState(record: Record): Uint8Array {
  const writer = new ByteWriter(512);
  encodeRecord(writer, record);
  return writer.finish();
}
