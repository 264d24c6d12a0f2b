/** What `hutch top` shows of what nodes tell. */
import { describe, expect, test } from "bun:test";
import { samplesIn } from "../../src/cli/top.ts";
import { hottest, topLines } from "../../src/cli/top-lines.ts";
import type { LiveSample } from "../../src/http/live-api.ts";

const nodeNamed = (id: string) => ({
  id,
  address: `127.0.0.1:700${id.slice(1)}`,
  peerAddress: `127.0.0.1:710${id.slice(1)}`,
  zone: { dc: "dc1", rack: "rack1", host: "host1" },
  weight: 1,
  state: id === "n3" ? ("down" as const) : ("up" as const),
  phi: 0,
  incarnation: 1,
  partitions: 16,
  keys: 10,
  bytes: 1000,
  hintsFor: id === "n3" ? 7 : 0,
});

function sampleOf(node: string, path: string): LiveSample {
  const latency = { count: 10, p50: 0.5, p95: 1, p99: 12.25 };
  return {
    node,
    atMs: 1,
    cluster: {
      name: "hutch",
      id: "1",
      layoutVersion: 1,
      q: 16,
      n: 3,
      nodes: { up: 2, suspect: 0, down: 1 },
      partitions: { serving: 16, syncing: 0 },
    },
    nodes: ["n1", "n2", "n3"].map(nodeNamed),
    rates: { reads: 1000, writes: 2.5, deletes: 0, notFound: 0, refused: 1, failed: 1 },
    latency: { read: latency, write: { ...latency, count: 0 } },
    hints: [],
    disk: { usedBytes: 2048, freeBytes: 1 },
    repair: { verified: 16, oldestMs: 0, progress: 0.5, keysMoved: 0 },
    change: null,
    hotKeys: {
      sampleEvery: 1,
      samples: 100,
      keys: [{ bucket: "demo", path, count: 30, error: 0, writes: 3 }],
    },
  } as LiveSample;
}

describe("hutch top", () => {
  const samples = [sampleOf("n1", "a%20b"), sampleOf("n2", "a%20b")];

  test("has a row for every node, also for one that tells nothing, and their sum", () => {
    const lines = topLines(samples, 200);
    expect(lines[0]).toContain("2,005 requests/s   2 up, 1 away");
    expect(lines.find((line) => /\bn3\b/.test(line))).toMatch(/^down +n3 +7$/);
    expect(lines.find((line) => /\bn1\b/.test(line))).toMatch(/1,000 +0\.50 +12\.3 +2\.5 +2\.0 +/);
    expect(lines.find((line) => /\ball\b/.test(line))).toMatch(/2,000 +5\.0 +4\.0 +4\.0 KiB/);
  });

  test("a key that several nodes were asked for is one; its share is of all requests", () => {
    expect(hottest(samples)).toMatchObject([{ path: "a%20b", count: 60, writes: 6 }]);
    expect(topLines(samples, 200).join("\n")).toMatch(/demo\/a b .* 30\.0 % +10 %/);
  });

  test("fits 80 columns", () => {
    for (const line of topLines(samples, 80)) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(80);
  });

  test("events are read whole, wherever the stream is cut", async () => {
    const text = `event: sample\ndata: ${JSON.stringify(samples[0])}\n\n: beat\n\n`;
    const bytes = new TextEncoder().encode(text.repeat(2));
    for (const cut of [1, 20, 400, bytes.length - 3]) {
      const pieces = (async function* () {
        yield bytes.subarray(0, cut);
        yield bytes.subarray(cut);
      })();
      const heard: LiveSample[] = [];
      for await (const sample of samplesIn(pieces)) heard.push(sample);
      expect(heard).toEqual([samples[0]!, samples[0]!]);
    }
  });
});
