/** Whose directory it is, and what it may have forgotten (C20, R12a, R61, row 93). */
import { expect, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import type { Disk } from "../../src/ports/disk.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { crc32 } from "../../src/kernels/kernels.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { DataDirectory, readIdentity } from "../../src/storage/data-directory.ts";
import { ManualClock } from "../support/manual-clock.ts";

const DAY_MS = 86_400_000;

/** By which an incarnation may be above the least. */
const SPREAD = 4096;

function open(disk: Disk, clock: ManualClock, seed = 0): DataDirectory {
  const prng = new Prng(`directory ${seed}`);
  const random = { u32: () => prng.u32(), bytes: (length: number) => prng.bytes(length) };
  return DataDirectory.open(disk, clock, random, "test", 16);
}

/** A disk onto which files were copied: LOCK is another one. */
class OtherDisk extends SimDisk {
  override fileIdentity(path: string): string {
    return `${super.fileIdentity(path)}, elsewhere`;
  }
}

test("R12: a clean stop keeps the incarnation, every other one takes a new one that is above the time in seconds", () => {
  const clock = new ManualClock();
  let disk = new SimDisk({ seed: "directory" });
  const first = open(disk, clock);
  first.closeClean();
  disk = disk.kill();
  const second = open(disk, clock);
  expect(second.identity.incarnation).toBe(first.identity.incarnation);
  expect(second.wasClean).toBe(true);
  disk = disk.kill();
  const third = open(disk, clock);
  expect(third.wasClean).toBe(false);
  const seconds = Math.floor((clock.wallMs() - Date.UTC(2024, 0, 1)) / 1000);
  const { incarnation } = third.identity;
  expect(incarnation).toBeWithin(seconds, seconds + SPREAD);
  third.renewIncarnation();
  expect(third.identity.incarnation).toBeWithin(incarnation + 1, incarnation + 1 + SPREAD);
});

test("row 90: an incarnation that the disk does not take is not taken", () => {
  const disk = new SimDisk({ seed: "directory" });
  const directory = open(disk, new ManualClock());
  const { incarnation } = directory.identity;
  disk.faults.failNth("create", 1, "too-many-files");
  expect(() => directory.renewIncarnation()).toThrow("too-many-files");
  expect(directory.identity.incarnation).toBe(incarnation);
  directory.renewIncarnation();
  expect(directory.identity.incarnation).toBeGreaterThan(incarnation);
});

test("row 93: a restored directory never takes an incarnation that a later state of it has used", () => {
  const clock = new ManualClock();
  let disk = new SimDisk({ seed: "directory" });
  open(disk, clock).closeClean();
  const backup = disk.image.copy();
  const used: number[] = [];
  for (let life = 0; life < 20; life++) {
    clock.stepWall(DAY_MS);
    disk = disk.kill();
    used.push(open(disk, clock).identity.incarnation);
  }
  clock.stepWall(2 * SPREAD * 1000);
  const restored = open(new OtherDisk({ image: backup }), clock);
  expect(restored.isCopied).toBe(true);
  expect(restored.wasClean).toBe(false);
  expect(restored.identity.incarnation).toBeGreaterThan(Math.max(...used));
});

test("row 93: a restored directory is a copy at every start until its node has caught up", () => {
  const clock = new ManualClock();
  const disk = new SimDisk({ seed: "directory" });
  open(disk, clock).closeClean();
  let next = new OtherDisk({ image: disk.image.copy() });
  for (let start = 0; start < 3; start++) {
    const again = open(next, clock);
    expect([again.isCopied, again.wasClean]).toEqual([true, false]);
    if (start === 1) again.closeClean();
    else next.die("it is killed");
    next = new OtherDisk({ image: next.image });
  }
  const settled = open(next, clock);
  settled.settle();
  settled.closeClean();
  const last = open(new OtherDisk({ image: next.image }), clock);
  expect([last.isCopied, last.wasClean]).toEqual([false, true]);
});

test("row 93: after a rollback in place the directory knows of an earlier start than others have seen", () => {
  const clock = new ManualClock();
  const disk = new SimDisk({ seed: "directory" });
  open(disk, clock).closeClean();
  const snapshot = disk.image.copy();
  clock.stepWall(DAY_MS);
  const later = open(disk.kill(), clock);
  expect(later.previousGeneration).toBeGreaterThan(0);
  clock.stepWall(DAY_MS);
  const rolledBack = open(new SimDisk({ image: snapshot }), clock);
  expect(rolledBack.isCopied).toBe(false);
  expect(rolledBack.previousGeneration).toBeLessThan(later.identity.generation);
  expect(rolledBack.identity.generation).toBeGreaterThan(later.identity.generation);
});

test("an incarnation stays below those of a fallback, and grows with a clock that stands in the past", () => {
  const clock = new ManualClock();
  clock.stepWall(200 * 365 * DAY_MS);
  const disk = new SimDisk({ seed: "directory" });
  open(disk, clock);
  const late = open(disk.kill(), clock).identity.incarnation;
  expect(late).toBeWithin(0x80000000 - 2 * SPREAD, 0x80000000);
  const past = new ManualClock();
  past.stepWall(-20 * 365 * DAY_MS);
  const other = new SimDisk({ seed: "past" });
  const first = open(other, past).identity.incarnation;
  const next = open(other.kill(), past).identity.incarnation;
  expect(next).toBeWithin(first + 1, first + 1 + SPREAD);
});

test("R12, seed 40158: a state that is put back within the same second takes other incarnations than its lost future", () => {
  const clock = new ManualClock();
  const disk = new SimDisk({ seed: "put back" });
  open(disk, clock).closeClean();
  const backup = disk.image.copy();
  const used = new Set<number>();
  for (let attempt = 0; attempt < 20; attempt++) {
    const restored = new OtherDisk({ image: backup.copy() });
    used.add(open(restored, clock, attempt).identity.incarnation);
  }
  expect(used.size).toBeGreaterThan(17);
});

test.each(["", "{", "null", "7", "[]"])(
  "C20: an IDENTITY of %p under a checksum that holds is refused",
  (line) => {
    const disk = new SimDisk({ seed: 1 });
    const file = disk.create("IDENTITY");
    file.append(utf8(`${line}\n${crc32(utf8(line)).toString(16).padStart(8, "0")}\n`));
    file.close();
    expect(() => readIdentity(disk)).toThrow("Cannot open the data directory");
  },
);
