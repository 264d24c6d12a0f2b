/**
 * When a single-key operation began and ended, for whoever wants to know: the histograms, the log of slow requests, the trace.
 *
 * Costs two looks at the clock and an addition; what is slow or traced pays for itself.
 */
import type { Exchange } from "./exchange.ts";
import { type Operation, outcomeOf } from "./http-counters.ts";

export function beginOperation(exchange: Exchange, operation: Operation): void {
  exchange.operation = operation;
  exchange.startMs = exchange.services.clock.monoMs();
  if (exchange.services.tracer !== undefined) beginSpan(exchange, `kv ${operation}`);
}

/** The body is here: what a slow client takes to send it is not the node's time. */
export function restartOperation(exchange: Exchange): void {
  exchange.startMs = exchange.services.clock.monoMs();
}

/** Answered with what was asked for. */
export function endOperation(exchange: Exchange): void {
  const { clock, counters, slow } = exchange.services;
  const durationMs = clock.monoMs() - exchange.startMs;
  exchange.startMs = -1;
  counters.answered(exchange.operation).record(durationMs);
  if (durationMs >= slow.thresholdMs) slow.log(exchange, durationMs, "");
  if (exchange.span !== undefined) endSpan(exchange, "");
}

/** Became a problem document; nothing to do for a request that is no single-key operation, or has ended. */
export function failOperation(exchange: Exchange, status: number, code: string): void {
  if (exchange.startMs < 0) return;
  const { clock, counters, slow } = exchange.services;
  const durationMs = clock.monoMs() - exchange.startMs;
  exchange.startMs = -1;
  counters.ended(exchange.operation, status, durationMs);
  if (durationMs >= slow.thresholdMs) slow.log(exchange, durationMs, code);
  exchange.span?.set("http.response.status_code", status);
  if (exchange.span !== undefined) endSpan(exchange, code);
}

/** The span of the whole request, once; none where it is not sampled. */
export function beginSpan(exchange: Exchange, name: string): void {
  const { tracer } = exchange.services;
  if (tracer === undefined || exchange.span !== undefined) return;
  const span = tracer.request(name, exchange.header("traceparent"), exchange.header("tracestate"));
  if (span === undefined) return;
  exchange.span = span;
  span.set("http.request.method", exchange.request.method);
  span.set("hutch.request.id", exchange.id);
}

/** @param code of the problem, "" for none */
export function endSpan(exchange: Exchange, code: string): void {
  const { span, services, bucket, key } = exchange;
  if (span === undefined) return;
  exchange.span = undefined;
  span.set("db.system.name", "hutch");
  if (bucket !== "") span.set("db.namespace", bucket);
  if (key !== undefined) span.set("hutch.key.hash", services.slow.hashOf(bucket, key));
  if (code !== "") span.set("error.type", code);
  span.end(code === "" ? undefined : code);
}

/** A request of the route table: its time, and its span where it has not begun one of its own. */
export function measured(
  exchange: Exchange,
  route: string,
  answer: () => Response | Promise<Response>,
): Response | Promise<Response> {
  const { clock, counters, tracer } = exchange.services;
  const startMs = clock.monoMs();
  const times = counters.timesOf(exchange.request.method);
  if (tracer !== undefined) beginSpan(exchange, route);
  const done = (response: Response): Response => {
    const outcome = outcomeOf(response.status);
    times[outcome].record(clock.monoMs() - startMs);
    exchange.span?.set("http.response.status_code", response.status);
    endSpan(exchange, outcome === "failed" ? String(response.status) : "");
    return response;
  };
  const response = answer();
  return response instanceof Promise ? response.then(done) : done(response);
}
