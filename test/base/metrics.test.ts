import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Histogram, Metrics, SERIES_MAX } from "../../src/base/metrics.ts";

describe("Histogram", () => {
  test("quantiles are at least the exact one and at most an eighth (plus a microsecond) above it", () => {
    const durations = fc.array(fc.integer({ min: 0, max: 2_000_000_000 }), { minLength: 1 });
    fc.assert(
      fc.property(durations, fc.double({ min: 0, max: 1, noNaN: true }), (microseconds, q) => {
        const histogram = new Histogram();
        for (const us of microseconds) histogram.record(us / 1000);
        const sorted = microseconds.toSorted((a, b) => a - b);
        const exact = sorted[Math.max(1, Math.ceil(q * sorted.length)) - 1]!;
        const found = Math.round(histogram.quantileMs(q) * 1000);
        expect(found).toBeGreaterThan(exact);
        expect(found).toBeLessThanOrEqual(exact * 1.125 + 1);
      }),
    );
  });

  test("takes durations out of range without losing them", () => {
    const histogram = new Histogram();
    histogram.record(-5);
    histogram.record(1e12);
    expect(histogram.count).toBe(2);
    expect(histogram.countBelowPower(31)).toBe(2);
  });
});

describe("Metrics", () => {
  test("prints OpenMetrics text", () => {
    const metrics = new Metrics();
    metrics.gauge("hutch_keys", "Keys stored", () => 3);
    metrics.count("hutch_probes", "Probes sent", () => 7);
    metrics.counter("hutch_requests", "Requests answered", "method").of("GET").add(2);
    metrics.histogram("hutch_request", "Time to answer").of().record(0.1);
    const text = metrics.text();
    expect(text).toStartWith(
      "# TYPE hutch_keys gauge\n# HELP hutch_keys Keys stored\nhutch_keys 3\n",
    );
    expect(text).toContain("\n# TYPE hutch_probes counter\n");
    expect(text).toContain("\nhutch_probes_total 7\n");
    expect(text).toContain('\nhutch_requests_total{method="GET"} 2\n');
    expect(text).toContain('\nhutch_request_seconds_bucket{le="0.000064"} 0\n');
    expect(text).toContain('\nhutch_request_seconds_bucket{le="0.000128"} 1\n');
    expect(text).toContain('\nhutch_request_seconds_bucket{le="+Inf"} 1\n');
    expect(text).toEndWith(
      "hutch_request_seconds_count 1\nhutch_request_seconds_sum 0.0001\n# EOF\n",
    );
  });

  test("Q21: whatever labels come, the number of series stays bounded", () => {
    const metrics = new Metrics();
    const family = metrics.counter("hutch_requests", "Requests answered", "path");
    for (let i = 0; i < 100_000; i++) family.of(`/${i}`).add();
    expect([...family.entries()]).toHaveLength(SERIES_MAX + 1);
    expect(family.of("other").value).toBe(100_000 - SERIES_MAX);
  });

  test("escapes label values", () => {
    const metrics = new Metrics();
    metrics.counter("hutch_odd", "Odd", "label").of('a"b\\c\nd').add();
    expect(metrics.text()).toContain('{label="a\\"b\\\\c\\nd"}');
  });
});
