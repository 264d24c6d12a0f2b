/**
 * Where a listing goes on: the bound that the next page starts from, opaque to clients.
 *
 *   u8 version 1 | u8 direction (0 forward, 1 reverse) | CRC-32 of the bucket name u32 | bound | CRC-32 of all that u32   in base64url
 *
 * Forward, the bound is the first key not yet shown; reverse, keys below it are left. It is not a secret and not sealed: somebody who makes
 * one up starts somewhere else in a bucket that he may list anyway. The checksum catches accidents.
 */
import { ByteReader, DecodeError } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { base64url, fromBase64url, utf8 } from "../base/bytes.ts";
import { HutchError } from "../base/errors.ts";
import { crc32 } from "../kernels/kernels.ts";

const VERSION = 1;
const CHECKSUM_BYTES = 4;
const CURSOR_CHARACTERS_MAX = 8192;

export function encodeCursor(bucket: string, isReverse: boolean, bound: Uint8Array): string {
  const writer = new ByteWriter(bound.length + 16);
  writer.u8(VERSION);
  writer.u8(isReverse ? 1 : 0);
  writer.u32(crc32(utf8(bucket)));
  writer.raw(bound);
  writer.u32(crc32(writer.view()));
  return base64url(writer.view());
}

/** The bound; throws `bad-cursor` for garbage and for a cursor of another bucket or direction. */
export function decodeCursor(bucket: string, isReverse: boolean, cursor: string): Uint8Array {
  const bytes = cursor.length <= CURSOR_CHARACTERS_MAX ? fromBase64url(cursor) : undefined;
  if (bytes === undefined || bytes.length < CHECKSUM_BYTES) throw badCursor("it is not a cursor");
  const end = bytes.length - CHECKSUM_BYTES;
  try {
    const sum = new ByteReader(bytes, end).u32();
    const reader = new ByteReader(bytes, 0, end);
    if (sum !== crc32(bytes.subarray(0, end)) || reader.u8() !== VERSION)
      throw badCursor("it is not a cursor");
    if (reader.u8() !== (isReverse ? 1 : 0)) throw badCursor("it is of the other direction");
    if (reader.u32() !== crc32(utf8(bucket))) throw badCursor("it is of another bucket");
    return reader.raw(reader.remaining);
  } catch (thrown) {
    if (thrown instanceof DecodeError) throw badCursor("it is not a cursor");
    throw thrown;
  }
}

function badCursor(why: string): HutchError {
  return new HutchError("bad-cursor", `Cannot go on listing: ${why}`);
}
