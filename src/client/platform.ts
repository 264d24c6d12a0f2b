/** What the client needs of the world: to send, to wait, the time, chance. The real one is in `web-platform.ts`. */

import type { Send } from "./wire.ts";

export interface Platform {
  readonly send: Send;
  /** A clock that only goes forward. */
  readonly nowMs: () => number;
  /** Evenly in [0, 1). */
  readonly random: () => number;
  /** Calls `ring` once after `ms`, unless the answer is called before. */
  readonly alarm: (ms: number, ring: () => void) => () => void;
  /** A fresh value for each write: at most 64 characters, never used twice. */
  readonly newIdempotencyKey: () => string;
}

/** Waits; rejects with the reason of `signal` where that aborts first. */
export function sleep(
  platform: Platform,
  ms: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = (): void => {
      cancel();
      reject(signal!.reason);
    };
    const cancel = platform.alarm(ms, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
