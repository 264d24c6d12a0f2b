/** Trying again what failed because a node was away or busy, with pauses that grow. */

import type { ErrorCode } from "../base/errors.ts";
import { HutchError } from "../base/errors.ts";

/** The pauses add up to about a minute: long enough for a restart, short enough for a person. */
const ATTEMPTS_MAX = 16;
const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 5000;

const BUSY: readonly ErrorCode[] = [
  "overloaded",
  "rate-limited",
  "shutting-down",
  "unavailable",
  "write-indeterminate",
  "read-timeout",
  "body-timeout",
];
const PASSING: ReadonlySet<string> = new Set([...BUSY, "node-unreachable"]);

/** True for codes that a moment later may be gone. */
export function isPassing(code: string): boolean {
  return PASSING.has(code);
}

/** True where a node answered that it cannot just now. */
export function isBusy(thrown: unknown): boolean {
  return thrown instanceof HutchError && BUSY.includes(thrown.code);
}

/** True where nobody answered, or somebody who was busy; a connection that breaks in a body is an error without a code. */
export function isAwayOrBusy(thrown: unknown): boolean {
  return thrown instanceof HutchError ? isPassing(thrown.code) : thrown instanceof Error;
}

export interface RetryOptions {
  /** Which failures are worth another attempt. */
  readonly shouldRetry: (thrown: unknown) => boolean;
  readonly sleep: (ms: number) => Promise<void>;
  readonly onPause?: (thrown: unknown, pauseMs: number) => void;
}

/** Runs `attempt`, which may be repeated without harm, until it works or has failed too often. */
export async function withRetries<Result>(
  attempt: () => Promise<Result>,
  { shouldRetry, sleep, onPause }: RetryOptions,
): Promise<Result> {
  for (let failures = 1; ; failures++) {
    try {
      return await attempt();
    } catch (error) {
      if (!shouldRetry(error) || failures >= ATTEMPTS_MAX) throw error;
      const pauseMs = Math.min(PAUSE_MS_MIN * 2 ** (failures - 1), PAUSE_MS_MAX);
      onPause?.(error, pauseMs);
      await sleep(pauseMs);
    }
  }
}
