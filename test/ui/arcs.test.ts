import { describe, expect, test } from "bun:test";
import {
  NOBODY,
  SEGMENTS_MAX,
  arcPath,
  bandPaths,
  partitionAt,
  partitionsPerSegment,
  runsOf,
  segmentsOf,
} from "../../src/ui/ring/arcs.ts";

const band = { innerRadius: 90, outerRadius: 100 };

describe("the ring's arcs", () => {
  test("neighbours of one owner are one run, and runs cover every segment once", () => {
    expect(runsOf(["a", "a", "b", "a"])).toEqual([
      { owner: "a", start: 0, end: 2 },
      { owner: "b", start: 2, end: 3 },
      { owner: "a", start: 3, end: 4 },
    ]);
    expect(runsOf([])).toEqual([]);
    const many = Array.from({ length: 500 }, (_, i) => "abc".charAt(((i * i) % 7) % 3));
    const runs = runsOf(many);
    expect(runs.flatMap(({ owner, start, end }) => Array(end - start).fill(owner))).toEqual(many);
    for (let i = 1; i < runs.length; i++) expect(runs[i]!.owner).not.toBe(runs[i - 1]!.owner);
  });

  test("a band has one path per owner, however many partitions there are", () => {
    const owners = Array.from({ length: 65_536 }, (_, i) => `n${i % 5}`);
    const paths = bandPaths(segmentsOf(owners), band);
    expect([...paths.keys()].sort()).toEqual(["n0", "n1", "n2", "n3", "n4"]);
    const length = [...paths.values()].reduce((sum, path) => sum + path.length, 0);
    expect(length).toBeLessThan(SEGMENTS_MAX * 100);
    expect(bandPaths(["a", NOBODY], band).size).toBe(1);
  });

  test("256 partitions are a segment each, 65536 share 1024 by majority", () => {
    expect(partitionsPerSegment(256)).toBe(1);
    expect(partitionsPerSegment(65_536)).toBe(64);
    const owners = Array.from({ length: 2048 }, (_, i) => (i < 3 ? "a" : i === 3 ? "b" : "c"));
    expect(segmentsOf(owners).slice(0, 3)).toEqual(["a", "a", "c"]);
    expect(segmentsOf(owners)).toHaveLength(1024);
  });

  test("a quarter goes from the top to the right, clockwise, and back inside", () => {
    expect(arcPath(0, 0.25, band)).toBe("M0 -100A100 100 0 0 1 100 0L90 0A90 90 0 0 0 0 -90Z");
  });

  test("a whole turn is two halves, more than half is a large arc", () => {
    expect(arcPath(0, 1, band).match(/M/g)).toHaveLength(2);
    expect(arcPath(0, 0.75, band)).toContain("A100 100 0 1 1");
  });

  test("the partition at a place is the one that is drawn there", () => {
    const q = 256;
    for (let partition = 0; partition < q; partition++) {
      const angle = (2 * Math.PI * (partition + 0.5)) / q;
      expect(partitionAt(Math.sin(angle), -Math.cos(angle), q)).toBe(partition);
    }
    expect(partitionAt(-1e-12, -1, q)).toBe(255);
  });
});
