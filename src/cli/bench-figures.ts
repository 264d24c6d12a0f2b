/** What processes of `hutch bench` tell about a stretch of time, and all of it together. */

import { LatencyHistogram } from "../load/latency-histogram.ts";
import type { Tally } from "../load/tally.ts";
import { KINDS, type Kind } from "../load/workload.ts";

/** One stretch of one process, as plain data. */
export interface BenchFigures {
  readonly ms: number;
  readonly latencies: Readonly<Record<Kind, readonly number[]>>;
  readonly problems: readonly (readonly [name: string, count: number])[];
  /** How much of a core the process took. */
  readonly cores: number;
}

export type BenchPhase = "load" | "run";

export type BenchNews =
  | { readonly type: "ready" }
  | { readonly type: "figures"; readonly figures: BenchFigures }
  /** `overdue`: operations of an open loop that were due and never sent. */
  | { readonly type: "over"; readonly overdue: number }
  | { readonly type: "failed"; readonly detail: string };

export function figuresOf(tally: Tally): BenchFigures {
  const latencies = Object.fromEntries(
    KINDS.map((kind) => [kind, tally.latencies[kind].packed()]),
  ) as unknown as BenchFigures["latencies"]; // every kind is there
  const ms = tally.endedMs - tally.startedMs;
  return { ms, latencies, problems: [...tally.problems], cores: tally.generatorCores };
}

/** Sums up what processes tell. */
export class BenchTotals {
  readonly latencies: Readonly<Record<Kind, LatencyHistogram>>;
  readonly problems = new Map<string, number>();
  /** Measured time of each process. */
  readonly #ms = new Map<number, number>();
  readonly #cpuMs = new Map<number, number>();
  overdue = 0;

  constructor() {
    this.latencies = {
      read: new LatencyHistogram(),
      write: new LatencyHistogram(),
      insert: new LatencyHistogram(),
      modify: new LatencyHistogram(),
    };
  }

  /** @param index of the process that tells */
  add(index: number, { ms, latencies, problems, cores }: BenchFigures): void {
    for (const kind of KINDS) this.latencies[kind].addPacked(latencies[kind]);
    for (const [name, count] of problems)
      this.problems.set(name, (this.problems.get(name) ?? 0) + count);
    this.#ms.set(index, (this.#ms.get(index) ?? 0) + ms);
    this.#cpuMs.set(index, (this.#cpuMs.get(index) ?? 0) + ms * cores);
  }

  latency(): LatencyHistogram {
    const all = new LatencyHistogram();
    for (const kind of KINDS) all.add(this.latencies[kind]);
    return all;
  }

  get succeeded(): number {
    return KINDS.reduce((sum, kind) => sum + this.latencies[kind].count, 0);
  }

  get failed(): number {
    return [...this.problems.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Of the process that measured longest: all of them measure at the same time. */
  get seconds(): number {
    return Math.max(0, ...this.#ms.values()) / 1000;
  }

  /** Operations that were answered well, a second. */
  get rate(): number {
    return this.seconds === 0 ? 0 : this.succeeded / this.seconds;
  }

  /** Share of a core that the busiest process took. */
  get busiestCore(): number {
    return Math.max(
      0,
      ...[...this.#cpuMs].map(([index, cpuMs]) => cpuMs / Math.max(1, this.#ms.get(index) ?? 0)),
    );
  }
}
