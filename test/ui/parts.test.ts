/** Parts of the dashboard that need no browser: words, numbers, events, history, places. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { LiveSample } from "../../src/http/live-api.ts";
import { EventParser } from "../../src/ui/live/event-parser.ts";
import { History, SAMPLES_MAX } from "../../src/ui/live/history.ts";
import { healthOf } from "../../src/ui/overview/health.ts";
import { byNumber, coloursOf } from "../../src/ui/parts/colours.ts";
import {
  counted,
  formatAge,
  formatBytes,
  formatCount,
  formatMs,
  formatPercent,
  formatRate,
  listed,
} from "../../src/ui/parts/format.ts";
import { CELLS_MAX, cellsOf, colourOfAge } from "../../src/ui/repair/verified.ts";

type State = LiveSample["nodes"][number]["state"];

function sampleOf(states: readonly State[], more: Partial<LiveSample> = {}): LiveSample {
  const zone = { dc: "dc1", rack: "r1", host: "h1" };
  const latency = { count: 0, p50: 0, p95: 0, p99: 0 };
  return {
    node: "n1",
    atMs: 1_000_000,
    cluster: {
      name: "hutch",
      id: "c",
      layoutVersion: 1,
      q: 256,
      n: 3,
      nodes: { up: states.length, suspect: 0, down: 0 },
      partitions: { serving: 256, syncing: 0 },
    },
    nodes: states.map((state, index) => ({
      ...{ id: `n${index + 1}`, address: "", peerAddress: "", zone, weight: 1, state, phi: 0 },
      ...{ incarnation: 1, partitions: 10, keys: 1, bytes: 1, hintsFor: 0 },
    })),
    rates: { reads: 0, writes: 0, deletes: 0, refused: 0, failed: 0 },
    latency: { read: latency, write: latency },
    hints: [],
    disk: { usedBytes: 0, freeBytes: 0 },
    repair: { verified: 0, oldestMs: 0, progress: null, keysMoved: 0 },
    change: null,
    hotKeys: { sampleEvery: 16, samples: 0, keys: [] },
    ...more,
  };
}

describe("the health of a cluster in a sentence", () => {
  const of = (...states: readonly State[]) => healthOf(sampleOf(states));

  test("is good when all are up and nothing waits", () => {
    expect(of("up", "up", "up")).toMatchObject({ level: "good", title: "All 3 nodes are well" });
    expect(of("up").title).toBe("The node is well");
  });

  test("one of three down leaves a quorum, two do not", () => {
    const one = of("up", "down", "up");
    expect(one).toMatchObject({ level: "warn", title: "n2 is down" });
    expect(one.detail).toContain("still has a quorum");
    const two = of("up", "down", "down");
    expect(two).toMatchObject({ level: "bad", title: "n2 and n3 are down" });
    expect(two.detail).toContain("2 of their 3 copies");
  });

  test("a node alone with another that is down has lost the quorum of two", () => {
    expect(of("up", "down").level).toBe("bad");
  });

  test("who has left is no trouble; who is catching up, or what waits for it, is told", () => {
    expect(of("up", "left", "up", "up").level).toBe("good");
    expect(of("up", "syncing").title).toBe("n2 is catching up");
    expect(of("up", "suspect").title).toBe("n2 is suspected");
    const hints = [{ node: "n2", count: 1, bytes: 9, oldestMs: 700_000 }];
    const held = healthOf(sampleOf(["up", "up"], { hints }));
    expect(held).toMatchObject({ level: "warn" });
    expect(held.detail).toBe("1 hint on the way, the oldest has waited 5 min.");
  });
});

describe("words for numbers", () => {
  test("sizes, counts, rates, times, parts", () => {
    const sizes = [0, 999, 1000, 1536, 10 * 2 ** 20, 2 ** 40].map(formatBytes);
    expect(sizes).toEqual(["0 B", "999 B", "0.98 KiB", "1.5 KiB", "10 MiB", "1.0 TiB"]);
    expect([0, 999, 12_345, 1_234_567].map(formatCount)).toEqual(["0", "999", "12,345", "1.2 M"]);
    expect([0, 0.5, 9.94, 10, 1e4].map(formatRate)).toEqual(["0", "0.5", "9.9", "10", "10,000"]);
    expect([0, 0.123, 1.25, 56, 2000].map(formatMs)).toEqual([
      ...["0 ms", "0.12 ms", "1.3 ms", "56 ms", "2.0 s"],
    ]);
    expect([0, 5000, 3_600_000, 2e8].map(formatAge)).toEqual(["now", "5 s", "1 h", "2 d"]);
    expect([0, 0.051, 1].map(formatPercent)).toEqual(["0.0 %", "5.1 %", "100 %"]);
    expect([counted(1, "copy", "copies"), counted(2, "copy", "copies")]).toEqual([
      ...["1 copy", "2 copies"],
    ]);
    expect([listed([]), listed(["a"]), listed(["a", "b", "c"])]).toEqual(["", "a", "a, b and c"]);
  });

  test("n2 comes before n10, and each of twelve names has its own colour", () => {
    const names = Array.from({ length: 12 }, (_, i) => `n${i + 1}`);
    expect([...names].reverse().sort(byNumber)).toEqual(names);
    expect(new Set(names.map(coloursOf(names))).size).toBe(12);
  });
});

describe("EventParser", () => {
  const stream =
    ': hello\n\nevent: sample\ndata: {"a":1}\n\ndata: x\r\ndata: y\r\n\r\nevent: none\n\n';

  test("makes the same events of a stream wherever it is cut", () => {
    const whole = new EventParser().push(stream);
    expect(whole).toEqual([
      { event: "sample", data: '{"a":1}' },
      { event: "message", data: "x\ny" },
    ]);
    const cuts = fc.array(fc.nat(stream.length), { maxLength: 8 });
    fc.assert(
      fc.property(cuts, (at) => {
        const parser = new EventParser();
        const edges = [0, ...at.sort((a, b) => a - b), stream.length];
        const parts = edges.slice(1).map((end, index) => stream.slice(edges[index], end));
        expect(parts.flatMap((part) => parser.push(part))).toEqual([...whole]);
      }),
    );
  });

  test("what has no end is given up", () => {
    const parser = new EventParser();
    const piece = "x".repeat(2 ** 20);
    expect(() => {
      for (let i = 0; i < 20; i++) parser.push(piece);
    }).toThrow("one has no end");
  });
});

describe("History", () => {
  test("keeps five minutes, and no latency where nothing was asked", () => {
    const history = new History();
    for (let i = 0; i < SAMPLES_MAX + 10; i++) history.add(sampleOf(["up"], { atMs: i * 1000 }));
    expect(history.column("seconds")).toHaveLength(SAMPLES_MAX);
    expect(history.column("seconds")[0]).toBe(10);
    expect(history.column("read.p99").at(-1)).toBe(null);
    expect(history.column("reads").at(-1)).toBe(0);
    history.clear();
    expect(history.column("reads")).toEqual([]);
  });
});

describe("cells of the repair strip", () => {
  const verified = (partition: number, lastVerifiedMs: number, differed = false) => ({
    ...{ partition, lastVerifiedMs, lastPeer: `p${partition}`, differed },
  });

  test("one per partition, with the age of its last comparison", () => {
    const cells = cellsOf(4, [verified(1, 40_000), verified(3, 90_000, true)], 100_000);
    expect(cells.map(({ ageMs }) => ageMs)).toEqual([-1, 60_000, -1, 10_000]);
    expect(cells.map(({ differed }) => differed)).toEqual([false, false, false, true]);
    expect(colourOfAge(-1)).toBe("");
    expect(colourOfAge(10_000)).not.toBe(colourOfAge(60_000));
  });

  test("many partitions share a cell, which is as old as the oldest of them", () => {
    const cells = cellsOf(65_536, [verified(0, 90), verified(1, 10), verified(64, 95)], 100);
    expect(cells).toHaveLength(CELLS_MAX);
    expect(cells[0]).toMatchObject({ from: 0, to: 63, ageMs: 90, lastPeer: "p1" });
    expect(cells[1]).toMatchObject({ from: 64, to: 127, ageMs: 5 });
  });
});
