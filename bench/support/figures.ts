/** How figures of load are printed and compared. */
import type { LatencyHistogram } from "../../src/load/latency-histogram.ts";

export const inMs = (ms: number): string => ms.toFixed(ms < 10 ? 2 : 1);

export const perSecond = (rate: number): string => Math.round(rate).toLocaleString("en");

/** `p50 / p99 / p99.9` in milliseconds. */
export function latencyText(histogram: LatencyHistogram): string {
  if (histogram.count === 0) return "";
  return [0.5, 0.99, 0.999].map((q) => inMs(histogram.quantileMs(q))).join(" / ");
}

/** The element whose figure is the median one: its other figures belong to the same run. */
export function medianBy<T>(items: readonly T[], figureOf: (item: T) => number): T {
  const ordered = [...items].sort((a, b) => figureOf(a) - figureOf(b));
  return ordered[(ordered.length - 1) >> 1]!;
}

export function printTable(title: string, rows: readonly object[]): void {
  console.log(`\n${title}`);
  console.log(Bun.inspect.table([...rows], { colors: false }));
}
