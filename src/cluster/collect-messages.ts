/**
 * The bytes of topic `collect` (R39): what a collector asks the owners of a partition, and their verdicts.
 *
 *   request   u8 1 | step u8 | layout version varint | partition varint | count varint | count times: key (string) | newest dot varint | digest 16
 *   reply     u8 1 | count varint | count times: verdict u8
 *
 *   step `compare`   is this exactly what you hold?       `drop`   then forget it, if it still is
 *
 *   verdict   equal   the very same state, on disk, and long enough dead by my clock too
 *             gone    nothing is here, and no state that the deletion had superseded can come here unnoticed
 *             other   another state, or none
 *             later   not now
 */
import { ByteReader, DecodeError } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { readChoice, readCount, writeChoice } from "./peer-codec-fields.ts";

const VERSION = 1;
export const DIGEST_BYTES = 16;
/** Keys of one message; few enough that looking all of them up does not hold up the loop. */
export const COLLECT_KEYS_MAX = 256;
/** A key of one byte, its length, a newest dot of one byte, the digest. */
const ITEM_BYTES_MIN = 3 + DIGEST_BYTES;

/** Frozen: positions travel; append only. */
const STEPS = ["compare", "drop"] as const;
const VERDICTS = ["equal", "gone", "other", "later"] as const;

export type CollectStep = (typeof STEPS)[number];
export type CollectVerdict = (typeof VERDICTS)[number];

/** A state that is to be collected. */
export interface CollectItem {
  readonly internalKey: Uint8Array;
  /** `newestDot` of its record. */
  readonly newest: number;
  /** `stateDigest` of its record. */
  readonly digest: Uint8Array;
}

export interface CollectRequest {
  readonly step: CollectStep;
  /** The newest layout that the collector knows of. */
  readonly layoutVersion: number;
  readonly partition: number;
  readonly items: readonly CollectItem[];
}

export function encodeCollectRequest(request: CollectRequest): Uint8Array {
  const { step, layoutVersion, partition, items } = request;
  const writer = new ByteWriter(64 + items.length * 64);
  writer.u8(VERSION);
  writeChoice(writer, STEPS, step);
  writer.varint(layoutVersion);
  writer.varint(partition);
  writer.varint(items.length);
  for (const { internalKey, newest, digest } of items) {
    writer.bytes(internalKey);
    writer.varint(newest);
    writer.raw(digest);
  }
  return writer.finish();
}

/** Views on `body`; throws `DecodeError`. */
export function decodeCollectRequest(body: Uint8Array): CollectRequest {
  const reader = readerOf(body);
  const step = readChoice(reader, STEPS, "step");
  const layoutVersion = reader.varint();
  const partition = reader.varint();
  const count = readCount(reader, COLLECT_KEYS_MAX, ITEM_BYTES_MIN);
  const items: CollectItem[] = [];
  for (let i = 0; i < count; i++)
    items.push({
      internalKey: reader.view(),
      newest: reader.varint(),
      digest: reader.raw(DIGEST_BYTES),
    });
  reader.expectEnd();
  return { step, layoutVersion, partition, items };
}

export function encodeCollectReply(verdicts: readonly CollectVerdict[]): Uint8Array {
  const writer = new ByteWriter(8 + verdicts.length);
  writer.u8(VERSION);
  writer.varint(verdicts.length);
  for (const verdict of verdicts) writeChoice(writer, VERDICTS, verdict);
  return writer.finish();
}

/** Throws `DecodeError` unless there are `count` verdicts. */
export function decodeCollectReply(body: Uint8Array, count: number): CollectVerdict[] {
  const reader = readerOf(body);
  const stated = readCount(reader, COLLECT_KEYS_MAX, 1);
  if (stated !== count) throw new DecodeError(`Cannot read ${stated} verdicts: want ${count}`);
  const verdicts: CollectVerdict[] = [];
  for (let i = 0; i < count; i++) verdicts.push(readChoice(reader, VERDICTS, "verdict"));
  reader.expectEnd();
  return verdicts;
}

function readerOf(body: Uint8Array): ByteReader {
  const reader = new ByteReader(body);
  const version = reader.u8();
  if (version !== VERSION) throw new DecodeError(`Cannot read message: version ${version}`);
  return reader;
}
