/**
 * How suspicious the silence of one node is, on a scale without a threshold: phi = -log10(chance that a heartbeat comes even later than now).
 * phi 1: one such silence in ten is harmless; phi 8: one in a hundred million. (Hayashibara et al., "The phi accrual failure detector".)
 *
 *   intervals between heartbeats -> mean, deviation of the last 200 -> normal distribution -> chance of a longer one
 *
 * Only an *advance* of (generation, heartbeat) is a sample (R54). Intervals far above what was seen are outages, not jitter, and would teach the
 * detector patience with dead nodes: they are not taken, unless they keep coming.
 */
import { assert } from "../base/assert.ts";

/** Samples that are remembered (N12). */
export const PHI_WINDOW = 200;
/** Below it the distribution is so narrow that one late timer looks like death (N12). */
const DEVIATION_MS_MIN = 100;
/** Heartbeats come by gossip, whose paths vary: below this part of the mean the deviation is not believed. */
const DEVIATION_SHARE_MIN = 0.5;
/** An interval above this many times (mean + 4 deviations) is an outage. */
const OUTAGE_FACTOR = 2;
const DEVIATIONS_EXPECTED = 4;
/** So many outages in a row are how things are now: the window starts anew. */
const OUTAGES_MAX = 8;
/** 1 of 10^30: further digits mean nothing. */
const PHI_MAX = 30;
const SAMPLES_FIRST = 8;
const NO_SAMPLES = new Float32Array(0);

export class PhiAccrual {
  #seedMs: number;
  /** A ring that grows up to the window: most nodes of a large cluster are heard of rarely. */
  #samples = NO_SAMPLES;
  #count = 0;
  #next = 0;
  #sum = 0;
  #sumOfSquares = 0;
  #lastMs = -1;
  #outages = 0;

  /** @param seedMs the interval that is expected before anything was seen */
  constructor(seedMs: number) {
    assert(seedMs > 0, "an interval is positive");
    this.#seedMs = seedMs;
  }

  get meanMs(): number {
    return (this.#sum + this.#seedMs) / (this.#count + 1);
  }

  get sampleCount(): number {
    return this.#count;
  }

  /** A heartbeat has advanced. Time before `resumedMs`, when this process stood still, proves nothing. */
  advance(nowMs: number, resumedMs = -1): void {
    const lastMs = this.#lastMs;
    this.#lastMs = nowMs;
    if (lastMs < 0 || lastMs < resumedMs) return;
    const intervalMs = nowMs - lastMs;
    if (intervalMs <= OUTAGE_FACTOR * this.#expectedMaxMs()) this.#add(intervalMs);
    else if (++this.#outages >= OUTAGES_MAX) this.#startAnew(intervalMs);
  }

  /** 0 before the first heartbeat. */
  phi(nowMs: number, resumedMs = -1): number {
    if (this.#lastMs < 0) return 0;
    const silenceMs = nowMs - Math.max(this.#lastMs, resumedMs);
    return phiOf((silenceMs - this.meanMs) / this.#deviationMs());
  }

  /** Another generation is another process: nothing of the old one holds for it (R54). */
  reset(seedMs: number): void {
    this.#lastMs = -1;
    this.#startAnew(seedMs);
  }

  #startAnew(seedMs: number): void {
    this.#seedMs = seedMs;
    this.#count = this.#next = this.#outages = 0;
    this.#sum = this.#sumOfSquares = 0;
  }

  #expectedMaxMs(): number {
    return this.meanMs + DEVIATIONS_EXPECTED * this.#deviationMs();
  }

  /** With few samples half of the mean stands in for what is not known yet. */
  #deviationMs(): number {
    const mean = this.meanMs;
    const variance =
      (this.#sumOfSquares + this.#seedMs * this.#seedMs) / (this.#count + 1) - mean * mean;
    const floor = Math.max(DEVIATION_MS_MIN, DEVIATION_SHARE_MIN * mean);
    return Math.max(floor, Math.sqrt(Math.max(0, variance)));
  }

  #add(intervalMs: number): void {
    this.#outages = 0;
    if (this.#count === this.#samples.length && this.#count < PHI_WINDOW) this.#grow();
    if (this.#count === PHI_WINDOW) {
      const oldest = this.#samples[this.#next]!;
      this.#sum -= oldest;
      this.#sumOfSquares -= oldest * oldest;
    } else this.#count++;
    this.#samples[this.#next] = intervalMs;
    const stored = this.#samples[this.#next]!; // rounded to 32 bits: what will be subtracted is what was added
    this.#sum += stored;
    this.#sumOfSquares += stored * stored;
    this.#next = (this.#next + 1) % PHI_WINDOW;
  }

  #grow(): void {
    const length = this.#count === 0 ? SAMPLES_FIRST : Math.min(PHI_WINDOW, 2 * this.#count);
    const grown = new Float32Array(length);
    grown.set(this.#samples);
    this.#samples = grown;
  }
}

/**
 * -log10 of the upper tail of the standard normal distribution at `y`, by its logistic approximation (Bowling et al. 2009), which is off by less than
 * 0.00014 in the chance and costs one `exp`.
 */
export function phiOf(y: number): number {
  const exponent = y * (1.5976 + 0.070566 * y * y);
  if (exponent > 40) return Math.min(PHI_MAX, exponent / Math.LN10); // 1 + e is 1 in a double
  return Math.log10(1 + Math.exp(exponent));
}
