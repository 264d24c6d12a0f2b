/** What `hutch sim` and the processes that do its runs say to each other. */

import type { Violation } from "../checkers/history.ts";
import type { DrawOptions } from "../simulator/draw-plan.ts";
import type { Plan } from "../simulator/plan.ts";
import type { PlanSizes } from "../simulator/tell-plan.ts";
import type { Verdict } from "../simulator/verdict.ts";

/** One run to do. */
export interface SimJob {
  /** What people call it: the seed, or the name of the plan's file. */
  readonly name: string;
  /** Where the plan comes from. */
  readonly source:
    | { readonly seed: string; readonly draw: DrawOptions }
    | { readonly path: string; readonly plan: Plan };
  /** Lines of the logs that come with a violation. */
  readonly words: number;
  readonly isShrunk: boolean;
  /** Where plans go, by default those of broken runs only. */
  readonly directory: string;
  readonly isSaved: boolean;
}

/** A verdict without its plan, which is in a file. */
export type Told = Omit<Verdict, "plan">;

/** A smaller plan that breaks the same. */
export interface Shrunk {
  readonly verdict: Told;
  readonly sizes: PlanSizes;
  readonly plan: readonly string[];
  /** How many runs it took to find it. */
  readonly runs: number;
}

export interface SimReport {
  readonly name: string;
  readonly verdict: Told;
  readonly sizes: PlanSizes;
  /** Of a broken run, for people. */
  readonly plan: readonly string[];
  /** Of the plan, the smaller one where there is one; "" where it was not saved. */
  readonly path: string;
  readonly shrunk?: Shrunk;
}

/** What a process says of its run. */
export type SimNews =
  | { readonly type: "ready" }
  /** Before it is shrunk. */
  | { readonly type: "broken"; readonly report: SimReport }
  | { readonly type: "shrinking"; readonly runs: number; readonly sizes: PlanSizes }
  | { readonly type: "done"; readonly report: SimReport };

/** Says that there was no verdict: the program failed, or its process did. */
export const RUN_FAILED = "run";

/** The report of a run that came to no verdict. */
export function failedReport(name: string, message: string, path = ""): SimReport {
  const violation: Violation = { invariant: RUN_FAILED, message, key: "" };
  const verdict: Told = {
    violations: [violation],
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
  };
  return { name, verdict, sizes: NO_SIZES, plan: [], path };
}

const NO_SIZES: PlanSizes = {
  nodes: 0,
  clients: 0,
  steps: 0,
  faults: 0,
  changes: 0,
  durationMs: 0,
};
