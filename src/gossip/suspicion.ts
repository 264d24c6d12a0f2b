/**
 * The time between "it does not answer" and "it is down", in which the suspect may refute (SWIM 4.2, Lifeguard's "local health aware suspicion").
 *
 *   timeout = max - (max - min) * log(confirmations + 1) / log(needed + 1)
 *
 * One accuser may be the sick one, so its word alone has to wait for `max`; each *independent* accuser brings the verdict nearer to `min`. The last
 * accusers matter less than the first, hence the logarithm.
 */
import { assert } from "../base/assert.ts";
import type { NodeId } from "./member.ts";

/** Independent confirmations after which waiting longer would tell nothing new. */
export const CONFIRMATIONS_NEEDED = 3;
/** Length of the longest timeout in units of max(1, log10 n) intervals. */
const INTERVALS_MAX = 4;
/** The shortest timeout is this part of the longest. */
const SHRINK = 0.5;

export class Suspicion {
  readonly startMs: number;
  #maxMs: number;
  readonly #needed: number;
  #shiftMs = 0;
  /** Who accuses; the first is not a confirmation. At most `needed + 1`. */
  readonly #voices: Set<NodeId>;

  /** @param needed confirmations that shorten the timeout to its minimum; 0 where nobody else could confirm */
  constructor(startMs: number, maxMs: number, needed: number, by: NodeId) {
    assert(maxMs > 0 && needed >= 0, "a suspicion has a time and a number of confirmations");
    this.startMs = startMs;
    this.#maxMs = maxMs;
    this.#needed = needed;
    this.#voices = new Set([by]);
  }

  get voiceCount(): number {
    return this.#voices.size;
  }

  get deadlineMs(): number {
    return this.startMs + this.timeoutMs + this.#shiftMs;
  }

  get timeoutMs(): number {
    if (this.#needed === 0) return this.#maxMs;
    const share = Math.log(this.#voices.size) / Math.log(this.#needed + 1);
    return this.#maxMs * (1 - (1 - SHRINK) * share);
  }

  isAccusedBy(node: NodeId): boolean {
    return this.#voices.has(node);
  }

  /** True when `by` is a voice that was not heard before and still counts. */
  confirm(by: NodeId): boolean {
    if (this.#voices.size > this.#needed || this.#voices.has(by)) return false;
    this.#voices.add(by);
    return true;
  }

  /** The local process stood still: the suspect gets until `untilMs` at least. */
  postpone(untilMs: number): void {
    this.#shiftMs += Math.max(0, untilMs - this.deadlineMs);
  }
}

/** The longest timeout among `nodeCount` nodes. News takes about log n intervals to reach everybody, and so does a refutation. */
export function suspicionMaxMs(nodeCount: number, intervalMs: number): number {
  return INTERVALS_MAX * Math.max(1, Math.log10(nodeCount)) * intervalMs;
}

/** Everybody but the suspect and the first accuser could confirm. */
export function confirmationsNeeded(nodeCount: number): number {
  return Math.max(0, Math.min(CONFIRMATIONS_NEEDED, nodeCount - 2));
}
