/**
 * Which keys' truth is unknown: for each, up to which sequence entries may be missing.
 *
 *   [start, end) @ sequenceMax      entries with keys in there and sequences up to that may have been lost
 *
 * A list of them is kept disjoint and in key order, with the highest sequence where several overlap, so that one is found by bisection. At most
 * `LOST_RANGES_MAX`: beyond that the two neighbours whose keys are nearest become one, which calls a few readable keys lost and forgets none that is.
 */
import { compareBytes } from "../../base/bytes.ts";

export interface LostRange {
  readonly start: Uint8Array;
  /** Exclusive. */
  readonly end: Uint8Array;
  readonly sequenceMax: number;
}

/** Frozen: replaying a manifest has to come to what its writer had. */
export const LOST_RANGES_MAX = 1024;

/** Every key there can be: the end sorts behind the longest (`KEY_BYTES_MAX`). */
export function everyKey(sequenceMax: number): LostRange {
  return { start: new Uint8Array(0), end: new Uint8Array(4097).fill(0xff), sequenceMax };
}

/** `known`, which this made, and `more`, which may be in any order and overlap. */
export function addLostRanges(
  known: readonly LostRange[],
  more: readonly LostRange[],
): readonly LostRange[] {
  if (more.length === 0) return known;
  return bounded(disjoint([...known, ...more]));
}

/** `known` without what is healed: of the keys in [start, end) all that was lost up to its sequence. */
export function removeHealed(
  known: readonly LostRange[],
  healed: readonly LostRange[],
): readonly LostRange[] {
  let left = known;
  for (const range of healed) left = left.flatMap((lost) => without(lost, range));
  return left;
}

/** The range that makes the truth about `key` at `sequence` (-1: nothing found) unknown, if any. */
export function lostRangeOf(
  ranges: readonly LostRange[],
  key: Uint8Array,
  sequence: number,
): LostRange | undefined {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(ranges[middle]!.end, key) <= 0) low = middle + 1;
    else high = middle;
  }
  const range = ranges[low];
  const isInside = range !== undefined && compareBytes(range.start, key) <= 0;
  return isInside && sequence <= range.sequenceMax ? range : undefined;
}

/** What of `range` lies in [start, end), an `undefined` end being no bound; `undefined` for nothing. */
export function clipRange(
  range: LostRange,
  start: Uint8Array,
  end: Uint8Array | undefined,
): LostRange | undefined {
  const from = compareBytes(range.start, start) < 0 ? start : range.start;
  const to = end !== undefined && compareBytes(end, range.end) < 0 ? end : range.end;
  return compareBytes(from, to) < 0 ? { ...range, start: from, end: to } : undefined;
}

function without(lost: LostRange, healed: LostRange): LostRange[] {
  const inside = clipRange(lost, healed.start, healed.end);
  if (inside === undefined || lost.sequenceMax > healed.sequenceMax) return [lost];
  const before = { ...lost, end: inside.start };
  const behind = { ...lost, start: inside.end };
  return [before, behind].filter(({ start, end }) => compareBytes(start, end) < 0);
}

/** A sweep over all starts and ends in key order; `open` are the ranges that the sweep is in. */
function disjoint(ranges: readonly LostRange[]): LostRange[] {
  const byStart = ranges.toSorted((a, b) => compareBytes(a.start, b.start));
  const edges = ranges.flatMap(({ start, end }) => [start, end]).sort(compareBytes);
  const swept: LostRange[] = [];
  let open: LostRange[] = [];
  let next = 0;
  for (let i = 0; i + 1 < edges.length; i++) {
    const [start, end] = [edges[i]!, edges[i + 1]!];
    if (compareBytes(start, end) === 0) continue;
    open = open.filter((range) => compareBytes(range.end, start) > 0);
    while (next < byStart.length && compareBytes(byStart[next]!.start, start) <= 0)
      open.push(byStart[next++]!);
    open = open.filter((range) => compareBytes(range.end, start) > 0);
    if (open.length === 0) continue;
    const sequenceMax = open.reduce((most, range) => Math.max(most, range.sequenceMax), 0);
    append(swept, { start, end, sequenceMax });
  }
  return swept;
}

function append(swept: LostRange[], range: LostRange): void {
  const last = swept.at(-1);
  const isOne =
    last?.sequenceMax === range.sequenceMax && compareBytes(last.end, range.start) === 0;
  if (isOne) swept[swept.length - 1] = { ...last, end: range.end };
  else swept.push(range);
}

/** Keys with the longer common start are nearer. */
function bounded(ranges: readonly LostRange[]): readonly LostRange[] {
  const excess = ranges.length - LOST_RANGES_MAX;
  if (excess <= 0) return ranges;
  const nearness = ranges.slice(1).map(({ start }, i) => sharedLength(ranges[i]!.end, start));
  const order = nearness.map((_, i) => i).sort((a, b) => nearness[b]! - nearness[a]! || a - b);
  const isJoined = new Set(order.slice(0, excess));
  const joined: LostRange[] = [];
  ranges.forEach((range, i) => {
    const last = joined.at(-1);
    if (last === undefined || !isJoined.has(i - 1)) joined.push(range);
    else {
      const sequenceMax = Math.max(last.sequenceMax, range.sequenceMax);
      joined[joined.length - 1] = { start: last.start, end: range.end, sequenceMax };
    }
  });
  return joined;
}

function sharedLength(a: Uint8Array, b: Uint8Array): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}
