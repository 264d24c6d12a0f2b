import { describe, expect, test } from "bun:test";
import { compareBytes, hex, utf8, utf8Text } from "../../../src/base/bytes.ts";
import { CorruptionError } from "../../../src/base/errors.ts";
import { Prng } from "../../../src/base/prng.ts";
import { zstdCompression } from "../../../src/bun/compression.ts";
import { DiskError } from "../../../src/ports/disk.ts";
import { SimDisk } from "../../../src/sim/disk.ts";
import {
  type MergeJob,
  mergeTables,
  type Retain,
} from "../../../src/storage/compaction/merge-tables.ts";
import { fileName } from "../../../src/storage/file-names.ts";
import { DELETE_ENTRY, PUT_ENTRY } from "../../../src/storage/iterators/entry-iterator.ts";
import type { TableMetadata } from "../../../src/storage/table/table-metadata.ts";
import {
  type Entry,
  forwards,
  openTable,
  put,
  randomEntries,
  remove,
  show,
  showAll,
  StepClock,
  writeTable,
} from "../table/support.ts";

const FIRST_OUTPUT = 100;
const EMPTY = new Uint8Array(0);

const jobOf = (inputs: readonly TableMetadata[], changes: Partial<MergeJob> = {}): MergeJob => ({
  inputs,
  firstOutputId: FIRST_OUTPUT,
  outputIdCount: 50,
  tableBytesMax: 1 << 20,
  blockBytes: 256,
  isBottommost: false,
  bytesPerSecond: 0,
  ...changes,
});

const run = (disk: SimDisk, job: MergeJob, retain?: Retain) =>
  mergeTables({ disk, clock: new StepClock() }, job, zstdCompression, retain);

function contentOf(disk: SimDisk, outputs: readonly TableMetadata[]): string[] {
  return outputs.flatMap((output) => {
    const table = openTable(disk, output, "map");
    const content = showAll(forwards(table.iterator()));
    table.close();
    return content;
  });
}

function randomInputs(prng: Prng, disk: SimDisk): { entries: Entry[]; inputs: TableMetadata[] } {
  let sequence = 1;
  const runs = Array.from({ length: prng.between(1, 6) }, () =>
    randomEntries(prng, { count: prng.between(1, 300), keySpace: 400 }).map((entry) => ({
      ...entry,
      sequence: sequence++,
    })),
  );
  const inputs = runs.map((entries, i) => writeTable(disk, i + 1, entries, { blockBytes: 512 }));
  return { entries: runs.flat(), inputs: prng.chance(0.5) ? inputs : inputs.reverse() };
}

/** The dumb twin: a Map. */
function expectedContent(
  entries: readonly Entry[],
  isBottommost: boolean,
  isKept: (entry: Entry) => boolean,
): string[] {
  const newest = new Map<string, Entry>();
  for (const entry of entries) {
    const known = newest.get(hex(entry.key));
    if (known === undefined || known.sequence < entry.sequence) newest.set(hex(entry.key), entry);
  }
  return [...newest.values()]
    .sort((a, b) => compareBytes(a.key, b.key))
    .map((entry): Entry =>
      entry.kind === PUT_ENTRY && !isKept(entry)
        ? { ...entry, kind: DELETE_ENTRY, value: EMPTY }
        : entry,
    )
    .filter((entry) => !(isBottommost && entry.kind === DELETE_ENTRY))
    .map(show);
}

const isDiskOrCorruption = (error: unknown): boolean =>
  error instanceof DiskError || error instanceof CorruptionError;

describe("mergeTables", () => {
  test("R44: holds what a Map of the newest entries holds, split or not, bottommost or not", async () => {
    for (let seed = 0; seed < 30; seed++) {
      const prng = new Prng(`merge/${seed}`);
      const disk = new SimDisk({ seed });
      const { entries, inputs } = randomInputs(prng, disk);
      const isBottommost = prng.chance(0.5);
      const tableBytesMax = prng.pick([1, 3000, 1 << 20]);
      const outputIdCount = prng.pick([1, 3, 1000]);
      const { outputs, bytesRead, bytesWritten } = await run(
        disk,
        jobOf(inputs, { isBottommost, tableBytesMax, outputIdCount }),
        (_key, _start, _end, valueBytes, valueStart) => valueBytes[valueStart] !== 1,
      );
      const expected = expectedContent(entries, isBottommost, (entry) => entry.value[0] !== 1);
      expect(contentOf(disk, outputs)).toEqual(expected);
      expect(outputs.map((output) => output.id)).toEqual(outputs.map((_, i) => FIRST_OUTPUT + i));
      expect(outputs.length).toBeLessThanOrEqual(outputIdCount);
      expect(bytesRead).toBe(inputs.reduce((sum, table) => sum + table.fileBytes, 0));
      expect(bytesWritten).toBe(outputs.reduce((sum, table) => sum + table.fileBytes, 0));
      for (let i = 1; i < outputs.length; i++)
        expect(compareBytes(outputs[i - 1]!.largestKey, outputs[i]!.smallestKey)).toBeLessThan(0);
    }
  });

  test("outputs end near tableBytesMax", async () => {
    const disk = new SimDisk();
    const input = writeTable(
      disk,
      1,
      randomEntries(new Prng(5), { count: 3000, valueBytesMax: 100 }),
    );
    const { outputs } = await run(disk, jobOf([input], { tableBytesMax: 20_000 }));
    expect(outputs.length).toBeGreaterThan(5);
    for (const output of outputs.slice(0, -1)) {
      expect(output.fileBytes).toBeGreaterThan(18_000);
      expect(output.fileBytes).toBeLessThan(22_000);
    }
  });

  test("C26: a delete stays until the bottom, and at the bottom an empty result is no table", async () => {
    const disk = new SimDisk();
    const inputs = [writeTable(disk, 2, [remove("a", 2)]), writeTable(disk, 1, [put("a", 1, "x")])];
    const above = await run(disk, jobOf(inputs));
    expect(contentOf(disk, above.outputs)).toEqual([show(remove("a", 2))]);
    const bottom = await run(disk, jobOf(inputs, { isBottommost: true, firstOutputId: 200 }));
    expect(bottom.outputs).toEqual([]);
  });

  test("retain sees key and value of the newest put entries only", async () => {
    const disk = new SimDisk();
    const inputs = [
      writeTable(disk, 2, [put("a", 3, "new"), remove("b", 4)]),
      writeTable(disk, 1, [put("a", 1, "old"), put("b", 2, "hidden")]),
    ];
    const seen: string[] = [];
    await run(disk, jobOf(inputs), (key, keyStart, keyEnd, value, valueStart, valueEnd) => {
      const text = (bytes: Uint8Array, start: number, end: number): string =>
        utf8Text(bytes.slice(start, end))!;
      seen.push(`${text(key, keyStart, keyEnd)}=${text(value, valueStart, valueEnd)}`);
      return true;
    });
    expect(seen).toEqual(["a=new"]);
  });

  test("C11: a damaged input block stops the merge, names its table and leaves no output", async () => {
    const disk = new SimDisk();
    const entries = randomEntries(new Prng(6), { count: 500 });
    const inputs = [writeTable(disk, 1, entries), writeTable(disk, 2, [put("zz", 1, "x")])];
    disk.damage.flipBit(fileName("table", 1), 8 * (inputs[0]!.fileBytes >>> 1));
    const before = disk.list("");
    const failure = await run(disk, jobOf(inputs, { tableBytesMax: 1000 })).catch(
      (thrown) => thrown,
    );
    expect(failure).toBeInstanceOf(CorruptionError);
    expect(failure.file).toBe(fileName("table", 1));
    expect(disk.list("")).toEqual(before);
  });

  test("row 88: a disk that fills up half-way gives no-space and leaves no output", async () => {
    const disk = new SimDisk();
    const input = writeTable(disk, 1, randomEntries(new Prng(7), { count: 1000 }));
    const before = disk.list("");
    for (const share of [0.1, 0.5, 0.9]) {
      disk.faults.quotaBytes = disk.image.usedBytes() + input.fileBytes * share;
      const failure = await run(disk, jobOf([input], { tableBytesMax: 5000 })).catch(
        (thrown) => thrown,
      );
      expect(failure).toBeInstanceOf(DiskError);
      expect(failure.kind).toBe("no-space");
      expect(disk.list("")).toEqual(before);
    }
  });

  test("row 84, row 86: a failure of any disk call leaves no output and no file open", async () => {
    const entries = randomEntries(new Prng(8), { count: 60 });
    let failures = 0;
    for (let nth = 1, calls = 1; nth <= calls; nth++) {
      const disk = new SimDisk();
      const inputs = [writeTable(disk, 1, entries), writeTable(disk, 2, [put("zz", 1, "x")])];
      const before = disk.list("");
      const callsBefore = disk.callCount;
      disk.faults.openFilesMax = 3;
      disk.faults.failNth("any", nth, "io");
      const job = jobOf(inputs, { tableBytesMax: 2000 });
      const outcome = await run(disk, job).catch((thrown) => thrown);
      calls = disk.callCount - callsBefore + 1;
      if (outcome instanceof Error) {
        failures++;
        expect(outcome).toSatisfy(isDiskOrCorruption);
        expect(disk.list("")).toEqual(before);
      } else if (nth < calls) {
        // Only a bloom filter and the closing of an input can fail without harm.
        expect(["read", "closeFile"]).toContain(disk.calls[callsBefore + nth - 1]!.kind);
        expect(contentOf(disk, outcome.outputs).length).toBe(entries.length + 1);
      }
      // Three files at once suffice again, so none was left open.
      disk.faults.clearPlanned();
      await run(disk, jobOf(inputs, { firstOutputId: 200 }));
    }
    expect(failures).toBeGreaterThan(20);
  });

  test("R48: a rate limit makes the job take bytes / rate", async () => {
    const disk = new SimDisk();
    const value = "x".repeat(1000);
    const entries = Array.from({ length: 1000 }, (_, i) => put(`key-${1000 + i}`, i, value));
    const input = writeTable(disk, 1, entries);
    const clock = new StepClock();
    const job = jobOf([input], { bytesPerSecond: 100_000 });
    await mergeTables({ disk, clock }, job, zstdCompression);
    // A megabyte and a little at 100 kB a second, minus the burst and the last, unfinished step.
    expect(clock.nowMs).toBeGreaterThan(9000);
    expect(clock.nowMs).toBeLessThan(10_200);
  });

  test("keys of one byte and of none are keys", async () => {
    const disk = new SimDisk();
    const entries = [put("", 1, "empty"), put("\u0000", 2, "zero"), put("a", 3, "a")];
    const { outputs } = await run(
      disk,
      jobOf([writeTable(disk, 1, entries)], { tableBytesMax: 1 }),
    );
    expect(outputs.map((output) => hex(output.smallestKey))).toEqual(["", "00", hex(utf8("a"))]);
  });
});
