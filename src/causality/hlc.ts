/**
 * Hybrid logical clock (Kulkarni et al. 2014): timestamps that follow the wall clock and never contradict causality.
 *
 *   hlc = (Unix ms - 2024-01-01) * 2^11 + logical        an exact integer below 2^53 until the year 2163
 *
 * Every tick is greater than all before it on this node, across restarts (a persisted ceiling is handed in) and across a wall
 * clock that was set back. When the 2,048 logical steps of one millisecond are used up, the clock moves on into the next
 * millisecond by itself. The same number serves as dot counter (R11): node-wide, strictly increasing.
 */
import { assert } from "../base/assert.ts";

export const HLC_EPOCH_MS = 1_704_067_200_000;
export const HLC_STEPS_PER_MS = 2048;
/** A remote timestamp further ahead than this is not adopted (R20), unless the node is told otherwise (`drift-max`). */
export const DRIFT_REJECT_MS = 10_000;
/** A remote timestamp further ahead than this is worth a warning. */
export const DRIFT_WARN_MS = 500;

/** The smallest timestamp of the millisecond `wallMs`; 0 before 2024. */
export function hlcOfWallMs(wallMs: number): number {
  const sinceEpochMs = Math.floor(wallMs) - HLC_EPOCH_MS;
  return sinceEpochMs <= 0 ? 0 : sinceEpochMs * HLC_STEPS_PER_MS;
}

/** Unix milliseconds of a timestamp. */
export function wallMsOfHlc(hlc: number): number {
  return Math.floor(hlc / HLC_STEPS_PER_MS) + HLC_EPOCH_MS;
}

/** For people: Unix milliseconds and the logical part, `1770091506789.17`. */
export function hlcText(hlc: number): string {
  return `${wallMsOfHlc(hlc)}.${hlc % HLC_STEPS_PER_MS}`;
}

export type Observation = "adopted" | "adopted-with-drift" | "rejected";

export class HybridClock {
  /** The greatest timestamp given out or adopted. */
  last: number;

  /** `ceiling`: no timestamp given out before the last stop was greater. */
  constructor(ceiling: number) {
    assert(Number.isSafeInteger(ceiling) && ceiling >= 0, "a clock ceiling is an HLC");
    this.last = ceiling;
  }

  /** A timestamp greater than all before, and greater than `known`. */
  tick(wallMs: number, known = 0): number {
    if (known > this.last) this.last = known;
    const wall = hlcOfWallMs(wallMs);
    this.last = wall > this.last ? wall : this.last + 1;
    assert(this.last <= Number.MAX_SAFE_INTEGER, "the clock stays below 2^53");
    return this.last;
  }

  /** Takes note of a timestamp from elsewhere, unless it is too far ahead of our own wall clock. */
  observe(remote: number, wallMs: number, driftMaxMs = DRIFT_REJECT_MS): Observation {
    const aheadMs = (remote - hlcOfWallMs(wallMs)) / HLC_STEPS_PER_MS;
    if (aheadMs > driftMaxMs) return "rejected";
    if (remote > this.last) this.last = remote;
    return aheadMs > DRIFT_WARN_MS ? "adopted-with-drift" : "adopted";
  }
}
