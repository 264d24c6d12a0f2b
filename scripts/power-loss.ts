/**
 * The real program on real file systems that lose their power under load, again and again (`bun run power-loss`); the normal tests do a
 * few. Needs root and loop devices; nothing is written outside of the temporary directory.
 *
 *   --rounds 200    recoveries of one node; with --nodes, losses of a cluster
 *   --nodes 1       3: a cluster; one node loses its power, or all at the same instant
 *   --sync-faults N instead: the n-th sync, then the n-th write, of a node fails, for each n up to N, each followed by a power loss
 *   --seed 1
 *   --evidence DIR  where the data go in which something is missing
 *
 * Prints what it did as a table for docs/testing.md; exits with 1 and the seed at the first loss, with 69 where the machine cannot.
 */
import { parseArgs } from "node:util";
import { PowerLossDisk, sweepPowerLossDisks } from "../test/nemesis/power-loss-disk.ts";
import { SyncFaults } from "../test/nemesis/sync-faults.ts";
import { powerLossClusterRun } from "../test/support/power-loss-cluster-run.ts";
import { powerLossRun } from "../test/support/power-loss-run.ts";
import { type SyncFaultRunResult, syncFaultRun } from "../test/support/sync-fault-run.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "200" },
    "sync-faults": { type: "string", default: "0" },
    nodes: { type: "string", default: "1" },
    seed: { type: "string", default: "1" },
    evidence: { type: "string" },
  },
});

const UNAVAILABLE_EXIT_CODE = 69;
const rounds = Number(values.rounds);
const nodes = Number(values.nodes);
const syncFaults = Number(values["sync-faults"]);
const { seed } = values;
const log = (line: string): void => void process.stderr.write(`${line}\n`);

async function one(): Promise<Record<string, number>> {
  const evidence = values.evidence === undefined ? {} : { evidence: values.evidence };
  const result = await powerLossRun({ seed, recoveries: rounds, log, ...evidence });
  const recoveries = [...result.recoveries].sort(([a], [b]) => (a < b ? -1 : 1));
  const sum = recoveries.reduce((all, [, count]) => all + count, 0);
  return {
    ...Object.fromEntries(recoveries.map(([kind, count]) => [`recoveries: ${kind}`, count])),
    "recoveries: all": sum,
    disks: result.disks,
    "acknowledged writes": result.acknowledged,
    "writes without an answer, or 504": result.unanswered,
    "refused writes": result.refused,
    "checked reads": result.checkedReads,
    "slowest start ms": result.slowestStartMs,
    lost: 0,
  };
}

async function several(): Promise<Record<string, number>> {
  const result = await powerLossClusterRun({ seed, nodes, rounds, log });
  return {
    "power lost by one": result.single,
    "power lost by all": result.total,
    recoveries: result.single + result.total * nodes,
    "acknowledged writes": result.acknowledged,
    "checked reads": result.reads,
    "slowest start ms": result.slowestStartMs,
    lost: 0,
  };
}

/** The first write is the note in the lock, which a node can do without. */
async function failures(): Promise<Record<string, number>> {
  const numbers = Array.from({ length: syncFaults }, (_, i) => i + 1);
  const syncs = await syncFaultRun({ seed, what: "sync", numbers, log });
  const writes = await syncFaultRun({ seed, what: "write", numbers: numbers.slice(1), log });
  const sumOf = (name: keyof SyncFaultRunResult): number => syncs[name] + writes[name];
  return {
    "failed while starting": sumOf("failedStarts"),
    "failed under load": sumOf("failedUnderLoad"),
    "failed on the mark of being alive": sumOf("tolerated"),
    "power losses": sumOf("powerLosses"),
    "acknowledged writes": sumOf("acknowledged"),
    "checked reads": sumOf("checkedReads"),
    lost: 0,
  };
}

function figuresOf(): Promise<Record<string, number>> {
  if (syncFaults > 0) return failures();
  return nodes === 1 ? one() : several();
}

for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    sweepPowerLossDisks();
    process.exit(1);
  });

const whyNot = PowerLossDisk.available() ?? (syncFaults > 0 ? SyncFaults.available() : undefined);
if (whyNot !== undefined) {
  log(`power-loss: this machine cannot: ${whyNot}`);
  process.exit(UNAVAILABLE_EXIT_CODE);
}
sweepPowerLossDisks();
const startedMs = performance.now();
try {
  const figures = await figuresOf();
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  const rows = Object.entries({ ...figures, seconds }).map(([what, count]) => ({ what, count }));
  console.log(Bun.inspect.table(rows, { colors: false }));
} finally {
  sweepPowerLossDisks();
}
