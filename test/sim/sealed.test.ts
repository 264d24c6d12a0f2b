/** Whole clusters whose gossip and links are sealed: every invariant holds as without, and nothing of their own is refused but what is damaged on the way. */
import { expect, test } from "bun:test";
import { drawPlan } from "../../src/simulator/draw-plan.ts";
import { runPlan } from "../../src/simulator/run.ts";

const key = new Uint8Array(32).fill(7);

test("Q6: sealed clusters keep every promise through crashes, cuts, loss, bad disks and wrong clocks", () => {
  for (const seed of [3]) {
    const plan = drawPlan(seed, { changes: [] });
    const { violations, story, figures } = runPlan(plan, { key });
    if (violations.length > 0) throw new Error(`seed ${seed}\n${story}`);
    expect(figures.ok).toBeGreaterThan(figures.operations / 10);
  }
}, 60_000);

test("Q6: nodes and disks come and go in a sealed cluster", () => {
  const { violations, story, figures } = runPlan(drawPlan(10), { key });
  if (violations.length > 0) throw new Error(story);
  expect(figures.ok).toBeGreaterThan(figures.operations / 10);
}, 60_000);
