/**
 * Blocked bloom filter (Putze, Sanders, Singler, "Cache-, Hash- and Space-Efficient Bloom Filters"):
 * 64-byte lines, all bits of a key in one line, so a probe touches one cache line.
 *
 *   line    = floor(h3 * line count / 2^32)
 *   six bits = 9 bits each: h2[0..9) h2[9..18) h2[18..27) and the same of f = h0 ^ rotateLeft(h1, 16)
 *
 * The ring cuts partitions from the top bits of h1 and h0 and the keys of one table often share a
 * partition; folding the two words keeps f uniform then, and the line comes from a word that no
 * ring position uses.
 *
 * Size: 10.5 bits per key. With Poisson-loaded lines the expected false positive rate is
 *
 *   sum over n of poisson(n; 512 / 10.5) * (1 - (1 - 1/512)^(6 n))^6  =  0.78 %
 *
 * Fewer bits (10.0: 0.96 %) leave no room below the promised 1 %; seven probes gain 0.015 % only.
 * The bytes are stored: this layout is frozen.
 */

/** The bytes of a line; the length of every filter is a multiple of it. */
export const BLOOM_LINE_BYTES = 64;
const LINE_BITS = BLOOM_LINE_BYTES * 8;
const BITS_PER_KEY = 10.5;

/** The size of a filter for `keyCount` keys; at least one line. */
export function bloomBytesFor(keyCount: number): number {
  return Math.max(1, Math.ceil((keyCount * BITS_PER_KEY) / LINE_BITS)) * BLOOM_LINE_BYTES;
}

/** The offset of the line of a key with hash word `h3` in a filter of `filterBytes`. */
export function bloomLineOffset(filterBytes: number, h3: number): number {
  // Exact: a 32-bit number times fewer than 2^21 lines (128 MiB of filter) stays below 2^53; above, it only rounds.
  return Math.floor(((h3 >>> 0) * (filterBytes >>> 6)) / 4294967296) << 6;
}

function setBit(filter: Uint8Array, line: number, bit: number): void {
  filter[line + (bit >>> 3)]! |= 1 << (bit & 7);
}

function hasBit(filter: Uint8Array, line: number, bit: number): boolean {
  return (filter[line + (bit >>> 3)]! & (1 << (bit & 7))) !== 0;
}

/** See `bloomAdd` of `kernels.ts`. */
export function bloomAddJs(
  filter: Uint8Array,
  h0: number,
  h1: number,
  h2: number,
  h3: number,
): void {
  const line = bloomLineOffset(filter.length, h3);
  const folded = h0 ^ ((h1 << 16) | (h1 >>> 16));
  setBit(filter, line, h2 & 511);
  setBit(filter, line, (h2 >>> 9) & 511);
  setBit(filter, line, (h2 >>> 18) & 511);
  setBit(filter, line, folded & 511);
  setBit(filter, line, (folded >>> 9) & 511);
  setBit(filter, line, (folded >>> 18) & 511);
}

/** See `bloomMayContain` of `kernels.ts`. */
export function bloomMayContainJs(
  filter: Uint8Array,
  h0: number,
  h1: number,
  h2: number,
  h3: number,
): boolean {
  if (filter.length === 0) return true;
  const line = bloomLineOffset(filter.length, h3);
  if (!hasBit(filter, line, h2 & 511)) return false;
  if (!hasBit(filter, line, (h2 >>> 9) & 511)) return false;
  if (!hasBit(filter, line, (h2 >>> 18) & 511)) return false;
  const folded = h0 ^ ((h1 << 16) | (h1 >>> 16));
  return (
    hasBit(filter, line, folded & 511) &&
    hasBit(filter, line, (folded >>> 9) & 511) &&
    hasBit(filter, line, (folded >>> 18) & 511)
  );
}
