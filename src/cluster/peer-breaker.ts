/**
 * A circuit breaker for one peer (N9): when requests keep failing, nobody waits for that peer for a while, then one request finds out.
 *
 *   closed --5 failures in a row, or more than half of the last 20--> open --1 s--> half-open: one probe
 *     ^                                                                 ^-------------- it fails
 *     +---------------------------- any success ------------------------------------------- it succeeds
 *
 * Local to this node: it says nothing about membership (Nygard, "Release It!").
 */

const CONSECUTIVE_MAX = 5;
const WINDOW = 20;
const WINDOW_FAILURES_MAX = WINDOW / 2;
const WINDOW_MASK = 2 ** WINDOW - 1;
export const OPEN_MS = 1000;

export class Breaker {
  private state: "closed" | "open" | "probing" = "closed";
  private consecutive = 0;
  /** One bit an outcome, the newest lowest, 1 for a failure. */
  private outcomes = 0;
  private outcomeCount = 0;
  private openUntilMs = 0;

  get isClosed(): boolean {
    return this.state === "closed";
  }

  /** May a request be sent now? */
  allows(nowMs: number): boolean {
    return this.state === "closed" || (this.state === "open" && nowMs >= this.openUntilMs);
  }

  /** Call after `allows`. True when the request that starts is the probe. */
  begin(): boolean {
    if (this.state === "closed") return false;
    this.state = "probing";
    return true;
  }

  succeeded(): void {
    if (this.state !== "closed") return this.reset();
    this.consecutive = 0;
    this.note(0);
  }

  failed(nowMs: number): void {
    this.consecutive++;
    this.note(1);
    if (this.state === "probing" || (this.state === "closed" && this.isTooMuch())) {
      this.state = "open";
      this.openUntilMs = nowMs + OPEN_MS;
    }
  }

  /** The probe ended and says nothing about the peer: the next request is one. */
  probeAbandoned(): void {
    if (this.state === "probing") this.state = "open";
  }

  reset(): void {
    this.state = "closed";
    this.consecutive = 0;
    this.outcomes = 0;
    this.outcomeCount = 0;
  }

  private note(failure: 0 | 1): void {
    this.outcomes = ((this.outcomes << 1) | failure) & WINDOW_MASK;
    if (this.outcomeCount < WINDOW) this.outcomeCount++;
  }

  private isTooMuch(): boolean {
    if (this.consecutive >= CONSECUTIVE_MAX) return true;
    return this.outcomeCount === WINDOW && bitCount(this.outcomes) > WINDOW_FAILURES_MAX;
  }
}

function bitCount(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++;
  return count;
}
