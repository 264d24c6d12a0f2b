import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  DRIFT_REJECT_MS,
  HLC_STEPS_PER_MS,
  HybridClock,
  hlcOfWallMs,
  hlcText,
  wallMsOfHlc,
} from "../../src/causality/hlc.ts";

const NOW = 1_770_000_000_000;

test("R20: ticks grow whatever the wall clock does, and from the persisted ceiling on", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: NOW - 10 ** 9, max: NOW + 10 ** 9 })),
      fc.integer({ min: 0, max: 2 ** 48 }),
      (walls, ceiling) => {
        const clock = new HybridClock(ceiling);
        let last = ceiling;
        for (const wall of walls) {
          const tick = clock.tick(wall);
          expect(tick).toBeGreaterThan(last);
          expect(tick).toBeGreaterThanOrEqual(hlcOfWallMs(wall));
          last = tick;
        }
      },
    ),
  );
});

test("R20: when the logical part of a millisecond is used up, the clock moves on", () => {
  const clock = new HybridClock(0);
  for (let i = 0; i < HLC_STEPS_PER_MS; i++) expect(wallMsOfHlc(clock.tick(NOW))).toBe(NOW);
  expect(wallMsOfHlc(clock.tick(NOW))).toBe(NOW + 1);
  expect(clock.tick(NOW + 5)).toBe(hlcOfWallMs(NOW + 5));
});

test("R20: a remote time is adopted up to 500 ms, with a warning up to 10 s, and refused beyond", () => {
  const clock = new HybridClock(0);
  clock.tick(NOW);
  expect(clock.observe(hlcOfWallMs(NOW + 400), NOW)).toBe("adopted");
  expect(clock.observe(hlcOfWallMs(NOW + 600), NOW)).toBe("adopted-with-drift");
  const before = clock.last;
  expect(clock.observe(hlcOfWallMs(NOW + DRIFT_REJECT_MS + 1), NOW)).toBe("rejected");
  expect(clock.last).toBe(before);
  expect(clock.tick(NOW)).toBe(before + 1);
});

test("a tick is above what is known of the actor", () => {
  const clock = new HybridClock(0);
  const known = hlcOfWallMs(NOW + 3000);
  expect(clock.tick(NOW, known)).toBe(known + 1);
});

test("an HLC and its milliseconds convert exactly until 2163", () => {
  const late = Date.UTC(2163, 0, 1);
  expect(wallMsOfHlc(hlcOfWallMs(late))).toBe(late);
  expect(hlcOfWallMs(late)).toBeLessThan(2 ** 53);
  expect(hlcOfWallMs(0)).toBe(0);
  expect(hlcText(hlcOfWallMs(NOW) + 17)).toBe(`${NOW}.17`);
});
