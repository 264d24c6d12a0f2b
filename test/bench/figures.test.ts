/** The arithmetic of the benches: quantiles, key choices, parsing of responses, plots. */
import { describe, expect, test } from "bun:test";
import { latest, scrambledZipfian } from "../../src/load/key-choice.ts";
import { LatencyHistogram } from "../../src/load/latency-histogram.ts";
import { plotSvg, sparkline } from "../../bench/support/plot.ts";
import { ResponseReader } from "../../src/load/response-reader.ts";
import { KeySpace } from "../../src/load/workload.ts";
import { Prng } from "../../src/base/prng.ts";

describe("LatencyHistogram", () => {
  test("a quantile is the sorted list's, at most 1/64 too high", () => {
    const prng = new Prng("latencies");
    const histogram = new LatencyHistogram();
    const all = Array.from({ length: 20_000 }, () => Math.round(10 ** (prng.float() * 7)) / 1000);
    for (const ms of all) histogram.record(ms);
    all.sort((a, b) => a - b);
    for (const q of [0.001, 0.5, 0.9, 0.99, 0.999, 1]) {
      const exact = all[Math.max(0, Math.ceil(q * all.length) - 1)]!;
      expect(histogram.quantileMs(q)).toBeWithin(exact, exact * (1 + 1 / 64) + 1e-9);
    }
    expect(histogram.maxMs).toBe(all.at(-1)!);
  });
});

describe("key choice", () => {
  test("the scrambled zipfian's most popular key takes 1/26.5 of all, and every key is in range", () => {
    const choose = scrambledZipfian(new Prng("zipfian"), 1000);
    const counts = new Uint32Array(1000);
    for (let i = 0; i < 100_000; i++) counts[choose()]!++;
    const shares = [...counts].sort((a, b) => b - a).map((count) => count / 100_000);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(100_000);
    expect(shares[0]!).toBeWithin(0.035, 0.042);
    // The long tail reaches every key.
    expect(shares[999]!).toBeGreaterThan(0);
  });

  test("latest prefers the newest key, also after an insert, and never names one that is not there", () => {
    const keys = new KeySpace(100);
    const choose = latest(new Prng("latest"), () => keys.count);
    for (const count of [100, 5000]) {
      while (keys.count < count) keys.acknowledge(keys.insert());
      const drawn = Array.from({ length: 20_000 }, choose);
      expect(Math.max(...drawn)).toBe(count - 1);
      expect(Math.min(...drawn)).toBeGreaterThanOrEqual(0);
      expect(drawn.filter((key) => key === count - 1).length / 20_000).toBeGreaterThan(0.08);
    }
  });

  test("a key space counts inserts only up to the first that is not acknowledged", () => {
    const keys = new KeySpace(10);
    const [a, b, c] = [keys.insert(), keys.insert(), keys.insert()];
    keys.acknowledge(c);
    keys.acknowledge(a);
    expect(keys.count).toBe(11);
    keys.acknowledge(b);
    expect(keys.count).toBe(13);
  });
});

describe("ResponseReader", () => {
  const response = Buffer.from("HTTP/1.1 200 OK\r\nA: b\r\ncontent-length: 5\r\n\r\nhello");

  test("takes a response in two pieces, wherever it is cut", () => {
    for (let cut = 1; cut < response.length; cut++) {
      const reader = new ResponseReader();
      expect(reader.push(response.subarray(0, cut))).toBe("more");
      expect(reader.push(response.subarray(cut))).toBe("complete");
      expect([reader.status, reader.body().toString()]).toEqual([200, "hello"]);
    }
  });

  test.each([
    ["a chunked body", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["bytes after the response", `${response.toString()}x`],
    ["no status", "hello\r\nContent-Length: 0\r\n\r\n"],
    ["a status of a colon", "HTTP/1.1 2:0 OK\r\nContent-Length: 0\r\n\r\n"],
    ["a status of a letter", "HTTP/1.1 20A OK\r\nContent-Length: 0\r\n\r\n"],
  ])("refuses %s", (_, text) => {
    expect(new ResponseReader().push(Buffer.from(text))).toBe("broken");
  });

  test("204 has no body and needs no length", () => {
    const reader = new ResponseReader();
    expect(reader.push(Buffer.from("HTTP/1.1 204 No Content\r\n\r\n"))).toBe("complete");
    expect([reader.status, reader.bodyLength]).toEqual([204, 0]);
  });
});

describe("plots", () => {
  test("zero is a dot and the greatest a full block", () => {
    expect(sparkline([0, 1, 4, 8])).toBe("·▂▅█");
    expect(sparkline([0, 0])).toBe("··");
  });

  test("an SVG has a point for every second and no number that is none", () => {
    const svg = plotSvg({
      title: "a < b",
      panels: [
        { title: "rate", values: [1, 2, 3] },
        { title: "errors", values: [0, 0, 0], isBars: true },
      ],
      marks: [{ second: 1, label: "kill" }],
    });
    expect(/points="([^"]+)"/.exec(svg)![1]!.split(" ")).toHaveLength(3);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(svg).toContain("a &lt; b");
  });
});
