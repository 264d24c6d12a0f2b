/** What `hutch bench` makes of its options, draws, and shows. */
import { describe, expect, test } from "bun:test";
import { HutchError } from "../../src/base/errors.ts";
import { benchWorkload } from "../../src/cli/bench-child.ts";
import { BenchTotals, figuresOf } from "../../src/cli/bench-figures.ts";
import { compareLines, histogramLines, reportLines } from "../../src/cli/bench-lines.ts";
import { benchPlan } from "../../src/cli/bench-plan.ts";
import { benchReport, differences, ratiosOf } from "../../src/cli/bench-report.ts";
import { LatencyHistogram } from "../../src/load/latency-histogram.ts";
import { Tally } from "../../src/load/tally.ts";
import type { Operation } from "../../src/load/workload.ts";

const OPTIONS = {
  workload: "a",
  bucket: "bench",
  keys: "1000",
  valueBytes: "100",
  seed: "1",
  duration: "10s",
  warmup: "1s",
  connections: "8",
  processes: "1",
};

const planWith = (options: Readonly<Record<string, string>>) =>
  benchPlan({ ...OPTIONS, ...options });

function draws(options: Readonly<Record<string, string>>, index = 0, count = 2000): string[] {
  const workload = benchWorkload(planWith(options), index);
  const operation: Operation = { kind: "read", key: 0 };
  return Array.from({ length: count }, () => {
    workload.next(operation);
    if (operation.kind === "insert") workload.inserted(operation.key);
    return `${operation.kind} ${operation.key}`;
  });
}

describe("options", () => {
  test("row 98: a value that cannot be is refused with its flag", () => {
    const impossible: readonly (readonly [string, string])[] = [
      ["workload", "e"],
      ["readRatio", "1.5"],
      ["distribution", "pareto"],
      ["consistency", "QUORUM\r\nX-Evil: 1"],
      ["keys", "0"],
      ["valueBytes", "11"],
      ["valueBytes", "17MiB"],
      ["duration", "10"],
      ["connections", "1.5"],
      ["rate", "0"],
      ["processes", "9"],
    ];
    for (const [name, value] of impossible) {
      const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      try {
        planWith({ [name]: value });
        throw new Error(`--${flag} ${value} was taken`);
      } catch (error) {
        expect(error).toBeInstanceOf(HutchError);
        expect((error as HutchError).code).toBe("bad-config");
        expect((error as HutchError).message).toContain(`--${flag} `);
      }
    }
  });

  test("YCSB's workloads have their distributions; a ratio makes a mix", () => {
    expect(planWith({ workload: "D" })).toMatchObject({
      shares: { read: 0.95, insert: 0.05 },
      distribution: "latest",
    });
    expect(planWith({ workload: "f" }).distribution).toBe("zipfian");
    const mix = planWith({ readRatio: "0.75", distribution: "uniform" });
    expect(mix).toMatchObject({ workload: "mix", shares: { read: 0.75, write: 0.25 } });
  });
});

describe("draws", () => {
  test("equal seeds draw equal operations, other seeds and processes other ones", () => {
    expect(draws({ seed: "7" })).toEqual(draws({ seed: "7" }));
    expect(draws({ seed: "7" })).not.toEqual(draws({ seed: "8" }));
    expect(draws({ seed: "7", processes: "2" }, 0)).not.toEqual(
      draws({ seed: "7", processes: "2" }, 1),
    );
  });

  test("the shares are those of the workload", () => {
    const reads = draws({ workload: "b" }, 0, 20_000).filter((line) => line.startsWith("read"));
    expect(reads.length / 20_000).toBeCloseTo(0.95, 2);
  });

  test("no two processes insert the same key, and reads stay among keys that are there", () => {
    const inserted = [0, 1, 2].map((index) =>
      draws({ workload: "d", processes: "3" }, index).filter((line) => line.startsWith("insert")),
    );
    const all = inserted.flat();
    expect(new Set(all).size).toBe(all.length);
    for (const [index, lines] of inserted.entries()) {
      expect(lines.length).toBeGreaterThan(50);
      const keys = lines.map((line) => Number(line.split(" ")[1]));
      expect(keys).toEqual(keys.map((_, place) => 1000 + place * 3 + index));
      const own = new Set(keys);
      const read = draws({ workload: "d", processes: "3" }, index)
        .filter((line) => line.startsWith("read"))
        .map((line) => Number(line.split(" ")[1]));
      expect(read.filter((key) => key >= 1000 && !own.has(key))).toEqual([]);
    }
  });
});

function reportOf(latencyMs: number, options: Readonly<Record<string, string>> = {}) {
  const tally = new Tally();
  for (let i = 0; i < 100; i++) tally.latencies.read.record(latencyMs);
  tally.problem("503 overloaded", 3);
  const figures = { ...figuresOf(tally.end()), ms: 1000, cores: 0.5 };
  const totals = new BenchTotals();
  // As from another process.
  totals.add(0, structuredClone(figures));
  totals.add(1, structuredClone({ ...figures, cores: 0.95 }));
  return benchReport(planWith(options), ["http://a"], totals, "2026-01-01T00:00:00Z");
}

describe("what was measured", () => {
  test("processes add up: rates over the same second, errors by code, the busiest core", () => {
    const report = reportOf(2);
    expect(report).toMatchObject({
      rate: 200,
      succeeded: 200,
      failed: 6,
      problems: { "503 overloaded": 6 },
      clientCore: 0.95,
    });
    expect(report.latencies["read"]).toMatchObject({ count: 200 });
    expect(report.latencies["read"]!.p99Ms).toBeCloseTo(2, 1);
    expect(report.latencies["write"]).toBeUndefined();
  });

  test("the table names errors, and the client where it may be the limit", () => {
    const text = reportLines(reportOf(2), 80).join("\n");
    expect(text).toContain("503 overloaded");
    expect(text).toContain("2.91 %");
    expect(text).toContain("95 % of a core; try --processes 2");
    for (const line of text.split("\n").slice(0, 3)) expect(line.length).toBeLessThanOrEqual(80);
  });

  test("operations that an open loop owes at its end are told", () => {
    const report = { ...reportOf(2, { rate: "1000" }), overdue: 800 };
    expect(reportLines(report, 80).join("\n")).toContain("800 operations were due at the end");
    expect(reportLines({ ...report, overdue: 1 }, 80).join("\n")).not.toContain("were due");
  });

  test("a comparison has ratios, and says what was not the same load", () => {
    const [then, now] = [reportOf(2), reportOf(4, { connections: "16" })];
    expect(ratiosOf(then, now).map(({ what }) => what)).toContain("read p99.9 ms");
    expect(differences(then, now)).toEqual(["connections was 8, is 16"]);
    expect(compareLines(then, now, 80).join("\n")).toMatch(/read p50 ms +2\.0\d +4\.0\d +2\.0\dx/);
  });

  test("the histogram has a bar for each step from the shortest to the longest", () => {
    const histogram = new LatencyHistogram();
    for (const ms of [0.9, 1, 1, 1, 12]) histogram.record(ms);
    expect(histogramLines(histogram).map((line) => line.trim().split(/ +/).at(1))).toEqual([
      "1",
      "2",
      "5",
      "10",
      "20",
    ]);
    expect(histogramLines(histogram)[0]).toContain("█".repeat(30));
    expect(histogramLines(new LatencyHistogram())).toEqual([]);
  });
});
