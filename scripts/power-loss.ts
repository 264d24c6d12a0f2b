/**
 * The real program on real file systems that lose their power under load, again and again (`bun run power-loss`); the normal tests do a
 * few. Needs root and loop devices; nothing is written outside of the temporary directory.
 *
 *   --rounds 200    recoveries of one node; with --nodes, losses of a cluster
 *   --nodes 1       3: a cluster; one node loses its power, or all at the same instant
 *   --seed 1
 *   --evidence DIR  where the data go in which something is missing
 *
 * Prints what it did as a table for docs/testing.md; exits with 1 and the seed at the first loss, with 69 where the machine cannot.
 */
import { parseArgs } from "node:util";
import { PowerLossDisk, sweepPowerLossDisks } from "../test/nemesis/power-loss-disk.ts";
import { powerLossClusterRun } from "../test/support/power-loss-cluster-run.ts";
import { powerLossRun } from "../test/support/power-loss-run.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "200" },
    nodes: { type: "string", default: "1" },
    seed: { type: "string", default: "1" },
    evidence: { type: "string" },
  },
});

const UNAVAILABLE_EXIT_CODE = 69;
const rounds = Number(values.rounds);
const nodes = Number(values.nodes);
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

for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    sweepPowerLossDisks();
    process.exit(1);
  });

const whyNot = PowerLossDisk.available();
if (whyNot !== undefined) {
  log(`power-loss: this machine cannot: ${whyNot}`);
  process.exit(UNAVAILABLE_EXIT_CODE);
}
sweepPowerLossDisks();
const startedMs = performance.now();
try {
  const figures = await (nodes === 1 ? one() : several());
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  const rows = Object.entries({ ...figures, seconds }).map(([what, count]) => ({ what, count }));
  console.log(Bun.inspect.table(rows, { colors: false }));
} finally {
  sweepPowerLossDisks();
}
