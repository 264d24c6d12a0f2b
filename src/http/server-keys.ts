/**
 * Keys that the server makes for `POST /v1/kv/{bucket}`.
 *
 * Without `Idempotency-Key`: 48 bits of time, then 80 random ones, in Crockford's base 32, so that keys sort by time.
 *
 *   01jd7t3v9k  x2m8q4r6t0w1y3z5
 *   time        chance
 *
 * With it the key is a function of it, so a retry, on whichever node, writes the same key and meets its first attempt there:
 * `idem-{generation}-{Idempotency-Key}`. The generation goes up when the record of that attempt has run out and somebody
 * uses the same text for a new write; the old value stays.
 */
import type { Random } from "../ports/random.ts";

const DIGITS = "0123456789abcdefghjkmnpqrstvwxyz";
const TIME_DIGITS = 10;
const RANDOM_DIGITS = 16;
/** New uses of one `Idempotency-Key` after ten minutes each; then the client has to think of another. */
export const GENERATIONS_MAX = 8;

export function timeOrderedKey(wallMs: number, random: Random): string {
  let time = "";
  let rest = wallMs;
  for (let i = 0; i < TIME_DIGITS; i++) {
    time = DIGITS[rest % 32]! + time;
    rest = Math.floor(rest / 32);
  }
  let chance = "";
  for (const byte of random.bytes(RANDOM_DIGITS)) chance += DIGITS[byte & 31]!;
  return time + chance;
}

export function idempotentKey(idempotencyKey: string, generation: number): string {
  return `idem-${generation}-${idempotencyKey}`;
}
