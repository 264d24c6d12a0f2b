/** Whole clusters over seeds: clients, changes and faults from a plan, and every invariant at the end (src/simulator/run.ts). */
import { describe, expect, test } from "bun:test";
import { type DrawOptions, drawPlan } from "../../src/simulator/draw-plan.ts";
import { planSchema, readPlan, writePlan } from "../../src/simulator/plan.ts";
import { runPlan } from "../../src/simulator/run.ts";
import type { Verdict } from "../../src/simulator/verdict.ts";
import { freshSeeds } from "../support/fresh-seeds.ts";

/** `HUTCH_SEEDS` scales all simulations; 15 take about a minute. */
const SEEDS = Number(process.env["HUTCH_SEEDS"] ?? 15);
/** Seeds that have found something, or some planted error: they stay. */
const FIXED = [1, 3, 4, 5, 9, 15, 20, 21, 22, 29];
const CHANGING = [4, 10, 39];
/** Of all runs together. */
const OK_SHARE_MIN = 0.5;
/** Of one run; fewer acknowledged operations prove nothing (FAULTS.md 2.10). */
const OK_SHARE_ONE_MIN = 0.1;

/** All that held; throws with the whole story of the first that did not. */
function held(seed: number | string, options: DrawOptions = {}): Verdict {
  const verdict = runPlan(drawPlan(seed, options));
  if (verdict.violations.length > 0)
    throw new Error(`seed ${seed}\n  ${verdict.told.join("\n  ")}\n${verdict.story}`);
  return verdict;
}

function check(verdicts: readonly Verdict[]): void {
  const sum = (count: (figures: Verdict["figures"]) => number): number =>
    verdicts.reduce((total, { figures }) => total + count(figures), 0);
  for (const { plan, figures } of verdicts)
    expect([plan.title, figures.ok > OK_SHARE_ONE_MIN * figures.operations]).toEqual([
      plan.title,
      true,
    ]);
  expect(sum(({ ok }) => ok)).toBeGreaterThan(OK_SHARE_MIN * sum((own) => own.operations));
  // Faults that hit nothing prove nothing.
  expect(sum(({ unknown }) => unknown)).toBeGreaterThan(verdicts.length);
  expect(sum(({ failed }) => failed)).toBeGreaterThan(verdicts.length);
  expect(sum(({ dots }) => dots)).toBeGreaterThan(verdicts.length * 50);
}

describe("S1 to S7, L1 to L6, I5 to I8, R7, R51:", () => {
  test("a ring that stays, through crashes, cuts, loss, bad disks and wrong clocks", () => {
    check(FIXED.map((seed) => held(seed, { changes: [] })));
  }, 120_000);

  test("nodes and disks come and go, and die at any step of it", () => {
    check(CHANGING.map((seed) => held(seed)));
  }, 120_000);

  test("fresh seeds", () => {
    const seeds = freshSeeds(SEEDS * 2);
    console.log(`seeds ${seeds[0]} to ${seeds.at(-1)}`);
    check(seeds.map((seed) => held(seed)));
  }, 600_000);

  test("three nodes, and seven in three racks", () => {
    for (const seed of [1, 2]) {
      held(seed, { nodes: 3, changes: [] });
      held(seed, { nodes: 7, racks: 3, durationMs: 8000, changes: [] });
    }
  }, 120_000);
});

test("without faults every operation is answered, and no write has two outcomes", () => {
  const { operations, ok, failed, unknown } = held("calm", { faults: [], changes: [] }).figures;
  expect(unknown).toBe(0);
  // Conditions that do not hold are refused.
  expect(ok + failed).toBe(operations);
  expect(ok).toBeGreaterThan(0.9 * operations);
});

test("a ring that changes costs nobody a request, as long as nothing else goes wrong", () => {
  const options: DrawOptions = { changes: ["join", "leave", "reweigh"], faults: [] };
  for (const seed of freshSeeds(3)) {
    const { ok, operations } = held(seed, options).figures;
    expect(ok).toBeGreaterThan(0.9 * operations);
  }
}, 120_000);

describe("plans", () => {
  const short: DrawOptions = { durationMs: 4000 };

  test("the same plan gives the same trace, and another plan another one", () => {
    const first = held("twice", short);
    expect(held("twice", short)).toEqual(first);
    expect(held("other", short).trace).not.toBe(first.trace);
  });

  test("a plan is JSON: written and read again it is the same, and so is its run", () => {
    for (let seed = 0; seed < 20; seed++) {
      const plan = drawPlan(seed);
      expect(planSchema.parse(plan)).toEqual(plan);
      expect(readPlan(writePlan(plan))).toEqual(plan);
    }
    const plan = drawPlan("twice", short);
    expect(runPlan(readPlan(writePlan(plan))).trace).toBe(runPlan(plan).trace);
  });

  test("leaving out a fault shifts no other fault, no change and no client", () => {
    const kinds = ["crash", "pause", "partition"] as const;
    const all = drawPlan(7, { faults: kinds, changes: [] });
    const fewer = drawPlan(7, { faults: ["crash", "partition"], changes: [] });
    const timed = ({ faults }: typeof all) =>
      faults.filter(({ when, kind }) => !("on" in when) && kind !== "pause");
    expect(timed(fewer)).toEqual(timed(all));
    expect(fewer.clients).toEqual(all.clients);
  });

  test("a plan that is none is refused, with the place", () => {
    expect(() => readPlan("{")).toThrow("it is not JSON");
    const plan = { ...drawPlan(1, short), nodes: 0 };
    expect(() => readPlan(JSON.stringify(plan))).toThrow("nodes");
    expect(() => readPlan(JSON.stringify({ ...drawPlan(1, short), faults: [{}] }))).toThrow(
      "faults.0",
    );
  });
});
