import { describe, expect, test } from "bun:test";
import { Breaker, OPEN_MS } from "../../src/cluster/peer-breaker.ts";

/** `f` a failure, `s` a success, at time 0. */
function after(outcomes: string): Breaker {
  const breaker = new Breaker();
  for (const outcome of outcomes) {
    if (outcome === "f") breaker.failed(0);
    else breaker.succeeded();
  }
  return breaker;
}

describe("N9: breaker", () => {
  test.each<[string, boolean]>([
    ["", true],
    ["ffff", true],
    ["fffff", false],
    ["ffffsffff", true],
    ["fs".repeat(30), true],
    ["ffs".repeat(5), true],
    ["ffs".repeat(6) + "f", true],
    ["ffs".repeat(6) + "ff", false],
  ])("after %p it lets requests through: %p", (outcomes, isClosed) => {
    expect(after(outcomes).allows(0)).toBe(isClosed);
  });

  test("open, it lets one request through after a while, and the next only after that one", () => {
    const breaker = after("fffff");
    expect(breaker.allows(OPEN_MS - 1)).toBe(false);
    expect(breaker.allows(OPEN_MS)).toBe(true);
    breaker.begin();
    expect(breaker.allows(OPEN_MS)).toBe(false);
    breaker.failed(OPEN_MS);
    expect(breaker.allows(2 * OPEN_MS - 1)).toBe(false);
    expect(breaker.allows(2 * OPEN_MS)).toBe(true);
  });

  test("a success closes it, and old failures are forgotten", () => {
    const breaker = after("fffff");
    breaker.begin();
    breaker.succeeded();
    for (let i = 0; i < 4; i++) breaker.failed(OPEN_MS);
    expect(breaker.allows(OPEN_MS)).toBe(true);
    breaker.failed(OPEN_MS);
    expect(breaker.allows(OPEN_MS)).toBe(false);
  });

  test("failures of requests that were under way do not keep it open longer", () => {
    const breaker = after("fffff");
    breaker.failed(OPEN_MS - 1);
    expect(breaker.allows(OPEN_MS)).toBe(true);
  });

  test("a probe that says nothing leaves its place to the next", () => {
    const breaker = after("fffff");
    breaker.begin();
    breaker.probeAbandoned();
    expect(breaker.allows(OPEN_MS)).toBe(true);
  });
});
