/**
 * The wall clock, as far as it can be believed (row 95). TTLs and timestamps come from here.
 *
 * The monotonic clock says how much time has really passed, so a step of the wall clock shows:
 * - small differences are followed (NTP slewing, drift), never backwards;
 * - a step back is not followed: time goes on from where it was, at the monotonic clock's pace;
 * - a step forward by more than `STEP_MS_MAX` is not believed at once, or a wrong clock would expire everything that has a
 *   TTL. Writes are refused as `clock-skew` while it lasts. After `STEP_ACCEPTED_AFTER_MS` it is taken for true: a machine
 *   that slept has such a step too, because the monotonic clock sleeps with it.
 */
import { HutchError } from "../base/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";

export const STEP_MS_MAX = 10_000;
export const STEP_ACCEPTED_AFTER_MS = 60_000;

export class TrustedClock {
  private readonly clock: Clock;
  private readonly logger: Logger;
  private lastMs: number;
  private lastMonoMs: number;
  /** Monotonic time at which the step was first seen; -1 for none. */
  private steppedAtMonoMs = -1;

  constructor(clock: Clock, logger: Logger) {
    this.clock = clock;
    this.logger = logger;
    this.lastMs = clock.wallMs();
    this.lastMonoMs = clock.monoMs();
  }

  /** Unix milliseconds; never goes back. */
  nowMs(): number {
    const monoMs = this.clock.monoMs();
    const wallMs = this.clock.wallMs();
    const expectedMs = this.lastMs + (monoMs - this.lastMonoMs);
    const aheadMs = wallMs - expectedMs;
    if (aheadMs > STEP_MS_MAX && !this.isStepAccepted(monoMs, aheadMs))
      return Math.floor(expectedMs);
    if (aheadMs <= STEP_MS_MAX) this.steppedAtMonoMs = -1;
    // Slightly behind: wait for it where we are. Far behind: somebody set it back, go on by ourselves.
    if (aheadMs >= 0 || aheadMs < -STEP_MS_MAX)
      this.lastMs = Math.max(this.lastMs, wallMs, expectedMs);
    else this.lastMs = Math.max(this.lastMs, wallMs);
    this.lastMonoMs = monoMs;
    return Math.floor(this.lastMs);
  }

  private isStepAccepted(monoMs: number, aheadMs: number): boolean {
    if (this.steppedAtMonoMs === -1) {
      this.steppedAtMonoMs = monoMs;
      this.logger.error("clock_stepped_forward", { aheadMs: Math.round(aheadMs) });
    }
    if (monoMs - this.steppedAtMonoMs < STEP_ACCEPTED_AFTER_MS) return false;
    this.logger.warn("clock_step_accepted", { aheadMs: Math.round(aheadMs) });
    this.steppedAtMonoMs = -1;
    return true;
  }

  /** `nowMs` for somebody who is about to stamp a write; throws `clock-skew` while a step is not accepted. */
  nowMsForWrite(): number {
    const nowMs = this.nowMs();
    if (this.steppedAtMonoMs !== -1)
      throw new HutchError(
        "clock-skew",
        "Cannot stamp the write: the wall clock jumped forward and is not believed yet",
        { retry: "safe" },
      );
    return nowMs;
  }
}
