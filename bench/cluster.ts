/**
 * Three nodes against three nodes of etcd: bun bench/cluster.ts [--quick] [--seconds 3 --rounds 3 --keys 10000 --nodes 3]
 *
 * Durable QUORUM PUT and GET of 100 bytes over REST against put and linearizable range over etcd's JSON gateway, from the same load generator, at 16, 64 and
 * 128 connections, through one node (of etcd: the leader) and spread over all three. Both clusters are up all the time; one is under load, the other idle. Each
 * cell, after both have been warmed up for as long, is measured on one and then on the other, several rounds in turn and in changing order; a row shows the round whose ratio is the median. Then latency in an
 * open loop at half the highest rate of each, and what the nodes say to each other for one operation.
 */
import { parseArgs } from "node:util";
import { Prng } from "../src/base/prng.ts";
import type { Cluster } from "./support/clusters.ts";
import { HAS_ETCD, startEtcdCluster, startHutchCluster } from "./support/clusters.ts";
import { inMs, latencyText, medianBy, perSecond, printTable } from "./support/figures.ts";
import { uniform } from "../src/load/key-choice.ts";
import { runLoad, runThrough } from "../src/load/load-generator.ts";
import { markTraffic, trafficPerOperation } from "./support/peer-traffic.ts";
import type { Tally } from "../src/load/tally.ts";
import { eachKeyOnce, only } from "../src/load/workload.ts";

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    seconds: { type: "string" },
    rounds: { type: "string" },
    connections: { type: "string" },
    keys: { type: "string", default: "10000" },
    nodes: { type: "string", default: "3" },
    warmup: { type: "string" },
  },
});
const SECONDS = Number(options.seconds ?? (options.quick ? 1 : 3));
const ROUNDS = Number(options.rounds ?? (options.quick ? 1 : 3));
const CONNECTIONS = (options.connections ?? (options.quick ? "64" : "16,64,128"))
  .split(",")
  .map(Number);
const KEYS = Number(options.keys);
const NODES = Number(options.nodes);
const VALUE_BYTES = 100;
const WARMUP_SECONDS = 0.5;
/** Of each method on each system before anything is measured: code of ours is compiled while it runs. Both get the same. */
const COMPILE_SECONDS = Number(options.warmup ?? (options.quick ? 2 : 15));
/** Between two runs, for what the last one left to do. */
const SETTLE_MS = 500;
const GOAL_CONNECTIONS = 64;
const GOALS = { write: 2.5, read: 4 } as const;
const P99_GOAL_MS = 10;
const METHODS = ["write", "read"] as const;
const ROUTES = ["one node", "all nodes"] as const;

type Method = (typeof METHODS)[number];
type Route = (typeof ROUTES)[number];

const NAMES: Readonly<Record<Method, string>> = { write: "QUORUM PUT", read: "QUORUM GET" };

interface Cell {
  readonly method: Method;
  readonly route: Route;
  readonly connections: number;
}

const prng = new Prng("bench/cluster");

async function run(cluster: Cluster, cell: Cell, ratePerSecond?: number): Promise<Tally> {
  await Bun.sleep(SETTLE_MS);
  const tally = await runLoad(
    {
      targets: cell.route === "one node" ? cluster.targets.slice(0, 1) : cluster.targets,
      protocol: cluster.protocol(VALUE_BYTES),
      workload: only(cell.method, uniform(prng, KEYS)),
      connections: cell.connections,
      ...(ratePerSecond === undefined ? {} : { ratePerSecond }),
    },
    { seconds: SECONDS, warmupSeconds: WARMUP_SECONDS },
  );
  const what = `${NAMES[cell.method]}, ${cell.route}, ${cell.connections} connections`;
  const pace = ratePerSecond === undefined ? "" : ` paced at ${perSecond(ratePerSecond)}/s,`;
  console.log(
    `${cluster.name.padEnd(5)} ${what}:${pace} ${perSecond(tally.rate)}/s, ${latencyText(tally.latency())} ms, generator ${tally.generatorCores.toFixed(2)} cores${tally.problemText()}`,
  );
  if (tally.failed > 0) process.exitCode = 1;
  return tally;
}

interface Round {
  readonly own: Tally;
  readonly peer: Tally | undefined;
}

/** The order changes from round to round, so that neither always comes after the other. */
async function runRound(
  hutch: Cluster,
  etcd: Cluster | undefined,
  cell: Cell,
  round: number,
): Promise<Round> {
  if (etcd === undefined) return { own: await run(hutch, cell), peer: undefined };
  if (round % 2 === 0) {
    const own = await run(hutch, cell);
    return { own, peer: await run(etcd, cell) };
  }
  const peer = await run(etcd, cell);
  return { own: await run(hutch, cell), peer };
}

const ratioOf = ({ own, peer }: Round): number => (peer === undefined ? 0 : own.rate / peer.rate);

function ratioRow(cell: Cell, rounds: readonly Round[]): object {
  const middle = medianBy(rounds, etcd === undefined ? ({ own }) => own.rate : ratioOf);
  const { own, peer } = middle;
  const row = {
    what: NAMES[cell.method],
    through: cell.route,
    connections: cell.connections,
    "hutch/s": perSecond(own.rate),
    "p50 / p99 / p99.9 ms": latencyText(own.latency()),
  };
  if (peer === undefined) return row;
  const ratio = ratioOf(middle);
  const goal = cell.connections === GOAL_CONNECTIONS ? GOALS[cell.method] : undefined;
  return {
    ...row,
    "etcd/s": perSecond(peer.rate),
    "etcd p50 / p99 / p99.9 ms": latencyText(peer.latency()),
    ratio: `${ratio.toFixed(2)}x`,
    goal: goal === undefined ? "" : `${goal}x`,
    reached: goal === undefined ? "" : ratio >= goal ? "yes" : "MISSED",
  };
}

/** Half of the highest rate that this system reached with this method, spread over all nodes. */
async function atHalfRate(cluster: Cluster, method: Method, highest: number): Promise<object> {
  const cell: Cell = { method, route: "all nodes", connections: GOAL_CONNECTIONS };
  const tallies: Tally[] = [];
  for (let round = 0; round < ROUNDS; round++) tallies.push(await run(cluster, cell, highest / 2));
  const p99Of = (tally: Tally): number => tally.latency().quantileMs(0.99);
  const middle = medianBy(tallies, p99Of);
  const isOwn = cluster.name === "hutch";
  return {
    what: cluster.name === "hutch" ? NAMES[method] : `etcd ${method}`,
    "due/s": perSecond(highest / 2),
    "answered/s": perSecond(middle.rate),
    "p50 / p99 / p99.9 ms": latencyText(middle.latency()),
    goal: isOwn ? `p99 < ${P99_GOAL_MS} ms` : "",
    reached: isOwn ? (p99Of(middle) < P99_GOAL_MS ? "yes" : "MISSED") : "",
  };
}

async function traffic(cluster: Cluster, method: Method): Promise<object[]> {
  const cell: Cell = { method, route: "all nodes", connections: GOAL_CONNECTIONS };
  const before = await markTraffic(cluster);
  const tally = await runLoad(
    {
      targets: cluster.targets,
      protocol: cluster.protocol(VALUE_BYTES),
      workload: only(method, uniform(prng, KEYS)),
      connections: cell.connections,
    },
    { seconds: SECONDS, warmupSeconds: 0 },
  );
  const figures = trafficPerOperation(before, await markTraffic(cluster), tally);
  return Object.entries(figures).map(([counter, figure]) => ({
    what: `${cluster.name} ${method}`,
    counter,
    "for one operation": figure.toFixed(figure < 10 ? 3 : 0),
  }));
}

const hutch = await startHutchCluster(NODES);
const etcd = HAS_ETCD ? await startEtcdCluster(NODES) : undefined;
if (etcd === undefined) console.log("etcd is not installed: hutch alone, no ratios");
const systems = etcd === undefined ? [hutch] : [hutch, etcd];

for (const cluster of systems)
  await runThrough({
    targets: cluster.targets,
    protocol: cluster.protocol(VALUE_BYTES),
    workload: eachKeyOnce("write", KEYS),
    connections: GOAL_CONNECTIONS,
  });

for (const method of METHODS)
  for (const cluster of systems)
    await runLoad(
      {
        targets: cluster.targets,
        protocol: cluster.protocol(VALUE_BYTES),
        workload: only(method, uniform(prng, KEYS)),
        connections: GOAL_CONNECTIONS,
      },
      { seconds: COMPILE_SECONDS, warmupSeconds: 0 },
    );

const cells: Cell[] = METHODS.flatMap((method) =>
  ROUTES.flatMap((route) => CONNECTIONS.map((connections) => ({ method, route, connections }))),
);
const results = new Map<Cell, Round[]>(cells.map((cell) => [cell, []]));
for (let round = 0; round < ROUNDS; round++)
  for (const [cell, rounds] of results) rounds.push(await runRound(hutch, etcd, cell, round));

/** Over all nodes, where the paced runs go; the median rate of the best cell, not the luckiest run. */
function highestRate(method: Method, tallyOf: (round: Round) => Tally): number {
  const rates = [...results]
    .filter(([cell]) => cell.method === method && cell.route === "all nodes")
    .map(([, rounds]) => medianBy(rounds.map(tallyOf), ({ rate }) => rate).rate);
  return Math.max(...rates);
}

const paced: object[] = [];
for (const method of METHODS) {
  paced.push(
    await atHalfRate(
      hutch,
      method,
      highestRate(method, ({ own }) => own),
    ),
  );
  if (etcd !== undefined)
    paced.push(
      await atHalfRate(
        etcd,
        method,
        highestRate(method, ({ peer }) => peer!),
      ),
    );
}
const spoken: object[] = [];
for (const cluster of systems)
  for (const method of METHODS) spoken.push(...(await traffic(cluster, method)));

printTable(
  `three nodes, ${VALUE_BYTES} bytes, median of ${ROUNDS} rounds of ${SECONDS} s`,
  [...results].map(([cell, rounds]) => ratioRow(cell, rounds)),
);
printTable(
  `open loop at half the highest rate, ${GOAL_CONNECTIONS} connections over all nodes (goal ${inMs(P99_GOAL_MS)} ms)`,
  paced,
);
printTable("between the nodes, gossip included", spoken);
for (const cluster of systems) await cluster.stop();
process.exit();
