/** The side of `fuzz.ts` that may hang: runs decoders over damaged input, and shows each input before it tries it. */
import "../src/bun/native-kernels.ts";
import { DECODERS } from "../test/fuzz/decoders.ts";
import { DecoderRun, Finding, type FuzzTotals } from "../test/fuzz/run.ts";

declare const self: Worker;

/** Words in front: inputs so far, place of the decoder in the table, length of the input. */
const HEAD_WORDS = 3;
const INPUT_BYTES_MAX = 1024 * 1024;
export const WATCH_BYTES = 4 * HEAD_WORDS + INPUT_BYTES_MAX;
/** Random damages in one round; besides, the valid inputs are tried, and one of them with each small damage. */
const INPUTS_A_ROUND = 2000;

export interface FuzzTask {
  readonly names: readonly string[];
  readonly seed: number;
  readonly forMs: number;
  readonly watch: SharedArrayBuffer;
}

/** Of one decoder and one round. */
export interface FuzzReport {
  readonly name: string;
  readonly totals: FuzzTotals;
  readonly finding: string | undefined;
}

export function inputIn(watch: SharedArrayBuffer): {
  readonly count: number;
  readonly decoder: number;
  readonly input: Uint8Array;
} {
  const head = new Int32Array(watch, 0, HEAD_WORDS);
  const input = new Uint8Array(watch, 4 * HEAD_WORDS, Math.min(head[2]!, INPUT_BYTES_MAX)).slice();
  return { count: Atomics.load(head, 0), decoder: head[1]!, input };
}

function watcher(watch: SharedArrayBuffer, decoder: number): (input: Uint8Array) => void {
  const head = new Int32Array(watch, 0, HEAD_WORDS);
  const bytes = new Uint8Array(watch, 4 * HEAD_WORDS);
  return (input) => {
    bytes.set(input.subarray(0, INPUT_BYTES_MAX));
    head[1] = decoder;
    head[2] = input.length;
    Atomics.add(head, 0, 1);
  };
}

function runOne(name: string, seed: number, watch: SharedArrayBuffer): FuzzReport {
  const index = DECODERS.findIndex((row) => row.name === name);
  const run = new DecoderRun(DECODERS[index]!, seed, watcher(watch, index));
  try {
    run.tryValid();
    run.tryEverySmallDamage();
    run.tryDamage(INPUTS_A_ROUND);
  } catch (thrown) {
    if (!(thrown instanceof Finding)) throw thrown;
    return { name, totals: run.totals, finding: thrown.message };
  }
  return { name, totals: run.totals, finding: undefined };
}

/** Rounds over all decoders until the time is over; who has failed once is left out. */
function runAll({ names, seed, forMs, watch }: FuzzTask): void {
  const endMs = performance.now() + forMs;
  const failed = new Set<string>();
  for (let round = 0; performance.now() < endMs; round++)
    for (const name of names) {
      if (failed.has(name) || performance.now() > endMs) continue;
      const report = runOne(name, seed + round, watch);
      if (report.finding !== undefined) failed.add(name);
      postMessage(report);
    }
}

/** A message that comes before this module has loaded would be lost, so the other side waits for ours. */
if (!Bun.isMainThread) {
  self.onmessage = ({ data }: MessageEvent<FuzzTask>) => {
    runAll(data);
    postMessage("done");
  };
  postMessage("ready");
}
