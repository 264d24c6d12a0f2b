/**
 * A cluster of real nodes grows, shrinks and loses disks under steady load (`bun scripts/elastic-cluster.ts`), and has to have every record in the end.
 *
 *   --records 200000     --value-bytes 900   the longest; the mean is half of it
 *   --deletes 4000       before the steps; the load deletes more
 *   --rate 0             operations a second, a half of them writes; 0: half of the highest rate, which is measured first
 *   --flips 40           bits turned in the tables of one node, twice
 *   --connections 32     --seed 1    --steady-seconds 10
 *   --logs DIR           keeps what the nodes have logged
 *
 *   five nodes -> load -> steady -> two are added -> one leaves -> one is killed for good and replaced -> bits turn in one that runs, and in one that is
 *   stopped -> one loses its disk -> every record, every tree, every owner is looked at
 *
 * Exits with 1 where an acknowledged record is gone, different or back after its deletion, owners are not equal, or a request was refused while nodes were added
 * or removed. Times are held against the goals and told; they are not what decides.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { removeDirectory, temporaryDirectory } from "../bench/support/cleanup.ts";
import { ElasticDrill, rateOf, type StepRow } from "../test/support/elastic-drill.ts";
import { verdict } from "../test/support/elastic-verdict.ts";
import { GrowingCluster } from "../test/support/growing-cluster.ts";
import { deleteRecords, writeRecords } from "../test/support/ledger-batches.ts";
import { LedgerLoad } from "../test/support/ledger-load.ts";
import { RecordLedger } from "../test/support/record-ledger.ts";

const { values } = parseArgs({
  options: {
    records: { type: "string", default: "200000" },
    "value-bytes": { type: "string", default: "900" },
    deletes: { type: "string", default: "4000" },
    rate: { type: "string", default: "0" },
    flips: { type: "string", default: "40" },
    connections: { type: "string", default: "32" },
    seed: { type: "string", default: "1" },
    "steady-seconds": { type: "string", default: "10" },
    logs: { type: "string" },
  },
});

/** Deletions are collected while this runs; the sum of the first three is below the fourth (R41). */
const TIMES = [
  ...["--request-timeout-max", "5s", "--hint-ttl", "15s", "--drift-max", "1s"],
  ...["--gc-delay", "25s", "--log-level", values.logs === undefined ? "warn" : "info"],
];
const SETTLE_MS = 180_000;
const WARMUP_MS = 5000;
const PROBE_MS = 5000;
const GOAL_MIB_PER_SECOND = 20;
const GOAL_P99_RATIO = 2;
const BUCKET = "records";

const note = (what: string): void =>
  void process.stderr.write(`${(performance.now() / 1000).toFixed(1).padStart(7)} s  ${what}\n`);

const directory = temporaryDirectory("elastic");
const cluster = new GrowingCluster(directory, TIMES);
const ledger = new RecordLedger(Number(values.records), Number(values["value-bytes"]));
const place = { ledger, bucket: BUCKET };

async function fill(): Promise<void> {
  const all = Array.from({ length: ledger.count }, (_, record) => record);
  await writeRecords(cluster.urls, place, all);
  const every = Math.max(1, Math.floor(ledger.count / Number(values.deletes)));
  const unwanted = all.filter((record) => record % every === 0);
  await deleteRecords(cluster.urls, place, unwanted);
  note(`${ledger.count} records are written, ${ledger.deleted.length} deleted`);
}

/** Half of what the nodes answer in a closed loop. */
async function paceOf(load: LedgerLoad): Promise<number> {
  if (values.rate !== "0") return Number(values.rate);
  await Bun.sleep(WARMUP_MS);
  load.takeTally();
  await Bun.sleep(PROBE_MS);
  const { rate } = load.takeTally();
  note(`highest rate ${Math.round(rate)}/s`);
  return rate / 2;
}

async function run(): Promise<readonly string[]> {
  await cluster.found(5);
  await fill();
  const options = { ledger, bucket: BUCKET, seed: values.seed };
  const load = new LedgerLoad(
    {
      ...options,
      connections: Number(values.connections),
      writeShare: 0.49,
      deleteShare: 0.01,
    },
    cluster.urls,
  );
  await load.start();
  load.pace(await paceOf(load));
  const drill = new ElasticDrill({
    cluster,
    load,
    place,
    seed: values.seed,
    flips: Number(values.flips),
    settleMs: SETTLE_MS,
    onRow: (row) => note(JSON.stringify(shown(row, row))),
  });
  try {
    await steps(drill);
  } finally {
    await load.stop();
    table(drill);
  }
  const wrong = await verdict({ cluster, place, sample: 2000, settleMs: SETTLE_MS, note });
  return [...refusedWhileChanging(drill), ...drill.violations, ...load.violations, ...wrong];
}

async function steps(drill: ElasticDrill): Promise<void> {
  await drill.steady(1000 * Number(values["steady-seconds"]));
  await drill.add("n6", "n7");
  await drill.leave("n2");
  await drill.replaceDead("n3", "n8");
  await drill.rot("n4");
  await drill.rotWhileStopped("n5");
  await drill.wipe("n1");
}

const isOrderly = ({ step }: StepRow): boolean =>
  step.startsWith("add") || step.startsWith("leave");

function refusedWhileChanging(drill: ElasticDrill): readonly string[] {
  return drill.rows
    .filter((row) => isOrderly(row) && row.tally.failed > 0)
    .map(({ step, tally }) => `${step}: failed requests${tally.problemText()}`);
}

function shown({ step, tookMs, tally, note: told }: StepRow, steady: StepRow): object {
  const latency = tally.latency();
  const [p50, p99] = [latency.quantileMs(0.5), latency.quantileMs(0.99)];
  const ratio = p99 / steady.tally.latency().quantileMs(0.99);
  return {
    step,
    "took s": (tookMs / 1000).toFixed(1),
    "answers/s": Math.round(tally.rate),
    failed: tally.failed === 0 ? "0" : tally.problemText().slice(3),
    "p50 / p99 ms": `${p50.toFixed(1)} / ${p99.toFixed(1)}`,
    "p99, times steady": `${ratio.toFixed(2)}${ratio > GOAL_P99_RATIO ? " MISSED" : ""}`,
    note: told,
  };
}

function table({ rows, rebuilt }: ElasticDrill): void {
  const [steady] = rows;
  if (steady === undefined) return;
  console.log(
    Bun.inspect.table(
      rows.map((row) => shown(row, steady)),
      { colors: false },
    ),
  );
  if (rebuilt === undefined) return;
  const rate = rateOf(rebuilt);
  const verdictText = rate < GOAL_MIB_PER_SECOND ? "MISSED" : "reached";
  console.log(
    `a lost disk was complete again at ${rate.toFixed(1)} MiB/s (goal ${GOAL_MIB_PER_SECOND}: ${verdictText})`,
  );
}

async function keepLogs(logs: ReadonlyMap<string, string>): Promise<void> {
  if (values.logs === undefined) return;
  mkdirSync(values.logs, { recursive: true });
  for (const [name, log] of logs) await Bun.write(join(values.logs, `${name}.log`), log);
}

try {
  const wrong = await run();
  for (const what of wrong) console.log(`VIOLATION  ${what}`);
  console.log(wrong.length === 0 ? "every record is there, and the same everywhere" : "");
  process.exitCode = wrong.length === 0 ? 0 : 1;
} finally {
  await keepLogs(await cluster.stop());
  removeDirectory(directory);
}
process.exit();
