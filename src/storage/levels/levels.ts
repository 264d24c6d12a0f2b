/**
 * Which tables the store consists of, as one immutable value, and how an edit makes the next one.
 *
 *   level 0      tables as flushed, overlapping, newest first
 *   level 1..6   tables with disjoint key ranges in key order; an entry in level i is newer than one of the same key in level i + 1
 *
 * A *lost range* (`lost-ranges.ts`) is a key range of which a damaged table held entries that could not be read. Until something newer than
 * `sequenceMax` is known of a key in it, or the range is healed, the truth about that key is unknown: neither "absent" nor an older value may be
 * answered (C13).
 */
import { assert } from "../../base/assert.ts";
import { compareBytes } from "../../base/bytes.ts";
import type { TableMetadata } from "../table/table-metadata.ts";
import { type LostRange, addLostRanges, removeHealed } from "./lost-ranges.ts";

export const LEVEL_COUNT = 7;

export interface Levels {
  readonly tables: readonly (readonly TableMetadata[])[];
  /** Disjoint, in key order. */
  readonly lostRanges: readonly LostRange[];
}

export interface LevelsEdit {
  readonly added?: readonly { readonly level: number; readonly table: TableMetadata }[];
  readonly removed?: readonly number[];
  readonly lostRanges?: readonly LostRange[];
  /** Known again up to their sequences; what the same edit loses is not. */
  readonly healed?: readonly LostRange[];
}

export const EMPTY_LEVELS: Levels = {
  tables: Array.from({ length: LEVEL_COUNT }, () => []),
  lostRanges: [],
};

/** `levels` after `edit`. Asserts what the drawing above says. */
export function applyLevelsEdit(levels: Levels, edit: LevelsEdit): Levels {
  const removed = new Set(edit.removed ?? []);
  const tables = levels.tables.map((level) => level.filter((table) => !removed.has(table.id)));
  for (const { level, table } of edit.added ?? []) tables[level]!.push(table);
  tables[0]!.sort((a, b) => b.largestSequence - a.largestSequence || b.id - a.id);
  for (let level = 1; level < LEVEL_COUNT; level++) sortDisjoint(tables[level]!);
  const left = removeHealed(levels.lostRanges, edit.healed ?? []);
  return { tables, lostRanges: addLostRanges(left, edit.lostRanges ?? []) };
}

function sortDisjoint(tables: TableMetadata[]): void {
  tables.sort((a, b) => compareBytes(a.smallestKey, b.smallestKey));
  for (let i = 1; i < tables.length; i++)
    assert(
      compareBytes(tables[i - 1]!.largestKey, tables[i]!.smallestKey) < 0,
      "tables of a level above 0 are disjoint",
    );
}

/** True when the range [`smallest`, `largest`] meets the table's. */
export function overlaps(table: TableMetadata, smallest: Uint8Array, largest: Uint8Array): boolean {
  return (
    compareBytes(table.smallestKey, largest) <= 0 && compareBytes(table.largestKey, smallest) >= 0
  );
}

export function levelBytes(tables: readonly TableMetadata[]): number {
  let bytes = 0;
  for (const table of tables) bytes += table.fileBytes;
  return bytes;
}
