/**
 * The kernels as everybody calls them. Each name is bound to one implementation when the module is
 * loaded, so call sites stay monomorphic; all implementations give equal results, so it never
 * matters to the meaning which one runs. Workers and the simulation load this same module.
 *
 * Choices are made by `bench/kernels.ts`; its table is in README.md of this folder. Blocks have a
 * file of their own, `block-kernels.ts`.
 */

import { bloomAddJs, bloomMayContainJs } from "./bloom-filter.ts";
import { crc32Wasm, hashKeyWasm, sipHash24Wasm } from "./kernels-wasm.ts";

export { bloomBytesFor } from "./bloom-filter.ts";
export { stateDigest } from "./state-digest.ts";

/** Kernels of the runtime itself; only `src/bun` can name them. */
export interface NativeKernels {
  crc32(bytes: Uint8Array): number;
}

// Native: 82 ns for 4 KiB against 1,534 ns in WASM and 7,858 ns in TypeScript. Until it is handed in: WASM.
let crc32Fastest: (bytes: Uint8Array) => number = crc32Wasm;

/** Puts native implementations in place of the portable ones; results stay the same. */
export function useNativeKernels(native: NativeKernels): void {
  crc32Fastest = native.crc32;
}

/**
 * MurmurHash3 x64 128 (seed 0) of `bytes[start, end)`: ring position and bloom filter bits from one pass.
 *
 * @param target receives [h1 low, h1 high, h2 low, h2 high]; length at least 4
 */
export function hashKey(bytes: Uint8Array, start: number, end: number, target: Uint32Array): void {
  // WASM multiplies 64 bits at once: 22 ns for 24 bytes with the copy in, TypeScript 95 ns.
  hashKeyWasm(bytes, start, end, target);
}

/**
 * SipHash-2-4 of `bytes[start, end)` under a 16-byte `key`: the MAC of context tokens.
 *
 * @param target receives [low, high]; length at least 2
 */
export function sipHash24(
  key: Uint8Array,
  bytes: Uint8Array,
  start: number,
  end: number,
  target: Uint32Array,
): void {
  // WASM: 73 ns for 64 bytes, TypeScript 259 ns.
  sipHash24Wasm(key, bytes, start, end, target);
}

/** CRC-32 (IEEE) of `bytes`, unsigned: the checksum of logs and blocks. */
export function crc32(bytes: Uint8Array): number {
  return crc32Fastest(bytes);
}

/** Adds the key with hash words `h0..h3` to `filter`, whose length is that of `bloomBytesFor`. */
export function bloomAdd(filter: Uint8Array, h0: number, h1: number, h2: number, h3: number): void {
  // TypeScript: 5 ns; WASM 143 ns, because the line must travel there and back.
  bloomAddJs(filter, h0, h1, h2, h3);
}

/** False only where the key was never added; an empty filter knows nothing and says true. */
export function bloomMayContain(
  filter: Uint8Array,
  h0: number,
  h1: number,
  h2: number,
  h3: number,
): boolean {
  // TypeScript: 7 ns; WASM 116 ns, because the line must travel there.
  return bloomMayContainJs(filter, h0, h1, h2, h3);
}
