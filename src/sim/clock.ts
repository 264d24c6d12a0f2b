/**
 * The clock of one simulated process: virtual time as its own, slightly wrong, quartz shows it.
 *
 *   mono = virtual time x (1 + drift)        wall = start + offset + mono + steps
 *
 * Every node gets an offset and a drift of its own, because nodes of one process would otherwise agree on the time by
 * accident. Timers are never early: a callback finds `monoMs()` at or after its due time.
 */
import { assert } from "../base/assert.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { SimProcess, SimScheduler } from "./scheduler.ts";

/** 2026-01-01T00:00:00Z, the wall time at which all simulations start. */
export const WALL_START_MS = 1_767_225_600_000;

export interface SimClockOptions {
  readonly offsetMs?: number;
  /** Parts per million that this clock runs fast (or, negative, slow). */
  readonly driftPpm?: number;
}

export class SimClock implements Clock {
  private readonly scheduler: SimScheduler;
  private readonly owner: SimProcess;
  private readonly rate: number;
  private offsetMs: number;

  constructor(scheduler: SimScheduler, owner: SimProcess, options: SimClockOptions = {}) {
    this.scheduler = scheduler;
    this.owner = owner;
    this.rate = 1 + (options.driftPpm ?? 0) / 1_000_000;
    this.offsetMs = options.offsetMs ?? 0;
  }

  wallMs(): number {
    return Math.floor(WALL_START_MS + this.offsetMs + this.monoMs());
  }

  monoMs(): number {
    return this.localMsAt(this.scheduler.nowUs());
  }

  after(delayMs: number, callback: () => void): Timer {
    assert(delayMs >= 0, "a delay is not negative");
    const dueMs = this.monoMs() + delayMs;
    const nowUs = this.scheduler.nowUs();
    let timeUs = Math.max(nowUs, Math.floor((dueMs * 1000) / this.rate));
    // Rounding costs a microsecond or two, and time must not stand still over a delay that is not zero.
    while (this.localMsAt(timeUs) < dueMs || (delayMs > 0 && timeUs === nowUs)) timeUs++;
    return this.scheduler.at(timeUs, this.owner, "timer", callback);
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.after(delayMs, resolve));
  }

  /** Somebody sets the wall clock: forward, or back. */
  step(byMs: number): void {
    this.offsetMs += byMs;
  }

  private localMsAt(timeUs: number): number {
    return (timeUs * this.rate) / 1000;
  }
}
