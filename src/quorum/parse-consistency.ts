/**
 * `X-Consistency`, from its text to the counts of one operation (R3, R6).
 *
 * 1. Parse: a level word in any case, or an RFC 9651 dictionary of counts. Nothing is guessed: an unknown word or key,
 *    a key given twice, a number that is not a plain integer are refused.
 * 2. Resolve against the bucket and the effective N. A count outside 1..N is refused, counts that contradict each
 *    other too. What a dictionary leaves out comes from the bucket's default level.
 *
 * Two headers of the same name arrive here joined by ", ", which no level word and no dictionary survives unless the two
 * together are one dictionary; RFC 9651 wants exactly that.
 *
 * The bucket's own default is resolved by clamping instead: a bucket with n = 3 and `r=2` is legal in a cluster of one.
 */
import { HutchError } from "../base/errors.ts";
import type { Consistency } from "./consistency.ts";
import type { BucketProperties } from "./operation.ts";

export type Level = "ONE" | "QUORUM" | "ALL";

const LEVELS: readonly string[] = ["ONE", "QUORUM", "ALL"] satisfies readonly Level[];
const RESERVED_LEVELS: readonly string[] = [
  "ANY",
  "LOCAL_ONE",
  "LOCAL_QUORUM",
  "EACH_QUORUM",
  "STRONG",
];

/** A dictionary's counts; 0 where it does not name one. */
export interface ConsistencyCounts {
  readonly n: number;
  readonly r: number;
  readonly w: number;
  readonly pr: number;
  readonly pw: number;
  readonly dw: number;
  readonly sloppy: boolean | undefined;
}

/** What the text says, before it meets a bucket. */
export type ConsistencyRequest =
  | { readonly kind: "level"; readonly level: Level }
  | { readonly kind: "counts"; readonly counts: ConsistencyCounts };

const COUNT_KEYS: readonly string[] = ["n", "r", "w", "pr", "pw", "dw"];
/** Longer texts are no dictionary of seven members. */
const TEXT_LENGTH_MAX = 256;
const COUNT = /^[1-9][0-9]{0,3}$/;

/**
 * The meaning of one `X-Consistency` text.
 *
 * @throws HutchError `bad-consistency`, or `not-implemented` for a reserved level.
 * @example parseConsistency("r=1, w=3") // { kind: "counts", counts: { r: 1, w: 3, ... } }
 */
export function parseConsistency(text: string): ConsistencyRequest {
  if (text.length > TEXT_LENGTH_MAX) throw refused(text.slice(0, 32), "the text is too long");
  const trimmed = text.trim();
  const word = trimmed.toUpperCase();
  if (LEVELS.includes(word)) return { kind: "level", level: word as Level };
  if (RESERVED_LEVELS.includes(word)) {
    throw new HutchError(
      "not-implemented",
      `Cannot use consistency "${word}": the level is reserved and not built yet, want ONE, QUORUM or ALL`,
    );
  }
  if (!trimmed.includes("=") && trimmed !== "sloppy") {
    throw refused(trimmed, "want ONE, QUORUM, ALL or a dictionary such as r=2, w=2");
  }
  return { kind: "counts", counts: parseDictionary(trimmed) };
}

function parseDictionary(text: string): ConsistencyCounts {
  const members = new Map<string, number | boolean>();
  for (const member of text.split(",")) {
    const [key, value] = parseMember(text, member.trim());
    if (members.has(key)) throw refused(text, `"${key}" is given twice`);
    members.set(key, value);
  }
  // The map holds numbers under the count keys and a boolean under "sloppy": parseMember() made it so.
  const count = (key: string): number => (members.get(key) as number | undefined) ?? 0;
  return {
    n: count("n"),
    r: count("r"),
    w: count("w"),
    pr: count("pr"),
    pw: count("pw"),
    dw: count("dw"),
    sloppy: members.get("sloppy") as boolean | undefined,
  };
}

function parseMember(text: string, member: string): [string, number | boolean] {
  const equals = member.indexOf("=");
  const key = equals < 0 ? member : member.slice(0, equals);
  const value = equals < 0 ? "?1" : member.slice(equals + 1);
  if (key === "sloppy") {
    if (value !== "?0" && value !== "?1")
      throw refused(text, `"sloppy" is "${value}", want ?0 or ?1`);
    return [key, value === "?1"];
  }
  if (!COUNT_KEYS.includes(key)) {
    throw refused(text, `"${key}" is not one of ${COUNT_KEYS.join(", ")}, sloppy`);
  }
  if (!COUNT.test(value)) throw refused(text, `"${key}" is "${value}", want an integer in 1..N`);
  return [key, Number(value)];
}

/**
 * The counts for one operation: `text` as a client gave it, or the bucket's default where it is `undefined`.
 *
 * @param effectiveN min(bucket's n, nodes in the layout)
 * @throws HutchError `bad-consistency`, `not-implemented`
 */
export function consistencyFor(
  text: string | undefined,
  properties: BucketProperties,
  effectiveN: number,
): Consistency {
  if (text === undefined) return defaultConsistency(properties, effectiveN);
  const request = parseConsistency(text);
  if (request.kind === "level")
    return levelConsistency(request.level, effectiveN, properties.strict);
  return countsConsistency(text, request.counts, properties, effectiveN);
}

/** Throws unless `text` can be the default level of a bucket of `n` replicas. */
export function checkDefaultConsistency(text: string, n: number, strict: boolean): void {
  const request = parseConsistency(text);
  if (request.kind === "level") return;
  countsAgree(text, request.counts, n, n, strict);
  const { r, w, pr, pw, dw } = request.counts;
  relationsHold(text, r || n, w || n, pr, pw, dw);
}

/** The bucket's default, with every count clamped to what the layout can give. */
function defaultConsistency(properties: BucketProperties, n: number): Consistency {
  // The word that nearly every bucket has, without a parse.
  if (properties.consistency === "QUORUM") return levelConsistency("QUORUM", n, properties.strict);
  const request = parseConsistency(properties.consistency);
  if (request.kind === "level") return levelConsistency(request.level, n, properties.strict);
  const { counts } = request;
  const isSloppy = (counts.sloppy ?? true) && !properties.strict;
  const clamp = (count: number): number => (count < n ? count : n);
  return complete(
    n,
    {
      ...counts,
      r: clamp(counts.r),
      w: clamp(counts.w),
      pr: clamp(counts.pr),
      pw: clamp(counts.pw),
      dw: clamp(counts.dw),
    },
    quorumOf(n),
    quorumOf(n),
    isSloppy,
  );
}

/** Counts that a client gave. */
function countsConsistency(
  text: string,
  counts: ConsistencyCounts,
  properties: BucketProperties,
  n: number,
): Consistency {
  countsAgree(text, counts, properties.n, n, properties.strict);
  const base = defaultConsistency(properties, n);
  const isSloppy = counts.sloppy ?? base.isSloppy;
  const resolved = complete(n, counts, base.r, base.w, isSloppy);
  relationsHold(text, resolved.r, resolved.w, counts.pr, counts.pw, counts.dw);
  return resolved;
}

/** Every count is in 1..N, `n` is the bucket's, and a strict bucket stays strict. */
function countsAgree(
  text: string,
  counts: ConsistencyCounts,
  bucketN: number,
  n: number,
  strict: boolean,
): void {
  if (counts.n !== 0 && counts.n !== bucketN) {
    throw refused(text, `"n" is ${counts.n}, the bucket has ${bucketN}`);
  }
  for (const key of ["r", "w", "pr", "pw", "dw"] as const) {
    if (counts[key] > n) throw refused(text, `"${key}" is ${counts[key]}, want 1..${n}`);
  }
  if (strict && counts.sloppy === true) throw refused(text, "the bucket is strict, want sloppy=?0");
}

/** Nobody can want two owners among one reply. */
function relationsHold(
  text: string,
  r: number,
  w: number,
  pr: number,
  pw: number,
  dw: number,
): void {
  if (pr > r) throw refused(text, `"pr" is ${pr}, want at most r = ${r}`);
  if (pw > w) throw refused(text, `"pw" is ${pw}, want at most w = ${w}`);
  if (dw > w) throw refused(text, `"dw" is ${dw}, want at most w = ${w}`);
}

/** Fills what `counts` leaves out; a part that is asked for raises the whole that was left out. */
function complete(
  n: number,
  counts: ConsistencyCounts,
  defaultR: number,
  defaultW: number,
  isSloppy: boolean,
): Consistency {
  const r = counts.r !== 0 ? counts.r : Math.max(defaultR, counts.pr);
  const w = counts.w !== 0 ? counts.w : Math.max(defaultW, counts.pw, counts.dw);
  return {
    n,
    r,
    w,
    // Without fallbacks every reply is an owner's.
    pr: isSloppy ? counts.pr : r,
    pw: isSloppy ? counts.pw : w,
    dw: counts.dw,
    isSloppy,
    level: "",
  };
}

/** A named level; `ALL` counts owners only, whatever the bucket says (D4). One object per meaning, made once. */
export function levelConsistency(level: Level, n: number, isStrict: boolean): Consistency {
  const slot = n * 8 + (level === "QUORUM" ? 0 : level === "ONE" ? 2 : 4) + (isStrict ? 1 : 0);
  return (knownLevels[slot] ??= makeLevel(level, n, isStrict));
}

/**
 * The same wish among another number of owners: while the ring or a bucket's n changes, those of one layout may be fewer or more than those of another (R58).
 * What was raised above its level to a quorum stays one, and reads and writes that met still meet.
 */
export function consistencyAmong(consistency: Consistency, n: number): Consistency {
  if (consistency.n === n) return consistency;
  const { level, isSloppy, dw } = consistency;
  const counts = level === "" ? countsAmong(consistency, n) : levelAmong(consistency, level, n);
  return { n, ...counts, dw: Math.min(dw, n), isSloppy, level };
}

type Counts = Pick<Consistency, "r" | "w" | "pr" | "pw">;

function levelAmong(given: Consistency, level: Level, n: number): Counts {
  const isStrict = !given.isSloppy;
  const before = levelConsistency(level, given.n, isStrict);
  const now = levelConsistency(level, n, isStrict);
  const among = (count: keyof Counts): number =>
    given[count] > before[count] ? Math.max(now[count], quorumOf(n)) : now[count];
  return { r: among("r"), w: among("w"), pr: among("pr"), pw: among("pw") };
}

function countsAmong({ n: before, r, w, pr, pw }: Consistency, n: number): Counts {
  const among = (count: number, other: number): number =>
    Math.min(n, count + other > before ? Math.max(count, quorumOf(n)) : count);
  return { r: among(r, w), w: among(w, r), pr: among(pr, pw), pw: among(pw, pr) };
}

/** Indexed by N, level and strictness; N is small. */
const knownLevels: Consistency[] = [];

function makeLevel(level: Level, n: number, isStrict: boolean): Consistency {
  const count = level === "QUORUM" ? quorumOf(n) : level === "ONE" ? 1 : n;
  const isSloppy = !isStrict && level !== "ALL";
  const primaryCount = isSloppy ? 0 : count;
  return { n, r: count, w: count, pr: primaryCount, pw: primaryCount, dw: 0, isSloppy, level };
}

/** floor(N / 2) + 1. */
export function quorumOf(n: number): number {
  return (n >> 1) + 1;
}

function refused(text: string, why: string): HutchError {
  return new HutchError("bad-consistency", `Cannot use consistency "${text}": ${why}`);
}
