/**
 * The one bound on a record's vector (docs/decisions/context-bound.md). Entries without values are kept (R16), because they say what is superseded;
 * but a node that stops uncleanly a thousand times would leave a thousand of them in a hot key. Above `RECORD_ENTRIES_MAX` the oldest retired
 * incarnations are folded away: entries without values of a node of which the record knows a newer incarnation, smallest
 * counter first.
 *
 * Only a mint folds, never a merge, so merging stays a join.
 */
import { incarnationOf, nodeOf } from "./actor.ts";
import type { Entry, Siblings } from "./siblings.ts";

export const RECORD_ENTRIES_MAX = 128;

export function boundEntries<P>(state: Siblings<P>): Siblings<P> {
  const surplus = state.length - RECORD_ENTRIES_MAX;
  if (surplus <= 0) return state;
  const retired = state.filter((entry, i) => entry.values.length === 0 && isRetired(state, i));
  retired.sort((a, b) => a.counterMax - b.counterMax);
  const folded = new Set<Entry<P>>(retired.slice(0, surplus));
  return state.filter((entry) => !folded.has(entry));
}

/** Entries are sorted, so a newer incarnation of the same node stands right behind. */
function isRetired<P>(state: Siblings<P>, index: number): boolean {
  const next = state[index + 1];
  const own = state[index]!;
  return (
    next !== undefined &&
    nodeOf(next.actor) === nodeOf(own.actor) &&
    incarnationOf(next.actor) > incarnationOf(own.actor)
  );
}
