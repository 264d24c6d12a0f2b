/**
 * How much of the node background work may take (R34): one per node, shared by all that compares, streams, rebuilds and collects. Such work runs in
 * slices of a millisecond or so and calls `rest` after each.
 *
 *   share of time    1 with no clients about, falling in a straight line to `SHARE_MIN` as the node gets busy: never to nothing, or a busy
 *                    cluster would stay unequal for ever
 *   busy             the largest of: operations under way, operations a second, lateness of the loop, each as a part of what counts as full
 *   bytes a second   at most `bytesPerSecond` times the share, on the network and the disks: what
 *                    one node streams, several others write
 *
 * All workers spend from one account. After w ms of work at share s the account is closed for w (1 - s) / s ms, counted from where the last work
 * closed it, so any number of workers together keep to the share. Rests shorter than a timer can be are saved up; then only the turn is given.
 */
import type { Clock } from "../ports/clock.ts";
import { Pace } from "./hint-pace.ts";

/** R34: background work never takes more of a busy node, and never less. */
export const SHARE_MIN = 0.1;
export const REPAIR_BYTES_PER_SECOND = 64 * 1024 * 1024;
/** With so many operations of clients under way, so many a second, or a loop so late, a node is busy. */
const IN_FLIGHT_BUSY = 8;
const OPERATIONS_PER_SECOND_BUSY = 300;
const LATE_BUSY_MS = 12;
/** What a timer is late on an idle machine. */
const LATE_IDLE_MS = 3;
/** Rates are taken over at least this time. */
const SAMPLE_MS = 100;
/** Weight of the newest sample. */
const SMOOTHING = 0.3;
/** Shorter rests are saved up: timers are no finer. */
const REST_MS_MIN = 1;
/** Longest single rest, and most that is owed: a slice that took unreasonably long does not stop the work for minutes. */
export const REST_MS_MAX = 5000;

/** What clients want of this node. */
export interface ForegroundLoad {
  /** Operations under way. */
  readonly inFlight: number;
  /** Operations so far. */
  readonly operations: number;
}

export interface RepairPaceOptions {
  readonly clock: Clock;
  readonly bytesPerSecond?: number;
  load(): ForegroundLoad;
}

/** What background work needs of it. */
export type Rests = Pick<RepairPace, "rest">;

export class RepairPace {
  private readonly clock: Clock;
  private readonly options: RepairPaceOptions;
  private readonly bytesPace = new Pace();
  /** From when on the account is open again. */
  private openAtMs = -Infinity;
  /** Owed, and too short for a timer so far. */
  private savedMs = 0;
  private sampledAtMs: number;
  private operationsAtSample: number;
  private perSecond = 0;
  private lateMs = 0;
  /** ms of work and of rest so far, and bytes. */
  readonly counters = { workMs: 0, restMs: 0, bytes: 0 };

  constructor(options: RepairPaceOptions) {
    this.options = options;
    this.clock = options.clock;
    this.sampledAtMs = this.clock.monoMs();
    this.operationsAtSample = options.load().operations;
  }

  /** The part of the time that background work may take now, `SHARE_MIN` to 1. */
  get share(): number {
    const { inFlight, operations } = this.options.load();
    this.sample(operations);
    const late = Math.max(0, this.lateMs - LATE_IDLE_MS) / (LATE_BUSY_MS - LATE_IDLE_MS);
    const rate = this.perSecond / OPERATIONS_PER_SECOND_BUSY;
    const busy = Math.min(1, Math.max(inFlight / IN_FLIGHT_BUSY, rate, late));
    return 1 - (1 - SHARE_MIN) * busy;
  }

  /** Settles when the next slice may begin; always in a later turn. @param bytes sent, received or read from disk by the slice */
  async rest(workMs: number, bytes: number): Promise<void> {
    const nowMs = this.clock.monoMs();
    const waitMs = Math.max(this.forWork(workMs, nowMs), this.forBytes(bytes, nowMs));
    this.counters.workMs += workMs;
    this.counters.bytes += bytes;
    const restMs = waitMs < REST_MS_MIN ? 0 : Math.min(waitMs, REST_MS_MAX);
    await this.clock.sleep(restMs);
    const passedMs = this.clock.monoMs() - nowMs;
    this.counters.restMs += passedMs;
    this.lateMs += SMOOTHING * (Math.max(0, passedMs - restMs) - this.lateMs);
  }

  private forWork(workMs: number, nowMs: number): number {
    const { share } = this;
    this.savedMs += (workMs * (1 - share)) / share;
    if (this.savedMs >= REST_MS_MIN) {
      // Others may have closed it before this slice began.
      const fromMs = Math.max(this.openAtMs, nowMs - workMs) + workMs;
      this.openAtMs = Math.min(fromMs + this.savedMs, nowMs + REST_MS_MAX);
      this.savedMs = 0;
    }
    return this.openAtMs - nowMs;
  }

  private forBytes(bytes: number, nowMs: number): number {
    if (bytes === 0) return 0;
    const { bytesPerSecond = REPAIR_BYTES_PER_SECOND } = this.options;
    return this.bytesPace.spend(bytes, bytesPerSecond * this.share, nowMs);
  }

  private sample(operations: number): void {
    const nowMs = this.clock.monoMs();
    const passedMs = nowMs - this.sampledAtMs;
    if (passedMs < SAMPLE_MS) return;
    const perSecond = ((operations - this.operationsAtSample) * 1000) / passedMs;
    // A long time without a question says everything by itself.
    const weight = passedMs > 10 * SAMPLE_MS ? 1 : SMOOTHING;
    this.perSecond += weight * (perSecond - this.perSecond);
    this.sampledAtMs = nowMs;
    this.operationsAtSample = operations;
  }
}
