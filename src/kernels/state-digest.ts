/**
 * State digests: xxHash128 (XXH3, seed 0; github.com/Cyan4973/xxHash) by hash-wasm. Not for secrets. The hasher is
 * made once, while modules load, because its creation does not settle by microtasks alone (simulation).
 */

import { createXXHash128 } from "hash-wasm";

const hasher = await createXXHash128(0, 0);

/** The 16-byte digest of `bytes`, in the canonical (big-endian) order; a new array. */
export function stateDigest(bytes: Uint8Array): Uint8Array {
  return hasher.init().update(bytes).digest("binary");
}
