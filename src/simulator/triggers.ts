/** Names of what faults may wait for, as plans write them, and the happenings (`happenings.ts`) that they stand for. */
import type { Prng } from "../base/prng.ts";

export const TRIGGERS = [
  "log layout_applied",
  "log syncing",
  "log serving",
  "log exchanged",
  "log handover_waits",
  "log table_quarantined",
  "log trees_to_be_rebuilt",
  "log gone_from_the_cluster",
  "exchange propose",
  "exchange join",
  "exchange layout",
  "answer exchange",
  "repair roots",
  "repair hashes",
  "repair compare",
  "repair store",
  "repair collect",
  "repair held",
  "answer repair",
  "hints-held",
] as const;

/** Some of them are told hundreds of times in a run, others a few times. */
const OFTEN: ReadonlySet<string> = new Set([
  "repair roots",
  "repair collect",
  "answer repair",
  "exchange layout",
  "answer exchange",
]);

export function drawTrigger(prng: Prng): { on: string; nth: number } {
  const on = prng.pick(TRIGGERS);
  return { on, nth: prng.between(1, OFTEN.has(on) ? 120 : 6) };
}
