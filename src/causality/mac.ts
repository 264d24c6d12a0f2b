/**
 * The seal on tokens that clients hand back (R13): SipHash-2-4 (Aumasson and Bernstein, 2012) under the cluster's secret, eight bytes at
 * the end. A token that fails it was not made by this cluster, or was changed on its way.
 */
import { readU32 } from "../base/byte-reader.ts";
import type { ByteWriter } from "../base/byte-writer.ts";
import { assert } from "../base/assert.ts";
import { sipHash24 } from "../kernels/kernels.ts";

export const MAC_BYTES = 8;
export const SECRET_BYTES = 16;

const words = new Uint32Array(2);

/** Appends the MAC of everything in `writer`. */
export function seal(writer: ByteWriter, secret: Uint8Array): void {
  assert(secret.length === SECRET_BYTES, "a cluster secret has 16 bytes");
  sipHash24(secret, writer.buffer, 0, writer.length, words);
  writer.u32(words[0]!);
  writer.u32(words[1]!);
}

/** Do the last eight bytes seal the rest? One comparison of words, so its time says nothing about where they differ. */
export function isSealed(bytes: Uint8Array, secret: Uint8Array): boolean {
  const end = bytes.length - MAC_BYTES;
  if (end < 0) return false;
  sipHash24(secret, bytes, 0, end, words);
  const difference = (words[0]! ^ readU32(bytes, end)) | (words[1]! ^ readU32(bytes, end + 4));
  return difference === 0;
}
