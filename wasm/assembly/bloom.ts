/**
 * One 64-byte line of a blocked bloom filter; the twin of the functions in `src/kernels/kernels-js.ts`,
 * where the choice of the line and of the six bits is explained.
 */

import { LINE } from "./memory-map";

function setBit(bit: u32): void {
  const at = LINE + (bit >>> 3);
  const mask: u32 = 1 << (bit & 7);
  store<u8>(at, load<u8>(at) | (mask as u8));
}

function hasBit(bit: u32): bool {
  return ((load<u8>(LINE + (bit >>> 3)) >>> (bit & 7)) & 1) != 0;
}

/** Sets the six bits of a key in the line at LINE. */
export function bloomLineAdd(h0: u32, h1: u32, h2: u32): void {
  const folded = h0 ^ rotl<u32>(h1, 16);
  setBit(h2 & 511);
  setBit((h2 >>> 9) & 511);
  setBit((h2 >>> 18) & 511);
  setBit(folded & 511);
  setBit((folded >>> 9) & 511);
  setBit((folded >>> 18) & 511);
}

/** 1 where all six bits are set in the line at LINE, else 0. */
export function bloomLineMayContain(h0: u32, h1: u32, h2: u32): i32 {
  const folded = h0 ^ rotl<u32>(h1, 16);
  return (hasBit(h2 & 511) &&
    hasBit((h2 >>> 9) & 511) &&
    hasBit((h2 >>> 18) & 511) &&
    hasBit(folded & 511) &&
    hasBit((folded >>> 9) & 511) &&
    hasBit((folded >>> 18) & 511)) as i32;
}
