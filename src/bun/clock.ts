/** The machine's clock and timers. */
import { assert } from "../base/assert.ts";
import type { Clock, Timer } from "../ports/clock.ts";

/** `setTimeout` takes a signed 32-bit count of milliseconds; what is longer is waited for in legs. */
const LEG_MS_MAX = 2 ** 31 - 1;

export class BunClock implements Clock {
  wallMs(): number {
    return Date.now();
  }

  monoMs(): number {
    return performance.now();
  }

  after(delayMs: number, callback: () => void): Timer {
    assert(delayMs >= 0, "a delay is not negative");
    return new BunTimer(this.monoMs() + delayMs, callback);
  }

  /** A turn only to let others in takes 2 us as an immediate, 1.2 ms as a timer. */
  sleep(delayMs: number): Promise<void> {
    if (delayMs === 0) return new Promise((resolve) => void setImmediate(resolve));
    return new Promise((resolve) => this.after(delayMs, resolve));
  }
}

/** Never early: `setTimeout` rounds, so what is left over is waited for again. */
class BunTimer implements Timer {
  private readonly dueMs: number;
  private readonly callback: () => void;
  private handle: ReturnType<typeof setTimeout>;

  constructor(dueMs: number, callback: () => void) {
    this.dueMs = dueMs;
    this.callback = callback;
    this.handle = this.wait();
  }

  cancel(): void {
    clearTimeout(this.handle);
  }

  private wait(): ReturnType<typeof setTimeout> {
    const restMs = Math.max(0, Math.ceil(this.dueMs - performance.now()));
    return setTimeout(() => this.fire(), Math.min(restMs, LEG_MS_MAX));
  }

  private fire(): void {
    if (performance.now() < this.dueMs) this.handle = this.wait();
    else this.callback();
  }
}
