import { describe, expect, test } from "bun:test";
import { BunClock } from "../../src/bun/clock.ts";
import type { Clock } from "../../src/ports/clock.ts";
import { SimWorld } from "../../src/sim/world.ts";

/** `pass` lets at least that much time go by. */
interface ClockWorld {
  fresh(): Clock;
  pass(ms: number): Promise<unknown>;
}

function clockSuite({ fresh, pass }: ClockWorld): void {
  test("monoMs() never goes back, wallMs() is a whole number of Unix milliseconds", async () => {
    const clock = fresh();
    let last = clock.monoMs();
    for (let i = 0; i < 100; i++) {
      const next = clock.monoMs();
      expect(next).toBeGreaterThanOrEqual(last);
      last = next;
    }
    expect(Number.isInteger(clock.wallMs())).toBe(true);
    expect(clock.wallMs()).toBeGreaterThan(1_700_000_000_000);
    await pass(2);
    expect(clock.monoMs()).toBeGreaterThan(last);
  });

  test("after() runs once, not early, in order of due time, and 0 is a later turn", async () => {
    const clock = fresh();
    const startMs = clock.monoMs();
    const seen: string[] = [];
    const early: string[] = [];
    const note = (name: string, delayMs: number): void => {
      clock.after(delayMs, () => {
        if (clock.monoMs() < startMs + delayMs) early.push(name);
        seen.push(name);
      });
    };
    note("late", 40);
    note("soon", 10.5);
    note("now", 0);
    expect(seen).toEqual([]);
    await pass(120);
    expect(seen).toEqual(["now", "soon", "late"]);
    expect(early).toEqual([]);
  });

  test("cancel() keeps the callback from running, and is harmless later", async () => {
    const clock = fresh();
    let runs = 0;
    const cancelled = clock.after(5, () => runs++);
    const done = clock.after(5, () => (runs += 10));
    cancelled.cancel();
    cancelled.cancel();
    await pass(30);
    done.cancel();
    expect(runs).toBe(10);
  });

  test("a delay longer than setTimeout can count does not run at once", async () => {
    const clock = fresh();
    let runs = 0;
    const timer = clock.after(2 ** 32, () => runs++);
    await pass(20);
    timer.cancel();
    expect(runs).toBe(0);
  });

  test("sleep() settles after its time", async () => {
    const clock = fresh();
    const startMs = clock.monoMs();
    let wokenMs = -1;
    void clock.sleep(15).then(() => (wokenMs = clock.monoMs()));
    await pass(60);
    expect(wokenMs).toBeGreaterThanOrEqual(startMs + 15);
  });

  test("a negative delay is a programmer error", () => {
    expect(() => fresh().after(-1, () => undefined)).toThrow("not negative");
  });
}

describe("BunClock", () =>
  clockSuite({ fresh: () => new BunClock(), pass: (ms) => Bun.sleep(ms) }));

for (const driftPpm of [0, 100, -100]) {
  describe(`SimClock, drift ${driftPpm} ppm`, () => {
    const world = new SimWorld(driftPpm);
    clockSuite({
      fresh: () => world.node("a", { driftPpm, offsetMs: 3 }).clock,
      pass: async (ms) => world.run(ms),
    });
  });
}
