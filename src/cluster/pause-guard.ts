/**
 * Notices that this process stood still (R53, N11): SIGSTOP, a paused machine, a turn of the loop that took seconds.
 *
 * A beat every `BEAT_MS` says that the loop turns. What arrives after a pause has waited in a socket, so it looks fresh and is not: `check` comes before
 * anything that arrives is looked at, and tells of the pause once, before the first of it is.
 */
import type { Clock, Timer } from "../ports/clock.ts";

const BEAT_MS = 50;
/** The others may have given us up from here on. */
export const PAUSE_MS = 1000;

export interface PauseGuardOptions {
  readonly clock: Clock;
  onPause(gapMs: number): void;
}

export class PauseGuard {
  private readonly options: PauseGuardOptions;
  private lastBeatMs: number;
  private timer: Timer | undefined;

  constructor(options: PauseGuardOptions) {
    this.options = options;
    this.lastBeatMs = options.clock.monoMs();
  }

  start(): void {
    this.lastBeatMs = this.options.clock.monoMs();
    this.beatLater();
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  /** Harmless before `start` and after `stop`. */
  check(): void {
    if (this.timer === undefined) return;
    const nowMs = this.options.clock.monoMs();
    const gapMs = nowMs - this.lastBeatMs;
    if (gapMs < PAUSE_MS) return;
    this.lastBeatMs = nowMs;
    this.options.onPause(gapMs);
  }

  private beatLater(): void {
    this.timer = this.options.clock.after(BEAT_MS, () => {
      this.check();
      this.lastBeatMs = this.options.clock.monoMs();
      if (this.timer !== undefined) this.beatLater();
    });
  }
}
