/**
 * What one killed node of three costs, second by second: bun bench/cluster-kill.ts [--quick] [--seconds 45 --kill-at 10 --restart-at 25 --rate N --system etcd --svg FILE]
 *
 *   1. the highest rate of half QUORUM reads, half durable QUORUM writes, in a closed loop over all nodes
 *   2. half of it as an open loop; latency counts from the moment an operation was due
 *   3. kill -9 of the last node; its connections go to the other two, as a load balancer would send them
 *   4. start it again; its connections return when it says that it is ready
 *
 * Prints a table, a line of text for each figure and a summary; draws docs/killed-node.svg. `--system etcd` does the same to etcd (a follower) and draws nothing.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Prng } from "../src/base/prng.ts";
import { startEtcdCluster, startHutchCluster } from "./support/clusters.ts";
import { inMs, latencyText, perSecond, printTable } from "./support/figures.ts";
import { uniform } from "../src/load/key-choice.ts";
import { LatencyHistogram } from "../src/load/latency-histogram.ts";
import { Load, type LoadOptions, runLoad, runThrough } from "../src/load/load-generator.ts";
import { plotSvg, sparkline } from "./support/plot.ts";
import { Tally } from "../src/load/tally.ts";
import { eachKeyOnce, KeySpace, mixed } from "../src/load/workload.ts";

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    seconds: { type: "string" },
    "kill-at": { type: "string" },
    "restart-at": { type: "string" },
    rate: { type: "string" },
    connections: { type: "string", default: "64" },
    keys: { type: "string", default: "10000" },
    system: { type: "string", default: "hutch" },
    svg: { type: "string" },
  },
});
const SECONDS = Number(options.seconds ?? (options.quick ? 15 : 45));
const KILL_AT = Number(options["kill-at"] ?? (options.quick ? 4 : 10));
const RESTART_AT = Number(options["restart-at"] ?? (options.quick ? 8 : 25));
const KEYS = Number(options.keys);
const NODES = 3;
/** The last one: of etcd a follower. */
const VICTIM = NODES - 1;
const VALUE_BYTES = 100;
const P99_GOAL_MS = 10;
/** Seconds at the beginning that the summary leaves out. */
const SKIPPED_SECONDS = 2;
const READY_POLL_MS = 100;
/** Siblings are an answer, not an error, while replicas disagree about who mints. */
const SIBLINGS = "300";

const isHutch = options.system === "hutch";
const cluster = await (isHutch ? startHutchCluster(NODES) : startEtcdCluster(NODES));
const prng = new Prng("bench/kill");
const base: LoadOptions = {
  targets: cluster.targets,
  protocol: cluster.protocol(VALUE_BYTES),
  workload: mixed(prng, { read: 0.5, write: 0.5 }, uniform(prng, KEYS), new KeySpace(KEYS)),
  connections: Number(options.connections),
};

async function halfOfHighest(): Promise<number> {
  if (options.rate !== undefined) return Number(options.rate);
  const tally = await runLoad(base, { seconds: 3, warmupSeconds: 1 });
  console.log(`highest rate: ${perSecond(tally.rate)}/s${tally.problemText()}`);
  return Math.floor(tally.rate / 2);
}

/** What happened when, in seconds since the start of the load. */
interface Events {
  killed: number;
  restarted: number;
  /** Infinity as long as the node is not ready. */
  ready: number;
}

/** One tally for every second. */
async function record(load: Load, events: Events): Promise<Tally[]> {
  const startMs = performance.now();
  const now = (): number => (performance.now() - startMs) / 1000;
  const seconds: Tally[] = [];
  load.tally = new Tally();
  for (let second = 0; second < SECONDS; second++) {
    if (second === KILL_AT) {
      events.killed = Math.max(second, now());
      await cluster.kill(VICTIM);
    }
    if (second === RESTART_AT) {
      events.restarted = Math.max(second, now());
      cluster.restart(VICTIM);
      void becomesReady(load, events, now);
    }
    await Bun.sleep(Math.max(0, startMs + (second + 1) * 1000 - performance.now()));
    seconds.push(load.tally.end());
    load.tally = new Tally();
  }
  return seconds;
}

async function becomesReady(load: Load, events: Events, now: () => number): Promise<void> {
  while (now() < SECONDS && !(await cluster.isReady(VICTIM))) await Bun.sleep(READY_POLL_MS);
  if (now() >= SECONDS) return;
  events.ready = now();
  load.sendHome();
}

const siblingsOf = (tally: Tally): number => tally.problems.get(SIBLINGS) ?? 0;
const errorsOf = (tally: Tally): number => tally.failed - siblingsOf(tally);

function eventIn(second: number, events: Events): string {
  const names: [number, string][] = [
    [events.killed, "kill -9"],
    [events.restarted, "started again"],
    [events.ready, "ready"],
  ];
  return names
    .filter(([at]) => Math.floor(at) === second)
    .map(([, name]) => name)
    .join(", ");
}

function secondRow(second: number, tally: Tally, events: Events): object {
  const latency = tally.latency();
  return {
    second,
    "answers/s": perSecond(tally.rate),
    "p50 ms": inMs(latency.quantileMs(0.5)),
    "p99 ms": inMs(latency.quantileMs(0.99)),
    "max ms": inMs(latency.maxMs),
    errors: errorsOf(tally),
    siblings: siblingsOf(tally),
    event: eventIn(second, events),
  };
}

/** Seconds `from` up to `to` together. */
function phaseRow(name: string, seconds: readonly Tally[], from: number, to: number): object {
  const part = seconds.slice(Math.ceil(from), Math.ceil(to));
  const latency = new LatencyHistogram();
  for (const tally of part) latency.add(tally.latency());
  const mean = (of: (tally: Tally) => number): number =>
    part.reduce((sum, tally) => sum + of(tally), 0) / Math.max(1, part.length);
  return {
    phase: name,
    seconds: part.length,
    "answers/s": perSecond(mean(({ rate }) => rate)),
    "p50 / p99 / p99.9 ms": latencyText(latency),
    errors: part.reduce((sum, tally) => sum + errorsOf(tally), 0),
    siblings: part.reduce((sum, tally) => sum + siblingsOf(tally), 0),
  };
}

function allProblems(seconds: readonly Tally[]): string {
  const all = new Tally();
  for (const { problems } of seconds)
    for (const [name, count] of problems) all.problem(name, count);
  return all.failed === 0 ? "no errors" : all.problemText().slice(" · ".length);
}

const seriesOf = (seconds: readonly Tally[]) => ({
  rates: seconds.map(({ rate }) => Math.round(rate)),
  p99s: seconds.map((tally) => tally.latency().quantileMs(0.99)),
  errors: seconds.map(errorsOf),
});

function report(seconds: readonly Tally[], events: Events, rate: number): void {
  printTable(
    `one of three nodes killed, ${perSecond(rate)} operations due a second`,
    seconds.map((tally, second) => secondRow(second, tally, events)),
  );
  const { rates, p99s, errors } = seriesOf(seconds);
  console.log(`answers/s  ${sparkline(rates)}  up to ${perSecond(Math.max(...rates))}`);
  console.log(`p99        ${sparkline(p99s)}  up to ${inMs(Math.max(...p99s))} ms`);
  console.log(`errors     ${sparkline(errors)}  up to ${Math.max(...errors)} in a second`);
  const ready = Math.min(events.ready, seconds.length);
  printTable("summary", [
    phaseRow("all three up", seconds, SKIPPED_SECONDS, KILL_AT),
    phaseRow("one down", seconds, KILL_AT, RESTART_AT),
    phaseRow("starting again", seconds, RESTART_AT, ready),
    phaseRow("ready again", seconds, ready, seconds.length),
  ]);
  console.log(allProblems(seconds));
}

function draw(seconds: readonly Tally[], events: Events, rate: number, file: string): void {
  const { rates, p99s, errors } = seriesOf(seconds);
  const marks = [
    { second: events.killed, label: "kill -9" },
    { second: events.restarted, label: "started again" },
    { second: events.ready, label: "ready" },
  ].filter(({ second }) => second <= SECONDS);
  const svg = plotSvg({
    title: `One of three nodes killed under ${perSecond(rate)} QUORUM reads and writes a second`,
    panels: [
      { title: "answers a second", values: rates },
      { title: "p99, milliseconds (dotted: 10 ms)", values: p99s, limit: P99_GOAL_MS },
      { title: "errors in the second", values: errors, isBars: true },
    ],
    marks,
  });
  writeFileSync(file, svg);
  console.log(`drawn: ${file}`);
}

await runThrough({ ...base, workload: eachKeyOnce("write", KEYS) });
const rate = await halfOfHighest();
const load = new Load({ ...base, ratePerSecond: rate });
const events: Events = { killed: Infinity, restarted: Infinity, ready: Infinity };
await load.start();
const seconds = await record(load, events);
await load.stop();
for (const [name, count] of load.tally.problems) seconds.at(-1)!.problem(name, count);

report(seconds, events, rate);
const file =
  options.svg ??
  (isHutch && !options.quick ? join(import.meta.dir, "..", "docs", "killed-node.svg") : undefined);
if (file !== undefined) draw(seconds, events, rate, file);
await cluster.stop();
process.exit();
