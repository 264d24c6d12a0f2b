/**
 * How long a message was under way, by two clocks that do not agree.
 *
 *   sender     dials at S ----- sends at S + sentAt ------.
 *   receiver        accepts at A                           `--- arrives      lag = (arrives - A) - sentAt
 *
 * The lag is the time under way less what the dial took, and so never more than it; the least lag that was ever seen is that of a message that went
 * straight through. What a lag has above it is the message's age: it was kept by a network that was cut and has healed. Without it a request that
 * nobody waits for any more would be carried out then, over what has been written since (N1).
 *
 * Two quartz clocks drift apart, so the least lag is forgotten slowly.
 */

/** Above the drift of any two clocks: 1,000 ppm. */
const FORGET_SHARE = 0.001;
/** Both ends count whole milliseconds. */
const ROUNDING_MS = 1;

export class LinkAge {
  private readonly acceptedMs: number;
  private leastLagMs = 0;
  private lastMs: number;

  /** @param acceptedMs monotonic, like all times here */
  constructor(acceptedMs: number) {
    this.acceptedMs = acceptedMs;
    this.lastMs = acceptedMs;
  }

  /** At least 0. @param sentAtMs modulo 2^32, which the difference does not mind */
  ageOf(sentAtMs: number, arrivedMs: number): number {
    const lagMs = (Math.floor(arrivedMs - this.acceptedMs) - sentAtMs) | 0;
    const forgottenMs = (arrivedMs - this.lastMs) * FORGET_SHARE;
    this.lastMs = arrivedMs;
    this.leastLagMs = Math.min(this.leastLagMs + forgottenMs, lagMs);
    return Math.max(0, lagMs - this.leastLagMs - ROUNDING_MS);
  }
}
