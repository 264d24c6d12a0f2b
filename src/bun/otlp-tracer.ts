/**
 * Sends spans to an OpenTelemetry collector: OTLP over HTTP in JSON (https://opentelemetry.io/docs/specs/otlp/).
 *
 *   span ends -> queue (at most `QUEUE_MAX`) -> every `EXPORT_EVERY_MS`, or when `BATCH_MAX` wait: one POST at a time
 *
 * Tracing never slows down or refuses anything: what does not fit into the queue, and what the collector does not take, is dropped and counted.
 */
import { isSpanId, isTraceId, parseTraceParent, type TraceContext } from "../base/trace-context.ts";
import type { Logger } from "../ports/logger.ts";
import type { Attribute, Span, Tracer } from "../ports/tracer.ts";

const QUEUE_MAX = 4096;
const BATCH_MAX = 512;
const EXPORT_EVERY_MS = 1000;
const EXPORT_TIMEOUT_MS = 5000;
/** A collector that is away is not told of in every second. */
const WARN_EVERY_MS = 60_000;
const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;
const ATTRIBUTES_MAX = 32;
/** OTLP's numbers. */
const KINDS = { server: 2, client: 3 } as const;
const STATUS_ERROR = 2;

export interface OtlpTracerOptions {
  readonly url: string;
  /** Of requests that bring no decision, the share that is sampled. */
  readonly ratio: number;
  readonly resource: {
    readonly version: string;
    readonly nodeId: string;
    readonly cluster: string;
  };
  readonly logger: Logger;
}

interface EndedSpan {
  readonly context: TraceContext;
  /** "" for the first of a trace. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: keyof typeof KINDS;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: ReadonlyMap<string, Attribute>;
  readonly error: string | undefined;
}

export class OtlpTracer implements Tracer {
  readonly counters = { exported: 0, dropped: 0 };
  readonly #options: OtlpTracerOptions;
  readonly #timer: ReturnType<typeof setInterval>;
  #queue: EndedSpan[] = [];
  #isExporting = false;
  #warnedMs = -Infinity;

  constructor(options: OtlpTracerOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.flush(), EXPORT_EVERY_MS);
    this.#timer.unref();
  }

  request(name: string, traceparent: string | null, tracestate: string | null): Span | undefined {
    const parent = traceparent === null ? undefined : parseTraceParent(traceparent, tracestate);
    if (parent !== undefined)
      return parent.isSampled ? this.#begin(parent, name, "server") : undefined;
    if (Math.random() >= this.#options.ratio) return undefined;
    return this.#begin(undefined, name, "server");
  }

  child(parent: TraceContext, name: string, kind: "client" | "server"): Span {
    return this.#begin(parent, name, kind);
  }

  #begin(parent: TraceContext | undefined, name: string, kind: keyof typeof KINDS): Span {
    const context: TraceContext = {
      traceId: parent?.traceId ?? newId(TRACE_ID_BYTES, isTraceId),
      spanId: newId(SPAN_ID_BYTES, isSpanId),
      state: parent?.state ?? "",
    };
    const startNs = nowNs();
    const attributes = new Map<string, Attribute>();
    let isEnded = false;
    return {
      context,
      set: (attribute, value) => {
        if (attributes.size < ATTRIBUTES_MAX) attributes.set(attribute, value);
      },
      end: (error) => {
        if (isEnded) return;
        isEnded = true;
        const parentSpanId = parent?.spanId ?? "";
        const span = { context, parentSpanId, name, kind, startNs, endNs: nowNs(), attributes };
        this.#add({ ...span, error });
      },
    };
  }

  #add(span: EndedSpan): void {
    if (this.#queue.length >= QUEUE_MAX) {
      this.counters.dropped++;
      return;
    }
    this.#queue.push(span);
    if (this.#queue.length >= BATCH_MAX) void this.flush();
  }

  /** Sends what waits; one batch after the other. */
  async flush(): Promise<void> {
    if (this.#isExporting) return;
    this.#isExporting = true;
    try {
      while (this.#queue.length > 0) await this.#export(this.#queue.splice(0, BATCH_MAX));
    } finally {
      this.#isExporting = false;
    }
  }

  /** What waits is sent, and nothing more. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }

  async #export(spans: readonly EndedSpan[]): Promise<void> {
    try {
      const response = await fetch(this.#options.url, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(this.#body(spans)),
        redirect: "error",
        signal: AbortSignal.timeout(EXPORT_TIMEOUT_MS),
      });
      await response.body?.cancel();
      if (response.ok) this.counters.exported += spans.length;
      else this.#lost(spans.length, `status ${response.status}`);
    } catch (thrown) {
      this.#lost(spans.length, thrown instanceof Error ? thrown.message : String(thrown));
    }
  }

  #lost(count: number, reason: string): void {
    this.counters.dropped += count;
    const nowMs = performance.now();
    if (nowMs - this.#warnedMs < WARN_EVERY_MS) return;
    this.#warnedMs = nowMs;
    this.#options.logger.warn("traces_not_taken", { spans: count, reason });
  }

  #body(spans: readonly EndedSpan[]): object {
    const { version, nodeId, cluster } = this.#options.resource;
    const attributes = attributesJson([
      ["service.name", "hutch"],
      ["service.version", version],
      ["service.instance.id", nodeId],
      ["service.namespace", cluster],
    ]);
    const scope = { name: "hutch", version };
    return {
      resourceSpans: [
        { resource: { attributes }, scopeSpans: [{ scope, spans: spans.map(spanJson) }] },
      ],
    };
  }
}

function spanJson(span: EndedSpan): object {
  const { context, parentSpanId, name, kind, startNs, endNs, attributes, error } = span;
  return {
    traceId: context.traceId,
    spanId: context.spanId,
    ...(context.state !== "" && { traceState: context.state }),
    ...(parentSpanId !== "" && { parentSpanId }),
    name,
    kind: KINDS[kind],
    startTimeUnixNano: String(startNs),
    endTimeUnixNano: String(endNs),
    attributes: attributesJson(attributes),
    status: error === undefined ? {} : { code: STATUS_ERROR, message: error },
  };
}

function attributesJson(attributes: Iterable<readonly [string, Attribute]>): object[] {
  return [...attributes].map(([key, value]) => ({ key, value: valueJson(value) }));
}

function valueJson(value: Attribute): object {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}

function newId(length: number, isId: (text: string) => boolean): string {
  for (;;) {
    const id = crypto.getRandomValues(new Uint8Array(length)).toHex();
    if (isId(id)) return id;
  }
}

/** Unix time with the resolution of the monotonic clock. */
function nowNs(): bigint {
  return BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;
}
