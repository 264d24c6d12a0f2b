/**
 * A growable buffer with the encodings that every format of `hutch` uses: little-endian fixed widths,
 * LEB128 varints up to 2^53 - 1, and length-prefixed byte strings.
 *
 *   u8 u16 u32 f64-integers(u64)   little-endian
 *   varint                         7 bits a byte, least significant first, high bit = more follows
 *   bytes                          varint length + bytes
 *
 * Invariant: `buffer.length >= length`; bytes from `length` on are scratch.
 */
import { assert } from "./assert.ts";

const TWO_32 = 2 ** 32;

export class ByteWriter {
  buffer: Uint8Array;
  length: number;

  constructor(capacity = 256) {
    this.buffer = new Uint8Array(capacity);
    this.length = 0;
  }

  /** Forgets the content and keeps the buffer. */
  reset(): void {
    this.length = 0;
  }

  /** Makes room for `more` bytes after `length`; call it before writing to `buffer` by hand. */
  reserve(more: number): void {
    const wanted = this.length + more;
    if (wanted <= this.buffer.length) return;
    let capacity = this.buffer.length < 64 ? 64 : this.buffer.length;
    while (capacity < wanted) capacity *= 2;
    const grown = new Uint8Array(capacity);
    grown.set(this.buffer.subarray(0, this.length));
    this.buffer = grown;
  }

  u8(value: number): void {
    this.reserve(1);
    this.buffer[this.length++] = value;
  }

  u16(value: number): void {
    this.reserve(2);
    this.buffer[this.length++] = value;
    this.buffer[this.length++] = value >>> 8;
  }

  u32(value: number): void {
    this.reserve(4);
    this.setU32(this.length, value);
    this.length += 4;
  }

  /** An exact non-negative integer below 2^53 in eight bytes. */
  u64(value: number): void {
    assert(value >= 0 && Number.isSafeInteger(value), "a u64 is an integer in 0..2^53-1");
    this.u32((value % TWO_32) >>> 0);
    this.u32(Math.floor(value / TWO_32));
  }

  /** Overwrites four bytes at `offset`, which must lie inside what was reserved. */
  setU32(offset: number, value: number): void {
    const buffer = this.buffer;
    buffer[offset] = value;
    buffer[offset + 1] = value >>> 8;
    buffer[offset + 2] = value >>> 16;
    buffer[offset + 3] = value >>> 24;
  }

  varint(value: number): void {
    this.reserve(8);
    const buffer = this.buffer;
    let rest = value;
    while (rest >= 0x80000000) {
      buffer[this.length++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest >= 0x80) {
      buffer[this.length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    buffer[this.length++] = rest;
  }

  /** `bytes` as they are, without a length. */
  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** A varint length and the bytes. */
  bytes(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.raw(bytes);
  }

  /** A view of what was written; valid until the next write or `reset`. */
  view(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.buffer.slice(0, this.length);
  }
}

/** How many bytes `varint(value)` takes. */
export function varintLength(value: number): number {
  let length = 1;
  let rest = value;
  while (rest >= 128) {
    rest = Math.floor(rest / 128);
    length++;
  }
  return length;
}
