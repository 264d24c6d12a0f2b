/**
 * The last-writer-wins order (R21): (hlc, actor bytes, counter). Dots are unique, so it is total, the same everywhere, and no value
 * byte ever decides. It agrees with causality because a write takes an hlc above all that its state and its context hold.
 */
import type { Actor } from "./actor.ts";
import type { Payload } from "./payload.ts";
import type { Record } from "./record.ts";
import type { Entry, Siblings } from "./siblings.ts";

export interface Dotted {
  readonly actor: Actor;
  readonly counter: number;
  readonly payload: Payload;
}

/** Positive where `a` is the later write. */
export function compareLww(a: Dotted, b: Dotted): number {
  if (a.payload.hlc !== b.payload.hlc) return a.payload.hlc - b.payload.hlc;
  if (a.actor !== b.actor) return a.actor < b.actor ? -1 : 1;
  return a.counter - b.counter;
}

/** All values of a state, the latest write first. */
export function newestFirst(record: Record): Dotted[] {
  const values: Dotted[] = [];
  for (const { actor, values: own } of record)
    for (const { counter, payload } of own) values.push({ actor, counter, payload });
  return values.sort((a, b) => compareLww(b, a));
}

/** The state with only its latest write; every vector entry stays, so that the others are superseded (still a join). */
export function collapse(record: Record): Record {
  const winner = newestFirst(record)[0];
  if (winner === undefined) return record;
  const keep = (entry: Entry<Payload>): Entry<Payload> => ({
    ...entry,
    values: entry.values.filter(
      (value) => entry.actor === winner.actor && value.counter === winner.counter,
    ),
  });
  return record.map(keep);
}

/** 0 for a state without values. */
export function maxHlc(record: Siblings<Payload>): number {
  let max = 0;
  for (const entry of record)
    for (const { payload } of entry.values) if (payload.hlc > max) max = payload.hlc;
  return max;
}
