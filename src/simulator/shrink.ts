/**
 * From a plan that breaks an invariant to one in which nothing can be left out (FAULTS.md 2.8).
 *
 *   1  the end of the run, so that all that follows is quicker
 *   2  faults, changes, clients, steps: lists, by delta debugging (`minimize.ts`); the pause of a step that goes is given to the next one, which stays in time
 *   3  nodes (5 to 3), buckets and keys that become one, knobs back to their defaults
 *   4  details back to what is plain; numbers halved; the time in which nothing happens (`shrink-details.ts`, `shrink-time.ts`)
 *
 * and from the start again until a whole round has changed nothing. The first round takes away large pieces only, so that single steps are tried in a small
 * cluster for a short time. A candidate counts only if it breaks an invariant that all plans before it have broken:
 * shrinking a lost write never ends with a slow answer. Every candidate is a plan (`planSchema`), no candidate is run twice, and nothing here is
 * left to chance: the same start has the same end.
 */
import { assert } from "../base/assert.ts";
import { HutchError } from "../base/errors.ts";
import { minimize } from "./minimize.ts";
import { type Plan, planSchema } from "./plan.ts";
import {
  plainPlaces,
  simplifiable,
  simplerAt,
  valueAt,
  withPlain,
  withValue,
} from "./shrink-details.ts";
import * as lists from "./shrink-lists.ts";
import { gapsOf, squeezed } from "./shrink-time.ts";
import { type Verdict, breaksAlike } from "./verdict.ts";

/** One candidate that was run. */
export interface ShrinkStep {
  /** What was made smaller. */
  readonly pass: string;
  /** So far, this one included. */
  readonly runs: number;
  readonly isKept: boolean;
  /** The smallest so far. */
  readonly plan: Plan;
}

/** Of the first round: no piece of a list is smaller than its share of so many. */
const COARSE_PIECES = 16;

export interface ShrinkOptions {
  /** Candidates that are run at the most; the smallest so far is the result then. */
  readonly runsMax: number;
  onStep?(step: ShrinkStep): void;
}

export interface Shrunk {
  readonly plan: Plan;
  readonly verdict: Verdict;
  readonly runs: number;
}

/**
 * @param verdict of `plan`; has violations
 * @param run what a plan comes to; the same for the same plan
 *
 * @example
 * const verdict = runPlan(plan);
 * const { plan: minimal } = shrink(plan, verdict, runPlan, { runsMax: 1000 });
 */
export function shrink(
  plan: Plan,
  verdict: Verdict,
  run: (plan: Plan) => Verdict,
  options: ShrinkOptions,
): Shrunk {
  assert(verdict.violations.length > 0, "only what is broken is shrunk");
  const search = new Search(plan, verdict, run, options);
  search.coarseRound();
  while (search.fineRound()) continue;
  return { plan: search.plan, verdict: search.verdict, runs: search.runs };
}

class Search {
  plan: Plan;
  verdict: Verdict;
  runs = 0;
  /** The first verdict with those of its violations that all kept candidates share. */
  private wanted: Verdict;
  /** At most `runsMax` plans that do not break alike, as JSON. */
  private readonly refuted = new Set<string>();
  private pieces = Infinity;
  private readonly run: (plan: Plan) => Verdict;
  private readonly options: ShrinkOptions;

  constructor(plan: Plan, verdict: Verdict, run: (plan: Plan) => Verdict, options: ShrinkOptions) {
    this.plan = planSchema.parse(plan);
    this.verdict = verdict;
    this.wanted = verdict;
    this.run = run;
    this.options = options;
  }

  coarseRound(): void {
    this.pieces = COARSE_PIECES;
    this.lists();
    this.pieces = Infinity;
  }

  /** @returns whether anything has become smaller, and more may */
  fineRound(): boolean {
    const before = this.plan;
    this.lists();
    for (const path of simplifiable(this.plan)) this.simplify(path.join("."), path);
    this.time();
    return this.plan !== before && this.hasRuns;
  }

  private lists(): void {
    this.simplify("the end", ["durationMs"]);
    this.attempt("the end", lists.withoutTheRest(this.plan));
    this.list("faults", this.plan.faults, lists.withFaults);
    this.list("changes", lists.indexesOf(this.plan.changes), lists.withChanges);
    this.list("clients", this.plan.clients, lists.withClients);
    this.list("steps", lists.stepsOf(this.plan), lists.withSteps);
    this.nodes();
    this.list("buckets", lists.indexesOf(this.plan.buckets), lists.withBuckets);
    this.keys();
    this.list("knobs", Object.entries(this.plan.knobs), lists.withKnobs);
    this.plain();
  }

  private get hasRuns(): boolean {
    return this.runs < this.options.runsMax;
  }

  /** `build` makes the plan that has only some of the items. */
  private list<T>(
    pass: string,
    items: readonly T[],
    build: (plan: Plan, kept: readonly T[]) => Plan,
  ): void {
    const whole = this.plan;
    minimize(items, (kept) => this.attempt(pass, build(whole, kept)), this.sizeLeast(items));
  }

  private sizeLeast(items: readonly unknown[]): number {
    return Math.max(1, Math.floor(items.length / this.pieces));
  }

  /** Indexes of nodes are taken modulo their number, so fewer nodes are a smaller number and nothing else. */
  private nodes(): void {
    for (const fewer of lists.fewerNodes(this.plan.nodes))
      if (this.attempt("nodes", { ...this.plan, nodes: fewer })) return;
  }

  private keys(): void {
    const [first = "", ...others] = lists.keysOf(this.plan);
    if (others.length === 0 || this.attempt("keys", lists.renamed(this.plan, others, first)))
      return;
    for (const key of others) this.attempt("keys", lists.renamed(this.plan, [key], first));
  }

  private plain(): void {
    const whole = this.plan;
    const places = plainPlaces(whole);
    minimize(
      places,
      (kept) => {
        const left = new Set(kept);
        const plain = places.filter((place) => !left.has(place));
        return this.attempt("details", withPlain(whole, plain));
      },
      this.sizeLeast(places),
    );
  }

  /** The value at `path`, again and again, as long as something simpler will do. */
  private simplify(pass: string, path: readonly (string | number)[]): void {
    const again = (): boolean =>
      simplerAt(this.plan, path).some((value) =>
        this.attempt(pass, withValue(this.plan, path, value)),
      );
    while (valueAt(this.plan, path) !== undefined && again()) continue;
  }

  /** From the end: what is cut there moves nothing else. */
  private time(): void {
    for (let at = gapsOf(this.plan).length - 1; at >= 0; at--) {
      const again = (): boolean => {
        const gap = gapsOf(this.plan)[at];
        return (
          gap !== undefined &&
          [gap.untilMs - gap.fromMs, (gap.untilMs - gap.fromMs) / 2].some((cutMs) =>
            this.attempt("time", squeezed(this.plan, gap, cutMs)),
          )
        );
      };
      while (again()) continue;
    }
  }

  /** @returns whether it is a plan that breaks alike; it is the smallest so far then */
  private attempt(pass: string, candidate: unknown): boolean {
    if (!this.hasRuns) return false;
    const parsed = planSchema.safeParse(candidate);
    if (!parsed.success) return false;
    const text = JSON.stringify(parsed.data);
    if (this.refuted.has(text) || text === JSON.stringify(this.plan)) return false;
    const verdict = this.verdictOf(parsed.data);
    this.runs++;
    const isKept = verdict !== undefined && breaksAlike(this.wanted, verdict);
    if (isKept) this.keep(parsed.data, verdict);
    else this.refuted.add(text);
    this.options.onStep?.({ pass, runs: this.runs, isKept, plan: this.plan });
    return isKept;
  }

  /** `undefined` for a plan that no cluster can be made of: knobs that go together only with some that are left out. */
  private verdictOf(plan: Plan): Verdict | undefined {
    try {
      return this.run(plan);
    } catch (thrown) {
      if (thrown instanceof HutchError && thrown.code === "bad-config") return undefined;
      throw thrown;
    }
  }

  private keep(plan: Plan, verdict: Verdict): void {
    const own = new Set(verdict.violations.map(({ invariant }) => invariant));
    const violations = this.wanted.violations.filter(({ invariant }) => own.has(invariant));
    this.wanted = { ...this.wanted, violations };
    this.plan = plan;
    this.verdict = verdict;
  }
}
