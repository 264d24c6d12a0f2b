/**
 * The causal state of one key: a dotted version vector set in its compact form (Almeida, Baquero et al., "Scalable and Accurate
 * Causality Tracking for Eventually Consistent Stores", 2014).
 *
 *   state = for each actor: counterMax, the values it wrote that are still current, each with its counter
 *
 * A value is current if its dot is listed. A dot (a, c) with c <= counterMax of `a` that is not listed is known and superseded: so
 * the vector alone says which values a replica has *forgotten on purpose*, and merging needs no tombstone per value.
 *
 * - `merge` is a join: commutative, associative, idempotent. Replicas that saw the same updates are equal.
 * - `discard` drops what a context covers; `append` adds one new dot. A put is discard + append (R8, section 1 of the rules).
 * - Entries sorted by actor, values by counter, all distinct; every counter is in 1..counterMax. States are immutable.
 *
 * Nothing here knows what a payload is.
 */
import { assert } from "../base/assert.ts";
import type { Actor } from "./actor.ts";
import { type CausalContext, type ContextEntry, counterOf, covers } from "./causal-context.ts";

export interface DottedValue<P> {
  readonly counter: number;
  readonly payload: P;
}

export interface Entry<P> {
  readonly actor: Actor;
  readonly counterMax: number;
  readonly values: readonly DottedValue<P>[];
}

export type Siblings<P> = readonly Entry<P>[];

/** The join of what two replicas know. */
export function merge<P>(a: Siblings<P>, b: Siblings<P>): Siblings<P> {
  const merged: Entry<P>[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const x = a[i]!;
    const y = b[j]!;
    if (x.actor === y.actor) {
      merged.push(mergeEntries(x, y));
      i++;
      j++;
    } else if (x.actor < y.actor) {
      merged.push(x);
      i++;
    } else {
      merged.push(y);
      j++;
    }
  }
  while (i < a.length) merged.push(a[i++]!);
  while (j < b.length) merged.push(b[j++]!);
  return merged;
}

/** A value stays if both list it, or if the side that does not list it never knew it. */
function mergeEntries<P>(x: Entry<P>, y: Entry<P>): Entry<P> {
  const values: DottedValue<P>[] = [];
  let i = 0;
  let j = 0;
  while (i < x.values.length || j < y.values.length) {
    const left = i < x.values.length ? x.values[i]!.counter : Infinity;
    const right = j < y.values.length ? y.values[j]!.counter : Infinity;
    if (left === right) {
      values.push(x.values[i++]!);
      j++;
    } else if (left < right) {
      if (left > y.counterMax) values.push(x.values[i]!);
      i++;
    } else {
      if (right > x.counterMax) values.push(y.values[j]!);
      j++;
    }
  }
  return { actor: x.actor, counterMax: Math.max(x.counterMax, y.counterMax), values };
}

/** Without the values that `context` covers. The vector does not move. */
export function discard<P>(state: Siblings<P>, context: CausalContext): Siblings<P> {
  return state.map((entry) => {
    const values = entry.values.filter((value) => !covers(context, entry.actor, value.counter));
    return values.length === entry.values.length ? entry : { ...entry, values };
  });
}

/**
 * The state after everything in the vector of `context` was seen and replaced, also what never came here: when it comes later it is known to be
 * superseded. Only for a context that this cluster has sealed: whoever could claim counters could shadow future writes (R13).
 */
export function supersede<P>(state: Siblings<P>, context: CausalContext): Siblings<P> {
  const vector = context.entries.map(({ actor, counter }) => ({
    actor,
    counterMax: counter,
    values: [],
  }));
  return merge(discard(state, context), vector);
}

/** With one new value. `counter` must be above all that the state knows of `actor`. */
export function append<P>(
  state: Siblings<P>,
  actor: Actor,
  counter: number,
  payload: P,
): Siblings<P> {
  const index = state.findIndex((entry) => entry.actor >= actor);
  const at = index === -1 ? state.length : index;
  const before = state[at]?.actor === actor ? state[at] : undefined;
  assert(counter > (before?.counterMax ?? 0), "a new dot is above all dots of its actor");
  const values = [...(before?.values ?? []), { counter, payload }];
  const appended = [...state];
  appended.splice(at, before === undefined ? 0 : 1, { actor, counterMax: counter, values });
  return appended;
}

/** The vector that covers everything in `state`. */
export function contextOf<P>(state: Siblings<P>): CausalContext {
  const entries: ContextEntry[] = [];
  for (const entry of state) entries.push({ actor: entry.actor, counter: entry.counterMax });
  return { entries, dots: [] };
}

/** What is left of `context` when it claims no more than `state` knows: counters lowered, unknown actors left out (R13). */
export function clampContext<P>(context: CausalContext, state: Siblings<P>): CausalContext {
  const entries: ContextEntry[] = [];
  const dots: ContextEntry[] = [];
  for (const { actor, counterMax } of state) {
    const counter = Math.min(counterOf(context, actor), counterMax);
    if (counter > 0) entries.push({ actor, counter });
    for (const dot of context.dots)
      if (dot.actor === actor && dot.counter <= counterMax && dot.counter > counter) dots.push(dot);
  }
  return { entries, dots };
}

/** Does `a` know of every write that `b` knows of? */
export function knowsAll<P>(a: Siblings<P>, b: Siblings<P>): boolean {
  return b.every(({ actor, counterMax }) => (entryOf(a, actor)?.counterMax ?? 0) >= counterMax);
}

export function entryOf<P>(state: Siblings<P>, actor: Actor): Entry<P> | undefined {
  return state.find((entry) => entry.actor === actor);
}

export function valueCount<P>(state: Siblings<P>): number {
  let count = 0;
  for (const entry of state) count += entry.values.length;
  return count;
}
