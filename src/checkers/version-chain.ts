/**
 * The fast path for registers that are only ever swapped and read, for long runs: O(n log n) where the search of `linearizable.ts` could be exponential.
 *
 * Every swap names the value it replaces and makes one that nobody else makes, so the values of a register are versions, and form a chain:
 *
 *   nothing <- a <- b <- c        each version replaces one other, and is replaced by one at most: else two swaps both won (a fork)
 *
 * The chain is the only order that the swaps can have had, and a read comes right behind the version that it shows. What is left to check is that real
 * time agrees: whoever starts after another has ended does not come before it in the chain.
 *
 * A swap of unknown outcome belongs to the chain if anybody was told its version. Refused swaps are left out: that somebody was refused proves little.
 */
import { assert } from "../base/assert.ts";
import type { Violation } from "./history.ts";
import {
  type ReadCall,
  type RegisterCall,
  type RegisterValue,
  type SwapCall,
  describeCall,
  witnesses,
} from "./register.ts";

/** Reads and swaps only, of which none was refused and no two make the same value. */
export function isVersionChain(calls: readonly RegisterCall[]): boolean {
  const made = new Set<string>();
  return witnesses(calls).every((call) => {
    if (call.kind === "read") return true;
    if (call.kind !== "swap" || isRefused(call) || made.has(call.arg)) return false;
    made.add(call.arg);
    return true;
  });
}

/** @param calls reads and swaps, each swap with a value of its own */
export function checkVersionChain(calls: readonly RegisterCall[], key: string): Violation[] {
  const told = witnesses(calls).filter((call) => !isRefused(call));
  assert(isVersionChain(told), "swaps have values of their own, and nobody writes without a swap");
  const reads = told.filter((call) => call.kind === "read");
  const swaps = seenSwaps(
    told.filter((call) => call.kind === "swap"),
    reads,
  );
  const chain = new Chain(swaps);
  // Each supposes that there is nothing of the one before.
  let messages = chain.forks();
  if (messages.length === 0) messages = chain.strangers(swaps, reads);
  if (messages.length === 0) messages = chain.againstTime([...swaps, ...reads]);
  return messages.map((message) => ({ invariant: "linearizable", message, key }));
}

function isRefused(call: RegisterCall): boolean {
  return call.kind === "swap" && !call.hasSwapped;
}

/** Without swaps of unknown outcome of which no read and no other swap in the chain tells. */
function seenSwaps(swaps: readonly SwapCall[], reads: readonly ReadCall[]): SwapCall[] {
  const makers = new Map(swaps.map((swap) => [swap.arg, swap]));
  const seen = new Set(swaps.filter(({ outcome }) => outcome === "ok"));
  const told = [...reads.map(({ result }) => result), ...[...seen].map((swap) => swap.expected)];
  // Grows while it is walked, by one for each swap at most.
  for (const value of told) {
    const maker = value === undefined ? undefined : makers.get(value);
    if (maker === undefined || seen.has(maker)) continue;
    seen.add(maker);
    told.push(maker.expected);
  }
  return swaps.filter((swap) => seen.has(swap));
}

class Chain {
  private readonly heirs = new Map<RegisterValue, SwapCall[]>();
  /** How far from the beginning a version is. */
  private readonly places = new Map<RegisterValue, number>([[undefined, 0]]);

  constructor(swaps: readonly SwapCall[]) {
    for (const swap of swaps) {
      const heirs = this.heirs.get(swap.expected) ?? [];
      heirs.push(swap);
      this.heirs.set(swap.expected, heirs);
    }
    let [heir] = this.heirs.get(undefined) ?? [];
    while (heir !== undefined) {
      this.places.set(heir.arg, this.places.size);
      [heir] = this.heirs.get(heir.arg) ?? [];
    }
  }

  forks(): string[] {
    return [...this.heirs.values()]
      .filter((heirs) => heirs.length > 1)
      .map((heirs) => `two swaps of one version: ${heirs.map(describeCall).join("; ")}`);
  }

  /** What no chain from the beginning leads to: versions that nobody made, or rings of them. */
  strangers(swaps: readonly SwapCall[], reads: readonly ReadCall[]): string[] {
    const unknown = [
      ...swaps.filter(({ arg }) => !this.places.has(arg)),
      ...reads.filter(({ result }) => !this.places.has(result)),
    ];
    return unknown.map((call) => `no chain of swaps leads to ${describeCall(call)}`);
  }

  /** Calls that come before one in the chain that had ended when they started. */
  againstTime(calls: readonly (SwapCall | ReadCall)[]): string[] {
    const byEnd = calls.toSorted((a, b) => a.endMs - b.endMs);
    const messages: string[] = [];
    let ended = 0;
    let last: SwapCall | ReadCall | undefined;
    for (const call of calls.toSorted((a, b) => a.startMs - b.startMs)) {
      while (ended < byEnd.length && byEnd[ended]!.endMs < call.startMs) {
        const other = byEnd[ended++]!;
        if (last === undefined || this.rankOf(other) > this.rankOf(last)) last = other;
      }
      if (last !== undefined && this.rankOf(last) > this.rankOf(call))
        messages.push(`${describeCall(call)} comes before ${describeCall(last)}, which had ended`);
    }
    return messages;
  }

  /** Reads of a version come behind the swap that made it and before the next. */
  private rankOf(call: SwapCall | ReadCall): number {
    const isRead = call.kind === "read";
    return 2 * this.places.get(isRead ? call.result : call.arg)! + (isRead ? 1 : 0);
  }
}
