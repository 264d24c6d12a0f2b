/**
 * The clock of one simulated process, on the quartz of its machine: virtual time, slightly wrong.
 *
 *   quartz = virtual time x (1 + drift), summed over the drifts that it has had
 *   mono   = quartz - quartz when the process began          wall = start + offset + quartz + steps
 *
 * Every node gets an offset and a drift of its own, because nodes of one process would otherwise agree on the time by
 * accident. Steps and drift belong to the machine and outlive its processes; monotonic time begins anew with each, so that
 * nothing of it can be kept on disk. Timers are never early: a callback finds `monoMs()` at or after its due time.
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

/** What a machine has of a clock. */
export class SimQuartz {
  /** Of the wall clock. */
  offsetMs: number;
  private rate: number;
  private sinceUs = 0;
  private sinceMs = 0;

  constructor(options: SimClockOptions = {}) {
    this.rate = rateOf(options.driftPpm ?? 0);
    this.offsetMs = options.offsetMs ?? 0;
  }

  msAt(timeUs: number): number {
    return this.sinceMs + ((timeUs - this.sinceUs) * this.rate) / 1000;
  }

  /** The first microsecond at which it may show `ms`, give or take one. */
  usAt(ms: number): number {
    return Math.floor(this.sinceUs + ((ms - this.sinceMs) * 1000) / this.rate);
  }

  /** From `timeUs` on it runs so much faster or slower. */
  setDrift(timeUs: number, ppm: number): void {
    this.sinceMs = this.msAt(timeUs);
    this.sinceUs = timeUs;
    this.rate = rateOf(ppm);
  }
}

const rateOf = (ppm: number): number => 1 + ppm / 1_000_000;

export class SimClock implements Clock {
  private readonly scheduler: SimScheduler;
  private readonly owner: SimProcess;
  private readonly quartz: SimQuartz;
  /** What the quartz showed when the process began. */
  private readonly beganMs: number;

  constructor(scheduler: SimScheduler, owner: SimProcess, quartz = new SimQuartz()) {
    this.scheduler = scheduler;
    this.owner = owner;
    this.quartz = quartz;
    this.beganMs = quartz.msAt(scheduler.nowUs());
  }

  wallMs(): number {
    const { quartz } = this;
    return Math.floor(WALL_START_MS + quartz.offsetMs + quartz.msAt(this.scheduler.nowUs()));
  }

  monoMs(): number {
    return this.monoMsAt(this.scheduler.nowUs());
  }

  after(delayMs: number, callback: () => void): Timer {
    assert(delayMs >= 0, "a delay is not negative");
    const dueMs = this.monoMs() + delayMs;
    const nowUs = this.scheduler.nowUs();
    let timeUs = Math.max(nowUs, this.quartz.usAt(dueMs + this.beganMs));
    // Rounding costs a microsecond or two, and time must not stand still over a delay that is not zero.
    while (this.monoMsAt(timeUs) < dueMs || (delayMs > 0 && timeUs === nowUs)) timeUs++;
    return this.at(timeUs, dueMs, callback);
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.after(delayMs, resolve));
  }

  /** Somebody sets the wall clock: forward, or back. */
  step(byMs: number): void {
    this.quartz.offsetMs += byMs;
  }

  /** From now on the clocks of this machine run so many parts per million fast (or, negative, slow). */
  setDrift(ppm: number): void {
    this.quartz.setDrift(this.scheduler.nowUs(), ppm);
  }

  /** Where the quartz has become slower meanwhile the rest is waited for. */
  private at(timeUs: number, dueMs: number, callback: () => void): Timer {
    let rest: Timer | undefined;
    const timer = this.scheduler.at(timeUs, this.owner, "timer", () => {
      const restMs = dueMs - this.monoMs();
      if (restMs > 0) rest = this.after(restMs, callback);
      else callback();
    });
    return {
      cancel: () => {
        timer.cancel();
        rest?.cancel();
      },
    };
  }

  private monoMsAt(timeUs: number): number {
    return this.quartz.msAt(timeUs) - this.beganMs;
  }
}
