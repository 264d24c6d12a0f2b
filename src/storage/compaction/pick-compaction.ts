/**
 * Which tables to merge next: leveled compaction over a tiered level 0.
 *
 *   score(0) = tables / trigger          score(i) = bytes / target(i), target(1) = levelBaseBytes, x10 for each further level
 *
 * The level with the highest score of at least 1 gives the source. Level 0 gives all its tables at once (they overlap, and leaving an older one behind
 * would let it shadow newer data below); another level gives one table, in turn by key. The overlapping tables of the next level
 * join. Read amplification is bounded by the level-0 stop plus one table a level.
 */
import { assert } from "../../base/assert.ts";
import { compareBytes } from "../../base/bytes.ts";
import type { Levels } from "../levels/levels.ts";
import { LEVEL_COUNT, levelBytes, overlaps } from "../levels/levels.ts";
import type { StoreOptions } from "../options.ts";
import type { TableMetadata } from "../table/table-metadata.ts";

const LEVEL_GROWTH = 10;

export interface Compaction {
  readonly sourceLevel: number;
  readonly targetLevel: number;
  /** Newest first, then those of the target level. */
  readonly inputs: readonly TableMetadata[];
  /** No level below the target has a key of the range: deletes and what retention drops can go for good. */
  readonly isBottommost: boolean;
}

export type CompactionOptions = Pick<StoreOptions, "level0Trigger" | "levelBaseBytes">;

/** `cursors[i]` is the largest key that level i's last compaction took; the next one starts behind it. */
export function pickCompaction(
  levels: Levels,
  options: CompactionOptions,
  cursors: readonly (Uint8Array | undefined)[],
): Compaction | undefined {
  let best = -1;
  let bestScore = 1;
  for (let level = 0; level < LEVEL_COUNT - 1; level++) {
    const score = scoreOf(levels, level, options);
    if (score >= bestScore && (best < 0 || score > bestScore)) {
      best = level;
      bestScore = score;
    }
  }
  if (best < 0) return undefined;
  const source = best === 0 ? levels.tables[0]! : [nextInTurn(levels.tables[best]!, cursors[best])];
  return describe(levels, best, source, best + 1);
}

/** Everything into the deepest level that has tables (at least 1): what `compact` asks for. */
export function pickFullCompaction(levels: Levels): Compaction | undefined {
  let deepest = 0;
  for (let level = 0; level < LEVEL_COUNT; level++)
    if (levels.tables[level]!.length > 0) deepest = level;
  const targetLevel = Math.max(1, deepest);
  const inputs = levels.tables.flat();
  if (inputs.length === 0) return undefined;
  return { sourceLevel: 0, targetLevel, inputs, isBottommost: true };
}

export function scoreOf(levels: Levels, level: number, options: CompactionOptions): number {
  const tables = levels.tables[level]!;
  if (level === 0) return tables.length / options.level0Trigger;
  return levelBytes(tables) / (options.levelBaseBytes * LEVEL_GROWTH ** (level - 1));
}

function nextInTurn(
  tables: readonly TableMetadata[],
  cursor: Uint8Array | undefined,
): TableMetadata {
  const behind =
    cursor === undefined
      ? undefined
      : tables.find((table) => compareBytes(table.smallestKey, cursor) > 0);
  const table = behind ?? tables[0];
  assert(table !== undefined, "a level with a score has tables");
  return table;
}

function describe(
  levels: Levels,
  sourceLevel: number,
  source: readonly TableMetadata[],
  targetLevel: number,
): Compaction {
  const { smallest, largest } = rangeOf(source);
  const targets = levels.tables[targetLevel]!.filter((table) => overlaps(table, smallest, largest));
  const inputs = [...source, ...targets];
  const whole = rangeOf(inputs);
  let isBottommost = true;
  for (let level = targetLevel + 1; level < LEVEL_COUNT; level++)
    if (levels.tables[level]!.some((table) => overlaps(table, whole.smallest, whole.largest)))
      isBottommost = false;
  return { sourceLevel, targetLevel, inputs, isBottommost };
}

export function rangeOf(tables: readonly TableMetadata[]): {
  smallest: Uint8Array;
  largest: Uint8Array;
} {
  let smallest = tables[0]!.smallestKey;
  let largest = tables[0]!.largestKey;
  for (const table of tables) {
    if (compareBytes(table.smallestKey, smallest) < 0) smallest = table.smallestKey;
    if (compareBytes(table.largestKey, largest) > 0) largest = table.largestKey;
  }
  return { smallest, largest };
}
