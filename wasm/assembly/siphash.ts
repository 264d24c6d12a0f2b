/**
 * SipHash-2-4 with a 64-bit result (Aumasson and Bernstein, "SipHash: a fast short-input PRF"):
 * a keyed hash that an attacker without the key can neither predict nor collide.
 */

import { LINE, RESULT } from "./memory-map";

let v0: u64 = 0;
let v1: u64 = 0;
let v2: u64 = 0;
let v3: u64 = 0;

function round(): void {
  v0 += v1;
  v1 = rotl<u64>(v1, 13) ^ v0;
  v0 = rotl<u64>(v0, 32);
  v2 += v3;
  v3 = rotl<u64>(v3, 16) ^ v2;
  v0 += v3;
  v3 = rotl<u64>(v3, 21) ^ v0;
  v2 += v1;
  v1 = rotl<u64>(v1, 17) ^ v2;
  v2 = rotl<u64>(v2, 32);
}

function absorb(word: u64): void {
  v3 ^= word;
  round();
  round();
  v0 ^= word;
}

/** MAC of `length` bytes at `at` under the 16 bytes at LINE; RESULT holds the u64, little-endian. */
export function sipHash24(at: usize, length: i32): void {
  const k0 = load<u64>(LINE);
  const k1 = load<u64>(LINE, 8);
  v0 = k0 ^ 0x736f6d6570736575;
  v1 = k1 ^ 0x646f72616e646f6d;
  v2 = k0 ^ 0x6c7967656e657261;
  v3 = k1 ^ 0x7465646279746573;
  const wordsEnd = at + (length & ~7);
  for (; at < wordsEnd; at += 8) absorb(load<u64>(at));
  let last: u64 = (length as u64) << 56;
  for (let i = 0; i < (length & 7); i++) last |= (load<u8>(at + i) as u64) << (i * 8);
  absorb(last);
  v2 ^= 0xff;
  for (let i = 0; i < 4; i++) round();
  store<u64>(RESULT, v0 ^ v1 ^ v2 ^ v3);
}
