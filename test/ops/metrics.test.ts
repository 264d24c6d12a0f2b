/** What a node exports, and what is written of it: the page, the dashboard, the rules. */
import { beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Metrics } from "../../src/base/metrics.ts";
import { METRICS_PAGE, metricsPage } from "../../scripts/metrics-doc.ts";
import { fixture } from "../http/fixture.ts";
import { withExportedMetrics } from "../support/exported-metrics.ts";
import { parseOpenMetrics } from "../support/openmetrics-parser.ts";

const root = join(import.meta.dir, "..", "..");
const fileOf = (path: string): string => readFileSync(join(root, path), "utf8");
const DASHBOARD = "ops/grafana/hutch.json";
const RULES = "ops/prometheus/rules.yml";

let page = "";
let text = "";
beforeAll(async () => {
  await withExportedMetrics((metrics) => {
    page = metricsPage(metrics);
    text = metrics.text();
  });
});

/** All names under which samples of a node can appear, also where there are none yet. */
function exportedNames(): Set<string> {
  const suffixes = { counter: ["_total"], gauge: [""], info: ["_info"] } as const;
  return new Set(
    [...parseOpenMetrics(text)].flatMap(([name, { type }]) =>
      (suffixes[type as keyof typeof suffixes] ?? ["_bucket", "_count", "_sum"]).map(
        (suffix) => name + suffix,
      ),
    ),
  );
}

/** `hutch_x` in expressions; `hutch:x` are recorded by the rules themselves. */
function usedNames(source: string): string[] {
  return [...new Set(source.match(/\bhutch_[a-z0-9_]+/g) ?? [])];
}

describe("metrics of a node", () => {
  test("are OpenMetrics by the letter: types, units, help, order, EOF", () => {
    const families = parseOpenMetrics(text);
    expect(families.size).toBeGreaterThan(100);
    expect(families.get("hutch_build")?.samples[0]?.labels).toMatch(/^version="0\.\d/);
    expect(families.get("hutch_store_wal_sync_seconds")?.unit).toBe("seconds");
    expect(families.get("hutch_process_resident_memory_bytes")?.samples[0]?.value).toBeGreaterThan(
      1e6,
    );
  });

  test("the reader of these tests refuses what is not of the format", () => {
    const ok = "# TYPE a_x counter\n# HELP a_x X\na_x_total 1\n# EOF\n";
    expect(parseOpenMetrics(ok).size).toBe(1);
    const wrong = [
      ok.replace("# EOF\n", ""),
      ok.replace("a_x_total", "a_x"),
      ok.replace("1\n", "-1\n"),
      ok.replace("a_x_total 1", "a_x_total 1\na_x_total 2"),
      ok.replace("# HELP", "# UNIT a_x bytes\n# HELP"),
      ok.replace("# HELP a_x X\n", ""),
      ok.replaceAll("counter", "meter"),
    ];
    for (const one of wrong) expect(() => parseOpenMetrics(one)).toThrow();
  });

  test("docs/metrics.md is what `bun scripts/metrics-doc.ts` makes", () => {
    expect(readFileSync(METRICS_PAGE, "utf8")).toBe(page);
  });

  test.each([DASHBOARD, RULES])("%s uses only metrics that a node exports", (path) => {
    const exported = exportedNames();
    const used = usedNames(fileOf(path));
    expect(used.length).toBeGreaterThan(15);
    expect(used.filter((name) => !exported.has(name))).toEqual([]);
  });

  test("every alert names its section of the page of operations", () => {
    const rules = fileOf(RULES);
    const alerts = rules.match(/- alert: \w+/g) ?? [];
    const links = rules.match(/runbook_url: docs\/operations\.md#[a-z-]+$/gm) ?? [];
    expect(alerts.length).toBeGreaterThan(10);
    expect(links).toHaveLength(alerts.length);
  });

  test.skipIf(Bun.which("promtool") === null)("promtool takes rules and metrics", async () => {
    const check = async (args: string[], input: string): Promise<string> => {
      const stdin = new TextEncoder().encode(input);
      const child = Bun.spawn(["promtool", ...args], { stdin, stdout: "pipe", stderr: "pipe" });
      const printed = (await child.stdout.text()) + (await child.stderr.text());
      return (await child.exited) === 0 ? "" : printed;
    };
    expect(await check(["check", "rules", join(root, RULES)], "")).toBe("");
  });
});

describe("Q21: the page of metrics does not grow with what clients do", () => {
  const seriesOf = (metrics: Metrics): number =>
    metrics
      .text()
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#")).length;

  test("Q21: 100,000 keys, leave the number of series as it was", async () => {
    const metrics = new Metrics();
    const { send } = fixture({ metrics });
    const visit = async (key: string): Promise<void> => {
      await send(`GET /v1/kv/demo/${key}`);
    };
    await visit("first");
    await send("PUT /v1/kv/demo/first", "x");
    await send("PATCH /v1/kv/demo/first");
    const before = seriesOf(metrics);
    for (let i = 0; i < 100_000; i++) await visit(`item-${i}`);
    await send("PATCH /v1/kv/other/first");
    expect(seriesOf(metrics)).toBe(before);
    expect(metrics.text()).not.toContain("item-");
  });
});
