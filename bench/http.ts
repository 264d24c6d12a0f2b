/**
 * One node over HTTP against a bare Hono handler and Redis: bun bench/http.ts [--seconds 5] [--connections 64]
 *
 * GET: one core; the server has core 0, the load generator core 1; 10,000 keys of 100 bytes in tables. PUT: acknowledged after fdatasync for all three, cores as the system
 * gives them. Each pair is measured one after the other, several times in turn; the ratio is the median of the rounds' ratios, because this kind of
 * machine changes its speed from minute to minute.
 */
import { parseArgs } from "node:util";
import { fill, redisBenchmark, wrk } from "./support/load.ts";
import type { HttpLoad } from "./support/load.ts";
import { printRatios } from "./support/ratios.ts";
import type { RatioRow } from "./support/ratios.ts";
import { PINNED, startBareHono, startHutch, startRedis } from "./support/servers.ts";
import type { Server } from "./support/servers.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "3" },
    connections: { type: "string", default: "64" },
    rounds: { type: "string", default: "7" },
  },
});
const KEYS = 10_000;
const VALUE_BYTES = 100;
const ROUNDS = Number(values.rounds);
const connections = Number(values.connections);

interface Round {
  readonly own: number;
  readonly bare: number;
  readonly redis: number;
}

async function prepared(
  isPinned: boolean,
): Promise<{ hutch: Server; bare: Server; redis: Server | undefined }> {
  const hutch = await startHutch([], isPinned);
  await fill(hutch, KEYS, VALUE_BYTES);
  await fetch(`${hutch.url}/v1/admin/flush`, { method: "POST" });
  await Bun.sleep(1000);
  const sample = await fetch(`${hutch.url}/v1/kv/bench/key-1`);
  const body = await sample.text();
  const headers = Object.fromEntries(
    [...sample.headers].filter(([name]) => !["date", "content-length"].includes(name)),
  );
  const bare = await startBareHono(headers, body, isPinned);
  const hasRedis = Bun.which("redis-server") !== null && Bun.which("redis-benchmark") !== null;
  return { hutch, bare, redis: hasRedis ? await startRedis(isPinned) : undefined };
}

async function measure(method: "GET" | "PUT", isPinned: boolean): Promise<Round[]> {
  const { hutch, bare, redis } = await prepared(isPinned);
  const load: HttpLoad = {
    method,
    keyCount: KEYS,
    connections,
    seconds: Number(values.seconds),
    valueBytes: VALUE_BYTES,
    isPinned,
  };
  const rounds: Round[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const bareResult = await wrk(bare, load);
    const own = await wrk(hutch, load);
    const redisRate =
      redis === undefined
        ? 0
        : await redisBenchmark(
            redis,
            method === "GET" ? "get" : "set",
            connections,
            150_000,
            isPinned,
          );
    const errors = own.errors + bareResult.errors;
    console.log(
      `${method}: hutch ${Math.round(own.rate)}/s (p50 ${own.p50Ms.toFixed(2)} p99 ${own.p99Ms.toFixed(2)} ms) · bare ${Math.round(bareResult.rate)}/s · redis ${Math.round(redisRate)}/s${errors > 0 ? ` · ${errors} ERRORS` : ""}`,
    );
    rounds.push({ own: own.rate, bare: bareResult.rate, redis: redisRate });
  }
  for (const server of [hutch, bare, redis]) await server?.stop();
  return rounds;
}

/** The round whose ratio is the median one. */
function medianRow(
  what: string,
  rounds: readonly Round[],
  peer: "bare" | "redis",
  name: string,
  goal: number,
): RatioRow {
  const ordered = [...rounds].sort((a, b) => a.own / a[peer] - b.own / b[peer]);
  const middle = ordered[ordered.length >> 1]!;
  return { what, own: middle.own, peer: name, peerRate: middle[peer], goal };
}

const gets = await measure("GET", true);
const puts = await measure("PUT", false);
const rows = [
  medianRow("GET, one core", gets, "bare", "bare Hono, same bytes", 0.8),
  medianRow("durable PUT", puts, "bare", "bare Hono, group fsync", 0.8),
];
if (gets[0]!.redis > 0)
  rows.push(
    medianRow("GET, one core", gets, "redis", "redis GET, unpipelined", 1),
    medianRow("durable PUT", puts, "redis", "redis appendfsync always", 1),
  );
else console.log("redis-server is not installed: its rows are left out");
printRatios(
  `one node over HTTP, ${connections} connections${PINNED ? "" : " (taskset is missing: GET is not pinned)"}`,
  rows,
);
