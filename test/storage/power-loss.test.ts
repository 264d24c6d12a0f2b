/** Crash consistency of the store under the power-loss model of FAULTS.md 2.4; the long counts are in `bun run torture`. */
import { expect, test } from "bun:test";
import { crashRun } from "../support/crash-run.ts";

const LONG_MS = 300_000;
const SEEDS = Number(process.env["HUTCH_SEEDS"] ?? 40);

test(
  "row 76: power loss at any file system call loses no acknowledged write, strict profile",
  async () => {
    let recoveries = 0;
    let acknowledged = 0;
    for (let seed = 0; seed < SEEDS; seed++) {
      const result = await crashRun({ seed, lives: 12, crash: "power-loss" });
      recoveries += result.recoveries;
      acknowledged += result.acknowledged;
    }
    expect(recoveries).toBeGreaterThan(SEEDS * 3);
    expect(acknowledged).toBeGreaterThan(SEEDS * 30);
  },
  LONG_MS,
);

test(
  "row 75: kill -9 at any file system call loses no acknowledged write",
  async () => {
    for (let seed = 0; seed < SEEDS; seed++) await crashRun({ seed, lives: 10, crash: "kill" });
  },
  LONG_MS,
);

test(
  "row 76: kills and power losses mixed, metadata-ordered profile",
  async () => {
    for (let seed = 0; seed < SEEDS / 2; seed++)
      await crashRun({ seed, lives: 12, crash: "either", profile: "metadata-ordered" });
  },
  LONG_MS,
);

test(
  "C22: recovery may be killed at any of its calls, again and again",
  async () => {
    let crashedOpens = 0;
    for (let seed = 0; seed < SEEDS; seed++)
      crashedOpens += (
        await crashRun({ seed: `open-${seed}`, lives: 25, crash: "either", callsMax: 45 })
      ).crashedOpens;
    expect(crashedOpens).toBeGreaterThan(SEEDS * 3);
  },
  LONG_MS,
);

test(
  "row 76: fsync os may lose the end of the history, never its middle",
  async () => {
    for (let seed = 0; seed < SEEDS / 2; seed++)
      await crashRun({ seed, lives: 8, crash: "power-loss", fsync: "os" });
  },
  LONG_MS,
);

test(
  "a crash run is the same for the same seed",
  async () => {
    const first = await crashRun({ seed: 7, lives: 10, crash: "either" });
    const second = await crashRun({ seed: 7, lives: 10, crash: "either" });
    expect(second).toEqual(first);
  },
  LONG_MS,
);
