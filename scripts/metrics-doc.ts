/**
 * Writes docs/metrics.md from what a node defines: `bun scripts/metrics-doc.ts`. `test/ops/metrics-doc.test.ts` holds it fresh.
 */
import { join } from "node:path";
import type { Definition, Metrics } from "../src/base/metrics.ts";
import { unitOf } from "../src/base/openmetrics.ts";
import { withExportedMetrics } from "../test/support/exported-metrics.ts";

export const METRICS_PAGE = join(import.meta.dir, "..", "docs", "metrics.md");

const HEAD = `# Metrics

What \`GET /metrics\` of a node tells, as OpenMetrics text. This page is made from the definitions by \`bun scripts/metrics-doc.ts\`.

- Counters end with \`_total\` and begin at 0 with the process; histograms have \`_bucket\`, \`_count\` and \`_sum\`.
- No label holds a key. A metric has at most 257 series: what would be more is counted together under \`other\`.
- Metrics of a part that is switched off (TLS, cluster key, traces) are not there.
- \`ops/grafana/hutch.json\` draws them, \`ops/prometheus/rules.yml\` watches them.

| name | type | labels | what it says |
| --- | --- | --- | --- |
`;

const SUFFIXES = { counter: "_total", gauge: "", histogram: "", info: "_info" } as const;

export function metricsPage(metrics: Metrics): string {
  const rows = [...metrics.list()].sort((a, b) => (a.name < b.name ? -1 : 1)).map(rowOf);
  return `${HEAD}${rows.join("\n")}\n`;
}

function rowOf({ name, type, labels, help }: Definition): string {
  const unit = unitOf(name);
  const kind = unit === "" ? type : `${type}, ${unit}`;
  const labelText = labels.map((label) => `\`${label}\``).join(", ");
  return `| \`${name}${SUFFIXES[type]}\` | ${kind} | ${labelText} | ${help.replaceAll("|", "\\|")} |`;
}

if (import.meta.main) await Bun.write(METRICS_PAGE, await withExportedMetrics(metricsPage));
