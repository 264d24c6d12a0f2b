/** What a load does next: reads, writes, inserts and read-modify-writes in given shares. */
import type { Prng } from "../base/prng.ts";
import type { KeyChoice } from "./key-choice.ts";

export const KINDS = ["read", "write", "insert", "modify"] as const;
/** `modify` is a read, then a write of the same key; its latency is that of both. */
export type Kind = (typeof KINDS)[number];

/** One object per connection, filled again and again. */
export interface Operation {
  kind: Kind;
  key: number;
}

export interface Workload {
  /** Fills in the next operation; `false` when there is none any more. */
  next(operation: Operation): boolean;
  /** An insert was acknowledged. */
  inserted(key: number): void;
}

/** Every key once, in order, from `firstKey` on: fills a store, or reads it back. */
export function eachKeyOnce(kind: "read" | "write", keyCount: number, firstKey = 0): Workload {
  let key = firstKey;
  return {
    next(operation) {
      if (key === keyCount) return false;
      operation.kind = kind;
      operation.key = key++;
      return true;
    },
    inserted: () => undefined,
  };
}

export function only(kind: "read" | "write", choose: KeyChoice): Workload {
  return {
    next(operation) {
      operation.kind = kind;
      operation.key = choose();
      return true;
    },
    inserted: () => undefined,
  };
}

/** The keys that exist: 0 up to `count`, which follows the inserts that are acknowledged without a gap, so that nobody reads a key that is still on its way. */
export class KeySpace {
  count: number;
  #next: number;
  readonly #ahead = new Set<number>();

  constructor(count: number) {
    this.count = count;
    this.#next = count;
  }

  insert(): number {
    return this.#next++;
  }

  acknowledge(key: number): void {
    this.#ahead.add(key);
    while (this.#ahead.delete(this.count)) this.count++;
  }
}

/** Shares of the kinds; they sum up to 1. */
export type Shares = Readonly<Partial<Record<Kind, number>>>;

export function mixed(prng: Prng, shares: Shares, choose: KeyChoice, keys: KeySpace): Workload {
  const table = KINDS.filter((kind) => shares[kind] !== undefined);
  const draw = (): Kind => {
    let left = prng.float();
    for (const kind of table) if ((left -= shares[kind]!) < 0) return kind;
    return table[0]!;
  };
  return {
    next(operation) {
      operation.kind = draw();
      operation.key = operation.kind === "insert" ? keys.insert() : choose();
      return true;
    },
    inserted: (key) => keys.acknowledge(key),
  };
}
