/**
 * Tables as `nodetool` prints them: columns of text with two spaces between, no lines around. A table that is wider than the terminal first
 * gives up the columns that say so, then cuts the longest cells of those that may be cut.
 *
 *   state  node  address         partitions  share
 *   up     n1    127.0.0.1:7001         256  ██████▋      33.3 %
 */

import type { Style } from "./terminal.ts";
import { styled, visible } from "./terminal.ts";

export interface Column {
  readonly title: string;
  readonly align?: "right";
  /** Cells may be cut to this many places. Left out: they never are. */
  readonly widthMin?: number;
  /** Whether the column may be left out; the greatest goes first. Left out: it never is. */
  readonly dropRank?: number;
}

/** Text from anywhere; control characters are shown, not obeyed. */
export type Cell = string | { readonly text: string; readonly style: Style };

const GAP = "  ";
const ELLIPSIS = "…";

/** Header and rows. @param width places of the terminal */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  width: number,
): string[] {
  const texts = rows.map((row) => row.map((cell) => visible(textOf(cell))));
  const natural = columns.map(({ title }, at) =>
    Math.max(title.length, ...texts.map((row) => Bun.stringWidth(row[at] ?? ""))),
  );
  const widths = fitted(columns, natural, width);
  const line = (cells: readonly string[], styles: readonly (Style | undefined)[]): string =>
    widths
      .flatMap((places, at) =>
        places < 0 ? [] : [padded(cells[at] ?? "", places, columns[at]!.align, styles[at])],
      )
      .join(GAP)
      .trimEnd();
  const titles = columns.map(({ title }) => title);
  const dim = columns.map(() => "dim" as const);
  return [line(titles, dim), ...rows.map((row, at) => line(texts[at]!, row.map(styleOf)))];
}

function textOf(cell: Cell): string {
  return typeof cell === "string" ? cell : cell.text;
}

function styleOf(cell: Cell): Style | undefined {
  return typeof cell === "string" ? undefined : cell.style;
}

/** The width of each column, -1 for one that is left out. */
function fitted(columns: readonly Column[], natural: readonly number[], width: number): number[] {
  const widths = [...natural];
  const droppable = columns
    .flatMap(({ dropRank }, at) => (dropRank === undefined ? [] : [{ at, dropRank }]))
    .sort((a, b) => b.dropRank - a.dropRank);
  for (const { at } of droppable) if (totalOf(widths) > width) widths[at] = -1;
  for (let excess = totalOf(widths) - width; excess > 0; excess--) {
    const longest = longestCuttable(columns, widths);
    if (longest < 0) break;
    widths[longest]!--;
  }
  return widths;
}

function totalOf(widths: readonly number[]): number {
  const shown = widths.filter((places) => places >= 0);
  return shown.reduce((sum, places) => sum + places, GAP.length * (shown.length - 1));
}

function longestCuttable(columns: readonly Column[], widths: readonly number[]): number {
  let longest = -1;
  for (const [at, { widthMin }] of columns.entries()) {
    if (widthMin === undefined || widths[at]! <= widthMin) continue;
    if (longest < 0 || widths[at]! > widths[longest]!) longest = at;
  }
  return longest;
}

function padded(
  text: string,
  places: number,
  align: Column["align"],
  style: Style | undefined,
): string {
  const cut = cutTo(text, places);
  const shown = style === undefined ? cut : styled(style, cut);
  const space = " ".repeat(Math.max(0, places - Bun.stringWidth(cut)));
  return align === "right" ? space + shown : shown + space;
}

/** `text` in at most `places` places of a terminal, with an ellipsis where something is missing. */
export function cutTo(text: string, places: number): string {
  if (Bun.stringWidth(text) <= places) return text;
  let cut = "";
  for (const { segment } of new Intl.Segmenter("en").segment(text)) {
    if (Bun.stringWidth(cut + segment) >= places) break;
    cut += segment;
  }
  return cut + ELLIPSIS;
}

const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** A bar of `share`, 0..1, of `places` places, to an eighth of a place. */
export function bar(share: number, places: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * places * 8);
  return ("█".repeat(eighths >> 3) + EIGHTHS[eighths & 7]!).padEnd(places);
}

/** A bar with its figure, as wide for all shares. */
export function shareBar(share: number, places: number): string {
  return `${bar(share, places)} ${(share * 100).toFixed(1).padStart(5)} %`;
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** `1.4 GiB`, for people. */
export function sizeText(bytes: number): string {
  let unit = 0;
  let amount = bytes;
  while (amount >= 1024 && unit < UNITS.length - 1) {
    amount /= 1024;
    unit++;
  }
  return `${unit === 0 ? amount : amount.toFixed(1)} ${UNITS[unit]}`;
}

/** `12,345,678`. */
export function countText(count: number): string {
  return count.toLocaleString("en");
}
