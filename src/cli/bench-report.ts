/** What `hutch bench` has measured as data: what `--json` writes and `--compare` reads, and the ratios between two of them. */

import { readFileSync } from "node:fs";
import { HutchError, messageOf } from "../base/errors.ts";
import type { LatencyHistogram } from "../load/latency-histogram.ts";
import { KINDS } from "../load/workload.ts";
import type { BenchTotals } from "./bench-figures.ts";
import type { BenchPlan } from "./bench-plan.ts";
import { visible } from "./terminal.ts";
import { VERSION } from "./version.ts";

const COMPARED = ["p50Ms", "p99Ms", "p999Ms"] as const;

export interface LatencyReport {
  readonly count: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

export interface BenchReport {
  readonly hutch: string;
  /** RFC 3339. */
  readonly at: string;
  readonly urls: readonly string[];
  readonly plan: BenchPlan;
  readonly seconds: number;
  /** Operations a second that were answered well. */
  readonly rate: number;
  readonly succeeded: number;
  readonly failed: number;
  /** By status and code. */
  readonly problems: Readonly<Record<string, number>>;
  /** Operations that were due and never sent, because nothing took them. */
  readonly overdue: number;
  /** Share of a core that the busiest process of the load took. */
  readonly clientCore: number;
  /** `all`, and one for each kind of operation that there was. */
  readonly latencies: Readonly<Record<string, LatencyReport>>;
}

export function benchReport(
  plan: BenchPlan,
  urls: readonly string[],
  totals: BenchTotals,
  at: string,
): BenchReport {
  const kinds = KINDS.filter((kind) => totals.latencies[kind].count > 0);
  return {
    hutch: VERSION,
    at,
    urls,
    plan,
    seconds: totals.seconds,
    rate: totals.rate,
    succeeded: totals.succeeded,
    failed: totals.failed,
    problems: Object.fromEntries(totals.problems),
    overdue: totals.overdue,
    clientCore: totals.busiestCore,
    latencies: {
      all: latencyReport(totals.latency()),
      ...Object.fromEntries(kinds.map((kind) => [kind, latencyReport(totals.latencies[kind])])),
    },
  };
}

function latencyReport(histogram: LatencyHistogram): LatencyReport {
  const [p50Ms, p90Ms, p99Ms, p999Ms] = [0.5, 0.9, 0.99, 0.999].map((q) => histogram.quantileMs(q));
  const { count, maxMs } = histogram;
  return { count, p50Ms: p50Ms!, p90Ms: p90Ms!, p99Ms: p99Ms!, p999Ms: p999Ms!, maxMs };
}

/** @throws HutchError `usage` */
export function readReport(file: string): BenchReport {
  try {
    return parseReport(readFileSync(file, "utf8"));
  } catch (error) {
    throw new HutchError("usage", `Cannot compare with "${file}": ${messageOf(error)}`);
  }
}

/** @throws HutchError `usage`, and `SyntaxError` for what is no JSON */
export function parseReport(text: string): BenchReport {
  const report: unknown = JSON.parse(text);
  if (!isReport(report)) throw new HutchError("usage", "not what `hutch bench --json FILE` writes");
  return report;
}

/** Whatever is compared is there. */
function isReport(value: unknown): value is BenchReport {
  if (!isRecord(value)) return false;
  const { rate, urls, plan, latencies } = value;
  if (typeof rate !== "number" || !Array.isArray(urls) || !isRecord(plan)) return false;
  if (!isRecord(latencies) || latencies["all"] === undefined) return false;
  return Object.values(latencies).every(
    (latency) => isRecord(latency) && COMPARED.every((key) => typeof latency[key] === "number"),
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

export interface Ratio {
  readonly what: string;
  readonly then: number;
  readonly now: number;
  readonly isBetter: (ratio: number) => boolean;
}

export function ratiosOf(then: BenchReport, now: BenchReport): Ratio[] {
  const lower = (ratio: number): boolean => ratio < 1;
  const ratios: Ratio[] = [
    { what: "operations/s", then: then.rate, now: now.rate, isBetter: (ratio) => ratio > 1 },
  ];
  for (const [name, report] of Object.entries(now.latencies)) {
    const earlier = then.latencies[name];
    if (earlier === undefined) continue;
    for (const key of COMPARED)
      ratios.push({
        what: `${name} ${key === "p999Ms" ? "p99.9" : key.slice(0, 3)} ms`,
        then: earlier[key],
        now: report[key],
        isBetter: lower,
      });
  }
  return ratios;
}

/** What was not the same in both runs: ratios between different loads say little. */
export function differences(then: BenchReport, now: BenchReport): string[] {
  const earlier: Readonly<Record<string, unknown>> = { ...then.plan, nodes: then.urls.length };
  return Object.entries({ ...now.plan, nodes: now.urls.length })
    .filter(([name, value]) => JSON.stringify(earlier[name]) !== JSON.stringify(value))
    .map(([name, value]) => `${name} was ${shown(earlier[name])}, is ${shown(value)}`);
}

function shown(value: unknown): string {
  if (value === undefined) return "open";
  return visible(typeof value === "string" ? value : JSON.stringify(value));
}
