/**
 * Notices that this process stood still: SIGSTOP, a paused machine, a long synchronous piece of work (N11, R53).
 *
 *   beat every 50 ms ----x                              x---- the timer comes at last
 *                        ^ lastBeat       ^ a message is looked at: check() finds the gap before anything is believed
 *
 * What has queued up meanwhile is old: links may carry requests whose askers have given up, and the others may have taken this node for dead. So
 * `check` comes before every inbound message, and the owner of the guard drops links and goes `syncing` when it fires.
 */
import { assert } from "../base/assert.ts";
import type { Clock, Timer } from "../ports/clock.ts";

export const BEAT_MS = 50;
/** A longer gap is a pause. */
export const PAUSE_MS = 1000;
/** A beat that is later than this makes the health worse. */
export const LATE_MS = 250;
export const GUARD_SCORE_MAX = 8;
/** So many beats in time make it better by one. */
const GOOD_BEATS = 20;

export class PauseGuard {
  readonly #clock: Clock;
  readonly #onPause: (gapMs: number) => void;
  #lastBeatMs: number;
  #timer: Timer | undefined = undefined;
  #goodBeats = 0;
  #score = 0;
  /** Pauses since the start. */
  pauseCount = 0;

  /** @param onPause called synchronously, once for each pause */
  constructor(clock: Clock, onPause: (gapMs: number) => void) {
    this.#clock = clock;
    this.#onPause = onPause;
    this.#lastBeatMs = clock.monoMs();
  }

  /** 0: this process gets its time. 8: it is late again and again. */
  get score(): number {
    return this.#score;
  }

  start(): void {
    assert(this.#timer === undefined, "a guard is started once");
    this.#lastBeatMs = this.#clock.monoMs();
    this.#schedule();
  }

  /** To be called before an inbound message is looked at. */
  check(): void {
    const nowMs = this.#clock.monoMs();
    const gapMs = nowMs - this.#lastBeatMs;
    if (this.#timer === undefined || gapMs <= PAUSE_MS) return;
    this.#lastBeatMs = nowMs;
    this.pauseCount++;
    this.#worsen();
    this.#onPause(gapMs);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #schedule(): void {
    this.#timer = this.#clock.after(BEAT_MS, () => {
      this.#beat();
      if (this.#timer !== undefined) this.#schedule();
    });
  }

  #beat(): void {
    this.check();
    const nowMs = this.#clock.monoMs();
    const lateMs = nowMs - this.#lastBeatMs - BEAT_MS;
    this.#lastBeatMs = nowMs;
    if (lateMs > LATE_MS) this.#worsen();
    else if (++this.#goodBeats >= GOOD_BEATS) this.#improve();
  }

  #worsen(): void {
    this.#goodBeats = 0;
    this.#score = Math.min(GUARD_SCORE_MAX, this.#score + 1);
  }

  #improve(): void {
    this.#goodBeats = 0;
    this.#score = Math.max(0, this.#score - 1);
  }
}
