/**
 * CRC-32 (IEEE 802.3, reflected 0xEDB88320) by slicing-by-8: eight tables, eight bytes a turn
 * (Kounavis and Berry, "A Systematic Approach to Building High Performance Software-based CRC Generators").
 */

import { TABLES } from "./memory-map";

function table(index: i32, byte: u32): u32 {
  return load<u32>(TABLES + (index << 10) + (byte << 2));
}

/** Fills the tables; call once before `crc32Update`. */
export function crc32Prepare(): void {
  for (let byte: u32 = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    store<u32>(TABLES + (byte << 2), crc);
  }
  for (let index = 1; index < 8; index++) {
    for (let byte: u32 = 0; byte < 256; byte++) {
      const before = table(index - 1, byte);
      store<u32>(TABLES + (index << 10) + (byte << 2), (before >>> 8) ^ table(0, before & 255));
    }
  }
}

/** Carries the inverted `crc` (start with -1, invert at the end) over `length` bytes at `at`. */
export function crc32Update(crc: u32, at: usize, length: i32): u32 {
  const end = at + length;
  const wordsEnd = at + (length & ~7);
  for (; at < wordsEnd; at += 8) {
    const low = load<u32>(at) ^ crc;
    const high = load<u32>(at, 4);
    crc =
      table(7, low & 255) ^
      table(6, (low >>> 8) & 255) ^
      table(5, (low >>> 16) & 255) ^
      table(4, low >>> 24) ^
      table(3, high & 255) ^
      table(2, (high >>> 8) & 255) ^
      table(1, (high >>> 16) & 255) ^
      table(0, high >>> 24);
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ table(0, (crc ^ load<u8>(at)) & 255);
  return crc;
}
