import { describe, expect, test } from "bun:test";
import { confirmationsNeeded, Suspicion, suspicionMaxMs } from "../../src/gossip/suspicion.ts";

describe("Suspicion", () => {
  test("shrinks with each new voice, less and less, down to half", () => {
    const suspicion = new Suspicion(1000, 4000, 3, "a");
    const timeouts = [suspicion.timeoutMs];
    for (const voice of ["b", "c", "d"]) {
      expect(suspicion.confirm(voice)).toBeTrue();
      timeouts.push(suspicion.timeoutMs);
    }
    expect(timeouts.map(Math.round)).toEqual([4000, 3000, 2415, 2000]);
    expect(suspicion.deadlineMs).toBe(3000);
  });

  test("a voice counts once, and those beyond the needed ones not at all", () => {
    const suspicion = new Suspicion(0, 4000, 1, "a");
    expect(suspicion.confirm("a")).toBeFalse();
    expect(suspicion.confirm("b")).toBeTrue();
    expect(suspicion.confirm("b")).toBeFalse();
    expect(suspicion.confirm("c")).toBeFalse();
    expect(suspicion.voiceCount).toBe(2);
    expect(suspicion.isAccusedBy("c")).toBeFalse();
  });

  test("where nobody can confirm the time stays the longest", () => {
    const suspicion = new Suspicion(0, 4000, confirmationsNeeded(2), "a");
    expect(suspicion.confirm("b")).toBeFalse();
    expect(suspicion.deadlineMs).toBe(4000);
  });

  test("R53: postpone() leaves at least the time asked for, and never shortens", () => {
    const suspicion = new Suspicion(0, 4000, 0, "a");
    suspicion.postpone(1000);
    expect(suspicion.deadlineMs).toBe(4000);
    suspicion.postpone(9000);
    expect(suspicion.deadlineMs).toBe(9000);
  });
});

test("the longest time is four intervals up to ten nodes and grows with the logarithm", () => {
  expect([2, 5, 10, 100, 1000].map((count) => suspicionMaxMs(count, 1000))).toEqual([
    4000, 4000, 4000, 8000, 12_000,
  ]);
  expect([2, 3, 4, 5, 1000].map(confirmationsNeeded)).toEqual([0, 1, 2, 3, 3]);
});
