/**
 * Whom to probe next: all in turn, in an order that is shuffled anew for each round (SWIM 4.3). Unlike a random pick it bounds the time until a given
 * node is probed: two rounds. A node that joins is put at a random place of the present round.
 */
import type { Prng } from "../base/prng.ts";

export class ProbeSchedule<T> {
  readonly #prng: Prng;
  readonly #order: T[] = [];
  #next = 0;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  get size(): number {
    return this.#order.length;
  }

  add(item: T): void {
    const order = this.#order;
    const place = this.#next + this.#prng.below(order.length - this.#next + 1);
    const displaced = order[place];
    order[place] = item;
    if (displaced !== undefined) order.push(displaced);
  }

  /** O(n): members are removed by layouts only. */
  remove(item: T): void {
    const at = this.#order.indexOf(item);
    if (at < 0) return;
    this.#order.splice(at, 1);
    if (at < this.#next) this.#next--;
  }

  /** The next in turn that `isWanted`; each is looked at once at most. `undefined`: none. */
  next(isWanted: (item: T) => boolean): T | undefined {
    for (let looked = 0; looked < this.#order.length; looked++) {
      if (this.#next >= this.#order.length) this.#shuffle();
      const item = this.#order[this.#next++]!;
      if (isWanted(item)) return item;
    }
    return undefined;
  }

  /** Up to `count` different ones that `isWanted`, by chance; gives up after a few tries each, so few wanted among many may be missed. */
  sample(count: number, isWanted: (item: T) => boolean): T[] {
    const order = this.#order;
    if (order.length <= SMALL) return this.#sampleSmall(count, isWanted);
    const picked: T[] = [];
    for (let tries = 0; tries < TRIES * count && picked.length < count; tries++) {
      const item = order[this.#prng.below(order.length)]!;
      if (isWanted(item) && !picked.includes(item)) picked.push(item);
    }
    return picked;
  }

  #sampleSmall(count: number, isWanted: (item: T) => boolean): T[] {
    const wanted = this.#order.filter(isWanted);
    const length = Math.min(count, wanted.length);
    for (let i = 0; i < length; i++) {
      const from = this.#prng.between(i, wanted.length - 1);
      [wanted[i], wanted[from]] = [wanted[from]!, wanted[i]!];
    }
    return wanted.slice(0, length);
  }

  #shuffle(): void {
    const order = this.#order;
    for (let i = order.length - 1; i > 0; i--) {
      const from = this.#prng.below(i + 1);
      [order[i], order[from]] = [order[from]!, order[i]!];
    }
    this.#next = 0;
  }
}

const SMALL = 16;
const TRIES = 6;
