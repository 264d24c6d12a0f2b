/**
 * YCSB's core workloads over REST against three nodes: bun bench/ycsb.ts [--quick] [--seconds 3 --rounds 3 --records 100000 --connections 64 --nodes 3]
 *
 *   A  50 % reads, 50 % updates             zipfian       session store
 *   B  95 % reads,  5 % updates             zipfian       photo tags
 *   C 100 % reads                           zipfian       profile cache
 *   F  50 % reads, 50 % read-modify-write   zipfian       user records
 *   D  95 % reads,  5 % inserts             latest        status updates
 *
 * In YCSB's own order: D comes last because it adds records. E is left out: it is short scans. Records have 1,000 bytes as one value
 * (YCSB: ten fields of 100); an update writes the whole value. As in YCSB, a read-modify-write is a read, then a blind write, and its latency is
 * that of both. QUORUM reads and durable QUORUM writes, connections spread over all nodes; a row shows the round with the median rate.
 */
import { parseArgs } from "node:util";
import { Prng } from "../src/base/prng.ts";
import { startHutchCluster } from "./support/clusters.ts";
import { latencyText, medianBy, perSecond, printTable } from "./support/figures.ts";
import { type KeyChoice, latest, scrambledZipfian } from "../src/load/key-choice.ts";
import { LatencyHistogram } from "../src/load/latency-histogram.ts";
import { runLoad, runThrough } from "../src/load/load-generator.ts";
import type { Tally } from "../src/load/tally.ts";
import { eachKeyOnce, KeySpace, mixed, type Shares } from "../src/load/workload.ts";

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    seconds: { type: "string" },
    rounds: { type: "string" },
    records: { type: "string" },
    connections: { type: "string", default: "64" },
    nodes: { type: "string", default: "3" },
  },
});
const SECONDS = Number(options.seconds ?? (options.quick ? 1 : 3));
const ROUNDS = Number(options.rounds ?? (options.quick ? 1 : 3));
const RECORDS = Number(options.records ?? (options.quick ? 10_000 : 100_000));
const CONNECTIONS = Number(options.connections);
const NODES = Number(options.nodes);
const VALUE_BYTES = 1000;
const WARMUP_SECONDS = 0.5;
const SETTLE_MS = 500;

interface CoreWorkload {
  readonly name: string;
  readonly what: string;
  readonly shares: Shares;
  readonly choose: KeyChoice;
}

const prng = new Prng("bench/ycsb");
const keys = new KeySpace(RECORDS);
const zipfian = scrambledZipfian(prng.fork("zipfian"), RECORDS);
const newest = latest(prng.fork("latest"), () => keys.count);

const WORKLOADS: readonly CoreWorkload[] = [
  { name: "A", what: "50 read, 50 update", shares: { read: 0.5, write: 0.5 }, choose: zipfian },
  { name: "B", what: "95 read, 5 update", shares: { read: 0.95, write: 0.05 }, choose: zipfian },
  { name: "C", what: "100 read", shares: { read: 1 }, choose: zipfian },
  { name: "F", what: "50 read, 50 modify", shares: { read: 0.5, modify: 0.5 }, choose: zipfian },
  { name: "D", what: "95 read, 5 insert", shares: { read: 0.95, insert: 0.05 }, choose: newest },
];

const cluster = await startHutchCluster(NODES);
const protocol = cluster.protocol(VALUE_BYTES);

async function run({ name, shares, choose }: CoreWorkload): Promise<Tally> {
  await Bun.sleep(SETTLE_MS);
  const tally = await runLoad(
    {
      targets: cluster.targets,
      protocol,
      workload: mixed(prng.fork(name), shares, choose, keys),
      connections: CONNECTIONS,
    },
    { seconds: SECONDS, warmupSeconds: WARMUP_SECONDS },
  );
  console.log(
    `${name}: ${perSecond(tally.rate)}/s, generator ${tally.generatorCores.toFixed(2)} cores${tally.problemText()}`,
  );
  if (tally.failed > 0) process.exitCode = 1;
  return tally;
}

function row({ name, what }: CoreWorkload, tallies: readonly Tally[]): object {
  const middle = medianBy(tallies, ({ rate }) => rate);
  const { read, write, insert, modify } = middle.latencies;
  const writes = new LatencyHistogram();
  for (const histogram of [write, insert, modify]) writes.add(histogram);
  return {
    workload: name,
    "%": what,
    "operations/s": perSecond(middle.rate),
    "read p50 / p99 / p99.9 ms": latencyText(read),
    "other p50 / p99 / p99.9 ms": latencyText(writes),
    "not right": tallies.reduce((sum, { failed }) => sum + failed, 0),
  };
}

const filled = await runThrough({
  targets: cluster.targets,
  protocol,
  workload: eachKeyOnce("write", RECORDS),
  connections: CONNECTIONS,
});
console.log(`load: ${RECORDS} records, ${perSecond(filled.rate)}/s`);

const results = new Map<CoreWorkload, Tally[]>(WORKLOADS.map((workload) => [workload, []]));
for (let round = 0; round < ROUNDS; round++)
  for (const [workload, tallies] of results) tallies.push(await run(workload));

printTable(
  `YCSB, ${NODES} nodes, ${RECORDS.toLocaleString("en")} records of ${VALUE_BYTES} bytes, ${CONNECTIONS} connections, median of ${ROUNDS} rounds of ${SECONDS} s`,
  [...results].map(([workload, tallies]) => row(workload, tallies)),
);
await cluster.stop();
process.exit();
