/**
 * Which key comes next. Uniform; zipfian as in YCSB (Gray et al., "Quickly Generating Billion-Record Synthetic Databases"), scrambled so that the
 * popular keys are not neighbours; latest, where the newest key is the most popular one.
 */
import type { Prng } from "../base/prng.ts";

/** A key's number, from 0. */
export type KeyChoice = () => number;

export function uniform(prng: Prng, keyCount: number): KeyChoice {
  return () => prng.below(keyCount);
}

const THETA = 0.99;
/** YCSB draws from ten billion items, whatever the data set, and hashes them onto the keys; the sum below is for that number. */
const SCRAMBLED_ITEMS = 10_000_000_000;
const SCRAMBLED_ZETA = 26.46902820178302;

/** Ranks 0, 1, 2, ... with probability proportional to 1 / (rank + 1)^0.99. */
class Zipfian {
  readonly #prng: Prng;
  #items: number;
  #zeta: number;
  #eta = 0;

  constructor(prng: Prng, items: number, zeta: number) {
    this.#prng = prng;
    this.#items = items;
    this.#zeta = zeta;
    this.#setEta();
  }

  static over(prng: Prng, items: number): Zipfian {
    const zipfian = new Zipfian(prng, 1, 1);
    zipfian.grow(items);
    return zipfian;
  }

  grow(items: number): void {
    if (items <= this.#items) return;
    for (let item = this.#items + 1; item <= items; item++) this.#zeta += 1 / item ** THETA;
    this.#items = items;
    this.#setEta();
  }

  #setEta(): void {
    const zetaOfTwo = 1 + 0.5 ** THETA;
    this.#eta = (1 - (2 / this.#items) ** (1 - THETA)) / (1 - zetaOfTwo / this.#zeta);
  }

  next(): number {
    const u = this.#prng.float();
    const scaled = u * this.#zeta;
    if (scaled < 1) return 0;
    if (scaled < 1 + 0.5 ** THETA) return 1;
    const rank = this.#items * (this.#eta * u - this.#eta + 1) ** (1 / (1 - THETA));
    return Math.min(this.#items - 1, Math.floor(rank));
  }
}

/** FNV-1a, 32 bit, over the eight bytes of a number, then mixed (murmur3's last step): FNV alone leaves the low bits uneven. */
function scramble(rank: number): number {
  let hash = 0x811c9dc5;
  let low = rank >>> 0;
  let high = Math.floor(rank / 2 ** 32);
  for (let i = 0; i < 4; i++, low >>>= 8) hash = Math.imul(hash ^ (low & 0xff), 0x01000193);
  for (let i = 0; i < 4; i++, high >>>= 8) hash = Math.imul(hash ^ (high & 0xff), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

export function scrambledZipfian(prng: Prng, keyCount: number): KeyChoice {
  const zipfian = new Zipfian(prng, SCRAMBLED_ITEMS, SCRAMBLED_ZETA);
  return () => scramble(zipfian.next()) % keyCount;
}

/** @param countNow how many keys there are now: the last of them is the likeliest */
export function latest(prng: Prng, countNow: () => number): KeyChoice {
  const zipfian = Zipfian.over(prng, countNow());
  return () => {
    const count = countNow();
    zipfian.grow(count);
    return Math.max(0, count - 1 - zipfian.next());
  };
}
