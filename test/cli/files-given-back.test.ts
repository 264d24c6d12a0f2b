/** Files that people give back to the command line, changed by hand or written by something else: refused with a reason, never a TypeError. */
import { describe, expect, test } from "bun:test";
import { parseReport } from "../../src/cli/bench-report.ts";
import { parseManifest, restoreQuestion } from "../../src/cli/snapshot.ts";

describe("`hutch bench --compare`", () => {
  const latency = { p50Ms: 1, p99Ms: 2, p999Ms: 3 };
  const whole = { rate: 1, urls: ["u"], plan: {}, latencies: { all: latency } };

  test("takes what --json writes", () => {
    expect(parseReport(JSON.stringify(whole)).rate).toBe(1);
  });

  test.each([
    ["nothing", null],
    ["no addresses", { ...whole, urls: undefined }],
    ["no plan", { ...whole, plan: null }],
    ["no latencies", { ...whole, latencies: null }],
    ["not the latency of all", { ...whole, latencies: { read: latency } }],
    ["a latency that is none", { ...whole, latencies: { all: latency, read: null } }],
    ["a latency that is no number", { ...whole, latencies: { all: { ...latency, p99Ms: "2" } } }],
  ])("refuses a report with %s", (_, report) => {
    expect(() => parseReport(JSON.stringify(report))).toThrow("not what");
  });
});

describe("`hutch snapshot restore`", () => {
  const whole = { at: "2026-11-22T02:00:00Z", cluster: "hutch", buckets: [{ name: "demo" }] };

  test("takes what save writes", () => {
    expect(restoreQuestion(parseManifest(JSON.stringify(whole)))).toBe(
      "Restore 1 bucket of hutch as of 2026-11-22T02:00:00Z?",
    );
  });

  test.each([
    ["nothing", null],
    ["no buckets", { ...whole, buckets: undefined }],
    ["a bucket that is none", { ...whole, buckets: [null] }],
    ["a bucket that is a path", { ...whole, buckets: [{ name: "../x" }] }],
    ["a bucket whose name is a list", { ...whole, buckets: [{ name: ["demo"] }] }],
    ["no cluster", { ...whole, cluster: 7 }],
    ["no time", { ...whole, at: undefined }],
  ])("refuses a list with %s", (_, manifest) => {
    expect(() => parseManifest(JSON.stringify(manifest))).toThrow("snapshot.json names no");
  });

  test("what the list says of itself is shown, not obeyed", () => {
    const manifest = parseManifest(JSON.stringify({ ...whole, cluster: "\x1b[2J", at: "\r" }));
    expect(restoreQuestion(manifest)).toBe("Restore 1 bucket of \\x1b[2J as of \\x0d?");
  });
});
