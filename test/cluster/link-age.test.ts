import { expect, test } from "bun:test";
import { LinkAge } from "../../src/cluster/link-age.ts";

test("N1: what goes straight through has no age, whatever the two clocks show", () => {
  const age = new LinkAge(1_000_000);
  // The dial took 3 ms, each message takes one.
  for (let sentAtMs = 3; sentAtMs < 100_000; sentAtMs += 97)
    expect(age.ageOf(sentAtMs, 1_000_000 - 3 + sentAtMs + 1)).toBe(0);
});

test("N1: a message that was kept is as old as it was kept, the first one of a link too", () => {
  const first = new LinkAge(0);
  expect(first.ageOf(10, 9000)).toBeGreaterThan(8900);
  const later = new LinkAge(0);
  expect(later.ageOf(10, 10)).toBe(0);
  expect(later.ageOf(20, 9020)).toBeGreaterThan(8900);
  expect(later.ageOf(9030, 9030)).toBe(0);
});

test("N1: clocks that drift apart age nothing, for years and across the end of the counter", () => {
  for (const drift of [1 + 200e-6, 1 - 200e-6]) {
    const age = new LinkAge(0);
    const stepMs = 60_000;
    for (let atMs = 0; atMs < 2 ** 33; atMs += 1000 * stepMs) {
      expect(age.ageOf(Math.floor(atMs * drift) % 2 ** 32, atMs)).toBeLessThan(2);
    }
  }
});
