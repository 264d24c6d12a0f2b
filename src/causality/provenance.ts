/**
 * What in a state could undo a deletion that has been collected (R42).
 *
 * Collecting a deletion raises the floor of its partition to the newest dot that its record knew of. A state that the deletion had superseded knows no
 * newer dot of any actor, so it lies wholly at or below the floor. An entry is *suspect* where
 *
 *   it has a value that is neither deleted nor expired          (a deletion brings nothing back),
 *   the state that is here does not cover that value            (what is covered is decided already), and
 *   its newest dot is at or below the floor                     (an actor that went on minting had seen the deletion, or was not covered by it).
 *
 * A state may be taken apart between entries: without one it simply has not heard of that actor.
 */
import type { Payload } from "./payload.ts";
import type { Record } from "./record.ts";
import { type Entry, entryOf } from "./siblings.ts";

/** The greatest counter of any dot that the state knows of. */
export function newestDot(record: Record): number {
  let newest = 0;
  for (const { counterMax } of record) newest = Math.max(newest, counterMax);
  return newest;
}

export function isLive(payload: Payload, nowMs: number): boolean {
  return !payload.isTombstone && (payload.expiresAtMs === 0 || payload.expiresAtMs > nowMs);
}

/** Counters of the values in `entry` that live and that `before` does not know of. */
export function newLiveCounters(before: Record, entry: Entry<Payload>, nowMs: number): number[] {
  const covered = entryOf(before, entry.actor)?.counterMax ?? 0;
  const counters: number[] = [];
  for (const { counter, payload } of entry.values)
    if (counter > covered && isLive(payload, nowMs)) counters.push(counter);
  return counters;
}

export function isSuspectEntry(
  before: Record,
  entry: Entry<Payload>,
  floor: number,
  nowMs: number,
): boolean {
  return entry.counterMax <= floor && newLiveCounters(before, entry, nowMs).length > 0;
}

/** The entries of `incoming` that are suspect, and the others. */
export function splitSuspect(
  before: Record,
  incoming: Record,
  floor: number,
  nowMs: number,
): { readonly sure: Record; readonly suspect: Record } {
  const sure = incoming.filter((entry) => !isSuspectEntry(before, entry, floor, nowMs));
  const suspect = incoming.filter((entry) => isSuspectEntry(before, entry, floor, nowMs));
  return { sure, suspect };
}
