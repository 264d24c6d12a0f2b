/**
 * `If-Match` and `If-None-Match` (R18), decided in the same synchronous step that writes. `*` means "a live value is there": a
 * tombstone is none. An ETag matches only what a GET would show.
 */
import { HutchError } from "../base/errors.ts";
import type { Condition } from "../quorum/operation.ts";
import type { KeyAnswer } from "./key-state.ts";

export function holds(condition: Condition, current: KeyAnswer): boolean {
  if (condition.kind === "none") return true;
  const { etags } = condition;
  const isMatch = current.isLive && (etags === "*" || etags.includes(current.etag));
  return condition.kind === "if-match" ? isMatch : !isMatch;
}

/** Tells the client what it needs to decide again. */
export function preconditionFailed(current: KeyAnswer): HutchError {
  return new HutchError(
    "precondition-failed",
    "Cannot write: the key is not in the state that the condition asks for",
    { data: { etag: current.etag, context: current.context } },
  );
}
