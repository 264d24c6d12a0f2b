/** Time that moves when a test says so: `advance` runs the timers that fall due, `stepWall` only sets the wall clock. */
import type { Clock, Timer } from "../../src/ports/clock.ts";

const START_MS = 1_770_000_000_000;

interface Pending {
  readonly dueMs: number;
  readonly callback: () => void;
}

export class ManualClock implements Clock {
  private nowMs = 0;
  private wallOffsetMs = START_MS;
  private readonly pending = new Set<Pending>();

  wallMs(): number {
    return this.wallOffsetMs + this.nowMs;
  }

  monoMs(): number {
    return this.nowMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    const pending = { dueMs: this.nowMs + delayMs, callback };
    this.pending.add(pending);
    return { cancel: () => void this.pending.delete(pending) };
  }

  sleep(delayMs: number): Promise<void> {
    if (delayMs === 0) return Promise.resolve();
    return new Promise((resolve) => this.after(delayMs, resolve));
  }

  advance(byMs: number): void {
    const untilMs = this.nowMs + byMs;
    for (let next = this.next(untilMs); next !== undefined; next = this.next(untilMs)) {
      this.nowMs = next.dueMs;
      this.pending.delete(next);
      next.callback();
    }
    this.nowMs = untilMs;
  }

  stepWall(byMs: number): void {
    this.wallOffsetMs += byMs;
  }

  private next(untilMs: number): Pending | undefined {
    let first: Pending | undefined;
    for (const pending of this.pending)
      if (pending.dueMs <= untilMs && (first === undefined || pending.dueMs < first.dueMs))
        first = pending;
    return first;
  }
}
