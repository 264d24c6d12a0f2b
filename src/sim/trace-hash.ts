/**
 * The fingerprint of a run: FNV-1a in two 32-bit lanes over everything that happened, in order. Two runs of one seed must
 * agree on it; where they do not, the checkpoints say between which events they parted, and a second run keeps those as text.
 *
 *   const { trace } = recordTrace(() => run(seed));                              // digest, checkpoints
 *   const again = recordTrace(() => run(seed), { from: 5000, to: 6000 }).trace;  // the same, and 1,000 lines in `kept`
 *
 * `recordTrace` is there because a run makes its world within: nobody outside has the scheduler to look at.
 */
import { assert } from "../base/assert.ts";

const PRIME = 0x01000193;
export const CHECKPOINT_EVENTS = 1000;
/** Ten million events; later ones are hashed but leave no checkpoint. */
const CHECKPOINTS_MAX = 10_000;
/** Later ones of a longer window are not kept. */
const KEPT_EVENTS_MAX = 100_000;

/** Events by number, the first is 0; `to` is exclusive. */
export interface TraceWindow {
  readonly from: number;
  readonly to: number;
}

const NOTHING: TraceWindow = { from: 0, to: 0 };

/** What a run that is being recorded has to keep, and the traces that it has begun. */
let recording: { readonly window: TraceWindow; readonly traces: TraceHash[] } | undefined;

/** Runs `run` and returns the trace of the first world that it made. Not to be nested. */
export function recordTrace<Result>(
  run: () => Result,
  window: TraceWindow = NOTHING,
): { readonly result: Result; readonly trace: TraceHash } {
  assert(recording === undefined, "one run is recorded at a time");
  const own = { window, traces: [] as TraceHash[] };
  recording = own;
  try {
    const result = run();
    const trace = own.traces[0];
    assert(trace !== undefined, "a run that is recorded makes a world");
    return { result, trace };
  } finally {
    recording = undefined;
  }
}

export class TraceHash {
  /** The digest after every 1,000th event. */
  readonly checkpoints: string[] = [];
  /** The events of the window, as text. */
  readonly kept: string[] = [];
  eventCount = 0;
  private readonly from: number;
  private readonly to: number;
  private low = 0x811c9dc5;
  private high = 0x9e3779b9;

  constructor(window: TraceWindow = recording?.window ?? NOTHING) {
    this.from = window.from;
    this.to = Math.min(window.to, window.from + KEPT_EVENTS_MAX);
    recording?.traces.push(this);
  }

  /** Adds one event. */
  add(text: string): void {
    for (let i = 0; i < text.length; i++) this.mix(text.charCodeAt(i));
    this.mix(0x1ffff);
    if (this.eventCount >= this.from && this.eventCount < this.to) this.kept.push(text);
    this.eventCount++;
    if (this.eventCount % CHECKPOINT_EVENTS === 0 && this.checkpoints.length < CHECKPOINTS_MAX) {
      this.checkpoints.push(this.digest());
    }
  }

  /** 16 hexadecimal digits. */
  digest(): string {
    const hex = (lane: number): string => (lane >>> 0).toString(16).padStart(8, "0");
    return hex(this.high) + hex(this.low);
  }

  private mix(word: number): void {
    this.low = Math.imul(this.low ^ word, PRIME);
    // Rotated as well, so that the lanes do not collide together.
    this.high = Math.imul(((this.high << 13) | (this.high >>> 19)) ^ word, PRIME);
  }
}
