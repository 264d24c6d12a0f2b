/** Trying again what failed because a node was away or busy, with pauses that grow. */

import { HutchError } from "../base/errors.ts";
import type { ErrorCode } from "../base/errors.ts";

/** The pauses add up to about a minute: long enough for a restart, short enough for a person. */
const ATTEMPTS_MAX = 16;
const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 5000;

const PASSING: ReadonlySet<ErrorCode> = new Set([
  "node-unreachable",
  "overloaded",
  "rate-limited",
  "shutting-down",
  "unavailable",
  "write-indeterminate",
  "read-timeout",
  "body-timeout",
] as const);

/** True where the same request may work a moment later. A connection that breaks in the middle of a body is a TypeError or an Error. */
function isPassing(thrown: unknown): boolean {
  return thrown instanceof HutchError ? PASSING.has(thrown.code) : thrown instanceof Error;
}

/** Runs `attempt`, which may be repeated without harm, until it works or has failed too often. */
export async function withRetries<Result>(
  attempt: () => Promise<Result>,
  onPause: (thrown: unknown, pauseMs: number) => void,
): Promise<Result> {
  for (let failures = 1; ; failures++) {
    try {
      return await attempt();
    } catch (error) {
      if (!isPassing(error) || failures >= ATTEMPTS_MAX) throw error;
      const pauseMs = Math.min(PAUSE_MS_MIN * 2 ** (failures - 1), PAUSE_MS_MAX);
      onPause(error, pauseMs);
      await Bun.sleep(pauseMs);
    }
  }
}
