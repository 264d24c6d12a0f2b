/**
 * What somebody has seen of one key: a version vector plus single dots.
 *
 * (a, n) in the vector covers every dot of `a` up to n. A single dot covers itself only: the token of a write names its own value
 * without claiming siblings that the writer never saw (REST.md section 2).
 *
 * Invariant: entries sorted by actor, distinct, counters at least 1; dots sorted, none covered by the vector.
 */
import type { Actor } from "./actor.ts";

export interface ContextEntry {
  readonly actor: Actor;
  readonly counter: number;
}

export interface CausalContext {
  readonly entries: readonly ContextEntry[];
  readonly dots: readonly ContextEntry[];
}

export const EMPTY_CONTEXT: CausalContext = { entries: [], dots: [] };

/** How far the vector reaches for `actor`; 0 for not at all. */
export function counterOf(context: CausalContext, actor: Actor): number {
  for (const entry of context.entries) if (entry.actor === actor) return entry.counter;
  return 0;
}

export function covers(context: CausalContext, actor: Actor, counter: number): boolean {
  if (counter <= counterOf(context, actor)) return true;
  for (const dot of context.dots) if (dot.actor === actor && dot.counter === counter) return true;
  return false;
}

/** `context` and everything of `actor` up to `counter`. */
export function withVector(context: CausalContext, actor: Actor, counter: number): CausalContext {
  const entries = context.entries.filter((entry) => entry.actor !== actor);
  entries.push({ actor, counter: Math.max(counter, counterOf(context, actor)) });
  entries.sort(byActorAndCounter);
  const dots = context.dots.filter((dot) => dot.actor !== actor || dot.counter > counter);
  return { entries, dots };
}

/** `context` and the single dot (actor, counter). */
export function withDot(context: CausalContext, actor: Actor, counter: number): CausalContext {
  if (covers(context, actor, counter)) return context;
  const dots = [...context.dots, { actor, counter }].sort(byActorAndCounter);
  return { entries: context.entries, dots };
}

function byActorAndCounter(a: ContextEntry, b: ContextEntry): number {
  return a.actor < b.actor ? -1 : a.actor > b.actor ? 1 : a.counter - b.counter;
}
