/** Whose directory it is, and what it may have forgotten (C20, R12a, R61, row 93). */
import { expect, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import type { Disk } from "../../src/ports/disk.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { DataDirectory } from "../../src/storage/data-directory.ts";
import { ManualClock } from "../support/manual-clock.ts";

const DAY_MS = 86_400_000;

function open(disk: Disk, clock: ManualClock): DataDirectory {
  const prng = new Prng("directory");
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
  expect(third.identity.incarnation).toBe(seconds);
  third.renewIncarnation();
  expect(third.identity.incarnation).toBe(seconds + 1);
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
  clock.stepWall(60_000);
  const restored = open(new OtherDisk({ image: backup }), clock);
  expect(restored.isCopied).toBe(true);
  expect(restored.wasClean).toBe(false);
  expect(restored.identity.incarnation).toBeGreaterThan(Math.max(...used));
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
  expect(late).toBe(0x7fffffff);
  const past = new ManualClock();
  past.stepWall(-20 * 365 * DAY_MS);
  const other = new SimDisk({ seed: "past" });
  const first = open(other, past).identity.incarnation;
  expect(open(other.kill(), past).identity.incarnation).toBe(first + 1);
});
