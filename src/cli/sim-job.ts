/**
 * One run of `hutch sim`: draw the plan or take it, run it, shrink it where it is broken, keep what repeats it.
 *
 * A plan is saved before anything else is tried with it: who stops the shrinking still has it.
 */

import { basename, join } from "node:path";
import { messageOf } from "../base/errors.ts";
import type { DrawOptions } from "../simulator/draw-plan.ts";
import { type Plan, writePlan } from "../simulator/plan.ts";
import type { ShrinkOptions, ShrinkStep, Shrunk as Smaller } from "../simulator/shrink.ts";
import { sizesOf, tellPlan } from "../simulator/tell-plan.ts";
import type { Verdict } from "../simulator/verdict.ts";
import type { SimJob, SimNews, SimReport, Told } from "./sim-protocol.ts";
import { failedReport } from "./sim-protocol.ts";

/** Runs that shrinking may take; a run takes half a second, and less the smaller it is. */
export const SHRINK_RUNS_MAX = 1000;
const SHRINK_MS_MAX = 10 * 60_000;

/** The simulator, as far as a run needs it. */
export interface Laboratory {
  draw(seed: string, options: DrawOptions): Plan;
  run(plan: Plan, options: { readonly words: number }): Verdict;
  shrink(
    plan: Plan,
    verdict: Verdict,
    run: (plan: Plan) => Verdict,
    options: ShrinkOptions,
  ): Smaller;
  nowMs(): number;
  /** @throws where the file cannot be written */
  save(path: string, text: string): void;
}

/** @param tell hears of a broken run before it is shrunk, and of the shrinking */
export function doJob(
  job: SimJob,
  laboratory: Laboratory,
  tell: (news: SimNews) => void = () => undefined,
): SimReport {
  const { name, source } = job;
  const given = "path" in source ? source.path : "";
  try {
    const plan = "plan" in source ? source.plan : laboratory.draw(source.seed, source.draw);
    const saved = job.isSaved && given === "" ? save(job, plan, "", laboratory) : SAVED_NOWHERE;
    const verdict = laboratory.run(plan, { words: job.words });
    const report = { name, verdict: told(verdict), sizes: sizesOf(plan), plan: [] };
    if (verdict.violations.length === 0) return { ...report, path: given || saved.path };
    const kept = given === "" ? save(job, plan, "", laboratory) : { ...SAVED_NOWHERE, path: given };
    const broken = { ...report, plan: [...tellPlan(plan), ...kept.problems], path: kept.path };
    if (!job.isShrunk) return broken;
    tell({ type: "broken", report: broken });
    return shrunk(job, { plan, verdict, runs: 0 }, broken, laboratory, tell);
  } catch (thrown) {
    return failedReport(name, messageOf(thrown), given);
  }
}

/** Whoever stops this has the smallest plan so far, in its file. */
function shrunk(
  job: SimJob,
  first: Smaller,
  broken: SimReport,
  laboratory: Laboratory,
  tell: (news: SimNews) => void,
): SimReport {
  const deadlineMs = laboratory.nowMs() + SHRINK_MS_MAX;
  let last = first.verdict;
  let report = broken;
  const run = (candidate: Plan): Verdict => {
    if (laboratory.nowMs() > deadlineMs) throw new TimeIsUp();
    last = laboratory.run(candidate, { words: job.words });
    return last;
  };
  const onStep = ({ runs, isKept, plan }: ShrinkStep): void => {
    if (isKept) {
      report = withSmaller(job, { plan, verdict: last, runs }, broken, laboratory);
      tell({ type: "broken", report });
    }
    tell({ type: "shrinking", runs, sizes: sizesOf(plan) });
  };
  try {
    laboratory.shrink(first.plan, first.verdict, run, { runsMax: SHRINK_RUNS_MAX, onStep });
  } catch (thrown) {
    if (!(thrown instanceof TimeIsUp)) throw thrown;
  }
  return report;
}

/** The search is left in the middle. */
class TimeIsUp extends Error {}

function withSmaller(
  job: SimJob,
  { plan, verdict, runs }: Smaller,
  broken: SimReport,
  laboratory: Laboratory,
): SimReport {
  const { path, problems } = save(job, plan, "-shrunk", laboratory);
  return {
    ...broken,
    path: path === "" ? broken.path : path,
    shrunk: {
      verdict: told(verdict),
      sizes: sizesOf(plan),
      plan: [...tellPlan(plan), ...problems],
      runs,
    },
  };
}

interface Saved {
  readonly path: string;
  /** Why it is not there. What was found is told all the same. */
  readonly problems: readonly string[];
}

const SAVED_NOWHERE: Saved = { path: "", problems: [] };

function save(
  { source, directory }: SimJob,
  plan: Plan,
  ending: string,
  laboratory: Laboratory,
): Saved {
  const stem = "seed" in source ? `seed-${source.seed}` : basename(source.path, ".json");
  const path = join(directory, `${stem}${ending}.json`);
  try {
    laboratory.save(path, writePlan(plan));
    return { path, problems: [] };
  } catch (thrown) {
    return { path: "", problems: [`Cannot save this plan as "${path}": ${messageOf(thrown)}`] };
  }
}

function told({ plan: _, ...verdict }: Verdict): Told {
  return verdict;
}
