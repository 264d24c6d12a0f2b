/**
 * What a client may rely on from one answer to the next: sessions (R7, I7) and quorum reads (R2, I6).
 *
 *   session      every read covers what the session has read of the key (monotonic reads) and the dots that it has written (read your writes)
 *                in lww: that, or a later timestamp
 *   quorum       what a quorum of *owners* has answered once, every later quorum of owners covers; what a quorum of owners has acknowledged too;
 *                what a quorum of them has deleted none of them shows again (I5), also when the deletion itself is forgotten
 *
 * "Later" is real time: it starts after the other has ended. The condition of the quorum rule: of every answer at least floor(n/2)+1 replies came
 * from serving owners (`primary` in `X-Replies` and `X-Acks`), and none of the earlier read's from a fallback, because copies of fallbacks overlap with
 * nobody (R3). In a strict bucket that is always so.
 */
import {
  type History,
  type Operation,
  type Seen,
  type Violation,
  covers,
  isWrite,
  placeOf,
  quorumOf,
} from "./history.ts";
import type { Amnesty } from "./amnesty.ts";
import { name, replacedBy } from "./versions.ts";

export function checkSessions(history: History, amnesty?: Amnesty): Violation[] {
  const sessions = new Map<string, Operation[]>();
  for (const operation of history.operations) {
    if (operation.session === "" || operation.outcome !== "ok") continue;
    if (!sessions.has(operation.session)) sessions.set(operation.session, []);
    sessions.get(operation.session)!.push(operation);
  }
  return [...sessions.values()].flatMap((operations) => checkSession(operations, amnesty));
}

/** One session has one operation at a time, so the order of its operations is that of the history. */
function checkSession(operations: readonly Operation[], amnesty?: Amnesty): Violation[] {
  const violations: Violation[] = [];
  const written = new Map<string, Operation[]>();
  const read = new Map<string, Operation>();
  for (const operation of operations) {
    const key = `${operation.bucket.name}/${operation.key}`;
    if (isWrite(operation)) {
      written.set(key, [...(written.get(key) ?? []), operation]);
      continue;
    }
    for (const write of written.get(key) ?? [])
      if (!knowsDot(operation, write.dot, amnesty) && !hasWon(operation, write))
        violations.push({
          invariant: "R7",
          message: `${name(operation)} does not cover its own ${name(write)}`,
          key,
        });
    const before = read.get(key);
    if (
      before !== undefined &&
      !knowsAll(operation, before.seen, amnesty) &&
      !hasWon(operation, before)
    )
      violations.push({
        invariant: "R7",
        message: `${name(operation)} goes back behind ${name(before)} of its session`,
        key,
      });
    read.set(key, operation);
  }
  return violations;
}

/** In lww a concurrent write with a greater timestamp hides another without knowing of it: what the session saw has lost, and stays lost. */
function hasWon(read: Operation, before: Operation): boolean {
  return read.bucket.conflicts === "lww" && read.seen.hlc >= before.seen.hlc && read.seen.hlc > 0;
}

/** Does the answer cover the dot, or is there a reason to have forgotten it? */
export function knowsDot(read: Operation, dot: string, amnesty: Amnesty | undefined): boolean {
  if (covers(read.seen, dot)) return true;
  return amnesty?.covers(placeOf(read), dot, read.endMs) ?? false;
}

/** Does it cover all of `before`, or is there a reason to have forgotten the rest? */
export function knowsAll(read: Operation, before: Seen, amnesty: Amnesty | undefined): boolean {
  for (const [actor, counter] of before.vector)
    if (!knowsDot(read, `${actor}.${counter}`, amnesty)) return false;
  for (const dot of before.dots) if (!knowsDot(read, dot, amnesty)) return false;
  return true;
}

export function checkQuorumReads(history: History, amnesty?: Amnesty): Violation[] {
  return [...history.byKey()].flatMap(([key, operations]) => checkKey(key, operations, amnesty));
}

function checkKey(
  key: string,
  operations: readonly Operation[],
  amnesty: Amnesty | undefined,
): Violation[] {
  const earlier = operations.filter(isSettled).toSorted((a, b) => a.endMs - b.endMs);
  const later = operations.filter(isQuorumRead);
  const violations: Violation[] = [];
  const known: Operation[] = [];
  let ended = 0;
  for (const read of later) {
    while (ended < earlier.length && earlier[ended]!.endMs < read.startMs)
      known.push(earlier[ended++]!);
    for (const before of known) {
      if (amnesty?.breaksQuorums(before.startMs, read.endMs) === true) continue;
      if (!coversClaim(read, before, amnesty))
        violations.push({
          invariant: isWrite(before) ? "R3" : "I6",
          message: `${name(read)} at a quorum does not know what ${name(before)} was told before`,
          key,
        });
      if (before.kind === "delete" && read.versions.some(({ dot }) => isBack(before, dot)))
        violations.push({
          invariant: "I5",
          message: `${name(read)} at a quorum shows what ${name(before)} has deleted`,
          key,
        });
    }
  }
  return violations;
}

/** Does a quorum of owners hold what this answer spoke of? */
function isSettled(operation: Operation): boolean {
  if (operation.outcome !== "ok" || operation.primary < quorumOf(operation.bucket)) return false;
  if (isWrite(operation)) return true;
  // Who asks one copy is told what it says, whatever else was heard on the way for the session's sake.
  return !asksOne(operation) && operation.primary === operation.ok && !operation.isRepairIncomplete;
}

function asksOne({ level }: Operation): boolean {
  return level === "ONE" || /\br=1\b/.test(level);
}

function isQuorumRead(operation: Operation): boolean {
  return (
    operation.kind === "get" &&
    operation.outcome === "ok" &&
    operation.primary >= quorumOf(operation.bucket)
  );
}

function coversClaim(read: Operation, before: Operation, amnesty: Amnesty | undefined): boolean {
  return isWrite(before)
    ? knowsDot(read, before.dot, amnesty)
    : knowsAll(read, before.seen, amnesty);
}

const isBack = (deletion: Operation, dot: string): boolean =>
  dot !== deletion.dot && covers(replacedBy(deletion), dot);
