/** A budget that fills with time: `perSecond` tokens a second, at most `max` at once. Nothing is queued: who finds it empty goes without. */
import type { Clock } from "../ports/clock.ts";

export class TokenBucket {
  private readonly clock: Clock;
  private readonly perSecond: number;
  private readonly max: number;
  private tokens: number;
  private lastMonoMs: number;

  constructor(clock: Clock, perSecond: number, max: number) {
    this.clock = clock;
    this.perSecond = perSecond;
    this.max = max;
    this.tokens = max;
    this.lastMonoMs = clock.monoMs();
  }

  take(count = 1): boolean {
    const nowMs = this.clock.monoMs();
    const earned = ((nowMs - this.lastMonoMs) * this.perSecond) / 1000;
    this.tokens = Math.min(this.max, this.tokens + earned);
    this.lastMonoMs = nowMs;
    if (this.tokens < count) return false;
    this.tokens -= count;
    return true;
  }
}
