/**
 * Latencies as a log-linear histogram (HDR): durations in whole microseconds, 64 equal buckets for every doubling, so a quantile is at most 1/64 too high.
 *
 *   us       0 .. 63 | 64 65 .. 127 | 128 130 .. 254 | 256 260 ..
 *   bucket   0 .. 63 | 64 65 .. 127 | 128 129 .. 191 | 192 193 ..
 */
const SUB_BITS = 6;
const SUB_BUCKETS = 1 << SUB_BITS;
/** Longer ones share the last bucket: 36 minutes. */
const MICROSECONDS_MAX = 2 ** 31 - 1;
const BUCKETS = bucketOf(MICROSECONDS_MAX) + 1;

function bucketOf(microseconds: number): number {
  if (microseconds < SUB_BUCKETS) return microseconds;
  const shift = 31 - Math.clz32(microseconds) - SUB_BITS;
  return (shift << SUB_BITS) + (microseconds >>> shift);
}

/** The greatest duration that falls into the bucket. */
function upperEdgeOf(index: number): number {
  if (index < 2 * SUB_BUCKETS) return index;
  const shift = (index >> SUB_BITS) - 1;
  return (SUB_BUCKETS + (index & (SUB_BUCKETS - 1)) + 1) * 2 ** shift - 1;
}

export class LatencyHistogram {
  readonly #buckets = new Uint32Array(BUCKETS);
  #maxMicroseconds = 0;
  count = 0;

  record(durationMs: number): void {
    const microseconds = Math.min(Math.max(0, Math.round(durationMs * 1000)), MICROSECONDS_MAX);
    this.#buckets[bucketOf(microseconds)]!++;
    if (microseconds > this.#maxMicroseconds) this.#maxMicroseconds = microseconds;
    this.count++;
  }

  get maxMs(): number {
    return this.#maxMicroseconds / 1000;
  }

  /** The duration that the fraction `q` of all stays at or below; 0 without any. */
  quantileMs(q: number): number {
    const rank = Math.max(1, Math.ceil(q * this.count));
    let seen = 0;
    for (let index = 0; index < BUCKETS; index++) {
      seen += this.#buckets[index]!;
      if (seen >= rank) return Math.min(upperEdgeOf(index), this.#maxMicroseconds) / 1000;
    }
    return 0;
  }

  /** Pairs of a duration and how many were that long, shortest first; none that is empty. */
  *counts(): Generator<readonly [ms: number, count: number]> {
    for (let index = 0; index < BUCKETS; index++)
      if (this.#buckets[index]! > 0) yield [upperEdgeOf(index) / 1000, this.#buckets[index]!];
  }

  /** As plain numbers, for another process: the maximum, then bucket and count in turn. */
  packed(): number[] {
    const numbers = [this.#maxMicroseconds];
    for (let index = 0; index < BUCKETS; index++)
      if (this.#buckets[index]! > 0) numbers.push(index, this.#buckets[index]!);
    return numbers;
  }

  addPacked(numbers: readonly number[]): void {
    this.#maxMicroseconds = Math.max(this.#maxMicroseconds, numbers[0] ?? 0);
    for (let at = 1; at + 1 < numbers.length; at += 2) {
      this.#buckets[numbers[at]!]! += numbers[at + 1]!;
      this.count += numbers[at + 1]!;
    }
  }

  add(other: LatencyHistogram): void {
    for (let index = 0; index < BUCKETS; index++) this.#buckets[index]! += other.#buckets[index]!;
    this.#maxMicroseconds = Math.max(this.#maxMicroseconds, other.#maxMicroseconds);
    this.count += other.count;
  }
}
