/** Every iterator against `ArrayIterator` on the same entries: random seeks and steps in both directions. */
import { describe, expect, test } from "bun:test";
import { AssertionError } from "../../../src/base/assert.ts";
import { compareBytes, hex, utf8 } from "../../../src/base/bytes.ts";
import { CorruptionError } from "../../../src/base/errors.ts";
import { Prng } from "../../../src/base/prng.ts";
import { zstdCompression } from "../../../src/bun/compression.ts";
import { SimDisk } from "../../../src/sim/disk.ts";
import { fileName } from "../../../src/storage/file-names.ts";
import { DELETE_ENTRY, type EntryIterator } from "../../../src/storage/iterators/entry-iterator.ts";
import { LevelIterator } from "../../../src/storage/iterators/level-iterator.ts";
import { MergingIterator } from "../../../src/storage/iterators/merging-iterator.ts";
import { VisibleIterator } from "../../../src/storage/iterators/visible-iterator.ts";
import {
  current,
  type Entry,
  forwards,
  openTable,
  put,
  randomEntries,
  remove,
  show,
  showAll,
  writeTable,
} from "../table/support.ts";
import { ArrayIterator } from "./array-iterator.ts";

const STEPS = 200;

/** Moves both the same way and compares where they stand after each move. */
function expectTwins(iterator: EntryIterator, expected: readonly Entry[], prng: Prng): void {
  const twin = new ArrayIterator(expected);
  for (let step = 0; step < STEPS; step++) {
    move(iterator, twin, expected, prng);
    expect(show(current(iterator))).toBe(show(current(twin)));
  }
}

function move(
  iterator: EntryIterator,
  twin: EntryIterator,
  expected: readonly Entry[],
  prng: Prng,
): void {
  const both = [iterator, twin];
  const way = prng.below(10);
  if (way < 7 && twin.isValid) {
    // Runs of steps in one direction, so that blocks and tables are crossed.
    const isForward = prng.chance(0.5);
    for (let steps = prng.between(1, 12); steps > 0 && twin.isValid; steps--)
      for (const one of both) isForward ? one.next() : one.previous();
    return;
  }
  if (way === 7) for (const one of both) one.seekToFirst();
  else if (way === 8) for (const one of both) one.seekToLast();
  else {
    const isPresent = expected.length > 0 && prng.chance(0.5);
    const key = isPresent ? prng.pick(expected).key : randomEntries(prng, { count: 1 })[0]!.key;
    const isBefore = prng.chance(0.5);
    for (const one of both) isBefore ? one.seekBefore(key) : one.seek(key);
  }
}

/** Newest entry of each key over all runs. */
function merged(runs: readonly (readonly Entry[])[]): Entry[] {
  const newest = new Map<string, Entry>();
  for (const entry of runs.flat()) {
    const known = newest.get(hex(entry.key));
    if (known === undefined || entry.sequence > known.sequence) newest.set(hex(entry.key), entry);
  }
  return [...newest.values()].sort((a, b) => compareBytes(a.key, b.key));
}

function randomRuns(prng: Prng, count: number): Entry[][] {
  let sequence = 1;
  return Array.from({ length: count }, () =>
    randomEntries(prng, { count: prng.below(30), keySpace: 60 }).map((entry) => ({
      ...entry,
      sequence: sequence++,
    })),
  );
}

describe("TableIterator", () => {
  for (const mode of ["map", "read"] as const) {
    test(`moves like its twin, ${mode}`, () => {
      for (let seed = 0; seed < 20; seed++) {
        const prng = new Prng(`table/${seed}`);
        const entries = randomEntries(prng, { count: prng.between(1, 200) });
        const disk = new SimDisk();
        const blockBytes = prng.pick([1, 100, 4096]);
        const compression = prng.chance(0.5) ? zstdCompression : undefined;
        const table = openTable(
          disk,
          writeTable(disk, 1, entries, { blockBytes, compression }),
          mode,
        );
        expectTwins(table.iterator(), entries, prng);
      }
    });
  }

  test("stepping without standing on an entry is a programmer's error", () => {
    const disk = new SimDisk();
    const iterator = openTable(disk, writeTable(disk, 1, [put("a", 1, "")]), "map").iterator();
    expect(() => iterator.next()).toThrow(AssertionError);
    iterator.seekToFirst();
    iterator.next();
    expect(() => iterator.previous()).toThrow(AssertionError);
  });
});

describe("MergingIterator", () => {
  test("moves like the merge of its runs", () => {
    for (let seed = 0; seed < 40; seed++) {
      const prng = new Prng(`merge/${seed}`);
      const runs = randomRuns(prng, prng.pick([0, 1, 2, 3, 7, 40]));
      const iterator = new MergingIterator(runs.map((run) => new ArrayIterator(run)));
      expectTwins(iterator, merged(runs), prng);
    }
  });

  test("moves like the merge of its runs over tables, whose keys live in buffers that are reused", () => {
    for (let seed = 0; seed < 10; seed++) {
      const prng = new Prng(`merge-tables/${seed}`);
      const runs = randomRuns(prng, 5).filter((run) => run.length > 0);
      const disk = new SimDisk();
      const iterators = runs.map((run, i) =>
        openTable(disk, writeTable(disk, i, run, { blockBytes: 64 }), "read").iterator(),
      );
      expectTwins(new MergingIterator(iterators), merged(runs), prng);
    }
  });

  test("R44: of equal keys the highest sequence wins, in whatever order the runs come", () => {
    const older = [put("a", 1, "old"), put("b", 5, "new")];
    const newer = [put("a", 2, "new"), put("b", 4, "old")];
    for (const runs of [
      [older, newer],
      [newer, older],
    ]) {
      const iterator = new MergingIterator(runs.map((run) => new ArrayIterator(run)));
      expect(showAll(forwards(iterator))).toEqual(
        showAll([put("a", 2, "new"), put("b", 5, "new")]),
      );
    }
  });

  test("300 runs cost a logarithm", () => {
    const runs = Array.from({ length: 300 }, (_, run) =>
      Array.from({ length: 20 }, (_, i) => put(`${String(i).padStart(2, "0")}-${run}`, run, "")),
    );
    const iterator = new MergingIterator(runs.map((run) => new ArrayIterator(run)));
    expect([...forwards(iterator)].length).toBe(6000);
  });

  test("a run that throws leaves the iterator on no entry", () => {
    const disk = new SimDisk();
    const entries = Array.from({ length: 20 }, (_, i) => put(`k${10 + i}`, 1, "value"));
    const table = openTable(disk, writeTable(disk, 1, entries, { blockBytes: 40 }), "read");
    disk.damage.flipBit(fileName("table", 1), 8 * table.index.blockOffset(5));
    const iterator = new MergingIterator([table.iterator(), new ArrayIterator([])]);
    expect(() => [...forwards(iterator)]).toThrow(CorruptionError);
    expect(iterator.isValid).toBe(false);
  });
});

describe("LevelIterator", () => {
  test("moves like its tables in a row, and opens only those it stands in", () => {
    for (let seed = 0; seed < 30; seed++) {
      const prng = new Prng(`level/${seed}`);
      const entries = randomEntries(prng, { count: prng.between(1, 100) });
      const tables: Entry[][] = [];
      for (let at = 0; at < entries.length;) {
        const length = prng.between(1, 30);
        tables.push(entries.slice(at, at + length));
        at += length;
      }
      const ranges = tables.map((table) => ({
        smallestKey: table[0]!.key,
        largestKey: table.at(-1)!.key,
      }));
      const opened: number[] = [];
      const open = (index: number): EntryIterator => {
        opened.push(index);
        return new ArrayIterator(tables[index]!);
      };
      expectTwins(new LevelIterator(ranges, open), entries, prng);
      opened.length = 0;
      new LevelIterator(ranges, open).seek(tables.at(-1)!.at(-1)!.key);
      expect(opened).toEqual([tables.length - 1]);
    }
  });

  test("a level without tables has no entries", () => {
    const level = new LevelIterator([], () => new ArrayIterator([]));
    level.seekToFirst();
    expect(level.isValid).toBe(false);
    level.seekToLast();
    expect(level.isValid).toBe(false);
    level.seek(utf8("a"));
    expect(level.isValid).toBe(false);
  });
});

describe("VisibleIterator", () => {
  test("hides deletes and what is newer than the bound, in both directions", () => {
    for (let seed = 0; seed < 20; seed++) {
      const prng = new Prng(`visible/${seed}`);
      const entries = randomEntries(prng, { count: 80 });
      const bound = prng.chance(0.5) ? 500_000 : Number.MAX_SAFE_INTEGER;
      const visible = entries.filter(
        (entry) => entry.kind !== DELETE_ENTRY && entry.sequence <= bound,
      );
      expectTwins(new VisibleIterator(new ArrayIterator(entries), bound), visible, prng);
    }
  });

  test("a delete hides the older put below it", () => {
    const runs = [[remove("a", 2)], [put("a", 1, "x"), put("b", 1, "y")]];
    const merging = new MergingIterator(runs.map((run) => new ArrayIterator(run)));
    expect(showAll(forwards(new VisibleIterator(merging)))).toEqual(showAll([put("b", 1, "y")]));
  });
});
