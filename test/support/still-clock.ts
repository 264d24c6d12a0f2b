/** Time that moves only when somebody sleeps, by microtasks alone; timers never fire. For storage under crashes, where time plays no part. */
import type { Clock, Timer } from "../../src/ports/clock.ts";

const START_MS = 1_767_225_600_000; // 2026-01-01

export class StillClock implements Clock {
  private nowMs = 0;

  wallMs(): number {
    return START_MS + this.nowMs;
  }

  monoMs(): number {
    return this.nowMs;
  }

  after(): Timer {
    return { cancel: () => undefined };
  }

  sleep(delayMs: number): Promise<void> {
    this.nowMs += delayMs;
    return Promise.resolve();
  }
}
