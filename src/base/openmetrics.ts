/**
 * Metrics as OpenMetrics 1.0 text: for each family its TYPE, UNIT and HELP, then its samples, and `# EOF`.
 *
 *   # TYPE hutch_peer_sent_bytes counter
 *   # UNIT hutch_peer_sent_bytes bytes
 *   # HELP hutch_peer_sent_bytes Requests to other nodes: bytes sent
 *   hutch_peer_sent_bytes_total 1234
 */
import type { Distribution, Histogram, Metric } from "./metrics.ts";

const UNITS = ["seconds", "bytes", "ratio"] as const;
/** Shown edges of durations: 64 microseconds to 18 minutes, doubling. */
const SHOWN_EXPONENTS = Array.from({ length: 25 }, (_, index) => index + 6);

/** What a metric of this name is measured in; "" for plain numbers. */
export function unitOf(name: string): string {
  return UNITS.find((unit) => name.endsWith(`_${unit}`)) ?? "";
}

export function openMetricsText(metrics: readonly Metric[]): string {
  const lines: string[] = [];
  for (const metric of metrics) {
    const { name, type, help } = metric;
    const unit = unitOf(name);
    lines.push(`# TYPE ${name} ${type}`);
    if (unit !== "") lines.push(`# UNIT ${name} ${unit}`);
    lines.push(`# HELP ${name} ${help}`);
    addSamples(lines, metric);
  }
  return `${lines.join("\n")}\n# EOF\n`;
}

const SUFFIXES = { counter: "_total", gauge: "", histogram: "", info: "_info" } as const;

function addSamples(lines: string[], metric: Metric): void {
  const { name, type } = metric;
  switch (metric.kind) {
    case "values":
      for (const [labels, value] of metric.entries())
        lines.push(`${name}${SUFFIXES[type]}${braced(labels)} ${number(value)}`);
      return;
    case "durations":
      for (const [labels, series] of metric.family.entries())
        addDurations(lines, name, labels, series);
      return;
    case "distributions":
      for (const [labels, series] of metric.family.entries())
        addDistribution(lines, name, labels, series);
  }
}

function addDurations(lines: string[], name: string, labels: string, series: Histogram): void {
  for (const exponent of SHOWN_EXPONENTS)
    addBucket(lines, name, labels, String(2 ** exponent / 1e6), series.countBelowPower(exponent));
  addEnd(lines, name, labels, series.count, series.sumMs / 1000);
}

function addDistribution(
  lines: string[],
  name: string,
  labels: string,
  series: Distribution,
): void {
  for (const [index, edge] of series.edges.entries())
    addBucket(lines, name, labels, `${edge}.0`, series.countUpTo(index));
  addEnd(lines, name, labels, series.count, series.sum);
}

function addBucket(lines: string[], name: string, labels: string, le: string, count: number): void {
  lines.push(`${name}_bucket${braced(labels, `le="${le}"`)} ${count}`);
}

function addEnd(lines: string[], name: string, labels: string, count: number, sum: number): void {
  addBucket(lines, name, labels, "+Inf", count);
  lines.push(
    `${name}_count${braced(labels)} ${count}`,
    `${name}_sum${braced(labels)} ${number(sum)}`,
  );
}

function braced(...labels: readonly string[]): string {
  const present = labels.filter((label) => label !== "");
  return present.length === 0 ? "" : `{${present.join(",")}}`;
}

function number(value: number): string {
  return Number.isFinite(value) ? String(value) : value > 0 ? "+Inf" : value < 0 ? "-Inf" : "NaN";
}
