/**
 * The block encoder: one crossing for all entries of a block. The format is drawn in
 * `src/kernels/block-kernels.ts`.
 *
 * INPUT holds the entries one after the other, in key order:
 *
 *   key length u32 | value length u32 | kind u32 | sequence f64 | key | value
 *
 * An encoded entry is never longer than this form and a restart costs 4 bytes per 16 entries, so OUTPUT (twice as large) always suffices.
 */

import { INPUT, OUTPUT } from "./memory-map";

const RESTART_INTERVAL: i32 = 16;
const HEADER_BYTES: i32 = 20;

function writeVarint(at: usize, value: u64): usize {
  while (value >= 128) {
    store<u8>(at++, (value as u8) | 128);
    value >>= 7;
  }
  store<u8>(at, value as u8);
  return at + 1;
}

function commonPrefix(a: usize, aLength: i32, b: usize, bLength: i32): i32 {
  const limit = min(aLength, bLength);
  let count = 0;
  while (count < limit && load<u8>(a + count) == load<u8>(b + count)) count++;
  return count;
}

/** Encodes `count` entries from INPUT to OUTPUT and returns the length of the block. */
export function encodeBlock(count: i32): i32 {
  let at: usize = INPUT;
  let target: usize = OUTPUT;
  let previousKey: usize = 0;
  let previousLength = 0;
  const restarts: usize = OUTPUT + 0x18000; // collected here, moved behind the entries at the end
  let restartCount = 0;
  for (let index = 0; index < count; index++) {
    const keyLength = load<i32>(at);
    const valueLength = load<i32>(at, 4);
    const key = at + HEADER_BYTES;
    let shared = 0;
    if (index % RESTART_INTERVAL == 0)
      store<u32>(restarts + (restartCount++ << 2), (target - OUTPUT) as u32);
    else shared = commonPrefix(previousKey, previousLength, key, keyLength);
    target = writeVarint(target, shared);
    target = writeVarint(target, keyLength - shared);
    target = writeVarint(target, valueLength);
    store<u8>(target++, load<u32>(at, 8) as u8);
    target = writeVarint(target, load<f64>(at, 12) as u64);
    const tailLength = keyLength - shared + valueLength;
    memory.copy(target, key + shared, tailLength);
    target += tailLength;
    previousKey = key;
    previousLength = keyLength;
    at = key + keyLength + valueLength;
  }
  memory.copy(target, restarts, restartCount << 2);
  target += restartCount << 2;
  store<u32>(target, restartCount);
  return (target + 4 - OUTPUT) as i32;
}
