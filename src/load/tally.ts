/** What a stretch of load came to: latencies by kind of operation, everything that was not right by its name, bytes, time. */
import { LatencyHistogram } from "./latency-histogram.ts";
import type { Kind } from "./workload.ts";

export class Tally {
  readonly latencies: Readonly<Record<Kind, LatencyHistogram>> = {
    read: new LatencyHistogram(),
    write: new LatencyHistogram(),
    insert: new LatencyHistogram(),
    modify: new LatencyHistogram(),
  };
  /** By status and code (`503 overloaded`), or in words (`connection lost`, `wrong body`). */
  readonly problems = new Map<string, number>();
  bytesSent = 0;
  bytesReceived = 0;
  /** Requests sent: a read-modify-write has two. */
  requests = 0;
  readonly startedMs = performance.now();
  endedMs = 0;
  readonly #cpu = process.cpuUsage();
  #cpuMs = 0;

  end(): this {
    this.endedMs = performance.now();
    const { user, system } = process.cpuUsage(this.#cpu);
    this.#cpuMs = (user + system) / 1000;
    return this;
  }

  problem(name: string, count = 1): void {
    this.problems.set(name, (this.problems.get(name) ?? 0) + count);
  }

  get succeeded(): number {
    return Object.values(this.latencies).reduce((sum, histogram) => sum + histogram.count, 0);
  }

  get failed(): number {
    return [...this.problems.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Operations that were answered well, a second. */
  get rate(): number {
    return (this.succeeded * 1000) / (this.endedMs - this.startedMs);
  }

  /** How much of a core the load generator itself took. */
  get generatorCores(): number {
    return this.#cpuMs / (this.endedMs - this.startedMs);
  }

  /** Of all kinds together. */
  latency(): LatencyHistogram {
    const all = new LatencyHistogram();
    for (const histogram of Object.values(this.latencies)) all.add(histogram);
    return all;
  }

  /** ` · 12 x 503 overloaded`, or nothing. */
  problemText(): string {
    return [...this.problems].map(([name, count]) => ` · ${count} x ${name}`).join("");
  }
}
