/**
 * Many keys: bun bench/scale.ts [--keys 10000000]
 *
 * One store in process, durable puts (64 writers, group commit) of random keys with 100 random bytes. Prints the put rate over the first 100,000 keys
 * and over the last half million, gets at the end, and the memory of the process besides mapped files (RssAnon + RssShmem of /proc/self/status).
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Prng } from "../src/base/prng.ts";
import { openEngine } from "./support/store-engines.ts";

const { values: options } = parseArgs({
  options: { keys: { type: "string", default: "10000000" } },
});
const KEYS = Number(options.keys);
const WRITERS = 64;
const VALUE_BYTES = 100;
const FIRST = Math.min(100_000, KEYS);
const LAST = Math.min(500_000, KEYS);

const pool = new Prng("values").bytes(1 << 20);
const valueOf = (i: number): Uint8Array =>
  pool.subarray((i * 37) % 1_000_000, ((i * 37) % 1_000_000) + VALUE_BYTES);

function makeKey(i: number): Uint8Array {
  const key = new Uint8Array(24);
  const view = new DataView(key.buffer);
  const mixed = Math.imul(i + 1, 0x9e3779b1) >>> 0;
  view.setUint16(0, mixed >>> 24);
  key.set(new TextEncoder().encode("bench\0user:"), 2);
  view.setUint32(14, mixed);
  view.setUint32(20, i);
  return key;
}

function unmappedMiB(): number {
  const status = readFileSync("/proc/self/status", "utf8");
  const kilobytes = (name: string): number =>
    Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
  return Math.round((kilobytes("RssAnon") + kilobytes("RssShmem")) / 1024);
}

const engine = await openEngine("hutch", true);
const marks = new Map<number, number>();
const started = Bun.nanoseconds();
let peakMiB = 0;
for (let i = 0; i < KEYS; i += WRITERS) {
  const ids = Array.from({ length: Math.min(WRITERS, KEYS - i) }, (_, j) => i + j);
  await engine.putDurable(ids.map(makeKey), ids.map(valueOf));
  const done = i + ids.length;
  if (marks.size === 0 && done >= FIRST) marks.set(FIRST, Bun.nanoseconds());
  if (!marks.has(KEYS - LAST) && done >= KEYS - LAST) marks.set(KEYS - LAST, Bun.nanoseconds());
  if (i % 640_000 === 0) peakMiB = Math.max(peakMiB, unmappedMiB());
}
const ended = Bun.nanoseconds();
const rate = (count: number, from: number, to: number): number =>
  Math.round(count / ((to - from) / 1e9));
const first = rate(FIRST, started, marks.get(FIRST)!);
const last = rate(LAST, marks.get(KEYS - LAST)!, ended);
console.log(
  `durable puts, first ${FIRST.toLocaleString("en")} keys: ${first.toLocaleString("en")}/s`,
);
console.log(
  `durable puts, last ${LAST.toLocaleString("en")} of ${KEYS.toLocaleString("en")}: ${last.toLocaleString("en")}/s, ratio ${(last / first).toFixed(2)}x (goal 0.7x)`,
);
console.log(
  `all ${KEYS.toLocaleString("en")}: ${rate(KEYS, started, ended).toLocaleString("en")}/s`,
);
await engine.settle();
const order = new Prng("reads");
const keys = Array.from({ length: 200_000 }, () => makeKey(order.below(KEYS)));
const readStart = Bun.nanoseconds();
for (const key of keys) if (engine.get(key) !== VALUE_BYTES) throw new Error("a key is missing");
console.log(
  `gets, cold: ${rate(keys.length, readStart, Bun.nanoseconds()).toLocaleString("en")}/s`,
);
Bun.gc(true);
console.log(
  `memory besides mapped files: ${unmappedMiB()} MiB at rest, ${peakMiB} MiB at most while writing (goal 400 MiB)`,
);
await engine.close();
