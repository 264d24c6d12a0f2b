/**
 * Where two runs that should be equal part (FAULTS.md 2.2).
 *
 *   run both -> equal digests: none
 *            -> bisect the checkpoints for the first that differs: it covers 1,000 events
 *            -> run both again, keeping those events as text -> the first line that differs, with its neighbours
 *
 * Digests are cumulative, so once two runs have parted all later checkpoints differ. What is not deterministic may part elsewhere the next time: then the
 * search begins again from what the second pair has shown, a few times.
 */
import { CHECKPOINT_EVENTS, type TraceHash, type TraceWindow } from "./trace-hash.ts";

/** Pairs of runs before the search gives up and tells the window only. */
const ROUNDS_MAX = 5;
/** Lines before and after the difference. */
const CONTEXT_LINES = 12;

/** A trace as one process tells it to another. */
export interface TraceRecord {
  readonly digest: string;
  readonly events: number;
  readonly checkpoints: readonly string[];
  /** Lines of the window that was asked for. */
  readonly kept: readonly string[];
}

/** Makes the run, in a process of its own if it can. */
export type RecordRun = (window: TraceWindow) => TraceRecord | Promise<TraceRecord>;

export interface TraceDifference {
  /** The difference is in here. */
  readonly window: TraceWindow;
  /** Number of the first event that differs; -1 where no pair of runs showed the same window twice. */
  readonly event: number;
  /** Lines of either run around it. */
  readonly before: readonly string[];
  readonly first: readonly string[];
  readonly second: readonly string[];
}

const NOTHING: TraceWindow = { from: 0, to: 0 };

export function recordOf(trace: TraceHash): TraceRecord {
  const { checkpoints, eventCount: events, kept } = trace;
  return { digest: trace.digest(), events, checkpoints, kept };
}

/** Makes both runs, at the same time, and says where they part; `undefined` where they are equal. */
export async function findDifference(
  first: RecordRun,
  second: RecordRun,
): Promise<TraceDifference | undefined> {
  let kept = NOTHING;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const [left, right] = await Promise.all([first(kept), second(kept)]);
    const window = differingWindow(left, right);
    if (window === undefined) {
      if (round === 0) return undefined;
      continue;
    }
    const event = firstDifferent(left.kept, right.kept);
    const isSeen = event >= 0 && window.from === kept.from;
    if (isSeen) return around(window, event, left.kept, right.kept);
    kept = window;
  }
  return { window: kept, event: -1, before: [], first: [], second: [] };
}

/** For people. */
export function tellDifference({ window, event, before, first, second }: TraceDifference): string {
  if (event < 0)
    return `the runs part between events ${window.from} and ${window.to}, each time elsewhere`;
  return [
    `the runs part at event ${event}:`,
    ...before.map((line) => `    ${line}`),
    ...first.map((line) => `  1 ${line}`),
    ...second.map((line) => `  2 ${line}`),
  ].join("\n");
}

/** The events of the first checkpoint that differs, and some before them; those after the last one where only they do. */
export function differingWindow(left: TraceRecord, right: TraceRecord): TraceWindow | undefined {
  if (left.digest === right.digest && left.events === right.events) return undefined;
  let equal = 0;
  let end = Math.min(left.checkpoints.length, right.checkpoints.length);
  while (equal < end) {
    const middle = (equal + end) >> 1;
    if (left.checkpoints[middle] === right.checkpoints[middle]) equal = middle + 1;
    else end = middle;
  }
  const from = Math.max(0, equal * CHECKPOINT_EVENTS - CONTEXT_LINES);
  return { from, to: (equal + 1) * CHECKPOINT_EVENTS };
}

function around(
  window: TraceWindow,
  index: number,
  left: readonly string[],
  right: readonly string[],
): TraceDifference {
  return {
    window,
    event: window.from + index,
    before: left.slice(Math.max(0, index - CONTEXT_LINES), index),
    first: left.slice(index, index + CONTEXT_LINES),
    second: right.slice(index, index + CONTEXT_LINES),
  };
}

/** Index of the first line that one has and the other has not; -1 for none. */
function firstDifferent(left: readonly string[], right: readonly string[]): number {
  const length = Math.max(left.length, right.length);
  for (let i = 0; i < length; i++) if (left[i] !== right[i]) return i;
  return -1;
}
