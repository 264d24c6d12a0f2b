/** What all runs of one `hutch sim` have come to. */

import type { SimReport } from "./sim-protocol.ts";

/** Fewer operations that succeeded prove nothing: a cluster that refuses everything never breaks a promise (FAULTS.md 2.10). */
export const OK_SHARE_MIN = 0.3;

/** Of broken runs, that are told in full. */
export const STORIES_MAX = 3;

export type Outcome = "held" | "broken" | "proves-nothing";

export class SimTotals {
  runs = 0;
  operations = 0;
  ok = 0;
  failed = 0;
  unknown = 0;
  dots = 0;
  burnt = 0;
  kills = 0;
  powerLosses = 0;
  virtualMs = 0;
  events = 0;
  /** How often each kind of fault and of change struck. */
  readonly faults = new Map<string, number>();
  /** The same by `kind x state`. */
  readonly coverage = new Map<string, number>();
  readonly broken: SimReport[] = [];

  add(report: SimReport): void {
    const { figures, faults, coverage, violations } = report.verdict;
    this.runs++;
    this.operations += figures.operations;
    this.ok += figures.ok;
    this.failed += figures.failed;
    this.unknown += figures.unknown;
    this.dots += figures.dots;
    this.burnt += figures.burnt;
    this.kills += figures.recoveries.kills;
    this.powerLosses += figures.recoveries.powerLosses;
    this.virtualMs += figures.virtualMs;
    this.events += figures.events;
    addAll(this.faults, faults);
    addAll(this.coverage, coverage);
    if (violations.length === 0) return;
    this.broken.push(this.broken.length < STORIES_MAX ? report : withoutStory(report));
  }

  /** Of `count` operations in all; 0 where there was none. */
  shareOf(count: number): number {
    return this.operations === 0 ? 0 : count / this.operations;
  }

  get outcome(): Outcome {
    if (this.broken.length > 0) return "broken";
    return this.shareOf(this.ok) < OK_SHARE_MIN ? "proves-nothing" : "held";
  }
}

/** A night with a bug in it must not fill the memory: plans have everything that is left out here. */
function withoutStory({ name, sizes, path, verdict }: SimReport): SimReport {
  return { name, sizes, path, plan: [], verdict: { ...verdict, told: [], story: "" } };
}

function addAll(sums: Map<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [what, count] of Object.entries(counts)) sums.set(what, (sums.get(what) ?? 0) + count);
}
