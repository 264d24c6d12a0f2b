/** The tables that the running picture and the verdict of `hutch sim` share. */

import { STATES } from "../simulator/states.ts";
import type { Cell, Column } from "./table.ts";
import { countText, tableLines } from "./table.ts";
import type { SimTotals } from "./sim-totals.ts";
import { styled } from "./terminal.ts";

const letterOf = (index: number): string => String.fromCharCode(65 + index);

/**
 * How often each kind struck, and in which states of the cluster; what never struck is named, for it has not been tested.
 *
 *   struck           all   A   B   C   D   E   F
 *   crash             12   7   0   1   2   3   0
 *   A calm · B a node is down · ...
 *   never struck: torn · fence
 */
export function coverageLines(
  totals: SimTotals,
  kinds: readonly string[],
  width: number,
): string[] {
  const [struck, never] = [true, false].map((isStruck) =>
    kinds.filter((kind) => (totals.faults.get(kind) ?? 0) > 0 === isStruck),
  ) as [string[], string[]]; // one for each of two
  const columns: Column[] = [
    { title: "struck", widthMin: 6 },
    { title: "all", align: "right" },
    ...STATES.map((_, index): Column => ({
      title: letterOf(index),
      align: "right",
      dropRank: index,
    })),
  ];
  const rows = struck.map((kind): Cell[] => [
    kind,
    figure(totals.faults.get(kind)),
    ...STATES.map((state) => figure(totals.coverage.get(`${kind} x ${state}`))),
  ]);
  const legend = STATES.map((state, index) => `${letterOf(index)} ${state}`);
  const table =
    rows.length === 0
      ? []
      : [...tableLines(columns, rows, width), ...wrapped(legend, " · ", width).map(dim)];
  if (never.length === 0) return table;
  const [first, ...others] = never;
  return [...table, ...wrapped([`never struck: ${first}`, ...others], " · ", width).map(yellow)];
}

const dim = (line: string): string => styled("dim", line);
const yellow = (line: string): string => styled("yellow", line);

function figure(count = 0): Cell {
  return count === 0 ? { text: "0", style: "yellow" } : countText(count);
}

/** Items in as many lines as they need. */
export function wrapped(items: readonly string[], separator: string, width: number): string[] {
  const lines: string[] = [];
  for (const item of items) {
    const longer = `${lines.at(-1)}${separator}${item}`;
    if (lines.length > 0 && Bun.stringWidth(longer) <= width) lines[lines.length - 1] = longer;
    else lines.push(item);
  }
  return lines;
}

/** Names and what there is to say of them, in two columns. */
export function factLines(facts: readonly (readonly [string, string])[], width: number): string[] {
  const [, ...lines] = tableLines(
    [{ title: "" }, { title: "", widthMin: 10 }],
    facts.map((fact) => [...fact]),
    width,
  );
  return lines;
}

/** The facts about the work of all runs. */
export function workFacts(totals: SimTotals): [string, string][] {
  const { operations, ok, failed, unknown, kills, powerLosses, dots, burnt } = totals;
  const share = (count: number): string => `${(totals.shareOf(count) * 100).toFixed(1)} %`;
  return [
    ["virtual time", spanText(totals.virtualMs)],
    [
      "operations",
      `${countText(operations)}: ok ${share(ok)}, failed ${share(failed)}, unknown ${share(unknown)}`,
    ],
    ["versions", `${countText(dots)} given out, ${countText(burnt)} were on lost disks only`],
    ["recoveries", `${countText(kills)} after kills, ${countText(powerLosses)} after power losses`],
    ["events", countText(totals.events)],
  ];
}

/** `0.8 s`, `41 min 12 s`, `3 h 02 min`. */
export function spanText(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${pad(Math.floor(seconds % 60))} s`;
  return `${countText(Math.floor(minutes / 60))} h ${pad(minutes % 60)} min`;
}

function pad(count: number): string {
  return String(count).padStart(2, "0");
}
