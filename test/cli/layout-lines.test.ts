import { describe, expect, test } from "bun:test";
import { changeText } from "../../src/cli/follow-job.ts";
import { isYes } from "../../src/cli/confirm.ts";
import { hintsLines } from "../../src/cli/hints.ts";
import { changeFrom } from "../../src/cli/layout.ts";
import { layoutLines } from "../../src/cli/layout-lines.ts";
import { rateText } from "../../src/cli/progress.ts";
import type { LayoutSummary, SpreadSummary } from "../../src/http/layout-api.ts";
import { layoutSummary } from "../support/fake-layout.ts";

const WIDE = 200;
const zoneOf = (name: string) => ({ dc: "dc1", rack: `r${name.slice(1)}`, host: "h1" });
const nodeOf = (name: string, partitions: number) => ({
  id: name,
  zone: zoneOf(name),
  weight: 1,
  partitions,
});
const spread: SpreadSummary = {
  widest: { dcs: 1, racks: 2, hosts: 2 },
  least: { dcs: 1, racks: 2, hosts: 2 },
  below: [],
};
const settled: LayoutSummary = layoutSummary({
  version: 6,
  q: 16,
  n: 2,
  nodes: [nodeOf("n1", 16), nodeOf("n2", 16)],
  spread,
});
const change = {
  version: 7,
  readVersion: 6,
  nodes: 4,
  acknowledged: 4,
  synced: 1,
  transfers: { done: 12, total: 40 },
  bytesSent: 1024 * 1024,
  waitingFor: ["n3"],
};

describe("hutch layout", () => {
  test("a layout that is settled: who carries what, and how far the copies are apart", () => {
    expect(layoutLines(settled, WIDE)).toEqual([
      "layout    version 6, 16 partitions, 2 copies of each",
      "spread    the copies of each partition lie in 1 data centre, 2 racks, 2 hosts, as wide as can be",
      "",
      "node  zone       weight  partitions  share of all copies",
      "n1    dc1/r1/h1       1          16  ██████████            50.0 %",
      "n2    dc1/r2/h1       1          16  ██████████            50.0 %",
    ]);
  });

  test("R57: what is staged, what it moves, what each node carries then, what speaks against it", () => {
    const layout: LayoutSummary = {
      ...settled,
      staged: [
        { id: "n2", action: "leave" },
        { id: "n3", action: "join", weight: 2, zone: zoneOf("n3"), replaces: "n1" },
        { id: "n4", action: "update", weight: 3 },
      ],
      preview: {
        version: 7,
        moves: { partitions: 10, bytes: 10_240 },
        nodes: [
          { id: "n1", before: 16, after: 0, incoming: 0, outgoing: 16, bytesIn: 0 },
          { id: "n3", before: 0, after: 32, incoming: 32, outgoing: 0, bytesIn: 10_240 },
        ],
        spread: { before: spread, after: { ...spread, below: [4, 5] } },
        objections: [{ code: "node-alive", detail: "Cannot declare node n1 lost: it is up" }],
      },
    };
    expect(layoutLines(layout, WIDE).slice(2)).toEqual([
      "staged    n2: leaves",
      "          n3: takes the place of n1, weight 2, in dc1/r3/h1",
      "          n4: weight 3",
      "",
      "node  zone       weight  now  then  in  out  to receive  share of all copies then",
      "n1    dc1/r1/h1       1   16     0   0   16         0 B                         0.0 %",
      "n3    dc1/r3/h1       2    0    32  32    0    10.0 KiB  ████████████████████ 100.0 %",
      "",
      "version 7 moves 10 copies of partitions, about 10.0 KiB",
      "then 2 partitions could lie in 1 data centre, 2 racks, 2 hosts, and do in as few as 1, 2 and 2: 4, 5",
      "Cannot declare node n1 lost: it is up",
    ]);
  });

  test("a change under way says whom it waits for; conflicts and narrow partitions are named", () => {
    const below = Array.from({ length: 12 }, (_, at) => at);
    const lines = layoutLines(
      {
        ...settled,
        change,
        conflicts: [{ version: 7, contents: [{}, {}] }],
        spread: { ...spread, least: { dcs: 1, racks: 1, hosts: 1 }, below },
      },
      WIDE,
    );
    expect(lines.slice(1, 7)).toEqual([
      "spread    12 partitions could lie in 1 data centre, 2 racks, 2 hosts, and do in as few as 1, 1 and 1: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...",
      "conflict  version 7 was made 2 times, differently",
      "change    on the way to version 7; reads use version 6",
      "          4 of 4 nodes have acknowledged, 1 have handed over  █████",
      "          this node has handed over 12 of 40 copies, 1.0 MiB",
      "          waiting for n3: start it, or remove or replace it",
    ]);
    expect(changeText(change)).toBe("waiting for n3");
    expect(changeText({ ...change, waitingFor: [] })).toBe(
      "1 of 4 nodes ready, 12 of 40 copies sent from here",
    );
  });

  test("fits a narrow terminal by leaving columns out", () => {
    for (const line of layoutLines(settled, 60).slice(3))
      expect(Bun.stringWidth(line)).toBeLessThanOrEqual(60);
  });
});

describe("hutch layout stage", () => {
  test("its options are one change", () => {
    expect(changeFrom({ node: "n4", weight: "2" })).toEqual({ id: "n4", weight: 2 });
    expect(changeFrom({ node: "n4", rack: "r2" })).toMatchObject({ zone: { rack: "r2" } });
    expect(changeFrom({ node: "n3", action: "replace", with: "n6" })).toEqual({
      id: "n3",
      action: "replace",
      with: "n6",
    });
  });

  test("row 98: nothing to change, or too much at once, is a usage error", () => {
    expect(() => changeFrom({ node: "n4" })).toThrow("want either");
    expect(() => changeFrom({ node: "n4", action: "leave", weight: "2" })).toThrow("want either");
    expect(() => changeFrom({ node: "n4", weight: "heavy" })).toThrow("--weight");
  });
});

test("hutch hints: a line per node that something is held for", () => {
  expect(hintsLines({ targets: [] }, WIDE)).toEqual(["no node holds anything for another one"]);
  const oldest = "2026-11-21T13:44:29.000Z";
  expect(hintsLines({ targets: [{ node: "n3", count: 1200, bytes: 2048, oldest }] }, WIDE)).toEqual(
    ["for node  hints     data  oldest", "n3        1,200  2.0 KiB  2026-11-21T13:44:29.000Z"],
  );
});

test("only y and yes are yes", () => {
  expect(["y", "Y", " yes\n"].map(isYes)).toEqual([true, true, true]);
  expect(["", "n", "yesterday", "ja"].map(isYes)).toEqual([false, false, false, false]);
});

test("the rate of a job is in bytes where some move, else in shares of the whole", () => {
  expect(rateText(0.01, 5 * 1024 * 1024)).toBe("5.0 MiB/s");
  expect(rateText(0.01, 0)).toBe("60.0 %/min");
});
