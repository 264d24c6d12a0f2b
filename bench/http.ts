/**
 * One node over HTTP against a bare Hono handler and Redis: bun bench/http.ts [--seconds 5] [--connections 64]
 *
 * The server has core 0, the load generator core 1. GET: 10,000 keys of 100 bytes in tables. PUT: acknowledged after fdatasync for all three. Each pair is
 * measured one after the other, three times in turn; the ratio is of the medians.
 */
import { parseArgs } from "node:util";
import { fill, redisBenchmark, wrk } from "./support/load.ts";
import type { HttpLoad, LoadResult } from "./support/load.ts";
import { printRatios } from "./support/ratios.ts";
import type { RatioRow } from "./support/ratios.ts";
import { PINNED, startBareHono, startHutch, startRedis } from "./support/servers.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "5" },
    connections: { type: "string", default: "64" },
  },
});
const KEYS = 10_000;
const VALUE_BYTES = 100;
const ROUNDS = 3;
const connections = Number(values.connections);
const load = (method: "GET" | "PUT"): HttpLoad => ({
  method,
  keyCount: KEYS,
  connections,
  seconds: Number(values.seconds),
  valueBytes: VALUE_BYTES,
});

function median(figures: readonly number[]): number {
  return [...figures].sort((a, b) => a - b)[figures.length >> 1]!;
}

const hutch = await startHutch();
await fill(hutch, KEYS, VALUE_BYTES);
await fetch(`${hutch.url}/v1/admin/flush`, { method: "POST" });
await Bun.sleep(1000);
const sample = await fetch(`${hutch.url}/v1/kv/bench/key-1`);
const body = await sample.text();
const headers = Object.fromEntries(
  [...sample.headers].filter(([name]) => !["date", "content-length"].includes(name)),
);
const bare = await startBareHono(headers, body);
const hasRedis = Bun.which("redis-server") !== null && Bun.which("redis-benchmark") !== null;
const redis = hasRedis ? await startRedis() : undefined;

const rates = {
  getOwn: [] as LoadResult[],
  getBare: [] as LoadResult[],
  putOwn: [] as LoadResult[],
  putBare: [] as LoadResult[],
};
const redisRates = { get: [] as number[], set: [] as number[] };
for (let round = 0; round < ROUNDS; round++) {
  rates.getBare.push(await wrk(bare, load("GET")));
  rates.getOwn.push(await wrk(hutch, load("GET")));
  if (redis !== undefined)
    redisRates.get.push(await redisBenchmark(redis, "get", connections, 300_000));
  rates.putBare.push(await wrk(bare, load("PUT")));
  rates.putOwn.push(await wrk(hutch, load("PUT")));
  if (redis !== undefined)
    redisRates.set.push(await redisBenchmark(redis, "set", connections, 200_000));
}
for (const server of [hutch, bare, redis]) await server?.stop();

for (const [what, results] of Object.entries(rates)) {
  const errors = results.reduce((sum, result) => sum + result.errors, 0);
  const line = results.map(
    ({ rate, p50Ms, p99Ms }) =>
      `${Math.round(rate)}/s p50 ${p50Ms.toFixed(2)} p99 ${p99Ms.toFixed(2)} ms`,
  );
  console.log(`${what}: ${line.join(" · ")}${errors > 0 ? ` · ${errors} ERRORS` : ""}`);
}
const get = median(rates.getOwn.map(({ rate }) => rate));
const put = median(rates.putOwn.map(({ rate }) => rate));
const rows: RatioRow[] = [
  {
    what: "GET",
    own: get,
    peer: "bare Hono, same bytes",
    peerRate: median(rates.getBare.map(({ rate }) => rate)),
    goal: 0.8,
  },
  {
    what: "durable PUT",
    own: put,
    peer: "bare Hono, group fsync",
    peerRate: median(rates.putBare.map(({ rate }) => rate)),
    goal: 0.8,
  },
];
if (redis !== undefined)
  rows.push(
    {
      what: "GET",
      own: get,
      peer: "redis GET, unpipelined",
      peerRate: median(redisRates.get),
      goal: 1,
    },
    {
      what: "durable PUT",
      own: put,
      peer: "redis appendfsync always",
      peerRate: median(redisRates.set),
      goal: 1,
    },
  );
else console.log("redis-server is not installed: its rows are left out");
printRatios(
  `one node over HTTP, ${connections} connections${PINNED ? ", server on core 0, load on core 1" : ""}`,
  rows,
);
