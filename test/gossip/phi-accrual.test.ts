import { describe, expect, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import { PHI_WINDOW, PhiAccrual, phiOf } from "../../src/gossip/phi-accrual.ts";

/** Heartbeats every `intervalMs` give or take `jitterMs`; the time of the last. */
function feed(phi: PhiAccrual, count: number, intervalMs: number, jitterMs = 0): number {
  const prng = new Prng("phi");
  let nowMs = 1000;
  for (let i = 0; i < count; i++) {
    phi.advance(nowMs);
    if (i < count - 1) nowMs += intervalMs + (2 * prng.float() - 1) * jitterMs;
  }
  return nowMs;
}

describe("phiOf()", () => {
  // Upper tails of the standard normal distribution.
  test.each([
    [-3, 0.99865],
    [-1, 0.841345],
    [0, 0.5],
    [1, 0.158655],
    [2, 0.02275],
    [3, 0.00135],
  ])("at %d deviations is close to -log10(%f)", (deviations, tail) => {
    expect(Math.abs(10 ** -phiOf(deviations) - tail)).toBeLessThan(0.00015);
  });

  test("rises without end of sense, and stays finite", () => {
    let last = -1;
    for (let y = -40; y < 8; y += 0.25) {
      expect(phiOf(y)).toBeGreaterThanOrEqual(last);
      last = phiOf(y);
    }
    expect(last).toBeGreaterThan(15);
    expect(phiOf(1e6)).toBe(30);
  });
});

describe("R54: PhiAccrual", () => {
  test("is calm after the usual interval and sure after many", () => {
    const phi = new PhiAccrual(1000);
    const lastMs = feed(phi, 100, 1000, 200);
    expect(phi.phi(lastMs + 1000)).toBeLessThan(1);
    expect(phi.phi(lastMs + 2000)).toBeWithin(1, 5);
    expect(phi.phi(lastMs + 4000)).toBeGreaterThan(8);
  });

  test("knows the seed before the first sample, and nothing before the first heartbeat", () => {
    const phi = new PhiAccrual(1000);
    expect(phi.phi(1e9)).toBe(0);
    phi.advance(0);
    expect(phi.phi(1000)).toBeLessThan(1);
    expect(phi.phi(5000)).toBeGreaterThan(8);
  });

  test("never believes in a deviation below 100 ms", () => {
    const phi = new PhiAccrual(10);
    const lastMs = feed(phi, 300, 10);
    expect(phi.phi(lastMs + 110)).toBeLessThan(1);
    expect(phi.phi(lastMs + 700)).toBeGreaterThan(8);
  });

  test("forgets what is older than the window", () => {
    const phi = new PhiAccrual(1000);
    let nowMs = feed(phi, 50, 1000);
    expect(phi.meanMs).toBeCloseTo(1000);
    for (let i = 0; i < PHI_WINDOW; i++) phi.advance((nowMs += 500));
    expect(phi.sampleCount).toBe(PHI_WINDOW);
    expect(phi.meanMs).toBeWithin(499, 505);
  });

  test("does not learn patience from an outage", () => {
    const phi = new PhiAccrual(1000);
    const lastMs = feed(phi, 20, 1000, 100);
    const mean = phi.meanMs;
    phi.advance(lastMs + 60_000);
    expect(phi.meanMs).toBe(mean);
    expect(phi.phi(lastMs + 60_000 + 4000)).toBeGreaterThan(8);
  });

  test("takes as normal what keeps coming", () => {
    const phi = new PhiAccrual(1000);
    let nowMs = feed(phi, 20, 1000, 100);
    for (let i = 0; i < 30; i++) phi.advance((nowMs += 20_000));
    expect(phi.meanMs).toBeWithin(19_000, 20_001);
    expect(phi.phi(nowMs + 20_000)).toBeLessThan(1);
  });

  test("R53: time in which this process stood still is no silence and no sample", () => {
    const phi = new PhiAccrual(1000);
    const lastMs = feed(phi, 20, 1000, 100);
    const [resumedMs, samples] = [lastMs + 6000, phi.sampleCount];
    expect(phi.phi(resumedMs + 500)).toBeGreaterThan(8);
    expect(phi.phi(resumedMs + 500, resumedMs)).toBeLessThan(1);
    phi.advance(resumedMs + 10, resumedMs);
    expect(phi.sampleCount).toBe(samples);
    phi.advance(resumedMs + 1010, resumedMs);
    expect(phi.sampleCount).toBe(samples + 1);
  });

  test("starts anew with a new generation", () => {
    const phi = new PhiAccrual(1000);
    feed(phi, 100, 5000);
    phi.reset(1000);
    expect(phi.phi(1e9)).toBe(0);
    expect(phi.sampleCount).toBe(0);
    expect(phi.meanMs).toBe(1000);
  });
});
