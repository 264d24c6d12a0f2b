/** The operating system's generator, drawn in blocks because each call into it costs about a microsecond. */
import type { Random } from "../ports/random.ts";

const POOL_WORDS = 256;
/** `getRandomValues` refuses more in one call. */
const CALL_BYTES_MAX = 65536;

export class BunRandom implements Random {
  private readonly pool = new Uint32Array(POOL_WORDS);
  private next = POOL_WORDS;

  u32(): number {
    if (this.next === POOL_WORDS) {
      crypto.getRandomValues(this.pool);
      this.next = 0;
    }
    const word = this.pool[this.next]!;
    // Handed out once: what may become part of a secret does not stay behind in memory.
    this.pool[this.next++] = 0;
    return word;
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let start = 0; start < length; start += CALL_BYTES_MAX) {
      crypto.getRandomValues(bytes.subarray(start, start + CALL_BYTES_MAX));
    }
    return bytes;
  }
}
