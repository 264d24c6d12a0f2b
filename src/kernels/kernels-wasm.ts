/**
 * The kernels of `wasm/`: one instance, created synchronously when this module is loaded, with a
 * linear memory that never grows (its map: `wasm/assembly/memory-map.ts`). A call copies its bytes in, crosses once,
 * and reads the answer from the RESULT words; nothing is kept there between calls.
 */

import { BLOOM_LINE_BYTES, bloomLineOffset } from "./bloom-filter.ts";
import { hashKeyJs, sipHash24Js } from "./kernels-js.ts";
import { KERNELS_WASM_BASE64 } from "./kernels-wasm-bytes.generated.ts";

interface Exports {
  readonly memory: WebAssembly.Memory;
  readonly RESULT: WebAssembly.Global;
  readonly LINE: WebAssembly.Global;
  readonly INPUT: WebAssembly.Global;
  readonly INPUT_BYTES: WebAssembly.Global;
  readonly KEY: WebAssembly.Global;
  readonly KEY_BYTES: WebAssembly.Global;
  readonly OUTPUT: WebAssembly.Global;
  hashKey(at: number, length: number): void;
  sipHash24(at: number, length: number): void;
  crc32Prepare(): void;
  crc32Update(crc: number, at: number, length: number): number;
  bloomLineAdd(h0: number, h1: number, h2: number): void;
  bloomLineMayContain(h0: number, h1: number, h2: number): number;
  encodeBlock(count: number): number;
  searchBlock(start: number, end: number, keyLength: number): number;
}

const instance = new WebAssembly.Instance(
  new WebAssembly.Module(Uint8Array.fromBase64(KERNELS_WASM_BASE64)),
  {},
);
// What `wasm/assembly/index.ts` exports; the differential tests call every one of them.
const exports = instance.exports as unknown as Exports;
exports.crc32Prepare();

/** The raw instance, for the bench and the tests of the block kernels. */
export const wasm = {
  memory: new Uint8Array(exports.memory.buffer),
  view: new DataView(exports.memory.buffer),
  RESULT: exports.RESULT.value as number,
  INPUT: exports.INPUT.value as number,
  INPUT_BYTES: exports.INPUT_BYTES.value as number,
  KEY: exports.KEY.value as number,
  KEY_BYTES: exports.KEY_BYTES.value as number,
  OUTPUT: exports.OUTPUT.value as number,
  encodeBlock: exports.encodeBlock,
  searchBlock: exports.searchBlock,
} as const;

const LINE = exports.LINE.value as number;
const { INPUT, INPUT_BYTES, memory } = wasm;
const result = new Uint32Array(exports.memory.buffer, wasm.RESULT, 16);
const { hashKey, sipHash24, crc32Update, bloomLineAdd, bloomLineMayContain } = exports;

/** From this length on, one view and a bulk copy cost less than a byte loop. */
const BULK_COPY_BYTES = 64;

/** Copies `bytes[start, end)` into the memory at `target`. */
export function copyIn(target: number, bytes: Uint8Array, start: number, end: number): void {
  if (end - start >= BULK_COPY_BYTES) memory.set(bytes.subarray(start, end), target);
  else for (let at = start; at < end; at++) memory[target++] = bytes[at]!;
}

/** See `hashKey` of `kernels.ts`; input beyond the 64 KiB of INPUT goes to the twin. */
export function hashKeyWasm(
  bytes: Uint8Array,
  start: number,
  end: number,
  target: Uint32Array,
): void {
  if (end - start > INPUT_BYTES) return hashKeyJs(bytes, start, end, target);
  copyIn(INPUT, bytes, start, end);
  hashKey(INPUT, end - start);
  target[0] = result[0]!;
  target[1] = result[1]!;
  target[2] = result[2]!;
  target[3] = result[3]!;
}

/** See `sipHash24` of `kernels.ts`; input beyond the 64 KiB of INPUT goes to the twin. */
export function sipHash24Wasm(
  key: Uint8Array,
  bytes: Uint8Array,
  start: number,
  end: number,
  target: Uint32Array,
): void {
  if (end - start > INPUT_BYTES) return sipHash24Js(key, bytes, start, end, target);
  copyIn(LINE, key, 0, 16);
  copyIn(INPUT, bytes, start, end);
  sipHash24(INPUT, end - start);
  target[0] = result[0]!;
  target[1] = result[1]!;
}

/** See `crc32` of `kernels.ts`. */
export function crc32Wasm(bytes: Uint8Array): number {
  let crc = -1;
  for (let start = 0; start < bytes.length; start += INPUT_BYTES) {
    const end = Math.min(bytes.length, start + INPUT_BYTES);
    copyIn(INPUT, bytes, start, end);
    crc = crc32Update(crc, INPUT, end - start);
  }
  return ~crc >>> 0;
}

/** See `bloomAdd` of `kernels.ts`. The line travels in and out: filters live in JavaScript memory. */
export function bloomAddWasm(
  filter: Uint8Array,
  h0: number,
  h1: number,
  h2: number,
  h3: number,
): void {
  const line = bloomLineOffset(filter.length, h3);
  copyIn(LINE, filter, line, line + BLOOM_LINE_BYTES);
  bloomLineAdd(h0, h1, h2);
  filter.set(memory.subarray(LINE, LINE + BLOOM_LINE_BYTES), line);
}

/** See `bloomMayContain` of `kernels.ts`. */
export function bloomMayContainWasm(
  filter: Uint8Array,
  h0: number,
  h1: number,
  h2: number,
  h3: number,
): boolean {
  if (filter.length === 0) return true;
  const line = bloomLineOffset(filter.length, h3);
  copyIn(LINE, filter, line, line + BLOOM_LINE_BYTES);
  return bloomLineMayContain(h0, h1, h2) !== 0;
}
