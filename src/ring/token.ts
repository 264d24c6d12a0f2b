/**
 * A position on the ring: the 128-bit hash of the UTF-8 bytes of bucket, 0x00 and key (MurmurHash3 x64 128), as four
 * unsigned words [h1 low, h1 high, h2 low, h2 high]. h1 is the more significant half.
 *
 * The partition comes from the top of h1, fingerprints of the key from h2, so they are independent of each other.
 */
import { hashKey } from "../kernels/kernels.ts";

const words = new Uint32Array(4);

/** The token of `bytes[start, end)`; the array is reused by the next call. */
export function tokenOf(bytes: Uint8Array, start: number, end: number): Uint32Array {
  hashKey(bytes, start, end, words);
  return words;
}

/** The arc of the ring, of 2^`partitionBits` equal ones, that holds `token`. */
export function partitionOf(token: Uint32Array, partitionBits: number): number {
  return token[1]! >>> (32 - partitionBits);
}
