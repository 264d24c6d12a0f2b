/** What the REST face counts. Series are asked for once and kept: recording is an addition. */
import { type Counter, type Histogram, Metrics } from "../base/metrics.ts";

export class HttpCounters {
  readonly kvReads: Histogram;
  readonly kvWrites: Histogram;
  readonly clientAborted: Counter;
  readonly slowBodies: Counter;
  readonly #problems: ReturnType<Metrics["counter"]>;

  constructor(metrics: Metrics = new Metrics()) {
    const durations = metrics.histogram(
      "hutch_http_kv",
      "Time from request to answer of single-key operations",
      "operation",
    );
    this.kvReads = durations.of("read");
    this.kvWrites = durations.of("write");
    this.clientAborted = metrics
      .counter(
        "hutch_http_client_aborted",
        "Requests whose client went away in the middle of the body",
      )
      .of();
    this.slowBodies = metrics
      .counter("hutch_http_slow_bodies", "Requests ended because their body came too slowly")
      .of();
    this.#problems = metrics.counter(
      "hutch_http_problems",
      "Problem documents sent, by their code",
      "code",
    );
  }

  /** `code` is one of a closed set. */
  problem(code: string): void {
    this.#problems.of(code).add();
  }
}
