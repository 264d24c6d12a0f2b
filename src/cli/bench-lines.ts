/** `hutch bench` for the eye: the live line, the histogram, the tables at the end. */

import type { LatencyHistogram } from "../load/latency-histogram.ts";
import type { BenchReport } from "./bench-report.ts";
import { differences, ratiosOf } from "./bench-report.ts";
import type { Cell, Column } from "./table.ts";
import { bar, countText, tableLines } from "./table.ts";
import { styled } from "./terminal.ts";

const BAR_PLACES = 30;
/** Of a core: from here on the client may be what is measured. */
const CLIENT_BUSY = 0.9;
/** So few are what was just due when the clock stopped. */
const OVERDUE_MIN = 10;
/** The histogram says up to 1/64 too much: what took 1 ms belongs to the bar of 1 ms. */
const EDGE_SLACK = 1 + 1 / 64;
/** Upper edges of the bars, ms; each is told apart from the next by eye. */
const STEPS = [1, 2, 5] as const;

export function msText(ms: number): string {
  return ms.toFixed(ms < 10 ? 2 : ms < 1000 ? 1 : 0);
}

/** `12,345 ops/s   p50 0.40   p99 1.92   p99.9 4.10 ms`. */
export function liveLine(rate: number, latency: LatencyHistogram, failed: number): string {
  const [p50, p99, p999] = [0.5, 0.99, 0.999].map((q) => msText(latency.quantileMs(q)));
  const errors =
    failed === 0 ? "" : styled("red", `   ${countText(failed)} errors`, process.stderr);
  return `${countText(Math.round(rate)).padStart(9)} ops/s   p50 ${p50}   p99 ${p99}   p99.9 ${p999} ms${errors}`;
}

/** A bar for each range of latencies, in steps of 1, 2, 5. */
export function histogramLines(histogram: LatencyHistogram): string[] {
  const counts = new Map<number, number>();
  for (const [ms, count] of histogram.counts()) {
    const step = stepOf(ms);
    counts.set(step, (counts.get(step) ?? 0) + count);
  }
  const steps = [...counts.keys()];
  if (steps.length === 0) return [];
  const most = Math.max(...counts.values());
  const lines: string[] = [];
  for (let step = Math.min(...steps); step <= Math.max(...steps); step++) {
    const count = counts.get(step) ?? 0;
    const share = `${((count / histogram.count) * 100).toFixed(2).padStart(6)} %`;
    lines.push(
      `  ≤ ${edgeText(step).padStart(7)} ms  ${bar(count / most, BAR_PLACES)} ${share}  ${countText(count)}`.trimEnd(),
    );
  }
  return lines;
}

/** Which of the steps ..., 0.1, 0.2, 0.5, 1, 2, 5, 10, ... is the first that is not below `ms`. */
function stepOf(ms: number): number {
  let step = Math.floor(Math.log10(Math.max(ms, 0.001))) * STEPS.length;
  while (edgeOf(step) * EDGE_SLACK < ms) step++;
  return step;
}

function edgeOf(step: number): number {
  const power = Math.floor(step / STEPS.length);
  return STEPS[step - power * STEPS.length]! * 10 ** power;
}

function edgeText(step: number): string {
  return String(Number(edgeOf(step).toPrecision(1)));
}

const LATENCY_COLUMNS: readonly Column[] = [
  { title: "operation" },
  { title: "count", align: "right" },
  { title: "ops/s", align: "right" },
  { title: "p50 ms", align: "right" },
  { title: "p90 ms", align: "right", dropRank: 1 },
  { title: "p99 ms", align: "right" },
  { title: "p99.9 ms", align: "right" },
  { title: "max ms", align: "right" },
];

export function reportLines(report: BenchReport, width: number): string[] {
  const rows = Object.entries(report.latencies).map(([name, latency]) => [
    name,
    countText(latency.count),
    countText(Math.round(latency.count / Math.max(report.seconds, 0.001))),
    ...[latency.p50Ms, latency.p90Ms, latency.p99Ms, latency.p999Ms, latency.maxMs].map(msText),
  ]);
  return [
    ...tableLines(LATENCY_COLUMNS, rows, width),
    "",
    ...problemLines(report, width),
    ...doubts(report),
  ];
}

function problemLines({ problems, failed, succeeded }: BenchReport, width: number): string[] {
  if (failed === 0) return [styled("green", "no errors")];
  const rows = Object.entries(problems)
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]): Cell[] => [
      { text: name, style: "red" },
      countText(count),
      `${((count * 100) / (failed + succeeded)).toFixed(2)} %`,
    ]);
  const columns: readonly Column[] = [
    { title: "error", widthMin: 12 },
    { title: "count", align: "right" },
    { title: "of all", align: "right" },
  ];
  return tableLines(columns, rows, width);
}

/** Why the figures may not be the cluster's. */
function doubts({ clientCore, overdue, plan, rate }: BenchReport): string[] {
  const lines: string[] = [];
  if (clientCore >= CLIENT_BUSY)
    lines.push(
      `the client may be the limit: a process of the load took ${Math.round(clientCore * 100)} % of a core; try --processes ${plan.processes * 2}`,
    );
  if (overdue > Math.max(OVERDUE_MIN, (plan.rate ?? 0) / 100))
    lines.push(
      `the rate of ${countText(plan.rate ?? 0)}/s was not reached: ${countText(Math.round(rate))}/s were answered, and ${countText(overdue)} operations were due at the end and had not been sent; they are in no latency`,
    );
  return lines.map((line) => styled("yellow", line));
}

export function compareLines(then: BenchReport, now: BenchReport, width: number): string[] {
  const rows = ratiosOf(then, now).map((ratio): Cell[] => {
    const value = ratio.then === 0 ? 1 : ratio.now / ratio.then;
    const text = `${value.toFixed(2)}x`;
    const show = ratio.what === "operations/s" ? (n: number) => countText(Math.round(n)) : msText;
    const style = ratio.isBetter(value) ? "green" : "red";
    return [
      ratio.what,
      show(ratio.then),
      show(ratio.now),
      text === "1.00x" ? text : { text, style },
    ];
  });
  const columns: readonly Column[] = [
    { title: "compared" },
    { title: "then", align: "right" },
    { title: "now", align: "right" },
    { title: "now/then", align: "right" },
  ];
  const warnings = differences(then, now).map((text) =>
    styled("yellow", `not the same load: ${text}`),
  );
  return ["", ...tableLines(columns, rows, width), ...warnings];
}
