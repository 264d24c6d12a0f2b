/** What came of one run of a plan. */
import type { Violation } from "../checkers/history.ts";
import type { Plan } from "./plan.ts";

export interface Figures {
  readonly operations: number;
  readonly ok: number;
  readonly failed: number;
  readonly unknown: number;
  /** Versions that were given out. */
  readonly dots: number;
  /** Acknowledged writes that were on lost disks only. */
  readonly burnt: number;
  /** Processes that were started again, after a kill and after a power loss. */
  readonly recoveries: { readonly kills: number; readonly powerLosses: number };
  readonly virtualMs: number;
  readonly events: number;
}

export interface Verdict {
  readonly plan: Plan;
  /** Empty: everything held. */
  readonly violations: readonly Violation[];
  readonly figures: Figures;
  /** How often each kind of fault and of change struck. */
  readonly faults: Readonly<Record<string, number>>;
  /** The same by what state the cluster was in: `crash x a node catches up`. */
  readonly coverage: Readonly<Record<string, number>>;
  /** What was done to the cluster, in order, one line each. */
  readonly told: readonly string[];
  /** Histories of the keys of violations and the last lines of the logs; empty where nothing is broken. */
  readonly story: string;
  /** Hash over all events: equal for equal plans. */
  readonly trace: string;
}

/** Broken in the same way: what shrinking must keep. */
export function breaksAlike(one: Verdict, other: Verdict): boolean {
  const kinds = new Set(one.violations.map(({ invariant }) => invariant));
  return other.violations.some(({ invariant }) => kinds.has(invariant));
}
