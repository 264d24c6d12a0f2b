/**
 * The storage engine against LevelDB (classic-level) and LMDB, in process, side by side.
 *
 *   bun bench/store.ts [--records 2000000]
 *
 * Each engine runs in a process of its own, one after the other, on the same keys (24 bytes, random order) and values (100 random bytes); the
 * data set is about four memtables. Gets are synchronous for all (`getSync`, `getBinary`) and check the value's length.
 */
import { parseArgs } from "node:util";
import { Prng } from "../src/base/prng.ts";
import { openEngine } from "./support/store-engines.ts";
import type { Engine, EngineName } from "./support/store-engines.ts";
import { printRatios } from "./support/ratios.ts";

const BATCH = 64;
const VALUE_BYTES = 100;
const READS = 400_000;
const DURABLE_RECORDS = 64 * 1500;

const { values: options } = parseArgs({
  options: { records: { type: "string", default: "2000000" }, engine: { type: "string" } },
});
const RECORDS = Number(options.records);

function makeKey(i: number): Uint8Array {
  const key = new Uint8Array(24);
  const view = new DataView(key.buffer);
  const mixed = Math.imul(i + 1, 0x9e3779b1) >>> 0;
  view.setUint16(0, mixed >>> 24);
  key.set(BUCKET, 2);
  view.setUint32(14, mixed);
  view.setUint32(20, i);
  return key;
}
const BUCKET = new TextEncoder().encode("bench\0user:");

export interface Figures {
  readonly put: number;
  readonly durable: number;
  readonly hit: number;
  readonly miss: number;
  readonly scan: number;
}

async function measure(name: EngineName): Promise<Figures> {
  const pool = new Prng("values").bytes(1 << 20);
  const valueOf = (i: number): Uint8Array =>
    pool.subarray((i * 37) % 1_000_000, ((i * 37) % 1_000_000) + VALUE_BYTES);
  const durable = name === "lmdb" ? 0 : await measureDurable(await openEngine(name, true), valueOf);
  const engine = await openEngine(name, false);
  const put = await measurePuts(engine, valueOf);
  await engine.settle();
  const order = new Prng("reads");
  const hits = Array.from({ length: READS }, () => makeKey(order.below(RECORDS)));
  const misses = Array.from({ length: READS }, () => makeKey(RECORDS + order.below(RECORDS)));
  measureGets(engine, hits.slice(0, READS / 4), VALUE_BYTES);
  const hit = measureGets(engine, hits, VALUE_BYTES);
  measureGets(engine, misses.slice(0, READS / 4), -1);
  const miss = measureGets(engine, misses, -1);
  const scan = await measureScan(engine);
  await engine.close();
  return { put, durable, hit, miss, scan };
}

async function measurePuts(engine: Engine, valueOf: (i: number) => Uint8Array): Promise<number> {
  const started = Bun.nanoseconds();
  for (let i = 0; i < RECORDS; i += BATCH) {
    const keys: Uint8Array[] = [];
    const values: Uint8Array[] = [];
    for (let j = i; j < Math.min(i + BATCH, RECORDS); j++) {
      keys.push(makeKey(j));
      values.push(valueOf(j));
    }
    await engine.putBatch(keys, values);
  }
  return rate(RECORDS, started);
}

async function measureDurable(engine: Engine, valueOf: (i: number) => Uint8Array): Promise<number> {
  const started = Bun.nanoseconds();
  for (let i = 0; i < DURABLE_RECORDS; i += BATCH) {
    const ids = Array.from({ length: BATCH }, (_, j) => i + j);
    await engine.putDurable(ids.map(makeKey), ids.map(valueOf));
  }
  const figure = rate(DURABLE_RECORDS, started);
  await engine.close();
  return figure;
}

function measureGets(engine: Engine, keys: readonly Uint8Array[], expected: number): number {
  const started = Bun.nanoseconds();
  for (const key of keys) {
    const found = engine.get(key);
    if (found !== expected) throw new Error(`a value of ${found} bytes, expected ${expected}`);
  }
  return rate(keys.length, started);
}

async function measureScan(engine: Engine): Promise<number> {
  const started = Bun.nanoseconds();
  const { count } = await engine.scan();
  if (count !== RECORDS) throw new Error(`the scan met ${count} records of ${RECORDS}`);
  return rate(count, started);
}

const rate = (count: number, started: number): number =>
  Math.round(count / ((Bun.nanoseconds() - started) / 1e9));

async function inChild(engine: EngineName): Promise<Figures> {
  const child = Bun.spawn(
    [process.execPath, import.meta.path, "--engine", engine, "--records", String(RECORDS)],
    {
      stdout: "pipe",
      stderr: "inherit",
    },
  );
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`the run of ${engine} failed`);
  return JSON.parse(text.trim().split("\n").at(-1)!) as Figures;
}

if (options.engine !== undefined)
  console.log(JSON.stringify(await measure(options.engine as EngineName)));
else {
  const hutch = await inChild("hutch");
  const level = await inChild("classic-level");
  const lmdb = await inChild("lmdb");
  printRatios("store", [
    {
      what: "puts, batches of 64, no sync",
      own: hutch.put,
      peer: "classic-level",
      peerRate: level.put,
      goal: 1,
    },
    {
      what: "durable puts, 64 writers",
      own: hutch.durable,
      peer: "classic-level",
      peerRate: level.durable,
      goal: 1,
    },
    { what: "get, hit", own: hutch.hit, peer: "lmdb", peerRate: lmdb.hit, goal: 1 },
    { what: "get, hit", own: hutch.hit, peer: "classic-level", peerRate: level.hit, goal: 1.5 },
    { what: "get, miss", own: hutch.miss, peer: "lmdb", peerRate: lmdb.miss, goal: 1.5 },
    { what: "get, miss", own: hutch.miss, peer: "classic-level", peerRate: level.miss, goal: 2 },
    { what: "full scan", own: hutch.scan, peer: "classic-level", peerRate: level.scan, goal: 1 },
  ]);
}
