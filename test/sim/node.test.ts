/** A whole node under the simulator; see test/support/node-run.ts for what is checked. */
import { expect, test } from "bun:test";
import { nodeRun } from "../support/node-run.ts";

const SEEDS = Number(process.env["HUTCH_SEEDS"] ?? 15);

test("a node through crashes, power losses, clock steps, slow and full disks loses no acknowledged write", () => {
  let acknowledged = 0;
  let unanswered = 0;
  const faults: Record<string, number> = {};
  for (let seed = 0; seed < SEEDS; seed++) {
    const result = nodeRun({ seed, lives: 6 });
    acknowledged += result.acknowledged;
    unanswered += result.unanswered;
    for (const [fault, count] of Object.entries(result.faults))
      faults[fault] = (faults[fault] ?? 0) + count;
  }
  // A run in which almost nothing was acknowledged proves nothing (FAULTS.md 2.10).
  expect(acknowledged).toBeGreaterThan(SEEDS * 200);
  for (const fault of [
    "clean stop",
    "clock step",
    "crash at a disk call",
    "disk full",
    "kill",
    "power loss",
    "slow sync",
  ])
    expect(faults[fault]).toBeGreaterThan(0);
}, 120_000);

test("the same seed gives the same trace of a whole node", () => {
  expect(nodeRun({ seed: "twice", lives: 4 })).toEqual(nodeRun({ seed: "twice", lives: 4 }));
});
