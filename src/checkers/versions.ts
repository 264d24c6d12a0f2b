/**
 * Judges what reads show of the versions of a key: S1 to S4.
 *
 *   S2  every value was sent by somebody, to this key, before the read ended, by a write that has not surely failed
 *   S1  a version that a read knows of (its context covers the dot) and does not show has been *replaced* by somebody;
 *       and the final read knows of every acknowledged write
 *   S3  a read that knows of a write does not show what that write has replaced: what was deleted stays deleted
 *   S4  of two siblings none has replaced the other, and no two are of one writer: there are no more siblings than concurrent writers (R15)
 *
 *   I11  no value is shown after it has expired
 *
 * What a state may forget is the amnesty's to say (`amnesty.ts`): the final read may not know of writes that were collected, if they were dead, and shows
 * nothing that any acknowledged write has replaced, whether it knows of that write or not: what was collected does not come back (I5).
 *
 * Who may have replaced version d, written by w:
 *   a write with a context                       what its context covered; of single dots those that the context of its answer covers too, because
 *                                                a minter that does not hold such a version cannot replace it, and says so
 *   one without (a delete, or a blind put where
 *   the bucket lets it supersede), acknowledged  what the context of its answer covers, besides itself: that is what its minter held
 *   the same, without an answer to every attempt perhaps anything that was there: nobody can say, so it may have
 *   in lww                                       whoever has a greater timestamp, and writes without an answer
 */
import {
  type History,
  NOTHING_SEEN,
  type Operation,
  type Seen,
  type Version,
  type Violation,
  covers,
  isWrite,
  placeOf,
} from "./history.ts";
import type { Amnesty } from "./amnesty.ts";

/** A write without an answer takes effect within its own deadline and the replicas' (N1), long before this. */
const STRAY_MS_MAX = 20_000;

/** A node waits at least this long for a minter: the shortest timeout of a client. */
const SECOND_MINTER_MS = 50;
/** The longest timeout of a client. */
const BUDGET_MS_MAX = 2000;

/** An expired key may be seen for so much longer, besides what clocks are off. */
const EXPIRY_GRACE_MS = 1000;
const CLOCK_ERROR_MS = 1000;

/** @param finals reads at ALL of every key, after everything has healed */
export function checkVersions(
  history: History,
  finals: readonly Operation[],
  amnesty?: Amnesty,
): Violation[] {
  const byKey = history.byKey();
  const final = new Map(finals.map((read) => [placeOf(read), read]));
  return [...byKey].flatMap(([key, operations]) =>
    checkKey(key, operations, final.get(key), amnesty),
  );
}

function checkKey(
  key: string,
  operations: readonly Operation[],
  final: Operation | undefined,
  amnesty: Amnesty | undefined,
): Violation[] {
  const judge = new KeyJudge(key, operations, amnesty);
  for (const read of operations)
    if (read.kind === "get" && read.outcome === "ok" && read !== final) judge.read(read);
  if (final !== undefined) judge.final(final);
  return judge.violations;
}

class KeyJudge {
  readonly violations: Violation[] = [];
  private readonly key: string;
  private readonly writes: readonly Operation[];
  private readonly byValue = new Map<string, Operation>();
  private readonly amnesty: Amnesty | undefined;

  constructor(key: string, operations: readonly Operation[], amnesty: Amnesty | undefined) {
    this.key = key;
    this.amnesty = amnesty;
    this.writes = operations.filter(isWrite);
    for (const write of this.writes) if (write.kind === "put") this.byValue.set(write.value, write);
  }

  read(read: Operation): void {
    const shown = new Set(read.versions.map(({ dot }) => dot));
    for (const version of read.versions) this.checkWritten(read, version);
    for (const version of read.versions) this.checkNotReplaced(read, version, shown);
    this.checkDistinct(read);
    for (const write of this.writes)
      if (write.dot !== "" && covers(read.seen, write.dot) && !isShown(read, write, shown))
        this.checkReplaced(read, write);
  }

  /** Every acknowledged write is known. */
  final(read: Operation): void {
    if (read.outcome !== "ok") {
      this.report("S1", `the final read ended with ${read.attempts.at(-1)?.status}`);
      return;
    }
    this.read(read);
    for (const write of this.writes) {
      if (write.outcome !== "ok") continue;
      for (const { dot } of read.versions) this.checkNotBack(read, dot, write);
      if (covers(read.seen, write.dot) || isShown(read, write)) continue;
      if (!this.isCollected(read, write))
        this.report("S1", `acknowledged ${name(write)} is lost: the final state does not know it`);
    }
  }

  /** Has it died, in any way, and been collected with the whole state? */
  private isCollected(read: Operation, write: Operation): boolean {
    if (this.amnesty?.covers(this.key, write.dot, read.endMs) !== true) return false;
    return hasDied(write, read.endMs) || this.isReplaced(read, write);
  }

  /** What the deletion of somebody has replaced does not come back when nobody remembers the deletion. */
  private checkNotBack(read: Operation, dot: string, write: Operation): void {
    if (write.dot === dot || covers(read.seen, write.dot) || write.kind !== "delete") return;
    const isBack =
      write.bucket.conflicts === "lww"
        ? this.hlcOf(dot) < write.seen.hlc
        : covers(replacedBy(write), dot);
    if (isBack) this.report("I5", `${name(read)} shows ${dot}, which ${name(write)} has deleted`);
  }

  /** The timestamp of an acknowledged write; Infinity where it is not known. */
  private hlcOf(dot: string): number {
    const write = this.writes.find((each) => each.dot === dot && each.outcome === "ok");
    return write?.seen.hlc ?? Infinity;
  }

  private checkWritten(read: Operation, { dot, value }: Version): void {
    if (value === undefined) return;
    const write = this.byValue.get(value);
    if (write === undefined)
      this.report("S2", `${name(read)} showed "${value}", which nobody wrote`);
    else if (write.startMs > read.endMs)
      this.report("S2", `${name(read)} showed "${value}" before ${name(write)}`);
    else if (write.outcome === "fail")
      this.report("S2", `${name(read)} showed "${value}" at ${dot}, but ${name(write)} had failed`);
    else if (isLongExpired(write, read))
      this.report("I11", `${name(read)} showed "${value}", expired since ${write.ttlMs} ms after`);
  }

  /** No write that the reader knows of has replaced what it shows. */
  private checkNotReplaced(read: Operation, { dot }: Version, shown: ReadonlySet<string>): void {
    for (const write of this.writes) {
      if (write.outcome !== "ok" || write.dot === dot || !covers(read.seen, write.dot)) continue;
      if (!covers(replacedBy(write), dot)) continue;
      const invariant = shown.has(write.dot) && write.kind === "put" ? "S4" : "S3";
      this.report(invariant, `${name(read)} shows ${dot}, which ${name(write)} has replaced`);
    }
  }

  /** Values are unique, so equal ones are of one write; two deletions are one. */
  private checkDistinct(read: Operation): void {
    const writers = new Set(read.versions.map(({ value }) => value));
    const count = read.versions.length;
    if (count > writers.size)
      this.report("S4", `${name(read)} shows ${count} siblings of ${writers.size} writers`);
  }

  private isReplaced(read: Operation, write: Operation): boolean {
    return this.writes.some(
      (other) => other !== write && other.startMs <= read.endMs && mayReplace(other, write),
    );
  }

  private checkReplaced(read: Operation, write: Operation): void {
    if (this.isReplaced(read, write) || this.isCollected(read, write)) return;
    if (write.ttlMs > 0 && hasDied(write, read.endMs)) return;
    this.report("S1", `${name(read)} does not show ${name(write)}, which nobody has replaced`);
  }

  private report(invariant: string, message: string): void {
    this.violations.push({ invariant, message, key: this.key });
  }
}

function hasDied({ kind, startMs, ttlMs }: Operation, byMs: number): boolean {
  return kind === "delete" || (ttlMs > 0 && startMs + ttlMs - CLOCK_ERROR_MS <= byMs);
}

function isLongExpired({ outcome, ttlMs, endMs }: Operation, read: Operation): boolean {
  if (outcome !== "ok" || ttlMs === 0) return false;
  return read.startMs > endMs + ttlMs + EXPIRY_GRACE_MS + CLOCK_ERROR_MS;
}

/** Equal values are shown once (R15): a deletion stands for all deletions, a value for all its dots. */
function isShown(
  { versions, isTombstone }: Operation,
  write: Operation,
  shown: ReadonlySet<string> = NO_DOTS,
): boolean {
  if (shown.has(write.dot)) return true;
  if (write.kind === "delete")
    return isTombstone || versions.some(({ value }) => value === undefined);
  return versions.some(({ value }) => value === write.value);
}

const NO_DOTS: ReadonlySet<string> = new Set();

/** What an answered write has surely replaced; itself, too, where its answer tells what was there: callers leave out the write's own dot. */
export function replacedBy({ bucket, kind, given, seen }: Operation): Seen {
  if (bucket.conflicts === "lww") return NOTHING_SEEN;
  if (given !== undefined) return { ...given, dots: common(given.dots, seen) };
  if (kind === "put" && bucket.blindPut === "sibling") return NOTHING_SEEN;
  return seen;
}

function common(dots: ReadonlySet<string>, seen: Seen): ReadonlySet<string> {
  return new Set([...dots].filter((dot) => covers(seen, dot)));
}

function mayReplace(other: Operation, write: Operation): boolean {
  if (other.outcome === "fail") return false;
  const mayHaveMet = lastChanceMs(other) >= write.startMs;
  if (other.bucket.conflicts === "lww") return mayHaveMet || isLaterInLww(other, write);
  if (other.given !== undefined) return covers(other.given, write.dot);
  if (other.kind === "put" && other.bucket.blindPut === "sibling") return false;
  return mayHaveMet || covers(replacedBy(other), write.dot);
}

/** R21: equal timestamps are told apart by the actor, so that all nodes come to the same one (seed 30390). */
function isLaterInLww(other: Operation, write: Operation): boolean {
  if (other.seen.hlc !== write.seen.hlc) return other.seen.hlc > write.seen.hlc;
  return other.dot > write.dot;
}

/** Until when mints of this operation can happen of which no answer tells; `-Infinity` where the answer tells all. */
function lastChanceMs({ outcome, attempts, startMs, endMs }: Operation): number {
  const unknown = attempts.filter(({ status }) => status === 504 || status === 0);
  if (outcome === "info" || unknown.length > 0) return endMs + STRAY_MS_MAX;
  // A retry that could not find its first attempt, on the other side of a partition, is minted again.
  if (attempts.length > 1) return endMs + BUDGET_MS_MAX;
  // Long enough for the node to have given up one minter and asked the next: the first may have minted it too, but not after the second had it (N1, seed 10176).
  return endMs - startMs >= SECOND_MINTER_MS ? endMs : -Infinity;
}

export function name({ id, client, kind, value }: Operation): string {
  return `#${id} ${client} ${kind}${value === "" ? "" : ` "${value}"`}`;
}
