/**
 * What becomes of a suspect entry once the owners of its key have been asked (R42). Pure.
 *
 *   real         a quorum of the owners has it, so what is here is a hole; or one of them has it that has held the partition without a gap since before the
 *                values were written: all owners had the deletion before any of them let go of it, so that one cannot have missed it
 *   superseded   an owner knows that it was replaced or deleted, and its state, not this one, is what has to spread
 *   doubtful     a quorum does not have it, and nobody who does can vouch for it
 *   open         too few have answered
 *
 * Only who serves has a vote: the absences of others are no evidence (R4), and what they hold may itself be what is in doubt.
 */
import type { AskedEntry, HeldAnswer } from "./held-messages.ts";

export type Verdict = "real" | "superseded" | "doubtful" | "open";

/** @param index of the entry in the answers; `ownerCount` is that of the layout that reads use */
export function verdictOf(
  entry: AskedEntry,
  index: number,
  answers: readonly HeldAnswer[],
  ownerCount: number,
): Verdict {
  const quorum = Math.floor(ownerCount / 2) + 1;
  const count = { lists: 0, lacks: 0, superseded: 0 };
  let isVouchedFor = false;
  for (const { isServing, ownedSince, knowledge } of answers) {
    const word = knowledge[index];
    if (!isServing || word === undefined) continue;
    count[word]++;
    if (word === "lists" && isContinuous(ownedSince, entry)) isVouchedFor = true;
  }
  if (count.superseded > 0) return "superseded";
  if (isVouchedFor || count.lists >= quorum) return "real";
  return count.lacks >= quorum ? "doubtful" : "open";
}

/** Has whoever says so held the partition without a gap since before the values were written? */
export function isContinuous(ownedSince: number, { counters }: AskedEntry): boolean {
  return ownedSince > 0 && counters.every((counter) => ownedSince < counter);
}
