/**
 * The block search: finds the first entry >= the key at KEY in a block, the algorithm of `searchBlock`
 * in `src/kernels/block-kernels.ts` step for step.
 *
 * RESULT, all i32 unless noted:
 *   0 shared · 4 suffix start · 8 suffix length · 12 kind · 16 value start · 20 value end · 24 sequence f64
 */

import { KEY, RESULT } from "./memory-map";

const DAMAGED: i32 = -1;
const NOT_FOUND: i32 = 0;
const FOUND_AFTER: i32 = 1;
const FOUND_EXACT: i32 = 2;

let entriesEnd: usize = 0;
let isDamaged: bool = false;
let varintEnd: usize = 0;
let shared: u32 = 0;
let unshared: u32 = 0;
let valueLength: u32 = 0;
let kind: u32 = 0;
let sequence: u64 = 0;
let suffix: usize = 0;

function damaged(): u64 {
  isDamaged = true;
  return 0;
}

function readVarint(at: usize): u64 {
  let value: u64 = 0;
  for (let shift: u64 = 0; shift < 56; shift += 7) {
    if (at >= entriesEnd) return damaged();
    const byte = load<u8>(at++);
    value |= ((byte & 127) as u64) << shift;
    if (byte < 128) {
      varintEnd = at;
      return value > 0x1fffffffffffff ? damaged() : value;
    }
  }
  return damaged();
}

function readLength(at: usize): u32 {
  const value = readVarint(at);
  return (value > 0x7fffffff ? damaged() : value) as u32;
}

/** Reads the header at `at`; false where it does not fit into the entries. */
function readHeader(at: usize): bool {
  varintEnd = at;
  shared = readLength(varintEnd);
  unshared = readLength(varintEnd);
  valueLength = readLength(varintEnd);
  if (isDamaged || varintEnd >= entriesEnd) return false;
  kind = load<u8>(varintEnd);
  sequence = readVarint(varintEnd + 1);
  suffix = varintEnd;
  return !isDamaged && (unshared as u64) + valueLength <= entriesEnd - suffix;
}

/** Compares the entry just read with the key from byte `from` on; `matched` is left in `matchedBytes`. */
let matchedBytes: u32 = 0;
function compareSuffix(from: u32, keyLength: u32): i32 {
  const limit = min(keyLength, from + unshared);
  let index = from;
  let at = suffix;
  while (index < limit && load<u8>(at) == load<u8>(KEY + index)) {
    index++;
    at++;
  }
  matchedBytes = index;
  if (index < limit) return (load<u8>(at) as i32) - (load<u8>(KEY + index) as i32);
  return (((from + unshared) as i32) - keyLength) as i32;
}

function report(): void {
  store<u32>(RESULT, shared);
  store<u32>(RESULT, suffix as u32, 4);
  store<u32>(RESULT, unshared, 8);
  store<u32>(RESULT, kind, 12);
  store<u32>(RESULT, (suffix + unshared) as u32, 16);
  store<u32>(RESULT, (suffix + unshared + valueLength) as u32, 20);
  store<f64>(RESULT, sequence as f64, 24);
}

function scan(at: usize, keyLength: u32): i32 {
  let matched: u32 = 0;
  let previousLength: u32 = 0;
  while (at < entriesEnd) {
    if (!readHeader(at) || shared > previousLength) return DAMAGED;
    previousLength = shared + unshared;
    if (shared <= matched) {
      const order = compareSuffix(shared, keyLength);
      matched = matchedBytes;
      if (order >= 0) {
        report();
        return order == 0 ? FOUND_EXACT : FOUND_AFTER;
      }
    }
    at = suffix + unshared + valueLength;
  }
  return NOT_FOUND;
}

/** Searches the block in [start, end) for the key of `keyLength` bytes at KEY. */
export function searchBlock(start: usize, end: usize, keyLength: u32): i32 {
  isDamaged = false;
  if (end - start < 4) return DAMAGED;
  const restartCount = load<u32>(end - 4);
  if ((restartCount as usize) > (end - start - 4) >>> 2) return DAMAGED;
  entriesEnd = end - 4 - (restartCount << 2);
  if (restartCount == 0) return entriesEnd == start ? NOT_FOUND : DAMAGED;
  let low: u32 = 0;
  let high = restartCount - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    const offset = load<u32>(entriesEnd + (middle << 2));
    if ((offset as usize) >= entriesEnd - start || !readHeader(start + offset) || shared != 0)
      return DAMAGED;
    if (compareSuffix(0, keyLength) < 0) low = middle;
    else high = middle - 1;
  }
  const offset = load<u32>(entriesEnd + (low << 2));
  return (offset as usize) >= entriesEnd - start ? DAMAGED : scan(start + offset, keyLength);
}
