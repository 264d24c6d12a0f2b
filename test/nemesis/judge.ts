/**
 * All that is asked of a nemesis run when it is over, by the checkers of the simulator.
 *
 * Two things are other than in virtual time. No message between nodes is seen: what dots stand for is known from reads alone (`second-mints.ts`). And time passes for
 * the machine too: an answer may be late by what the machine was busy, and a request that lies in the socket of a stopped process is read when that
 * wakes, however long ago its client has given up.
 */
import {
  type Explanation,
  type HeldHints,
  type Waited,
  checkAnswered,
  checkEqualOwners,
  checkNoHints,
  checkOneRing,
} from "../../src/checkers/calm.ts";
import { checkCausality } from "../../src/checkers/causality.ts";
import { DotBook, checkClocks, checkDots, nameDots } from "../../src/checkers/dots.ts";
import type { History, Operation, Violation } from "../../src/checkers/history.ts";
import { checkQuorumReads, checkSessions } from "../../src/checkers/order.ts";
import { checkSessionWrites } from "../../src/checkers/session-writes.ts";
import { checkVersions } from "../../src/checkers/versions.ts";
import type { Machine } from "./machine.ts";
import { forgetSecondMints } from "./second-mints.ts";

/** What a busy machine of two cores may keep a process from its time, besides what the checkers allow. */
export const SCHEDULING_MS = 1500;
/** Fewer acknowledged operations prove nothing (FAULTS.md 2.10). */
const OK_SHARE_MIN = 0.3;

export interface Evidence {
  readonly history: History;
  readonly machines: readonly Machine[];
  readonly waits: readonly Waited[];
  /** A read of every key at ALL, after everything has healed. */
  readonly finals: readonly Operation[];
  readonly explained: ReadonlyMap<string, Explanation>;
  readonly rings: ReadonlyMap<string, string>;
  readonly hints: readonly HeldHints[];
  /** What the run itself could not do, or saw that must not be. */
  readonly failures: readonly string[];
}

export function judge(evidence: Evidence): Violation[] {
  const { history, machines, waits, finals, explained, rings, hints, failures } = evidence;
  awaitSleepers(history, machines);
  return [
    ...failures.map((message) => ({ invariant: "run", message, key: "" })),
    ...machines.flatMap(({ violations }) => violations),
    ...judgeHistory(history, finals),
    ...checkAnswered(waits.map((own) => ({ ...own, timeoutMs: own.timeoutMs + SCHEDULING_MS }))),
    ...[...explained].flatMap(([key, seen]) => checkEqualOwners(key, seen)),
    ...checkOneRing(rings),
    ...checkNoHints(hints),
    ...checkShare(history),
  ];
}

/** What clients alone can tell; of a saved history, too. */
export function judgeHistory(history: History, finals: readonly Operation[]): Violation[] {
  const book = new DotBook();
  for (const read of history.operations)
    if (read.kind === "get" && read.outcome === "ok") book.noteOperation(read);
  nameDots(history, book);
  forgetSecondMints(history, book);
  return [
    ...checkVersions(history, finals),
    ...checkDots(history),
    ...checkClocks(history),
    ...checkSessions(history),
    ...checkSessionWrites(history, finals),
    ...checkQuorumReads(history),
    ...checkCausality(history),
  ];
}

/** What a stopped node was asked ends when it has woken, for those that do not know what came of it. */
function awaitSleepers({ operations }: History, machines: readonly Machine[]): void {
  const byName = new Map(machines.map((machine) => [machine.name, machine]));
  for (const operation of operations)
    for (const { node, code, endMs } of operation.attempts) {
      if (code !== "lost") continue;
      const awakeMs = byName.get(node)?.awakeAfter(endMs) ?? endMs;
      operation.endMs = Math.max(operation.endMs, awakeMs);
    }
}

function checkShare({ operations }: History): Violation[] {
  const ok = operations.filter(({ outcome }) => outcome === "ok").length;
  if (ok >= OK_SHARE_MIN * operations.length) return [];
  const message = `only ${ok} of ${operations.length} operations were answered: this run proves nothing`;
  return [{ invariant: "share", message, key: "" }];
}
