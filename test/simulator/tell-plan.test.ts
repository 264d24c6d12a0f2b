import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Plan, readPlan, writePlan } from "../../src/simulator/plan.ts";
import { sizesOf, tellPlan } from "../../src/simulator/tell-plan.ts";
import {
  arbitraryPlan,
  changeOf,
  clientOf,
  faultOf,
  planOf,
  stepOf,
} from "../support/arbitrary-plan.ts";

const lossy = {
  lossChance: 0.1,
  duplicateChance: 0,
  reorderChance: 0,
  corruptChance: 0,
  delayMs: 5,
  jitterMs: 0,
};

function toldPlan(): Plan {
  return planOf({
    title: "a write that a restart loses",
    nodes: 3,
    racks: 2,
    durationMs: 2500,
    knobs: { fsync: "os" },
    clients: [
      clientOf("a", [
        stepOf({ afterMs: 0, level: "w=1", retries: [{ afterMs: 1, node: 2, timeoutMs: 9 }] }),
        stepOf({ kind: "delete", afterMs: 1250, isInformed: true, timeoutMs: 500 }),
      ]),
      { ...clientOf("b", [stepOf({ kind: "get", node: 1 })]), usesSessions: true },
    ],
    changes: [changeOf(), changeOf({ kind: "wipe", isAlongside: true, pauseMs: 1500 })],
    faults: [
      faultOf({ kind: "pause", when: { on: "log syncing", nth: 3 }, nodes: [] }),
      faultOf({ kind: "link", when: { everyMs: 1000, fromMs: 20 }, nodes: [], paths: lossy }),
      faultOf({ kind: "partition", when: { atMs: 10 }, forMs: 1200, nodes: [0, 2] }),
      faultOf({ kind: "torn", when: { on: "exchange join", nth: 12 }, calls: 1, forMs: 0 }),
    ],
  });
}

describe("tellPlan()", () => {
  test("tells faults in order of time, changes, and each step of a small plan", () => {
    expect(tellPlan(toldPlan()).join("\n")).toBe(
      `
a write that a restart loses
3 nodes in 2 racks, 2.5 s, at most 1 down at once
buckets plain
knobs fsync=os
faults
  at 10 ms                   partition 0 2 for 1.2 s
  every 1 s from 20 ms       link for 500 ms lossChance 0.1 delayMs 5
  at the 3rd log syncing     pause for 500 ms
  at the 12th exchange join  torn 0 after 1 call
changes, one after the other
  after 100 ms          join
  1.5 s after it began  wipe
client a
  after 0 ms    put plain/k0 at 0 w=1 and again at 2 within 1 s
  after 1.25 s  delete plain/k0 at 0 with context within 500 ms
client b with sessions
  after 100 ms  get plain/k0 at 1 within 1 s
`.trim(),
    );
  });

  test("counts the steps of a large plan", () => {
    const steps = Array.from({ length: 40 }, (_, at) =>
      stepOf({ kind: at % 4 === 0 ? "get" : "put", key: `k${at % 3}` }),
    );
    const told = tellPlan(planOf({ clients: [clientOf("a", steps), clientOf("bob", [])] }));
    expect(told.slice(-3)).toEqual([
      "clients  puts  deletes  gets  keys",
      "a        30    0        10    3",
      "bob      0     0        0     0",
    ]);
  });

  test("has a line for each fault and change of any plan, and none that is empty", () => {
    fc.assert(
      fc.property(arbitraryPlan, (plan) => {
        const { faults, changes, clients, steps } = sizesOf(plan);
        const lines = tellPlan(plan);
        expect(lines.length).toBeGreaterThanOrEqual(faults + changes + Math.min(clients, steps));
        for (const line of lines) expect(line.trim()).not.toBe("");
      }),
    );
  });

  test("is the same for a plan that was written and read", () => {
    fc.assert(
      fc.property(arbitraryPlan, (plan) => {
        expect(tellPlan(readPlan(writePlan(plan)))).toEqual(tellPlan(plan));
      }),
    );
  });
});
