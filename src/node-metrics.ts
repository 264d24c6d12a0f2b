/** What a node says of itself besides its parts: the program, its process, its tracer. */
import { concatBytes, utf8 } from "./base/bytes.ts";
import type { Metrics } from "./base/metrics.ts";
import type { Config } from "./config.ts";
import type { AppOptions } from "./http/app.ts";
import { sipHash24 } from "./kernels/kernels.ts";
import type { ProcessMeter } from "./ports/process-meter.ts";
import type { Tracer } from "./ports/tracer.ts";
import type { Identity } from "./storage/data-directory.ts";

export interface ObservationPorts {
  /** Where it is left out the metrics do not tell of the process. */
  readonly meter?: ProcessMeter;
  /** Where it is left out nothing is traced. */
  readonly tracer?: Tracer;
}

function defineProcessMetrics(metrics: Metrics, meter: ProcessMeter): void {
  const { version, runtime } = meter;
  metrics.info("hutch_build", "Version of hutch, and of what runs it", { version, runtime });
  metrics
    .histogram(
      "hutch_event_loop_lag",
      "How late timers are; what is late here is late for everybody",
    )
    .adopt(meter.eventLoopLag);
  metrics.gauge(
    "hutch_process_start_time_seconds",
    "When the process began, Unix time",
    () => meter.startSeconds,
  );
  metrics.count("hutch_process_cpu_seconds", "Processor time of the process", () =>
    meter.cpuSeconds(),
  );
  metrics.gauge(
    "hutch_process_resident_memory_bytes",
    "Memory of the process, pages of mapped tables included",
    () => meter.memory().residentBytes,
  );
  metrics.gauge(
    "hutch_process_unmapped_memory_bytes",
    "Memory of the process without pages of mapped files: what memory-limit looks at",
    () => meter.memory().unmappedBytes,
  );
  metrics.gauge(
    "hutch_process_heap_bytes",
    "Heap of the JavaScript engine in use",
    () => meter.memory().heapBytes,
  );
  metrics.gauge("hutch_process_open_files", "Open file descriptors", () => meter.openFiles());
  metrics.gauge("hutch_http_open_connections", "Connections to the client port", () =>
    meter.openConnections(),
  );
  metrics.gauge("hutch_http_open_requests", "Requests of clients that are not answered yet", () =>
    meter.openRequests(),
  );
}

function defineTracerMetrics(metrics: Metrics, { counters }: Tracer): void {
  metrics.count(
    "hutch_trace_spans_exported",
    "Spans that the collector took",
    () => counters.exported,
  );
  metrics.count(
    "hutch_trace_spans_dropped",
    "Spans that were dropped: the queue was full, or the collector did not take them",
    () => counters.dropped,
  );
}

/** What the REST face is to look at and to tell: slow requests, traces, and keys only as hashes that those who do not know the cluster's secret cannot undo. */
export function observationOf(
  { slowRequestMs }: Config,
  { tracer, meter }: ObservationPorts,
  { clusterSecret }: Pick<Identity, "clusterSecret">,
  metrics: Metrics,
): Pick<AppOptions, "slowRequestMs" | "keyHash" | "tracer"> {
  if (meter !== undefined) defineProcessMetrics(metrics, meter);
  if (tracer !== undefined) defineTracerMetrics(metrics, tracer);
  const keyHash = keyHasher(clusterSecret);
  return { slowRequestMs, keyHash, ...(tracer && { tracer }) };
}

function keyHasher(secret: Uint8Array): (bucket: string, key: Uint8Array) => string {
  const words = new Uint32Array(2);
  return (bucket, key) => {
    const bytes = concatBytes(utf8(`${bucket}/`), key);
    sipHash24(secret, bytes, 0, bytes.length, words);
    return words.reduce((text, word) => text + word.toString(16).padStart(8, "0"), "");
  };
}
