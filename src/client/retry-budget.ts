/**
 * How many attempts may be repetitions: a fifth of the calls, and ten a second besides. Where everything fails, a client that repeats
 * each call three times would be four times the load on nodes that have too much already; with the budget it is a little more than one.
 * (Finagle's `RetryBudget`.)
 *
 * Kept as a balance: each call pays in, each repetition takes one out, and seconds pay in by themselves. At an empty balance a
 * failure is thrown at once.
 */

const SHARE = 0.2;
const PER_SECOND = 10;
/** What can be saved up: ten seconds' worth of 1,000 calls a second. */
const BALANCE_MAX = 2000;

export class RetryBudget {
  #balance = PER_SECOND;
  #paidMs: number;

  constructor(nowMs: number) {
    this.#paidMs = nowMs;
  }

  /** A call begins. */
  pay(): void {
    this.#balance = Math.min(this.#balance + SHARE, BALANCE_MAX);
  }

  /** True where one more attempt is within the budget; it is taken out. */
  take(nowMs: number): boolean {
    // Time alone saves up no more than a second's worth.
    const owed = ((nowMs - this.#paidMs) / 1000) * PER_SECOND;
    if (this.#balance < PER_SECOND) this.#balance = Math.min(this.#balance + owed, PER_SECOND);
    this.#paidMs = nowMs;
    if (this.#balance < 1) return false;
    this.#balance--;
    return true;
  }
}
