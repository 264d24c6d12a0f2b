/**
 * The block search: finds the first entry >= the key at KEY in a block, the algorithm of `searchBlock`
 * in `src/kernels/block-kernels.ts` step for step.
 *
 * The answer is the place of the entry; RESULT is 1 where its key is the very one, else 0.
 */

import { KEY, RESULT } from "./memory-map";

const NOT_FOUND: i32 = -1;
const DAMAGED: i32 = -2;

let entriesEnd: usize = 0;
let isDamaged: bool = false;
let varintEnd: usize = 0;
let shared: u32 = 0;
let unshared: u32 = 0;
let valueLength: u32 = 0;
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
  readVarint(varintEnd + 1); // behind the kind: the sequence
  suffix = varintEnd;
  return !isDamaged && (unshared as u64) + valueLength <= entriesEnd - suffix;
}

let matchedBytes: u32 = 0;

/** Compares the entry just read with the key from byte `from` on; leaves their common length in `matchedBytes`. */
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
        store<u32>(RESULT, (order == 0) as u32);
        return at as i32;
      }
    }
    at = suffix + unshared + valueLength;
  }
  return NOT_FOUND;
}

/** Where in [start, end) the first entry >= the key of `keyLength` bytes at KEY is; NOT_FOUND or DAMAGED. */
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
