/**
 * Counters, gauges and latency histograms of one node, and their text for `/metrics` (OpenMetrics 1.0).
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
 */

import { assert } from "./assert.ts";

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
}

/** All series of one name. `labelNames` are in the order in which values are given. */
export class Family<Series> {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly #make: () => Series;
  readonly #series = new Map<string, Series>();

  constructor(name: string, help: string, labelNames: readonly string[], make: () => Series) {
    assert(/^[a-z][a-z0-9_]*$/.test(name), `"${name}" is a metric name`);
    this.name = name;
    this.help = help;
    this.labelNames = labelNames;
    this.#make = make;
  }

  /** The series of these label values; the one of `other` when there are too many. */
  of(...labelValues: readonly string[]): Series {
    assert(labelValues.length === this.labelNames.length, "every label has a value");
    const known = this.#series.get(this.#labels(labelValues));
    if (known !== undefined) return known;
    const isFull = this.#series.size >= SERIES_MAX;
    const labels = this.#labels(isFull ? labelValues.map(() => "other") : labelValues);
    const series = this.#series.get(labels) ?? this.#make();
    this.#series.set(labels, series);
    return series;
  }

  /** Labels as text (`method="GET",status="200"`) with their series. */
  entries(): IterableIterator<[string, Series]> {
    return this.#series.entries();
  }

  #labels(values: readonly string[]): string {
    return this.labelNames
      .map((name, index) => `${name}="${escapeLabel(values[index]!)}"`)
      .join(",");
  }
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly read: () => number;
}

/** The metrics of one node. Names begin with `hutch_`; the registry adds `_total` to counters and `_seconds` to histograms. */
export class Metrics {
  readonly #counters: Family<Counter>[] = [];
  readonly #histograms: Family<Histogram>[] = [];
  readonly #gauges: Gauge[] = [];
  readonly #counts: Gauge[] = [];
  readonly #names = new Set<string>();

  /** `counter("hutch_requests", "Requests answered", "method").of("GET").add()`. */
  counter(name: string, help: string, ...labelNames: readonly string[]): Family<Counter> {
    const family = new Family(this.#claim(name), help, labelNames, () => new Counter());
    this.#counters.push(family);
    return family;
  }

  /** Durations; `hutch_read` is shown as `hutch_read_seconds`. */
  histogram(name: string, help: string, ...labelNames: readonly string[]): Family<Histogram> {
    const family = new Family(
      this.#claim(`${name}_seconds`),
      help,
      labelNames,
      () => new Histogram(),
    );
    this.#histograms.push(family);
    return family;
  }

  /** A value that is read when somebody asks. */
  gauge(name: string, help: string, read: () => number): void {
    this.#gauges.push({ name: this.#claim(name), help, read });
  }

  /** A count that somebody keeps anyway, read when somebody asks; `hutch_x` is shown as `hutch_x_total`. */
  count(name: string, help: string, read: () => number): void {
    this.#counts.push({ name: this.#claim(name), help, read });
  }

  /** OpenMetrics text (`application/openmetrics-text; version=1.0.0`). */
  text(): string {
    const lines: string[] = [];
    for (const { name, help, read } of this.#gauges)
      lines.push(...head(name, "gauge", help), `${name} ${number(read())}`);
    for (const { name, help, read } of this.#counts)
      lines.push(...head(name, "counter", help), `${name}_total ${number(read())}`);
    for (const family of this.#counters) {
      lines.push(...head(family.name, "counter", family.help));
      for (const [labels, { value }] of family.entries())
        lines.push(`${family.name}_total${braced(labels)} ${number(value)}`);
    }
    for (const family of this.#histograms) {
      lines.push(...head(family.name, "histogram", family.help, "seconds"));
      for (const [labels, series] of family.entries())
        lines.push(...histogramLines(family.name, labels, series));
    }
    return `${lines.join("\n")}\n# EOF\n`;
  }

  #claim(name: string): string {
    assert(name.startsWith("hutch_"), `metric "${name}" begins with hutch_`);
    assert(!this.#names.has(name), `metric "${name}" is defined once`);
    this.#names.add(name);
    return name;
  }
}

function head(name: string, type: string, help: string, unit?: string): string[] {
  const unitLine = unit === undefined ? [] : [`# UNIT ${name} ${unit}`];
  return [`# TYPE ${name} ${type}`, ...unitLine, `# HELP ${name} ${help}`];
}

function braced(...labels: readonly string[]): string {
  const present = labels.filter((label) => label !== "");
  return present.length === 0 ? "" : `{${present.join(",")}}`;
}

function number(value: number): string {
  return Number.isFinite(value) ? String(value) : value > 0 ? "+Inf" : value < 0 ? "-Inf" : "NaN";
}

/** Shown edges: 64 microseconds to 36 minutes, doubling. */
const SHOWN_EXPONENTS = Array.from({ length: 26 }, (_, index) => index + 6);

function histogramLines(name: string, labels: string, series: Histogram): string[] {
  const buckets = SHOWN_EXPONENTS.slice(0, -1).map((exponent) => {
    const edge = `le="${2 ** exponent / 1e6}"`;
    return `${name}_bucket${braced(labels, edge)} ${series.countBelowPower(exponent)}`;
  });
  return [
    ...buckets,
    `${name}_bucket${braced(labels, 'le="+Inf"')} ${series.count}`,
    `${name}_count${braced(labels)} ${series.count}`,
    `${name}_sum${braced(labels)} ${number(series.sumMs / 1000)}`,
  ];
}
