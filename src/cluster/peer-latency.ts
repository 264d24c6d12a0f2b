/**
 * How long one peer takes to answer reads: the 95th percentile says when to hedge (N5), the mean whom to ask first (N10). A read that timed out
 * counts with the time that was waited.
 *
 * A peer that is slow is asked less and would stay slow for ever in the eyes of who does not ask it: without new replies the mean halves
 * every ten seconds, until it is tried again.
 */

const SAMPLES_MAX = 128;
/** Fewer say nothing of a 95th percentile. */
const SAMPLES_MIN = 20;
const RECOMPUTE_EVERY_MS = 100;
/** Weight of the newest reply. */
const ALPHA = 0.1;
const HALF_LIFE_MS = 10_000;

export class PeerLatency {
  /** A ring: sample `i` is overwritten by sample `i + SAMPLES_MAX`. */
  private readonly samples = new Float64Array(SAMPLES_MAX);
  private sampleCount = 0;
  private mean = 0;
  private lastSampleMs = 0;
  private p95: number | undefined;
  private p95DueMs = 0;

  record(durationMs: number, nowMs: number): void {
    const mean = this.meanMs(nowMs);
    this.mean = this.sampleCount === 0 ? durationMs : mean + ALPHA * (durationMs - mean);
    this.samples[this.sampleCount % SAMPLES_MAX] = durationMs;
    this.sampleCount++;
    this.lastSampleMs = nowMs;
  }

  /** 0 before the first reply. */
  meanMs(nowMs: number): number {
    const idleMs = nowMs - this.lastSampleMs;
    return idleMs < RECOMPUTE_EVERY_MS ? this.mean : this.mean * 2 ** (-idleMs / HALF_LIFE_MS);
  }

  /** `undefined` with too few replies. */
  p95Ms(nowMs: number): number | undefined {
    if (nowMs < this.p95DueMs || this.sampleCount < SAMPLES_MIN) return this.p95;
    this.p95DueMs = nowMs + RECOMPUTE_EVERY_MS;
    const sorted = this.samples.slice(0, Math.min(this.sampleCount, SAMPLES_MAX)).sort();
    this.p95 = sorted[Math.ceil(sorted.length * 0.95) - 1]!;
    return this.p95;
  }
}
