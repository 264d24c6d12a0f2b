/**
 * Plans that once broke an invariant, shrunk to what it took (`hutch sim --shrink`). Each is a file of `test/plans`; its title says what it was about. Those of
 * bugs that were planted also say, in `test/planted/plans.test.ts`, that the plan still finds its bug.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "bun:test";
import { type Plan, readPlan, writePlan } from "../../src/simulator/plan.ts";
import { runPlan } from "../../src/simulator/run.ts";

const FOLDER = new URL("../plans/", import.meta.url).pathname;

const plans: readonly (readonly [title: string, plan: Plan, text: string])[] = [
  ...new Bun.Glob("*.json").scanSync(FOLDER),
]
  .sort()
  .map((file) => {
    const text = readFileSync(FOLDER + file, "utf8");
    const plan = readPlan(text);
    return [plan.title, plan, text];
  });

describe("plans that once broke something", () => {
  test("are there, and each says what it was about", () => {
    expect(plans.length).toBeGreaterThan(0);
    expect(new Set(plans.map(([title]) => title.trim())).size).toBe(plans.length);
    expect(plans.filter(([title]) => title.length < 10)).toEqual([]);
  });

  test.each(plans)(
    "%s",
    (_, plan, text) => {
      const { violations, told, story } = runPlan(plan);
      if (violations.length > 0) throw new Error(`${told.join("\n")}\n${story}`);
      expect(writePlan(plan)).toBe(text);
    },
    20_000,
  );
});
