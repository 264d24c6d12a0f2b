/**
 * What `hutch/client` costs over a bare `fetch`, and what going straight to an owner gains: bun bench/client.ts [--nodes 3 --operations 3000 --rounds 5]
 *
 * One request at a time, as a page or a worker sees it; the ways take turns key by key, so that what else the machine does hits all alike.
 * A bare `fetch` sends the same headers and reads the body, each time to the node that the client would ask. Goal: at most 1.10x.
 */
import { parseArgs } from "node:util";
import { HutchClient, bytes } from "../src/client/index.ts";
import { startHutchCluster } from "./support/clusters.ts";

const { values: options } = parseArgs({
  options: {
    nodes: { type: "string", default: "3" },
    operations: { type: "string", default: "3000" },
    rounds: { type: "string", default: "5" },
    warm: { type: "string", default: "2000" },
  },
});
const NODES = Number(options.nodes);
const OPERATIONS = Number(options.operations);
const ROUNDS = Number(options.rounds);
const WARM = Number(options.warm);
const KEYS = 1000;
const GOAL = 1.1;
const value = crypto.getRandomValues(new Uint8Array(100));

type Way = (key: string, i: number) => Promise<unknown>;

const quantile = (sorted: Float64Array, q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]!;

/** Sorted latencies in ms of each way, whose turns alternate. */
async function measure(ways: readonly Way[], operations: number): Promise<Float64Array[]> {
  const latencies = ways.map(() => new Float64Array(operations));
  for (let i = 0; i < operations; i++) {
    const key = `key-${(i * 7919) % KEYS}`;
    for (let turn = 0; turn < ways.length; turn++) {
      const way = (turn + i) % ways.length;
      const startMs = performance.now();
      await ways[way]!(key, i);
      latencies[way]![i] = performance.now() - startMs;
    }
  }
  return latencies.map((each) => each.sort());
}

const median = (figures: readonly number[]): number =>
  [...figures].sort((a, b) => a - b)[figures.length >> 1]!;

interface Comparison {
  readonly what: string;
  readonly base: Way;
  readonly other: Way;
}

/** p50 of both and the median of the rounds' ratios. */
async function compare({ what, base, other }: Comparison): Promise<Record<string, string>> {
  await measure([base, other], WARM);
  const p50: [number, number][] = [];
  const p99: [number, number][] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const [a, b] = (await measure([base, other], OPERATIONS)) as [Float64Array, Float64Array];
    p50.push([quantile(a, 0.5), quantile(b, 0.5)]);
    p99.push([quantile(a, 0.99), quantile(b, 0.99)]);
  }
  const column = (pairs: readonly [number, number][], side: 0 | 1): string =>
    median(pairs.map((pair) => pair[side])).toFixed(3);
  const ratio = median(p50.map(([a, b]) => b / a));
  return {
    what,
    "base p50 / p99 ms": `${column(p50, 0)} / ${column(p99, 0)}`,
    "p50 / p99 ms": `${column(p50, 1)} / ${column(p99, 1)}`,
    "p50 ratio": `${ratio.toFixed(2)}x`,
  };
}

const cluster = await startHutchCluster(NODES);
const urls = cluster.targets.map(({ hostname, port }) => `http://${hostname}:${port}`);
const one = new HutchClient({ urls: [urls[0]!] }).bucket("bench", { codec: bytes() });
const inTurn = new HutchClient({ urls, routing: "any" }).bucket("bench", { codec: bytes() });
const toOwner = new HutchClient({ urls, routing: "owner" }).bucket("bench", { codec: bytes() });

async function bareGet(key: string, consistency: string | undefined): Promise<void> {
  const headers: Record<string, string> =
    consistency === undefined ? {} : { "X-Consistency": consistency };
  const answer = await fetch(`${urls[0]}/v1/kv/bench/${key}`, { headers });
  if (answer.status !== 200) throw new Error(`GET was answered with ${answer.status}`);
  await answer.arrayBuffer();
}

async function barePut(key: string): Promise<void> {
  const headers = {
    "Content-Type": "application/octet-stream",
    "Idempotency-Key": crypto.randomUUID(),
  };
  const answer = await fetch(`${urls[0]}/v1/kv/bench/${key}`, {
    method: "PUT",
    body: value,
    headers,
  });
  if (answer.status !== 204) throw new Error(`PUT was answered with ${answer.status}`);
}

try {
  for (let i = 0; i < KEYS; i++) await one.put(`key-${i}`, value);
  // The ring is read beside the first requests.
  for (let i = 0; i < 10; i++) await toOwner.get(`key-${i}`);
  await Bun.sleep(500);
  const costs = [
    await compare({
      what: "GET, default level",
      base: (key) => bareGet(key, undefined),
      other: (key) => one.get(key),
    }),
    await compare({
      what: "GET ONE",
      base: (key) => bareGet(key, "ONE"),
      other: (key) => one.get(key, { consistency: "ONE" }),
    }),
    await compare({
      what: "PUT",
      base: (key) => barePut(key),
      other: (key) => one.put(key, value, { context: "" }),
    }),
  ];
  console.log(`\nthe client against a bare fetch to the same node; goal ${GOAL}x`);
  console.log(Bun.inspect.table(costs, { colors: false }));
  const gains = [];
  for (const consistency of ["ONE", "QUORUM"])
    gains.push(
      await compare({
        what: `GET ${consistency}`,
        base: (key) => inTurn.get(key, { consistency }),
        other: (key) => toOwner.get(key, { consistency }),
      }),
    );
  gains.push(
    await compare({
      what: "PUT QUORUM",
      base: (key) => inTurn.put(key, value, { context: "" }),
      other: (key) => toOwner.put(key, value, { context: "" }),
    }),
  );
  console.log(`\nto an owner against each node in turn, ${NODES} nodes, three copies`);
  console.log(Bun.inspect.table(gains, { colors: false }));
} finally {
  await cluster.stop();
}
process.exit(0);
