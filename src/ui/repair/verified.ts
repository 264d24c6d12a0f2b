/** How long ago each partition was last compared with another owner, as cells of a strip. */

export interface PartitionRepair {
  readonly partition: number;
  /** Unix ms. */
  readonly lastVerifiedMs: number;
  readonly lastPeer: string;
  readonly differed: boolean;
}

/** From fresh to old; the last is for partitions of this node that were never compared. */
export const AGES = [
  { name: "within a minute", belowMs: 60_000, colour: "#12a594" },
  { name: "10 minutes", belowMs: 600_000, colour: "#5bb98b" },
  { name: "an hour", belowMs: 3_600_000, colour: "#c9a227" },
  { name: "a day", belowMs: 86_400_000, colour: "#e08c00" },
  { name: "longer ago", belowMs: Infinity, colour: "#d1495b" },
] as const;

export interface Cell {
  readonly from: number;
  readonly to: number;
  /** Of the one that waits longest; -1 where none was compared. */
  readonly ageMs: number;
  readonly lastPeer: string;
  readonly differed: boolean;
}

/** More are finer than the eye. */
export const CELLS_MAX = 1024;

export function cellsOf(
  q: number,
  partitions: readonly PartitionRepair[],
  nowMs: number,
): readonly Cell[] {
  const shared = Math.max(1, Math.ceil(q / CELLS_MAX));
  const cells: Cell[] = Array.from({ length: Math.ceil(q / shared) }, (_, index) => ({
    from: index * shared,
    to: Math.min(q, (index + 1) * shared) - 1,
    ageMs: -1,
    lastPeer: "",
    differed: false,
  }));
  for (const { partition, lastVerifiedMs, lastPeer, differed } of partitions) {
    const index = Math.floor(partition / shared);
    const cell = cells[index];
    if (cell === undefined) continue;
    const ageMs = Math.max(0, nowMs - lastVerifiedMs);
    const isOlder = ageMs > cell.ageMs;
    cells[index] = {
      ...cell,
      ageMs: Math.max(cell.ageMs, ageMs),
      lastPeer: isOlder ? lastPeer : cell.lastPeer,
      differed: cell.differed || differed,
    };
  }
  return cells;
}

/** "" for a cell of which nothing was compared. */
export function colourOfAge(ageMs: number): string {
  if (ageMs < 0) return "";
  return AGES.find(({ belowMs }) => ageMs < belowMs)?.colour ?? "";
}
