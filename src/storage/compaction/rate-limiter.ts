/**
 * A token bucket: background work spends bytes, and waits when it has spent more than its rate gives. The bucket holds a
 * tenth of a second, so that a pause is not followed by a burst that a foreground read would feel (R48).
 */
import type { Clock } from "../../ports/clock.ts";

const BURST_MS = 100;

export class RateLimiter {
  private readonly clock: Clock;
  private readonly bytesPerMs: number;
  private creditBytes: number;
  private refilledMs: number;

  /** @param bytesPerSecond zero: no limit */
  constructor(clock: Clock, bytesPerSecond: number) {
    this.clock = clock;
    this.bytesPerMs = bytesPerSecond / 1000;
    this.creditBytes = this.bytesPerMs * BURST_MS;
    this.refilledMs = clock.monoMs();
  }

  /** `bytes` were read or written. `undefined`: go on at once; else wait for the promise first. */
  spend(bytes: number): Promise<void> | undefined {
    if (this.bytesPerMs === 0) return undefined;
    this.refill();
    this.creditBytes -= bytes;
    if (this.creditBytes >= 0) return undefined;
    return this.clock.sleep(-this.creditBytes / this.bytesPerMs);
  }

  private refill(): void {
    const nowMs = this.clock.monoMs();
    const earned = (nowMs - this.refilledMs) * this.bytesPerMs;
    this.creditBytes = Math.min(this.bytesPerMs * BURST_MS, this.creditBytes + earned);
    this.refilledMs = nowMs;
  }
}
