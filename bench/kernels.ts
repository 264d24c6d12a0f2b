/**
 * Every kernel in TypeScript, in WASM and native where there is one, on the sizes that the store uses.
 * `bun bench/kernels.ts` prints nanoseconds a call and the ratio to TypeScript; the facade
 * `src/kernels/kernels.ts` takes the fastest. Figures and choices: `src/kernels/README.md`.
 */

import { do_not_optimize, measure } from "mitata";
import { utf8 } from "../src/base/bytes.ts";
import { Prng } from "../src/base/prng.ts";
import { BlockBuilderWasm, searchBlockWasm } from "../src/kernels/block-kernels-wasm.ts";
import { BlockBuilder, BlockCursor, searchBlock } from "../src/kernels/block-kernels.ts";
import { bloomAddJs, bloomBytesFor, bloomMayContainJs } from "../src/kernels/bloom-filter.ts";
import { crc32Js, hashKeyJs, sipHash24Js } from "../src/kernels/kernels-js.ts";
import {
  bloomAddWasm,
  bloomMayContainWasm,
  copyIn,
  crc32Wasm,
  hashKeyWasm,
  sipHash24Wasm,
  wasm,
} from "../src/kernels/kernels-wasm.ts";
import { stateDigest } from "../src/kernels/kernels.ts";

/** One subject: `run` does `callCount` calls (default 1). */
interface Subject {
  readonly js?: () => unknown;
  readonly wasm?: () => unknown;
  readonly native?: () => unknown;
  readonly callCount?: number;
}

const SAMPLE_NS_MIN = 200e6;

async function nanosecondsPerCall(run: () => unknown, callCount: number): Promise<number> {
  const stats = await measure(() => do_not_optimize(run()), { min_cpu_time: SAMPLE_NS_MIN });
  return stats.p50 / callCount;
}

const prng = new Prng("bench kernels");
const words = new Uint32Array(4);

function hashSubject(length: number): Subject {
  const bytes = prng.bytes(length);
  return {
    js: () => hashKeyJs(bytes, 0, length, words),
    wasm: () => hashKeyWasm(bytes, 0, length, words),
  };
}

function sipSubject(length: number): Subject {
  const key = prng.bytes(16);
  const bytes = prng.bytes(length);
  return {
    js: () => sipHash24Js(key, bytes, 0, length, words),
    wasm: () => sipHash24Wasm(key, bytes, 0, length, words),
  };
}

function crcSubject(length: number): Subject {
  const bytes = prng.bytes(length);
  return {
    js: () => crc32Js(bytes),
    wasm: () => crc32Wasm(bytes),
    native: () => Bun.hash.crc32(bytes),
  };
}

type BloomProbe = (filter: Uint8Array, h0: number, h1: number, h2: number, h3: number) => unknown;

/** A thousand hashes against a filter for 100,000 keys. */
function bloomSubject(js: BloomProbe, inWasm: BloomProbe): Subject {
  const hashes = Uint32Array.from({ length: 4000 }, () => prng.u32());
  const filter = new Uint8Array(bloomBytesFor(100_000));
  for (let i = 0; i < 100_000; i++)
    bloomAddJs(filter, prng.u32(), prng.u32(), prng.u32(), prng.u32());
  const over = (probe: BloomProbe) => () => {
    for (let i = 0; i < 4000; i += 4)
      probe(filter, hashes[i]!, hashes[i + 1]!, hashes[i + 2]!, hashes[i + 3]!);
  };
  return { js: over(js), wasm: over(inWasm), callCount: 1000 };
}

/** The keys of a 4 KiB block with values of 100 bytes. */
const blockKeys = Array.from({ length: 37 }, (_, i) =>
  utf8(`carts/user:${String(i * 7919).padStart(8, "0")}`),
).sort(Buffer.compare);
const blockValue = prng.bytes(100);

function fill(builder: BlockBuilder | BlockBuilderWasm): Uint8Array {
  for (const key of blockKeys)
    builder.add(key, 0, key.length, 0, 123_456_789, blockValue, 0, blockValue.length);
  return builder.finish();
}

function encodeSubject(): Subject {
  const builder = new BlockBuilder();
  const builderWasm = new BlockBuilderWasm();
  return {
    js: () => (builder.reset(), fill(builder)),
    wasm: () => fill(builderWasm),
  };
}

function searchSubject(): Subject {
  const block = fill(new BlockBuilder());
  const cursor = new BlockCursor();
  const over = (search: typeof searchBlock) => () => {
    for (const key of blockKeys) search(block, 0, block.length, key, cursor);
  };
  return { js: over(searchBlock), wasm: over(searchBlockWasm), callCount: blockKeys.length };
}

/** The best that WASM could do: the block is there already, and nothing but a place comes back. */
function residentSearchSubject(): Subject {
  const { js } = searchSubject();
  const block = fill(new BlockBuilder());
  const { INPUT, KEY } = wasm;
  copyIn(INPUT, block, 0, block.length);
  const inWasm = () => {
    for (const key of blockKeys) {
      copyIn(KEY, key, 0, key.length);
      wasm.searchBlock(INPUT, INPUT + block.length, key.length);
    }
  };
  return { js: js!, wasm: inWasm, callCount: blockKeys.length };
}

function digestSubject(length: number): Subject {
  const bytes = prng.bytes(length);
  return { wasm: () => stateDigest(bytes) };
}

/** Made one by one, as each is measured: some leave bytes in WASM memory. */
const subjects: Readonly<Record<string, () => Subject>> = {
  "hashKey, 24 bytes": () => hashSubject(24),
  "hashKey, 256 bytes": () => hashSubject(256),
  "sipHash24, 64 bytes": () => sipSubject(64),
  "crc32, 100 bytes": () => crcSubject(100),
  "crc32, 4 KiB": () => crcSubject(4096),
  "crc32, 64 KiB": () => crcSubject(65_536),
  bloomAdd: () => bloomSubject(bloomAddJs, bloomAddWasm),
  "bloomMayContain, absent": () => bloomSubject(bloomMayContainJs, bloomMayContainWasm),
  "block encode, 37 entries": encodeSubject,
  "block search, 4 KiB": searchSubject,
  "block search, already there": residentSearchSubject,
  "stateDigest, 24 bytes": () => digestSubject(24),
  "stateDigest, 4 KiB": () => digestSubject(4096),
};

async function measureRow(name: string, subject: Subject): Promise<string> {
  const { js, wasm: inWasm, native, callCount = 1 } = subject;
  const figures: number[] = [];
  for (const run of [js, inWasm, native])
    figures.push(run === undefined ? Number.NaN : await nanosecondsPerCall(run, callCount));
  const cells = figures.map((ns) => (Number.isNaN(ns) ? "" : ns.toFixed(ns < 100 ? 1 : 0)));
  const best = figures.indexOf(Math.min(...figures.filter((ns) => !Number.isNaN(ns))));
  const ratio = js === undefined ? "" : `${(figures[0]! / figures[best]!).toFixed(1)}x`;
  return `| ${[name, ...cells, ["TypeScript", "WASM", "native"][best], ratio].join(" | ")} |`;
}

console.log("| ns per call | TypeScript | WASM | native | fastest | against TypeScript |");
console.log("|---|---|---|---|---|---|");
for (const [name, make] of Object.entries(subjects)) console.log(await measureRow(name, make()));
