/** Where spans go: what a node did for whom, and how long that took. A node without a tracer works the same and tells nobody. */
import type { TraceContext } from "../base/trace-context.ts";

export type Attribute = string | number | boolean;

export interface Span {
  /** For whatever is done within. */
  readonly context: TraceContext;
  /** Names follow OpenTelemetry's semantic conventions. */
  set(name: string, value: Attribute): void;
  /** @param error in a few words where the work failed */
  end(error?: string): void;
}

/** Counts only grow. */
export interface TracerCounters {
  readonly exported: number;
  /** There was no room, or the collector did not take them. */
  readonly dropped: number;
}

export interface Tracer {
  readonly counters: TracerCounters;
  /**
   * The span of a client's request. `undefined` where it is not sampled: by the flag of `traceparent`, else by a share of all.
   *
   * @param traceparent as it came, null for none; what is not of the format counts as none
   */
  request(name: string, traceparent: string | null, tracestate: string | null): Span | undefined;
  /** Work within another span: "client" asks another node, "server" answers one. */
  child(parent: TraceContext, name: string, kind: "client" | "server"): Span;
}
