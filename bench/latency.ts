/**
 * What flush and compaction cost a client: bun bench/latency.ts [--seconds 15 --rate 4000]
 *
 * Two nodes, one after the other, three times in turn, under the same open load of half puts (1,000 bytes) and half gets at a fixed rate: one with the
 * default memtable, which is not flushed meanwhile, and one with 4 MiB, which flushes every second or so and compacts. Latency counts from the
 * moment a request was due, not from when it was sent, so a stall is not hidden (coordinated omission).
 */
import { parseArgs } from "node:util";
import { startHutch } from "./support/servers.ts";
import type { Server } from "./support/servers.ts";

const { values: options } = parseArgs({
  options: {
    seconds: { type: "string", default: "15" },
    rate: { type: "string", default: "4000" },
  },
});
const SECONDS = Number(options.seconds);
const RATE = Number(options.rate);
const KEYS = 50_000;
const ROUNDS = 3;
const body = new Uint8Array(1000);
crypto.getRandomValues(body);

interface Latencies {
  readonly put: number[];
  readonly get: number[];
}

async function load(server: Server): Promise<Latencies> {
  const latencies: Latencies = { put: [], get: [] };
  const pending: Promise<void>[] = [];
  const started = performance.now();
  const total = SECONDS * RATE;
  for (let i = 0; i < total;) {
    const due = Math.min(total, Math.floor(((performance.now() - started) * RATE) / 1000));
    for (; i < due; i++) pending.push(one(server, i, started + (i * 1000) / RATE, latencies));
    await Bun.sleep(1);
  }
  await Promise.all(pending);
  return latencies;
}

async function one(server: Server, i: number, dueMs: number, latencies: Latencies): Promise<void> {
  const url = `${server.url}/v1/kv/bench/key-${Math.imul(i, 2654435761) >>> 16}-${i % KEYS}`;
  const isPut = i % 2 === 0;
  const answer = await fetch(url, isPut ? { method: "PUT", body } : {});
  await answer.arrayBuffer();
  if (isPut && answer.status !== 204) throw new Error(`PUT was answered with ${answer.status}`);
  (isPut ? latencies.put : latencies.get).push(performance.now() - dueMs);
}

const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]!;
const median = (figures: readonly number[]): number =>
  quantile(
    [...figures].sort((a, b) => a - b),
    0.5,
  );

async function measure(args: readonly string[]): Promise<Record<string, number>> {
  const server = await startHutch(args);
  await load(server);
  const { put, get } = await load(server);
  const storage = (await (await fetch(`${server.url}/v1/admin/storage`)).json()) as Record<
    string,
    unknown
  >;
  await server.stop();
  const [puts, gets] = [put.sort((a, b) => a - b), get.sort((a, b) => a - b)];
  return {
    putP50: quantile(puts, 0.5),
    putP99: quantile(puts, 0.99),
    getP50: quantile(gets, 0.5),
    getP99: quantile(gets, 0.99),
    flushes: Number(storage["flushes"]),
    compactions: Number(storage["compactions"]),
  };
}

const calm: Record<string, number>[] = [];
const busy: Record<string, number>[] = [];
for (let round = 0; round < ROUNDS; round++) {
  calm.push(await measure([]));
  busy.push(await measure(["--memtable-bytes", "4MiB", "--wal-segment-bytes", "16MiB"]));
}
const of = (rows: readonly Record<string, number>[], name: string): number =>
  median(rows.map((row) => row[name]!));
for (const name of ["putP50", "putP99", "getP50", "getP99"]) {
  const [without, during] = [of(calm, name), of(busy, name)];
  const goal = name.endsWith("P99") ? " (goal at most 2x)" : "";
  console.log(
    `${name}: ${without.toFixed(2)} ms without, ${during.toFixed(2)} ms during flush and compaction, ${(during / without).toFixed(2)}x${goal}`,
  );
}
console.log(
  `flushes ${of(busy, "flushes")}, compactions ${of(busy, "compactions")} a run at ${RATE}/s, against ${of(calm, "flushes")} and ${of(calm, "compactions")}`,
);
