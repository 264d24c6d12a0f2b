/**
 * The picture of `hutch sim` while it runs, from what is known at a moment; whoever draws it does so again and again.
 *
 *   hutch sim  seeds from 42 on  2 processes
 *   ██████████████▌                       36.0 %
 *   runs          18 of 50, 0 broken
 *   ...
 */

import type { SimRequest } from "./sim-options.ts";
import type { LaneState } from "./sim-lane.ts";
import { coverageLines, factLines, spanText, workFacts } from "./sim-tables.ts";
import type { SimTotals } from "./sim-totals.ts";
import { countText, cutTo, shareBar } from "./table.ts";
import { styled } from "./terminal.ts";

export interface Moment {
  readonly request: Pick<SimRequest, "source" | "kinds" | "jobs">;
  readonly totals: SimTotals;
  readonly lanes: readonly LaneState[];
  /** Since the start, and of the clock of the lanes. */
  readonly elapsedMs: number;
  readonly nowMs: number;
}

const BAR_PLACES = 40;
/** Of a bar with its figure. */
const FIGURE_PLACES = 8;

/** @param rows how many lines there is room for; the table of coverage gives up what is too much */
export function momentLines(moment: Moment, width: number, rows: number): string[] {
  const { request, totals } = moment;
  const head = [
    styled("bold", cutTo(`hutch sim  ${askedFor(request)}`, width)),
    shareBar(doneShare(moment), Math.max(1, Math.min(BAR_PLACES, width - FIGURE_PLACES))).trimEnd(),
    ...factLines(factsOf(moment), width),
    "",
  ];
  const coverage = coverageLines(totals, request.kinds, width);
  const room = rows - head.length;
  if (coverage.length <= room) return [...head, ...coverage];
  const shown = coverage.slice(0, Math.max(0, room - 1));
  const rest = `… ${coverage.length - shown.length} more lines on a taller terminal`;
  return [...head, ...shown, cutTo(rest, width)].slice(0, rows);
}

/** One line where there is no terminal. */
export function momentLine(moment: Moment): string {
  const { runs, broken, operations, virtualMs } = moment.totals;
  const share = (moment.totals.shareOf(moment.totals.ok) * 100).toFixed(1);
  return [
    `${spanText(moment.elapsedMs)}: ${countText(runs)} runs, ${broken.length} broken`,
    `${spanText(virtualMs)} of virtual time`,
    `${countText(operations)} operations, ${share} % ok`,
    ...doingNow(moment),
  ].join(", ");
}

function doingNow({ lanes, nowMs }: Moment): string[] {
  return lanes.map(
    ({ name, sinceMs, doing }) =>
      `${name} for ${spanText(nowMs - sinceMs)}${doing === "" ? "" : ` (${doing})`}`,
  );
}

export function askedFor({ source, jobs }: Moment["request"]): string {
  if ("plan" in source) return `the plan ${source.path}`;
  const { first, count } = source;
  const processes = jobs === 1 ? "1 process" : `${jobs} processes`;
  if (count === 1) return `seed ${first}`;
  const seeds =
    count === Infinity ? `seeds from ${first} on` : `seeds ${first} to ${first + count - 1}`;
  return `${seeds}, ${processes}`;
}

function doneShare({ request, totals, elapsedMs }: Moment): number {
  const { source } = request;
  if ("plan" in source) return totals.runs;
  return Math.max(totals.runs / source.count, elapsedMs / source.forMs);
}

function factsOf(moment: Moment): [string, string][] {
  const { request, totals, elapsedMs } = moment;
  const { source } = request;
  const count = "plan" in source ? 1 : source.count;
  const of = count === Infinity ? "" : ` of ${countText(count)}`;
  const limit =
    "plan" in source || source.forMs === Infinity ? "" : ` of ${spanText(source.forMs)}`;
  const speed = totals.virtualMs / Math.max(1, elapsedMs);
  const perSecond = Math.round((totals.events * 1000) / Math.max(1, elapsedMs));
  const facts = workFacts(totals).map(([name, text]): [string, string] => {
    if (name === "virtual time") return [name, `${text}, ${speed.toFixed(1)} times real time`];
    if (name === "events") return [name, `${text}, ${countText(perSecond)} a second`];
    return [name, text];
  });
  return [
    ["runs", `${countText(totals.runs)}${of}, ${totals.broken.length} broken`],
    ["real time", `${spanText(elapsedMs)}${limit}`],
    ...facts,
    ["now", doingNow(moment).join(", ")],
  ];
}
