/**
 * The long counts of the crash tests (`bun run torture`); the normal tests run a slice of each.
 *
 *   --power-losses 10000   recoveries of a simulated store after a power loss, strict profile (row 76)
 *   --sim-kills 10000      the same after a kill (row 75)
 *   --kills 1000           SIGKILLs of the real program under load (row 75)
 *   --seed N               where the seeds begin
 *
 * Prints what it did as a table for docs/testing.md; exits with 1 and the seed at the first loss.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import "../src/bun/native-kernels.ts";
import { crashRun } from "../test/support/crash-run.ts";
import type { CrashRunOptions } from "../test/support/crash-run.ts";
import { killRun } from "../test/support/kill-run.ts";

const { values } = parseArgs({
  options: {
    "power-losses": { type: "string", default: "10000" },
    "sim-kills": { type: "string", default: "10000" },
    kills: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
  },
});

interface Row {
  readonly what: string;
  readonly crashes: number;
  readonly recoveries: number;
  readonly "acknowledged writes": number;
  readonly lost: number;
  readonly seconds: number;
}

/** Simulated lives until `wanted` of them were recovered from. */
async function simulated(
  what: string,
  wanted: number,
  options: Omit<CrashRunOptions, "seed" | "lives">,
): Promise<Row> {
  const started = performance.now();
  let crashes = 0;
  let recoveries = 0;
  let acknowledged = 0;
  for (let seed = Number(values.seed); recoveries < wanted; seed++) {
    const result = await crashRun({ ...options, seed, lives: 20 });
    crashes += result.lives;
    recoveries += result.recoveries;
    acknowledged += result.acknowledged;
  }
  return {
    what,
    crashes,
    recoveries,
    "acknowledged writes": acknowledged,
    lost: 0,
    seconds: secondsSince(started),
  };
}

async function killed(kills: number): Promise<Row> {
  const started = performance.now();
  const root = mkdtempSync(join(tmpdir(), "hutch-torture-"));
  try {
    const result = await killRun({
      seed: values.seed,
      kills,
      dataDir: join(root, "data"),
      fsync: "group",
      log: (line) => void process.stderr.write(`${line}\n`),
    });
    process.stderr.write(
      `slowest start ${result.slowestStartMs} ms, ${result.checkedReads} reads checked\n`,
    );
    return {
      what: "SIGKILL of the real program under load",
      crashes: result.kills,
      recoveries: result.kills,
      "acknowledged writes": result.acknowledged,
      lost: 0,
      seconds: secondsSince(started),
    };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

const secondsSince = (started: number): number => Math.round((performance.now() - started) / 1000);

const rows: Row[] = [];
if (Number(values["power-losses"]) > 0)
  rows.push(
    await simulated("simulated power loss, strict", Number(values["power-losses"]), {
      crash: "power-loss",
    }),
  );
if (Number(values["sim-kills"]) > 0)
  rows.push(await simulated("simulated kill", Number(values["sim-kills"]), { crash: "kill" }));
if (Number(values.kills) > 0) rows.push(await killed(Number(values.kills)));
console.log(Bun.inspect.table(rows, { colors: false }));
