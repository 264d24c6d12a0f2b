/**
 * MurmurHash3 x64 128 (Austin Appleby, public domain), seed 0: two 64-bit lanes, 16 bytes a turn.
 * https://github.com/aappleby/smhasher/blob/master/src/MurmurHash3.cpp
 */

import { RESULT } from "./memory-map";

const C1: u64 = 0x87c37b91114253d5;
const C2: u64 = 0x4cf5ad432745937f;

function scramble1(k: u64): u64 {
  return rotl<u64>(k * C1, 31) * C2;
}

function scramble2(k: u64): u64 {
  return rotl<u64>(k * C2, 33) * C1;
}

function finalMix(k: u64): u64 {
  k = (k ^ (k >> 33)) * 0xff51afd7ed558ccd;
  k = (k ^ (k >> 33)) * 0xc4ceb9fe1a85ec53;
  return k ^ (k >> 33);
}

/** The last `count` bytes (0 to 8) at `at`, little-endian, zero-extended. */
function tail(at: usize, count: i32): u64 {
  let word: u64 = 0;
  for (let i = count - 1; i >= 0; i--) word = (word << 8) | load<u8>(at + i);
  return word;
}

/** Hashes `length` bytes at `at`; RESULT holds h1, h2 as two little-endian u64. */
export function hashKey(at: usize, length: i32): void {
  let h1: u64 = 0;
  let h2: u64 = 0;
  const blocksEnd = at + (length & ~15);
  while (at < blocksEnd) {
    h1 ^= scramble1(load<u64>(at));
    h1 = (rotl<u64>(h1, 27) + h2) * 5 + 0x52dce729;
    h2 ^= scramble2(load<u64>(at, 8));
    h2 = (rotl<u64>(h2, 31) + h1) * 5 + 0x38495ab5;
    at += 16;
  }
  const rest = length & 15;
  if (rest > 8) h2 ^= scramble2(tail(at + 8, rest - 8));
  if (rest > 0) h1 ^= scramble1(tail(at, min(rest, 8)));
  h1 ^= length as u64;
  h2 ^= length as u64;
  h1 += h2;
  h2 += h1;
  h1 = finalMix(h1);
  h2 = finalMix(h2);
  h1 += h2;
  store<u64>(RESULT, h1);
  store<u64>(RESULT, h2 + h1, 8);
}
