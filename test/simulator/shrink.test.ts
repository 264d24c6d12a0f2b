/** Shrinking against runs that are made up: the oracle looks into the plan and says what is broken. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { AssertionError } from "../../src/base/assert.ts";
import { HutchError } from "../../src/base/errors.ts";
import { minimize, simplerNumbers } from "../../src/simulator/minimize.ts";
import { type Plan, type Step, planSchema } from "../../src/simulator/plan.ts";
import { type ShrinkStep, shrink } from "../../src/simulator/shrink.ts";
import { sizesOf } from "../../src/simulator/tell-plan.ts";
import type { Verdict } from "../../src/simulator/verdict.ts";
import {
  arbitraryPlan,
  changeOf,
  clientOf,
  faultOf,
  planOf,
  stepOf,
} from "../support/arbitrary-plan.ts";

type Oracle = (plan: Plan) => readonly string[];

function runOf(oracle: Oracle): (plan: Plan) => Verdict {
  return (plan) => ({
    plan,
    violations: oracle(plan).map((invariant) => ({ invariant, message: "", key: "" })),
    figures: {
      operations: 0,
      ok: 0,
      failed: 0,
      unknown: 0,
      dots: 0,
      burnt: 0,
      recoveries: { kills: 0, powerLosses: 0 },
      virtualMs: 0,
      events: 0,
    },
    faults: {},
    coverage: {},
    told: [],
    story: "",
    trace: "",
  });
}

function shrunk(start: Plan, oracle: Oracle, runsMax = 10_000) {
  const plan = planSchema.parse(start);
  const steps: ShrinkStep[] = [];
  const run = runOf(oracle);
  const result = shrink(plan, run(plan), run, { runsMax, onStep: (step) => steps.push(step) });
  return { ...result, steps };
}

const allSteps = ({ clients }: Plan): Step[] => clients.flatMap(({ steps }) => steps);
const invariantsOf = ({ violations }: Verdict): string[] =>
  violations.map(({ invariant }) => invariant);

/** A deletion with a context, and a power loss that waits for a node's third catching up, where there are three nodes. */
const LOST_DELETE: Oracle = (plan) =>
  plan.nodes >= 3 &&
  plan.faults.some(({ kind, when }) => kind === "power loss" && "on" in when && when.nth >= 3) &&
  allSteps(plan).some(({ kind, isInformed }) => kind === "delete" && isInformed)
    ? ["S1"]
    : [];

/** 3 clients of 20 steps, 9 faults, 2 changes, 5 nodes; `LOST_DELETE` needs two things of it. */
function busyPlan(): Plan {
  const steps = (client: number): Step[] =>
    Array.from({ length: 20 }, (_, at) =>
      stepOf({
        kind: (["put", "get", "put"] as const)[at % 3]!,
        afterMs: 50 + at,
        bucket: at % 2,
        key: `k${(at + client) % 4}`,
        level: at % 2 === 0 ? "QUORUM" : "",
        node: at,
        isInformed: at % 5 === 0,
        bytes: 20 * (at % 3),
        retries: at % 4 === 0 ? [{ afterMs: 10, node: 1, timeoutMs: 500 }] : [],
      }),
    );
  const [plain] = planOf().buckets;
  const needed = steps(1).with(
    13,
    stepOf({
      kind: "delete",
      key: "k3",
      bucket: 1,
      level: "ALL",
      node: 4,
      isInformed: true,
      ttlMs: 9,
    }),
  );
  return planOf({
    title: "busy",
    racks: 2,
    downAtOnceMax: 2,
    knobs: { repairIntervalMs: "4s", hintWindowMs: "0" },
    buckets: [plain!, { ...plain!, name: "strict", strict: true, n: 5 }],
    clients: [clientOf("a", steps(0)), clientOf("b", needed), clientOf("c", steps(2))],
    changes: [changeOf(), changeOf({ kind: "wipe", isAlongside: true })],
    faults: [
      ...Array.from({ length: 4 }, (_, at) => faultOf({ when: { atMs: 1000 * at }, nodes: [at] })),
      faultOf({ kind: "partition", nodes: [1, 2], when: { everyMs: 2000, fromMs: 10 } }),
      faultOf({
        kind: "power loss",
        when: { on: "log syncing", nth: 5 },
        forMs: 3000,
        nodes: [3, 4],
      }),
      faultOf({ kind: "power loss", when: { atMs: 4321 } }),
      faultOf({ kind: "pause", when: { on: "log syncing", nth: 9 } }),
      faultOf({ kind: "clock step", offsetMs: -400 }),
    ],
  });
}

describe("shrink()", () => {
  test("ends with what the violation needs and nothing else", () => {
    const { plan, verdict, runs } = shrunk(busyPlan(), LOST_DELETE);
    expect(plan).toEqual(
      planOf({
        title: "busy",
        durationMs: 0,
        nodes: 3,
        buckets: [planOf().buckets[0]!],
        clients: [
          clientOf("b", [stepOf({ kind: "delete", afterMs: 0, key: "k3", isInformed: true })]),
        ],
        faults: [
          faultOf({ kind: "power loss", when: { on: "log syncing", nth: 3 }, forMs: 0, nodes: [] }),
        ],
      }),
    );
    expect(verdict.plan).toEqual(plan);
    expect(runs).toBeLessThan(150);
  });

  test("runs at most `runsMax` candidates and returns the smallest so far", () => {
    const whole = shrunk(busyPlan(), LOST_DELETE);
    for (const runsMax of [0, 1, 7, 30, whole.runs - 1]) {
      const { plan, verdict, runs, steps } = shrunk(busyPlan(), LOST_DELETE, runsMax);
      expect([runs, steps.length]).toEqual([runsMax, runsMax]);
      expect(steps).toEqual(whole.steps.slice(0, runsMax));
      expect(plan).toEqual(steps.at(-1)?.plan ?? planSchema.parse(busyPlan()));
      expect(invariantsOf(verdict)).toEqual(["S1"]);
    }
  });

  test("a plan that breaks something else does not count", () => {
    const oracle: Oracle = (plan) => (LOST_DELETE(plan).length > 0 ? ["S1"] : ["slow answer"]);
    expect(shrunk(busyPlan(), oracle).plan).toEqual(shrunk(busyPlan(), LOST_DELETE).plan);
  });

  test("of two invariants it does not go from the one to the other", () => {
    // The smallest plans break S2 only; the way there leads over plans that break both.
    const oracle: Oracle = ({ faults }) => [
      ...(faults.length >= 4 ? ["S1"] : []),
      ...(faults.length <= 6 ? ["S2"] : []),
    ];
    expect(oracle(busyPlan())).toEqual(["S1"]);
    const { plan, verdict } = shrunk(busyPlan(), oracle);
    expect([plan.faults.length, invariantsOf(verdict)]).toEqual([4, ["S1", "S2"]]);
  });

  test("of a partition it keeps the members that matter, of a bad link the numbers", () => {
    const oracle: Oracle = ({ faults }) =>
      faults.some(({ nodes, paths }) => nodes.includes(2) && (paths?.lossChance ?? 0) >= 0.1)
        ? ["S1"]
        : [];
    const paths = {
      lossChance: 0.37219,
      duplicateChance: 0.5,
      reorderChance: 0,
      corruptChance: 0.02,
      delayMs: 50,
      jitterMs: 30,
    };
    const start = planOf({ faults: [faultOf({ kind: "link", nodes: [0, 1, 2, 3], paths })] });
    const [fault] = shrunk(start, oracle).plan.faults;
    expect(fault!.nodes).toEqual([2]);
    expect(fault!.paths).toEqual({
      lossChance: 0.1,
      duplicateChance: 0,
      reorderChance: 0,
      corruptChance: 0,
      delayMs: 0,
      jitterMs: 0,
    });
  });

  test("of a fault that strikes again and again it keeps one strike", () => {
    const strikes = ({ when }: Plan["faults"][number], atMs: number): boolean =>
      ("atMs" in when && when.atMs === atMs) ||
      ("everyMs" in when && (atMs - when.fromMs) % when.everyMs === 0);
    const oracle: Oracle = ({ faults, durationMs }) =>
      durationMs > 2500 && faults.some((own) => strikes(own, 2500)) ? ["S1"] : [];
    const start = planOf({ faults: [faultOf({ when: { everyMs: 1000, fromMs: 500 } })] });
    expect(shrunk(start, oracle).plan.faults[0]!.when).toEqual({ atMs: 2500 });
  });

  test("what happens together still does when the time before is cut", () => {
    // A put while the node is down.
    const oracle: Oracle = ({ faults: [fault], clients: [client], durationMs }) => {
      if (fault === undefined || client === undefined || !("atMs" in fault.when)) return [];
      const putMs = client.steps.reduce((sum, { afterMs }) => sum + afterMs, 0);
      const { atMs } = fault.when;
      const isDown = putMs > atMs && putMs < atMs + fault.forMs && client.steps.length > 0;
      return isDown && durationMs > putMs + 100 ? ["S1"] : [];
    };
    const start = planOf({
      clients: [clientOf("a", [...Array.from({ length: 40 }, () => stepOf({ afterMs: 100.25 }))])],
      faults: [faultOf({ when: { atMs: 3900 }, forMs: 3000 })],
    });
    const { plan } = shrunk(start, oracle);
    expect(oracle(plan)).toEqual(["S1"]);
    expect(sizesOf(plan)).toMatchObject({ faults: 1, steps: 1 });
    expect(plan.durationMs).toBeLessThan(150);
    expect(plan.faults[0]!.when).toEqual({ atMs: 0 });
    expect(plan.faults[0]!.forMs).toBeLessThan(10);
  });

  test("keys become one, unless it takes two", () => {
    const twoKeys: Oracle = (plan) =>
      new Set(allSteps(plan).map(({ key }) => key)).size >= 2 ? ["S1"] : [];
    const twoSteps: Oracle = (plan) => (allSteps(plan).length >= 2 ? ["S1"] : []);
    const keys = (oracle: Oracle): string[] =>
      allSteps(shrunk(busyPlan(), oracle).plan).map(({ key }) => key);
    expect(new Set(keys(twoKeys)).size).toBe(2);
    expect(keys(twoKeys)).toHaveLength(2);
    expect(new Set(keys(twoSteps)).size).toBe(1);
    expect(keys(twoSteps)).toHaveLength(2);
  });

  test("knobs that only go together go together or stay", () => {
    const needs = (wanted: boolean): Oracle => {
      return ({ knobs }) => {
        const { gcDelayMs, hintTtlMs } = knobs;
        if (gcDelayMs !== undefined && hintTtlMs === undefined)
          throw new HutchError("bad-config", "--gc-delay is not more than --hint-ttl");
        return !wanted || gcDelayMs !== undefined ? ["S1"] : [];
      };
    };
    const start = planOf({ knobs: { gcDelayMs: "7s", hintTtlMs: "3s" } });
    expect(shrunk(start, needs(true)).plan.knobs).toEqual(start.knobs);
    expect(shrunk(start, needs(false)).plan.knobs).toEqual({});
    const broken: Oracle = (plan) => {
      if (plan.durationMs < 10_000) throw new Error("a mistake");
      return ["S1"];
    };
    expect(() => shrunk(start, broken)).toThrow("a mistake");
  });

  test("nothing broken is nothing to shrink", () => {
    expect(() => shrunk(planOf(), () => [])).toThrow(AssertionError);
  });
});

/** An oracle without any order in it: each plan breaks what its text happens to say. */
function wildOracle(start: Plan): Oracle {
  const text = JSON.stringify(planSchema.parse(start));
  return (plan) => {
    const own = JSON.stringify(plan);
    if (own === text) return ["S1", "S2"];
    const bits = Bun.hash.crc32(own);
    return ["S1", "S2", "S3"].filter((_, at) => ((bits >> at) & 1) === 1);
  };
}

describe("shrink() of any plan and any oracle", () => {
  test("ends with a valid plan that breaks alike and is nowhere larger", () => {
    fc.assert(
      fc.property(arbitraryPlan, fc.constantFrom(20, 10_000), (start, runsMax) => {
        const oracle = wildOracle(start);
        const { plan, verdict, runs, steps } = shrunk(start, oracle, runsMax);
        expect(planSchema.parse(plan)).toEqual(plan);
        expect(invariantsOf(verdict)).toEqual([...oracle(plan)]);
        expect(oracle(plan).some((own) => own !== "S3")).toBe(true);
        const [before, after] = [sizesOf(start), sizesOf(plan)];
        for (const name of Object.keys(before) as (keyof typeof before)[])
          expect(after[name]).toBeLessThanOrEqual(before[name]);
        expect(runs).toBeLessThanOrEqual(runsMax);
        for (const step of steps) expect(planSchema.safeParse(step.plan).success).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test("is the same each time, runs no plan twice, and has nothing left to do afterwards", () => {
    fc.assert(
      fc.property(arbitraryPlan, (start) => {
        const seen: string[] = [];
        // What breaks besides S1 would be wanted too by whoever begins with the result.
        const wild: Oracle = (plan) => (wildOracle(start)(plan).includes("S1") ? ["S1"] : ["S3"]);
        const oracle: Oracle = (plan) => {
          seen.push(JSON.stringify(plan));
          return wild(plan);
        };
        const once = shrunk(start, oracle);
        expect(new Set(seen).size).toBe(seen.length);
        expect(shrunk(start, wild)).toEqual(once);
        const again = shrunk(once.plan, wild);
        expect([again.plan, again.verdict]).toEqual([once.plan, once.verdict]);
      }),
      { numRuns: 40 },
    );
  });

  test("of what is needed nothing goes, of the rest everything", () => {
    const needs = fc.record({ faults: fc.nat(3), steps: fc.nat(5), changes: fc.nat(2) });
    fc.assert(
      fc.property(arbitraryPlan, needs, (start, least) => {
        const has = sizesOf(start);
        const need = {
          faults: Math.min(least.faults, has.faults),
          steps: Math.min(least.steps, has.steps),
          changes: Math.min(least.changes, has.changes),
        };
        const oracle: Oracle = (plan) => {
          const { faults, steps, changes } = sizesOf(plan);
          return faults >= need.faults && steps >= need.steps && changes >= need.changes
            ? ["S1"]
            : [];
        };
        expect(sizesOf(shrunk(start, oracle).plan)).toMatchObject({ ...need, nodes: 1 });
      }),
      { numRuns: 60 },
    );
  });
});

describe("minimize()", () => {
  test("asks about single items in the end, and finds a set that has none to spare", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat(40), { maxLength: 40 }),
        fc.uniqueArray(fc.nat(40)),
        (items, wanted) => {
          const needed = items.filter((item) => wanted.includes(item));
          const kept = minimize(items, (own) => needed.every((item) => own.includes(item)));
          expect(kept).toEqual(needed);
        },
      ),
    );
  });

  test("takes few questions where little is needed", () => {
    let questions = 0;
    const items = Array.from({ length: 256 }, (_, at) => at);
    const kept = minimize(items, (own) => {
      questions++;
      return own.includes(77);
    });
    expect(kept).toEqual([77]);
    expect(questions).toBeLessThan(25);
  });
});

describe("simplerNumbers()", () => {
  test("are closer to zero, not below the least, and end", () => {
    const any = fc.oneof(
      fc.double({ min: -1e6, max: 1e6, noNaN: true }),
      fc.integer({ min: -99, max: 99 }),
    );
    fc.assert(
      fc.property(any, fc.nat(1), (value, least) => {
        for (const simpler of simplerNumbers(value, least)) {
          expect(Math.abs(simpler)).toBeLessThan(Math.abs(value));
          expect(Math.abs(simpler)).toBeGreaterThanOrEqual(least);
        }
        let left = value;
        for (let rounds = 0; rounds < 1000; rounds++)
          left = simplerNumbers(left, least).at(-1) ?? left;
        expect(simplerNumbers(left, least)).toEqual([]);
      }),
    );
  });

  test("of a count every smaller one is reached", () => {
    expect(simplerNumbers(5)).toEqual([0, 2, 4]);
    expect(simplerNumbers(1)).toEqual([0]);
    expect(simplerNumbers(1, 1)).toEqual([]);
    expect(simplerNumbers(0)).toEqual([]);
    expect(simplerNumbers(1437.28)).toEqual([0, 718, 1000, 1257, 1400]);
  });
});
