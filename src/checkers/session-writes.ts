/**
 * The other half of what sessions are about, judged where hutch promises it: in the causal history that a key ends with (FAULTS.md 2.7).
 *
 *   monotonic writes     a final state that knows of a session's write knows of the session's earlier writes
 *   writes follow reads  and of all that the session had read of the key before it wrote
 *
 * In between, a minter that is cut off goes on without what the session has seen, and reads may show the later write alone for a while; reads of the
 * session itself may not (R7). In lww the greatest timestamp stays, whoever has seen what.
 */
import type { Amnesty } from "./amnesty.ts";
import {
  type History,
  type Operation,
  type Violation,
  covers,
  isWrite,
  placeOf,
} from "./history.ts";
import { knowsAll, knowsDot } from "./order.ts";
import { name } from "./versions.ts";

/** @param finals reads at ALL of every key, after everything has healed */
export function checkSessionWrites(
  history: History,
  finals: readonly Operation[],
  amnesty?: Amnesty,
): Violation[] {
  const byKey = history.byKey();
  return finals
    .filter(({ outcome, bucket }) => outcome === "ok" && bucket.conflicts !== "lww")
    .flatMap((final) => checkFinal(final, byKey.get(placeOf(final)) ?? [], amnesty));
}

function checkFinal(
  final: Operation,
  operations: readonly Operation[],
  amnesty: Amnesty | undefined,
): Violation[] {
  const violations: Violation[] = [];
  const sessions = new Map<string, Operation[]>();
  for (const operation of operations) {
    const { session, outcome } = operation;
    if (session === "" || outcome !== "ok") continue;
    const earlier = sessions.get(session) ?? [];
    sessions.set(session, earlier);
    if (isWrite(operation) && covers(final.seen, operation.dot))
      for (const before of earlier)
        if (!knows(final, before, amnesty))
          violations.push({
            invariant: isWrite(before) ? "monotonic writes" : "writes follow reads",
            message: `${name(final)} knows of ${name(operation)} and not of ${name(before)} before it in its session`,
            key: placeOf(final),
          });
    earlier.push(operation);
  }
  return violations;
}

function knows(final: Operation, before: Operation, amnesty: Amnesty | undefined): boolean {
  return isWrite(before)
    ? knowsDot(final, before.dot, amnesty)
    : knowsAll(final, before.seen, amnesty);
}
