/**
 * Counters, gauges and distributions of one node; their text for `/metrics` is made by `openmetrics.ts`.
 *
 * Recording is an addition into a typed array or a field: no allocation, no lookup by text. Callers ask a family once
 * for the series of their labels and keep it. A family has at most `SERIES_MAX` series; whatever comes after is counted
 * together under the label value `other`, so that no input can make the page grow.
 *
 * A histogram is log-linear: durations in whole microseconds fall into one bucket each up to 16, then into 8 equal
 * buckets for every doubling, so a quantile is at most 1/8 too high. The page shows the doublings only.
 *
 *   us       0 1 .. 15 | 16 18 20 .. 30 | 32 36 .. 60 | 64 ..
 *   bucket   0 1 .. 15 | 16 17 18 .. 23 | 24 25 .. 31 | 32 ..
 *
 * Names carry their unit as OpenMetrics wants it: `_seconds`, `_bytes` or `_ratio` at their end, before the `_total` that counters get.
 */

import { assert } from "./assert.ts";
import { openMetricsText } from "./openmetrics.ts";

/** Series of one family, the one for `other` not counted. */
export const SERIES_MAX = 256;

const LINEAR_BUCKETS = 16;
const SUB_BUCKET_BITS = 3;
/** Durations from 2^31 microseconds (36 minutes) on share the last bucket. */
const MICROSECONDS_MAX = 2 ** 31 - 1;
const BUCKET_COUNT = bucketOf(MICROSECONDS_MAX) + 1;

function bucketOf(microseconds: number): number {
  if (microseconds < LINEAR_BUCKETS) return microseconds;
  const exponent = 31 - Math.clz32(microseconds);
  const sub = (microseconds >>> (exponent - SUB_BUCKET_BITS)) & ((1 << SUB_BUCKET_BITS) - 1);
  return LINEAR_BUCKETS + ((exponent - 4) << SUB_BUCKET_BITS) + sub;
}

/** The least duration that is above bucket `index`. */
function upperEdgeOf(index: number): number {
  if (index < LINEAR_BUCKETS) return index + 1;
  const exponent = ((index - LINEAR_BUCKETS) >> SUB_BUCKET_BITS) + 4;
  const sub = (index - LINEAR_BUCKETS) & ((1 << SUB_BUCKET_BITS) - 1);
  return 2 ** exponent + (sub + 1) * 2 ** (exponent - SUB_BUCKET_BITS);
}

/** Only grows. */
export class Counter {
  value = 0;

  add(amount = 1): void {
    this.value += amount;
  }
}

/** A distribution of durations. */
export class Histogram {
  readonly #buckets = new Float64Array(BUCKET_COUNT);
  count = 0;
  sumMs = 0;

  record(durationMs: number): void {
    const microseconds = Math.min(Math.max(0, Math.round(durationMs * 1000)), MICROSECONDS_MAX);
    this.#buckets[bucketOf(microseconds)]!++;
    this.count++;
    this.sumMs += durationMs;
  }

  /** A duration in milliseconds that the fraction `q` of all recorded ones stays below; 0 without any. */
  quantileMs(q: number): number {
    assert(q >= 0 && q <= 1, "a quantile is between 0 and 1");
    const rank = Math.max(1, Math.ceil(q * this.count));
    let seen = 0;
    for (let index = 0; index < BUCKET_COUNT; index++) {
      seen += this.#buckets[index]!;
      if (seen >= rank) return upperEdgeOf(index) / 1000;
    }
    return 0;
  }

  /** Durations below `2^exponent` microseconds. */
  countBelowPower(exponent: number): number {
    let seen = 0;
    for (let index = 0; index < BUCKET_COUNT && upperEdgeOf(index) <= 2 ** exponent; index++)
      seen += this.#buckets[index]!;
    return seen;
  }

  /** What was recorded since this one was as `earlier`; since an empty one it is a copy. */
  since(earlier: Histogram): Histogram {
    const difference = new Histogram();
    for (let index = 0; index < BUCKET_COUNT; index++)
      difference.#buckets[index] = this.#buckets[index]! - earlier.#buckets[index]!;
    difference.count = this.count - earlier.count;
    difference.sumMs = this.sumMs - earlier.sumMs;
    return difference;
  }
}

/** How often whole numbers came, by upper edges that are shown as they are: siblings of a read, keys of a batch. */
export class Distribution {
  readonly edges: readonly number[];
  readonly #buckets: Float64Array;
  count = 0;
  sum = 0;

  /** @param edges ascending; what is above the last is counted as well */
  constructor(edges: readonly number[]) {
    this.edges = edges;
    this.#buckets = new Float64Array(edges.length + 1);
  }

  record(value: number): void {
    let index = 0;
    while (index < this.edges.length && value > this.edges[index]!) index++;
    this.#buckets[index]!++;
    this.count++;
    this.sum += value;
  }

  /** Values of at most `edges[index]`. */
  countUpTo(index: number): number {
    let seen = 0;
    for (let i = 0; i <= index; i++) seen += this.#buckets[i]!;
    return seen;
  }
}

/** All series of one name. `labelNames` are in the order in which values are given. */
export class Family<Series> {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly #make: () => Series;
  readonly #series = new Map<string, Series>();

  constructor(name: string, help: string, labelNames: readonly string[], make: () => Series) {
    this.name = name;
    this.help = help;
    this.labelNames = labelNames;
    this.#make = make;
  }

  /** The series of these label values; the one of `other` when there are too many. */
  of(...labelValues: readonly string[]): Series {
    const known = this.#series.get(this.#labels(labelValues));
    if (known !== undefined) return known;
    const isFull = this.#series.size >= SERIES_MAX;
    const labels = this.#labels(isFull ? labelValues.map(() => "other") : labelValues);
    const series = this.#series.get(labels) ?? this.#make();
    this.#series.set(labels, series);
    return series;
  }

  /** Shows a series that somebody keeps anyway. */
  adopt(series: Series, ...labelValues: readonly string[]): void {
    assert(this.#series.size < SERIES_MAX, "there is room for an adopted series");
    this.#series.set(this.#labels(labelValues), series);
  }

  /** Labels as text (`method="GET",status="200"`) with their series. */
  entries(): IterableIterator<[string, Series]> {
    return this.#series.entries();
  }

  #labels(values: readonly string[]): string {
    return labelsText(this.labelNames, values);
  }
}

function labelsText(names: readonly string[], values: readonly string[]): string {
  assert(values.length === names.length, "every label has a value");
  return names.map((name, index) => `${name}="${escapeLabel(values[index]!)}"`).join(",");
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

export type MetricType = "counter" | "gauge" | "histogram" | "info";

/** What is told of a metric, here and in docs/metrics.md. */
export interface Definition {
  /** Without `_total`. */
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  readonly labels: readonly string[];
}

/** A definition with what it counts, as labels in text form and values. */
export type Metric = Definition &
  (
    | { readonly kind: "values"; readonly entries: () => Iterable<readonly [string, number]> }
    | { readonly kind: "durations"; readonly family: Family<Histogram> }
    | { readonly kind: "distributions"; readonly family: Family<Distribution> }
  );

/** Label values, then the value. */
export type Sample = readonly [labels: readonly string[], value: number];

/**
 * The metrics of one node. Names begin with `hutch_`; `_total` is added to counters and `_seconds` to histograms.
 *
 * @example metrics.counter("hutch_requests", "Requests answered", "method").of("GET").add();
 */
export class Metrics {
  readonly #metrics: Metric[] = [];
  readonly #names = new Set<string>();

  counter(name: string, help: string, ...labelNames: readonly string[]): Family<Counter> {
    const family = new Family(name, help, labelNames, () => new Counter());
    const entries = function* (): Iterable<readonly [string, number]> {
      for (const [labels, { value }] of family.entries()) yield [labels, value];
    };
    this.#add({ name, type: "counter", help, labels: labelNames, kind: "values", entries });
    return family;
  }

  /** Durations; `hutch_read` is shown as `hutch_read_seconds`. */
  histogram(name: string, help: string, ...labelNames: readonly string[]): Family<Histogram> {
    const shown = `${name}_seconds`;
    const family = new Family(shown, help, labelNames, () => new Histogram());
    this.#add({
      name: shown,
      type: "histogram",
      help,
      labels: labelNames,
      kind: "durations",
      family,
    });
    return family;
  }

  /** Whole numbers, counted up to each of `edges`. */
  distribution(name: string, help: string, edges: readonly number[]): Distribution {
    const family = new Family(name, help, [], () => new Distribution(edges));
    this.#add({ name, type: "histogram", help, labels: [], kind: "distributions", family });
    return family.of();
  }

  /** A value that is read when somebody asks. */
  gauge(name: string, help: string, read: () => number): void {
    this.#addRead("gauge", name, help, read);
  }

  /** A count that somebody keeps anyway, read when somebody asks; `hutch_x` is shown as `hutch_x_total`. */
  count(name: string, help: string, read: () => number): void {
    this.#addRead("counter", name, help, read);
  }

  /** One value for each of some labels, read when somebody asks. At most `SERIES_MAX` are shown. */
  gauges(
    name: string,
    help: string,
    labelNames: readonly string[],
    read: () => Iterable<Sample>,
  ): void {
    this.#addSamples("gauge", name, help, labelNames, read);
  }

  /** The same for counts that somebody keeps anyway. */
  counts(
    name: string,
    help: string,
    labelNames: readonly string[],
    read: () => Iterable<Sample>,
  ): void {
    this.#addSamples("counter", name, help, labelNames, read);
  }

  /** Facts that do not change: `hutch_build` is shown as `hutch_build_info{version="1.0.0"} 1`. */
  info(name: string, help: string, facts: Readonly<Record<string, string>>): void {
    const names = Object.keys(facts);
    const entries = (): [string, number][] => [[labelsText(names, Object.values(facts)), 1]];
    this.#add({ name, type: "info", help, labels: names, kind: "values", entries });
  }

  #addRead(type: MetricType, name: string, help: string, read: () => number): void {
    const entries = (): [string, number][] => [["", read()]];
    this.#add({ name, type, help, labels: [], kind: "values", entries });
  }

  #addSamples(
    type: MetricType,
    name: string,
    help: string,
    labels: readonly string[],
    read: () => Iterable<Sample>,
  ): void {
    const entries = (): [string, number][] =>
      [...read()]
        .slice(0, SERIES_MAX)
        .map(([values, value]) => [labelsText(labels, values), value]);
    this.#add({ name, type, help, labels, kind: "values", entries });
  }

  /** All of them, in the order of their definition. */
  list(): readonly Metric[] {
    return this.#metrics;
  }

  /** OpenMetrics text (`application/openmetrics-text; version=1.0.0`). */
  text(): string {
    return openMetricsText(this.#metrics);
  }

  #add(metric: Metric): void {
    const { name, help } = metric;
    assert(
      /^hutch_[a-z][a-z0-9_]*$/.test(name),
      `"${name}" is a metric name that begins with hutch_`,
    );
    assert(
      !/_(total|created|count|sum|bucket|info)$/.test(name),
      `"${name}" has no suffix of a sample`,
    );
    assert(!this.#names.has(name), `metric "${name}" is defined once`);
    assert(!/["\\\n]/.test(help), "a help text is one plain line");
    this.#names.add(name);
    this.#metrics.push(metric);
  }
}
