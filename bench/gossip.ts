/**
 * What gossip costs and how fast it tells: bun bench/gossip.ts [--seed 1] [--nodes 3,10,100,1000]
 *
 * Discrete-event simulation of `Membership`s only (`test/gossip/gossip-run.ts`): one interval is 1 s, a datagram takes 0.2 to 2 ms. Times and bytes are
 * virtual and repeat with the seed; only the last column is of this machine.
 *
 *   bytes, datagrams    sent per node and second, IPv4 and UDP headers included, nothing changing, 1 % loss; `peak`: while one node dies
 *   first, all          from the death of one node until the first, and until all others have it down
 *   phase               from a node's change of phase until all know
 *   suspicions          false ones, as accusations by probe per node and day; `convicted` is how many were believed
 */
import { parseArgs } from "node:util";
import { GossipRun, idOf } from "../test/gossip/gossip-run.ts";

const { values: options } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    nodes: { type: "string", default: "3,10,100,1000" },
  },
});
const INTERVAL_MS = 1000;
const LIMIT_MS = 120_000;
const WARM_UP_MS = 20_000;
const QUIET_MS = 30_000;
/** Virtual node-seconds for the count of false suspicions, and the fewest seconds. */
const NODE_SECONDS = 100_000;
const SECONDS_MIN = 60;

const totalBytes = (run: GossipRun): number =>
  run.nodes.reduce((sum, node) => sum + node.bytesSent, 0);
const totalDatagrams = (run: GossipRun): number =>
  run.nodes.reduce((sum, node) => sum + node.datagramsSent, 0);

function start(nodes: number, loss: number): GossipRun {
  const run = new GossipRun({ seed: options.seed, nodes, intervalMs: INTERVAL_MS, loss });
  run.run(WARM_UP_MS);
  return run;
}

/** Bytes and datagrams per node and second over `forMs`. */
function traffic(run: GossipRun, forMs: number): [bytes: number, datagrams: number] {
  const before = [totalBytes(run), totalDatagrams(run)] as const;
  run.run(forMs);
  const nodeSeconds = (run.nodes.length * forMs) / 1000;
  return [
    (totalBytes(run) - before[0]) / nodeSeconds,
    (totalDatagrams(run) - before[1]) / nodeSeconds,
  ];
}

function untilAllKnowPhase(run: GossipRun): number {
  run.act(0, (membership, nowMs) => membership.setSelf({ phase: "syncing" }, nowMs));
  const know = (): boolean =>
    run.nodes.every(
      ({ index, membership }) =>
        index === 0 || membership.member(idOf(0))?.record.phase === "syncing",
    );
  return run.runUntil(know, LIMIT_MS, 50);
}

/** Time to the first and to the last verdict, and the busiest second's bytes per node. */
function death(run: GossipRun): { firstMs: number; allMs: number; peak: number } {
  const victim = run.nodes.length - 1;
  run.kill(victim);
  const killedMs = run.nowMs;
  let [firstMs, allMs, peak] = [Infinity, Infinity, 0];
  while (allMs === Infinity && run.nowMs - killedMs < LIMIT_MS) {
    peak = Math.max(peak, traffic(run, 1000)[0]);
    const verdicts = run.changes.filter((it) => it.subject === victim && it.liveness === "down");
    firstMs = (verdicts[0]?.atMs ?? Infinity) - killedMs;
    if (verdicts.length === victim) allMs = verdicts.at(-1)!.atMs - killedMs;
  }
  return { firstMs, allMs, peak };
}

function falseSuspicions(nodes: number, loss: number): { perNodeDay: number; convicted: number } {
  const seconds = Math.max(SECONDS_MIN, NODE_SECONDS / nodes);
  const run = start(nodes, loss);
  const before = run.sum("probesFailed");
  run.run(seconds * 1000);
  const nodeDays = (nodes * seconds) / 86_400;
  return {
    perNodeDay: (run.sum("probesFailed") - before) / nodeDays,
    convicted: run.sum("convictions"),
  };
}

const shown = (value: number, digits = 0): number => Number(value.toFixed(digits));
const rows = options.nodes
  .split(",")
  .map(Number)
  .map((nodes) => {
    const started = Bun.nanoseconds();
    const run = start(nodes, 0.01);
    const [bytes, datagrams] = traffic(run, QUIET_MS);
    const phaseMs = untilAllKnowPhase(run);
    run.run(2000);
    const { firstMs, allMs, peak } = death(run);
    const [few, many] = [falseSuspicions(nodes, 0.01), falseSuspicions(nodes, 0.05)];
    return {
      nodes,
      "bytes/s": shown(bytes),
      "peak bytes/s": shown(peak),
      "datagrams/s": shown(datagrams, 1),
      "first down s": shown(firstMs / 1000, 1),
      "all down s": shown(allMs / 1000, 1),
      "phase s": shown(phaseMs / 1000, 2),
      "suspicions 1 %": shown(few.perNodeDay, 2),
      "suspicions 5 %": shown(many.perNodeDay, 2),
      convicted: few.convicted + many.convicted,
      "took s": shown((Bun.nanoseconds() - started) / 1e9, 1),
    };
  });
console.log(Bun.inspect.table(rows));
