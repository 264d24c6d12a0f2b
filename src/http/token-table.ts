/**
 * Tokens found by their digest, in a time that says nothing about them (FAULTS.md Q3): every digest of the table is looked at, found or not, and
 * no comparison ends early.
 */
import { assert } from "../base/assert.ts";
import { Grant } from "./grant.ts";
import type { TokenEntry } from "./token-file.ts";

const DIGEST_BYTES = 32;
const WORDS = DIGEST_BYTES / 4;

export class TokenTable {
  /** Of all tokens, one behind the other. */
  readonly #digests: Uint32Array;
  readonly #grants: readonly Grant[];

  constructor(entries: readonly TokenEntry[]) {
    const bytes = new Uint8Array(entries.length * DIGEST_BYTES);
    for (const [index, { sha256 }] of entries.entries())
      for (let at = 0; at < DIGEST_BYTES; at++)
        bytes[index * DIGEST_BYTES + at] = Number.parseInt(sha256.slice(2 * at, 2 * at + 2), 16);
    this.#digests = new Uint32Array(bytes.buffer);
    this.#grants = entries.map((entry) => new Grant(entry));
  }

  get size(): number {
    return this.#grants.length;
  }

  find(digest: Uint8Array): Grant | undefined {
    assert(digest.length === DIGEST_BYTES, "a digest has 32 bytes");
    const wanted = new Uint32Array(new Uint8Array(digest).buffer);
    let found = -1;
    for (let index = 0; index < this.#grants.length; index++) {
      let difference = 0;
      for (let word = 0; word < WORDS; word++)
        difference |= this.#digests[index * WORDS + word]! ^ wanted[word]!;
      // All ones where nothing differs, else zero.
      const isEqual = ((difference | -difference) >> 31) ^ -1;
      found = (isEqual & index) | (~isEqual & found);
    }
    return found < 0 ? undefined : this.#grants[found];
  }
}
