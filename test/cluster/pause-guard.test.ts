import { describe, expect, test } from "bun:test";
import { BEAT_MS, GUARD_SCORE_MAX, PauseGuard } from "../../src/cluster/pause-guard.ts";
import type { Clock, Timer } from "../../src/ports/clock.ts";

/** One timer at most, which runs when the loop is let go on. */
class StoppableLoop implements Clock {
  nowMs = 1000;
  #due: { atMs: number; run: () => void } | undefined;

  wallMs = (): number => this.nowMs;
  monoMs = (): number => this.nowMs;
  sleep = (): Promise<void> => Promise.reject(new Error("nobody sleeps here"));

  after(delayMs: number, run: () => void): Timer {
    const due = { atMs: this.nowMs + delayMs, run };
    this.#due = due;
    return { cancel: () => void (this.#due === due && (this.#due = undefined)) };
  }

  /** The loop turns for so long. */
  turn(forMs: number): void {
    const untilMs = this.nowMs + forMs;
    while (this.#due !== undefined && this.#due.atMs <= untilMs) {
      const { atMs, run } = this.#due;
      this.#due = undefined;
      this.nowMs = Math.max(this.nowMs, atMs);
      run();
    }
    this.nowMs = Math.max(this.nowMs, untilMs);
  }

  /** The process stands still: timers that fell due run after it. */
  stand(forMs: number): void {
    this.nowMs += forMs;
  }
}

function start(): { loop: StoppableLoop; guard: PauseGuard; gaps: number[] } {
  const loop = new StoppableLoop();
  const gaps: number[] = [];
  const guard = new PauseGuard(loop, (gapMs) => gaps.push(gapMs));
  guard.start();
  return { loop, guard, gaps };
}

describe("PauseGuard (R53, N11)", () => {
  test("a loop that turns has no pauses and a score of 0", () => {
    const { loop, guard, gaps } = start();
    for (let i = 0; i < 1000; i++) {
      loop.turn(7);
      guard.check();
    }
    expect([gaps, guard.score]).toEqual([[], 0]);
  });

  test("the first message after a pause finds it, and nothing finds it again", () => {
    const { loop, guard, gaps } = start();
    loop.turn(100);
    loop.stand(3000);
    guard.check();
    guard.check();
    loop.turn(500);
    guard.check();
    expect(gaps).toEqual([3000]);
    expect(guard.pauseCount).toBe(1);
  });

  test("without messages the late beat finds it", () => {
    const { loop, gaps } = start();
    loop.turn(100);
    loop.stand(5000);
    loop.turn(BEAT_MS);
    expect(gaps).toEqual([5000]);
  });

  test("a gap of a second is none yet", () => {
    const { loop, guard, gaps } = start();
    loop.stand(1000);
    guard.check();
    expect(gaps).toEqual([]);
    loop.stand(1);
    guard.check();
    expect(gaps).toEqual([1001]);
  });

  test("beats later than 250 ms make the score worse up to 8, beats in time make it better again", () => {
    const { loop, guard } = start();
    loop.stand(BEAT_MS + 200);
    loop.turn(0);
    expect(guard.score).toBe(0);
    for (let i = 0; i < 20; i++) {
      loop.stand(BEAT_MS + 300);
      loop.turn(0);
    }
    expect(guard.score).toBe(GUARD_SCORE_MAX);
    loop.turn(4000);
    expect(guard.score).toBeWithin(3, 6);
    loop.turn(10_000);
    expect(guard.score).toBe(0);
  });

  test("is silent before its start and after its end", () => {
    const loop = new StoppableLoop();
    const gaps: number[] = [];
    const guard = new PauseGuard(loop, (gapMs) => gaps.push(gapMs));
    loop.stand(9000);
    guard.check();
    guard.start();
    guard.check();
    guard.stop();
    loop.stand(9000);
    loop.turn(1000);
    guard.check();
    expect(gaps).toEqual([]);
  });
});
