/** What a coordinator says besides values: the errors of a request that did not get through (R5), and the shape of `explain`. */
import { HutchError } from "../base/errors.ts";
import type { WriteRequest } from "../quorum/operation.ts";
import type { WriteQuorum } from "../quorum/write-quorum.ts";

/** One owner of `explain`; see REST.md section 2. */
export interface ExplainedOwner {
  readonly node: string;
  readonly role: "primary" | "fallback";
  readonly state: string;
  readonly reachable: boolean;
  readonly dots: readonly string[];
  readonly hlc: string;
  readonly stateHash: string;
  readonly latencyMs: number;
}

export interface Explained {
  readonly partition: number;
  readonly owners: readonly ExplainedOwner[];
  readonly fallbacks: readonly ExplainedOwner[];
  readonly isEqual: boolean;
}

export function readTimeout(timeoutMs: number): HutchError {
  return new HutchError("read-timeout", `Cannot answer: nothing durable within ${timeoutMs} ms`, {
    retry: "safe",
  });
}

/** Back-pressure that outlasted the deadline. */
export function overloaded(): HutchError {
  return new HutchError("overloaded", "Cannot take the write in time: storage is behind", {
    retry: "safe",
  });
}

/** Refused before anything was sent. */
export function unavailable(what: "read" | "write", reachable: number, needed: number): HutchError {
  return new HutchError(
    "unavailable",
    `Cannot ${what}: ${reachable} replicas are reachable, want ${needed}`,
    { retry: "safe" },
  );
}

/** Something was sent, and too few acknowledged it. */
export function indeterminate(
  quorum: WriteQuorum,
  result: "timeout" | "failed",
  node: string,
  request: WriteRequest,
  cause?: unknown,
): HutchError {
  quorum.fail(node, result);
  return writeIndeterminate(quorum, request.consistency.w, request.timeoutMs, cause);
}

/** The outcome with the acknowledgements as they are; what is still pending counts as timed out. */
export function writeIndeterminate(
  quorum: WriteQuorum,
  required: number,
  timeoutMs: number,
  cause?: unknown,
): HutchError {
  return new HutchError(
    "write-indeterminate",
    `${quorum.ok} of ${required} required acknowledgements within ${timeoutMs} ms`,
    {
      retry: "safe-with-idempotency-key",
      data: { acks: quorum.acks(), required },
      cause,
    },
  );
}
