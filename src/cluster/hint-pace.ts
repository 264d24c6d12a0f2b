/**
 * How fast hints are sent (R30): `Slots` bounds what is under way from this node, `Pace` the bytes a second to one target.
 */

/** A counting semaphore, first come, first served. */
export class Slots {
  private free: number;
  private readonly waiting: (() => void)[] = [];

  constructor(count: number) {
    this.free = count;
  }

  /** Settles when the caller has a slot. Those who wait are at most as many as there are targets. */
  take(): Promise<void> {
    if (this.free > 0) {
      this.free--;
      return Promise.resolve();
    }
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  giveBack(): void {
    const next = this.waiting.shift();
    if (next === undefined) this.free++;
    else next();
  }
}

/** What a target did not use of its rate in this time may be sent at once: timers are coarser than small hints. */
const BURST_MS = 100;

/** A token bucket that tells how long to wait. One hint may be larger than the bucket: then what follows waits longer. */
export class Pace {
  private nextMs = -Infinity;

  /** @returns ms to wait before `bytes` may be sent */
  spend(bytes: number, bytesPerSecond: number, nowMs: number): number {
    const startMs = Math.max(this.nextMs, nowMs - BURST_MS);
    this.nextMs = startMs + (bytes * 1000) / bytesPerSecond;
    return Math.max(0, startMs - nowMs);
  }
}
