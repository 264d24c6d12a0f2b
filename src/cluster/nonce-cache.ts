/** Nonces of hellos that were taken, for as long as their time stamps would let them be taken again. */

/** Links that may be opened within the time that a nonce is kept; whoever comes then is told to come back. */
export const NONCES_MAX = 100_000;

export type Noted = "new" | "seen" | "full";

export class NonceCache {
  readonly #keptMs: number;
  /** When each may be forgotten, oldest first. */
  readonly #kept = new Map<string, number>();

  constructor(keptMs: number) {
    this.#keptMs = keptMs;
  }

  note(nonce: string, nowMs: number): Noted {
    this.#forget(nowMs);
    if (this.#kept.has(nonce)) return "seen";
    if (this.#kept.size >= NONCES_MAX) return "full";
    this.#kept.set(nonce, nowMs + this.#keptMs);
    return "new";
  }

  #forget(nowMs: number): void {
    for (const [nonce, untilMs] of this.#kept) {
      if (untilMs > nowMs) return;
      this.#kept.delete(nonce);
    }
  }
}
