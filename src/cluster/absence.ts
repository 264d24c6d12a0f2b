/**
 * May this node come back with its data (R43, row 106)? Who was away for longer than `max-absence` while others went on may hold what has been deleted and
 * forgotten meanwhile. A cluster that was stopped as a whole starts again as it was: what counts is how long others were alive without this node, by their
 * own clocks. Whom nobody answers starts: there is nobody who could tell it more.
 *
 *   refuse     the default: it does not start, and says why
 *   rebuild    it starts as one who has forgotten: a new incarnation, ours since now (R12), no serving before a quorum of the other owners has been compared
 *              with; its own data are candidates that others vouch for or that are set aside (R42)
 *
 * It is the second line: while a node is an owner, no deletion is collected without its word (R39). It stands for what a layout took from the node meanwhile.
 * So an hour that a clock is wrong does no harm (row 95): set back, an absence looks shorter, and the first line holds; set forward, it looks longer, and at
 * the worst a node is refused that would have been safe, with the reason.
 *
 * A node without others has nobody who could have deleted anything behind its back.
 */
import { HutchError } from "../base/errors.ts";
import type { LifeTimes } from "./formation.ts";

export interface Absence {
  /** Unix ms; 0: cannot be read; `undefined`: nobody has ever said so. */
  readonly lastAliveMs: number | undefined;
  readonly nowMs: number;
  /** How long the one of the others that was alive longest was so since `lastAliveMs`; 0 where nobody answers. */
  readonly othersAliveMs: number;
  /** 0: as long as `gcDelayMs`. */
  readonly maxAbsenceMs: number;
  readonly gcDelayMs: number;
  readonly rejoin: "refuse" | "rebuild";
  /** The only member of its cluster. */
  readonly isAlone: boolean;
}

/** True where the node has to rebuild before it serves. Throws `data-refused`. */
export function mustRebuild(absence: Absence): boolean {
  const { lastAliveMs, nowMs, othersAliveMs, rejoin, isAlone } = absence;
  if (isAlone || lastAliveMs === undefined) return false;
  const limitMs = limitOf(absence);
  if (!wasAwayLong(absence) || othersAliveMs <= limitMs) return false;
  if (rejoin === "rebuild") return true;
  const since =
    lastAliveMs === 0
      ? "when this node was last alive cannot be read"
      : `this node was last alive ${durationText(nowMs - lastAliveMs)} ago, unless its clock is wrong`;
  throw new HutchError(
    "data-refused",
    `Cannot start: ${since}, and more than ${durationText(limitMs)} (max-absence) is too long to come back with old data, ` +
      `which may hold what has been deleted since; want --rejoin rebuild, which compares all of it with the other nodes before it serves, ` +
      `or an empty data directory and --replace with this node's name`,
    { data: { lastAliveMs, limitMs } },
  );
}

/** Only then the others have to be asked. */
export function wasAwayLong(absence: Omit<Absence, "othersAliveMs">): boolean {
  const { lastAliveMs, nowMs, isAlone } = absence;
  return !isAlone && lastAliveMs !== undefined && nowMs - lastAliveMs > limitOf(absence);
}

/** Longer away is too long. */
export function limitOf({
  maxAbsenceMs,
  gcDelayMs,
}: Pick<Absence, "maxAbsenceMs" | "gcDelayMs">): number {
  return maxAbsenceMs === 0 ? gcDelayMs : maxAbsenceMs;
}

/** How long another node was alive after `sinceMs`, in its present life and the one before. */
export function aliveSince(sinceMs: number, { beforeMs, startedMs, nowMs }: LifeTimes): number {
  return Math.max(0, beforeMs - sinceMs) + Math.max(0, nowMs - Math.max(startedMs, sinceMs));
}

const UNITS = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1000],
] as const;

/** In the two largest units, for people. */
function durationText(ms: number): string {
  const parts: string[] = [];
  let left = ms;
  for (const [name, unitMs] of UNITS) {
    const count = Math.floor(left / unitMs);
    left -= count * unitMs;
    if (count > 0 && parts.length < 2) parts.push(`${count} ${name}${count === 1 ? "" : "s"}`);
    else if (parts.length > 0) break;
  }
  return parts.length === 0 ? "0 seconds" : parts.join(" ");
}
