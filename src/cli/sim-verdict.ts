/** What `hutch sim` says at its end, and of each run: lines for people, objects for `--json`. */

import { STATES } from "../simulator/states.ts";
import type { PlanSizes } from "../simulator/tell-plan.ts";
import type { SimRequest } from "./sim-options.ts";
import type { SimReport } from "./sim-protocol.ts";
import { coverageLines, factLines, spanText, workFacts, wrapped } from "./sim-tables.ts";
import { OK_SHARE_MIN, type Outcome, type SimTotals, STORIES_MAX } from "./sim-totals.ts";
import { INVARIANTS } from "./sim-words.ts";
import { EXIT } from "./exit-codes.ts";
import { countText, cutTo } from "./table.ts";
import { styled, visible } from "./terminal.ts";

/** Of what was done to a cluster, unless `--trace` asks for all. */
const TOLD_MAX = 40;
const VIOLATIONS_MAX = 5;
/** Of broken runs, that are named with their command. */
const NAMED_MAX = 100;
/** Of what came of a run, at its beginning and at its end, and of one of its lines, unless `--trace` asks for all. */
const STORY_LINES_MAX = 60;
const STORY_LINE_MAX = 300;

export interface Ending {
  readonly request: Pick<SimRequest, "source" | "kinds" | "isTraced">;
  readonly totals: SimTotals;
  readonly elapsedMs: number;
  /** Stopped by a person. */
  readonly isStopped: boolean;
}

export const EXIT_BY_OUTCOME = {
  held: EXIT.ok,
  broken: EXIT.broken,
  "proves-nothing": EXIT.unavailable,
} as const satisfies Record<Outcome, number>;

/** One run in one line. */
export function reportLine({ name, verdict }: SimReport): string {
  const { figures, violations, trace } = verdict;
  const share = figures.operations === 0 ? 0 : (figures.ok / figures.operations) * 100;
  const how =
    violations.length === 0
      ? "held"
      : `BROKEN ${[...new Set(violations.map(({ invariant }) => invariant))].join(", ")}`;
  const struck = Object.values(verdict.faults).reduce((sum, count) => sum + count, 0);
  return `${name}: ${how}, ${countText(figures.operations)} operations, ${share.toFixed(1)} % ok, ${struck} faults and changes, ${spanText(figures.virtualMs)}, trace ${trace}`;
}

/** What was planned for a run, and what was done to its cluster. */
export function storyLines({ name, sizes, verdict }: SimReport, isWhole: boolean): string[] {
  return [
    `${name}: ${sizeText(sizes)}`,
    ...cut(verdict.told, isWhole).map((line) => `  ${visible(line).trimEnd()}`),
  ];
}

function cut(told: readonly string[], isWhole: boolean): readonly string[] {
  if (isWhole || told.length <= TOLD_MAX) return told;
  return [...told.slice(0, TOLD_MAX), `... and ${told.length - TOLD_MAX} more (--trace tells all)`];
}

function sizeText({ nodes, clients, steps, faults, changes }: PlanSizes): string {
  return `${counted(nodes, "node")}, ${counted(clients, "client")} with up to ${counted(steps, "operation")}, ${counted(faults, "fault")} and ${counted(changes, "change")} planned`;
}

function counted(count: number, what: string): string {
  return `${countText(count)} ${what}${count === 1 ? "" : "s"}`;
}

/** @param width places of the terminal */
export function endingLines(ending: Ending, width: number): string[] {
  const { request, totals } = ending;
  return [
    ...coverageLines(totals, request.kinds, width),
    "",
    ...factLines(factsOf(ending), width),
    "",
    ...totals.broken.slice(0, STORIES_MAX).flatMap((report) => brokenLines(report, request)),
    ...totals.broken.slice(STORIES_MAX, NAMED_MAX).map(shortLine),
    ...(totals.outcome === "held" ? [...checkedLines(width), ""] : []),
    verdictLine(ending),
  ];
}

function factsOf({ request, totals, elapsedMs }: Ending): [string, string][] {
  const { source } = request;
  const single = totals.runs === 1 && totals.broken.length === 0;
  const seeds: [string, string] =
    "plan" in source
      ? ["plan", source.path]
      : [
          "seeds",
          totals.runs === 1
            ? `${source.first}`
            : `${countText(totals.runs)} from ${source.first} on`,
        ];
  return [
    seeds,
    ...workFacts(totals),
    ["real time", spanText(elapsedMs)],
    ...(single ? [] : [["broken runs", `${totals.broken.length}`] as [string, string]]),
  ];
}

function verdictLine({ totals, isStopped }: Ending): string {
  const runs = `${countText(totals.runs)} ${totals.runs === 1 ? "run" : "runs"}`;
  const stopped = isStopped ? " (stopped before its end)" : "";
  switch (totals.outcome) {
    case "held":
      return styled("green", `HELD: nothing was broken in ${runs}${stopped}`);
    case "broken":
      return styled("red", `BROKEN: ${totals.broken.length} of ${runs}${stopped}`);
    default: {
      const share = (totals.shareOf(totals.ok) * 100).toFixed(1);
      return styled(
        "yellow",
        `PROVES NOTHING: ${share} % of the operations in ${runs} succeeded, and ${OK_SHARE_MIN * 100} % are the least${stopped}`,
      );
    }
  }
}

function checkedLines(width: number): string[] {
  const places = Math.max(...Object.keys(INVARIANTS).map((name) => name.length)) + 4;
  const lines = Object.entries(INVARIANTS).flatMap(([name, sentence]) =>
    wrapped(sentence.split(" "), " ", width - places).map(
      (line, index) => `${(index === 0 ? `  ${name}` : "").padEnd(places)}${line}`,
    ),
  );
  return ["checked in each run:", ...lines];
}

function brokenLines(report: SimReport, { isTraced }: Ending["request"]): string[] {
  const { name, verdict, shrunk, path } = report;
  const own = shrunk ?? report;
  const { told, story } = own.verdict;
  const smaller =
    shrunk === undefined
      ? []
      : ["", `a smaller plan breaks the same, found in ${shrunk.runs} runs`];
  return [
    styled("red", `${name} is BROKEN`),
    ...violationLines(verdict.violations),
    ...smaller,
    ...section("the plan", own.plan),
    ...section("what was done", cut(told, isTraced)),
    ...section("what came of it", storyOf(story, isTraced)),
    "",
    ...(path === "" ? [] : [`plan    ${path}`, `replay  ${styled("bold", replayOf(report))}`, ""]),
  ];
}

function storyOf(story: string, isWhole: boolean): string[] {
  const lines = story.split("\n").filter((line) => line !== "");
  if (isWhole) return lines;
  const left = lines.length - 2 * STORY_LINES_MAX;
  const shown =
    left <= 0
      ? lines
      : [
          ...lines.slice(0, STORY_LINES_MAX),
          `... ${left} more lines (--trace tells all, --shrink looks for a shorter story)`,
          ...lines.slice(-STORY_LINES_MAX),
        ];
  return shown.map((line) => cutTo(line, STORY_LINE_MAX));
}

function section(title: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return [];
  return ["", styled("bold", title), ...lines.map((line) => `  ${visible(line).trimEnd()}`)];
}

function shortLine(report: SimReport): string {
  const kinds = new Set(report.verdict.violations.map(({ invariant }) => invariant));
  return `${report.name} is BROKEN: ${[...kinds].join(", ")}; ${replayOf(report)}`;
}

function violationLines(violations: SimReport["verdict"]["violations"]): string[] {
  const lines = violations.slice(0, VIOLATIONS_MAX).map(({ invariant, message, key }) => {
    const [first = ""] = message.split("\n");
    return `  ${invariant}${key === "" ? "" : ` ${visible(key)}`}: ${visible(first)}`;
  });
  const left = violations.length - lines.length;
  return left > 0 ? [...lines, `  and ${left} more`] : lines;
}

/** The one command that repeats a broken run. */
export function replayOf({ path }: SimReport): string {
  const word = /^[\w./:@%+=,-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
  return `hutch sim --plan ${word}`;
}

/** A line of `--json` for a run. */
export function reportJson(report: SimReport, isTraced: boolean): object {
  const { name, verdict, sizes, path, shrunk } = report;
  const { told, story, ...rest } = verdict;
  const isBroken = verdict.violations.length > 0;
  return {
    type: "run",
    run: name,
    held: !isBroken,
    ...rest,
    sizes,
    ...(isTraced && { told }),
    ...(path !== "" && { plan: path }),
    ...(isBroken && { story, replay: path === "" ? "" : replayOf(report) }),
    ...(shrunk !== undefined && {
      shrunk: { ...shrunk.verdict, sizes: shrunk.sizes, runs: shrunk.runs },
    }),
  };
}

/** The last line of `--json`. */
export function endingJson({ totals, request, elapsedMs, isStopped }: Ending): object {
  const { faults, coverage, broken, ...sums } = totals;
  const kinds = Object.fromEntries(request.kinds.map((kind) => [kind, faults.get(kind) ?? 0]));
  const states = request.kinds.flatMap((kind) =>
    STATES.map((state) => `${kind} x ${state}`).map((place) => [place, coverage.get(place) ?? 0]),
  );
  return {
    type: "verdict",
    verdict: totals.outcome,
    exitCode: EXIT_BY_OUTCOME[totals.outcome],
    ...sums,
    okShare: totals.shareOf(totals.ok),
    elapsedMs: Math.round(elapsedMs),
    isStopped,
    faults: kinds,
    coverage: Object.fromEntries(states) as Record<string, number>,
    broken: broken.map((report) => ({
      run: report.name,
      plan: report.path,
      replay: replayOf(report),
    })),
    checked: Object.keys(INVARIANTS),
  };
}
