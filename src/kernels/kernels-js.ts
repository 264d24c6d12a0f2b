/**
 * The kernels in plain TypeScript: the oracle that the WASM kernels are compared with, and what runs
 * where the bench says that it is the fastest (see `kernels.ts`). 64-bit words are two 32-bit halves.
 *
 * - murmur3 x64 128: Austin Appleby, public domain, github.com/aappleby/smhasher, seed 0
 * - SipHash-2-4: Aumasson and Bernstein, "SipHash: a fast short-input PRF"
 * - CRC-32: IEEE 802.3, reflected polynomial 0xEDB88320
 * - blocked bloom filter: Putze, Sanders, Singler, "Cache-, Hash- and Space-Efficient Bloom Filters"
 */

import { readU32 } from "../base/byte-reader.ts";

// The 64-bit accumulator: every `*64` function leaves its result here, so that nothing is allocated.
let high = 0;
let low = 0;

/** The upper 32 bits of the 64-bit product of two unsigned 32-bit numbers. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + (middle >>> 16) + (carry >>> 16)) | 0;
}

function multiply64(aHigh: number, aLow: number, bHigh: number, bLow: number): void {
  high = (multiplyHigh(aLow, bLow) + Math.imul(aHigh, bLow) + Math.imul(aLow, bHigh)) | 0;
  low = Math.imul(aLow, bLow);
}

function add64(aHigh: number, aLow: number, bHigh: number, bLow: number): void {
  const sum = (aLow >>> 0) + (bLow >>> 0);
  low = sum | 0;
  high = (aHigh + bHigh + (sum > 0xffffffff ? 1 : 0)) | 0;
}

/** Rotates left by `count` in 1..31. */
function rotate64(aHigh: number, aLow: number, count: number): void {
  high = (aHigh << count) | (aLow >>> (32 - count));
  low = (aLow << count) | (aHigh >>> (32 - count));
}

// ---- murmur3 x64 128 ----

function scramble1(kHigh: number, kLow: number): void {
  multiply64(kHigh, kLow, 0x87c37b91, 0x114253d5);
  rotate64(high, low, 31);
  multiply64(high, low, 0x4cf5ad43, 0x2745937f);
}

function scramble2(kHigh: number, kLow: number): void {
  multiply64(kHigh, kLow, 0x4cf5ad43, 0x2745937f);
  rotate64(low, high, 1); // by 33: halves swapped, then by 1
  multiply64(high, low, 0x87c37b91, 0x114253d5);
}

function finalMix(kHigh: number, kLow: number): void {
  multiply64(kHigh, kLow ^ (kHigh >>> 1), 0xff51afd7, 0xed558ccd);
  multiply64(high, low ^ (high >>> 1), 0xc4ceb9fe, 0x1a85ec53);
  low ^= high >>> 1;
}

/** The little-endian u32 at `offset`; bytes at and after `end` count as zero. */
function readTail(bytes: Uint8Array, offset: number, end: number): number {
  let word = 0;
  for (let i = 0; i < 4 && offset + i < end; i++) word |= bytes[offset + i]! << (i * 8);
  return word;
}

/** See `hashKey` of `kernels.ts`. */
export function hashKeyJs(
  bytes: Uint8Array,
  start: number,
  end: number,
  target: Uint32Array,
): void {
  let h1High = 0;
  let h1Low = 0;
  let h2High = 0;
  let h2Low = 0;
  const length = end - start;
  let at = start;
  for (const blocksEnd = start + (length & ~15); at < blocksEnd; at += 16) {
    scramble1(readU32(bytes, at + 4), readU32(bytes, at));
    rotate64(h1High ^ high, h1Low ^ low, 27);
    add64(high, low, h2High, h2Low);
    multiply64(high, low, 0, 5);
    add64(high, low, 0, 0x52dce729);
    h1High = high;
    h1Low = low;
    scramble2(readU32(bytes, at + 12), readU32(bytes, at + 8));
    rotate64(h2High ^ high, h2Low ^ low, 31);
    add64(high, low, h1High, h1Low);
    multiply64(high, low, 0, 5);
    add64(high, low, 0, 0x38495ab5);
    h2High = high;
    h2Low = low;
  }
  if (end - at > 8) {
    scramble2(readTail(bytes, at + 12, end), readTail(bytes, at + 8, end));
    h2High ^= high;
    h2Low ^= low;
  }
  if (end > at) {
    scramble1(readTail(bytes, at + 4, end), readTail(bytes, at, end));
    h1High ^= high;
    h1Low ^= low;
  }
  finishKeyHash(h1High, h1Low ^ length, h2High, h2Low ^ length, target);
}

function finishKeyHash(
  h1High: number,
  h1Low: number,
  h2High: number,
  h2Low: number,
  target: Uint32Array,
): void {
  add64(h1High, h1Low, h2High, h2Low);
  const sumHigh = high;
  const sumLow = low;
  add64(h2High, h2Low, sumHigh, sumLow);
  finalMix(high, low);
  const mixed2High = high;
  const mixed2Low = low;
  finalMix(sumHigh, sumLow);
  add64(high, low, mixed2High, mixed2Low);
  target[0] = low;
  target[1] = high;
  add64(high, low, mixed2High, mixed2Low);
  target[2] = low;
  target[3] = high;
}

// ---- SipHash-2-4 ----

/** v0 to v3 as low, high pairs. */
const sip = new Int32Array(8);

function sipAdd(a: number, b: number): void {
  add64(sip[a + 1]!, sip[a]!, sip[b + 1]!, sip[b]!);
  sip[a] = low;
  sip[a + 1] = high;
}

/** v[a] = rotate(v[a], count) ^ v[b]. */
function sipRotateXor(a: number, count: number, b: number): void {
  rotate64(sip[a + 1]!, sip[a]!, count);
  sip[a] = low ^ sip[b]!;
  sip[a + 1] = high ^ sip[b + 1]!;
}

/** Rotates v[a] by 32. */
function sipSwap(a: number): void {
  const swapped = sip[a]!;
  sip[a] = sip[a + 1]!;
  sip[a + 1] = swapped;
}

function sipRound(): void {
  sipAdd(0, 2);
  sipRotateXor(2, 13, 0);
  sipSwap(0);
  sipAdd(4, 6);
  sipRotateXor(6, 16, 4);
  sipAdd(0, 6);
  sipRotateXor(6, 21, 0);
  sipAdd(4, 2);
  sipRotateXor(2, 17, 4);
  sipSwap(4);
}

function sipAbsorb(wordHigh: number, wordLow: number): void {
  sip[6]! ^= wordLow;
  sip[7]! ^= wordHigh;
  sipRound();
  sipRound();
  sip[0]! ^= wordLow;
  sip[1]! ^= wordHigh;
}

/** See `sipHash24` of `kernels.ts`. */
export function sipHash24Js(
  key: Uint8Array,
  bytes: Uint8Array,
  start: number,
  end: number,
  target: Uint32Array,
): void {
  for (let word = 0; word < 4; word++) sip[word] = sip[word + 4] = readU32(key, word * 4);
  const initial = SIP_INITIAL;
  for (let word = 0; word < 8; word++) sip[word]! ^= initial[word]!;
  const length = end - start;
  let at = start;
  for (const wordsEnd = start + (length & ~7); at < wordsEnd; at += 8)
    sipAbsorb(readU32(bytes, at + 4), readU32(bytes, at));
  sipAbsorb(readTail(bytes, at + 4, end) | (length << 24), readTail(bytes, at, end));
  sip[4]! ^= 0xff;
  for (let round = 0; round < 4; round++) sipRound();
  target[0] = sip[0]! ^ sip[2]! ^ sip[4]! ^ sip[6]!;
  target[1] = sip[1]! ^ sip[3]! ^ sip[5]! ^ sip[7]!;
}

/** "somepseudorandomlygeneratedbytes", as the paper has it. */
const SIP_INITIAL = Int32Array.of(
  ...[0x70736575, 0x736f6d65, 0x6e646f6d, 0x646f7261],
  ...[0x6e657261, 0x6c796765, 0x79746573, 0x74656462],
);

// ---- CRC-32 ----

const crcTable = new Int32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  crcTable[byte] = crc;
}

/** See `crc32` of `kernels.ts`. */
export function crc32Js(bytes: Uint8Array): number {
  let crc = -1;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ crcTable[(crc ^ bytes[i]!) & 255]!;
  return ~crc >>> 0;
}
