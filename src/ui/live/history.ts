/** The last minutes of a node as columns of numbers, oldest first, ready for a chart. Bounded by `SAMPLES_MAX`; the oldest goes first. */
import type { LiveSample } from "../../http/live-api.ts";

/** Five minutes. */
export const SAMPLES_MAX = 300;

export const SERIES = ["reads", "writes", "deletes", "refused", "failed"] as const;
export const LATENCIES = ["p50", "p95", "p99"] as const;

export type HistoryColumn =
  "seconds" | (typeof SERIES)[number] | `${"read" | "write"}.${(typeof LATENCIES)[number]}`;

export class History {
  readonly #columns = new Map<HistoryColumn, (number | null)[]>();

  /** Latencies are `null` where nothing was asked. */
  column(name: HistoryColumn): readonly (number | null)[] {
    return this.#columns.get(name) ?? [];
  }

  add({ atMs, rates, latency }: LiveSample): void {
    this.#push("seconds", atMs / 1000);
    for (const name of SERIES) this.#push(name, rates[name]);
    for (const kind of ["read", "write"] as const)
      for (const name of LATENCIES)
        this.#push(`${kind}.${name}`, latency[kind].count === 0 ? null : latency[kind][name]);
  }

  clear(): void {
    this.#columns.clear();
  }

  #push(name: HistoryColumn, value: number | null): void {
    const column = this.#columns.get(name);
    if (column === undefined) this.#columns.set(name, [value]);
    else if (column.push(value) > SAMPLES_MAX) column.shift();
  }
}
