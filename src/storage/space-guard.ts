/**
 * Watches the free space of the data directory's file system (C17).
 *
 *   free < reserve / 2              exhausted: nothing is written
 *   free < reserve                  low: deletes only
 *   free >= 1.5 x reserve           ok again (hysteresis); on a small disk, five eighths of it
 *
 * The reserve is what flush and compaction may still use, so that the store can always get smaller again; it takes the place of a ballast file
 * (docs/decisions/disk-reserve.md). It never exceeds half of the disk.
 */
import type { Clock, Timer } from "../ports/clock.ts";
import { DiskError } from "../ports/disk.ts";
import type { Disk } from "../ports/disk.ts";
import type { StoreOptions } from "./options.ts";

const CHECK_INTERVAL_MS = 1000;
const DISK_SHARE = 0.05;

export class SpaceGuard {
  state: "ok" | "low" | "exhausted" = "ok";
  freeBytes = 0;
  totalBytes = 0;
  private readonly disk: Disk;
  private readonly clock: Clock;
  private readonly options: StoreOptions;
  private readonly onChange: (state: SpaceGuard["state"]) => void;
  private timer: Timer | undefined;

  constructor(
    disk: Disk,
    clock: Clock,
    options: StoreOptions,
    onChange: (state: SpaceGuard["state"]) => void,
  ) {
    this.disk = disk;
    this.clock = clock;
    this.options = options;
    this.onChange = onChange;
  }

  start(): void {
    this.check();
    this.timer = this.clock.after(CHECK_INTERVAL_MS, () => this.start());
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  /** Looks at once: a write has just met the end of the disk. */
  check(): void {
    const space = this.look();
    if (space === undefined) return;
    const { freeBytes, totalBytes } = space;
    this.freeBytes = freeBytes;
    this.totalBytes = totalBytes;
    const next = nextState(
      this.state,
      freeBytes,
      totalBytes,
      reserveBytes(this.options, totalBytes),
    );
    if (next === this.state) return;
    this.state = next;
    this.onChange(next);
  }

  /** A file system that does not answer this once keeps its last state: the writes themselves will tell. */
  private look(): { readonly freeBytes: number; readonly totalBytes: number } | undefined {
    try {
      return this.disk.space();
    } catch (error) {
      if (error instanceof DiskError) return undefined;
      throw error;
    }
  }
}

/** Free bytes that puts leave alone. */
export function reserveBytes(options: StoreOptions, totalBytes: number): number {
  const largestCompaction = options.tableBytes * 4;
  const wanted =
    options.diskReserveBytes ||
    Math.max(totalBytes * DISK_SHARE, 2 * options.memtableBytes + largestCompaction);
  return Math.min(wanted, totalBytes / 2);
}

export function nextState(
  state: SpaceGuard["state"],
  freeBytes: number,
  totalBytes: number,
  reserve: number,
): SpaceGuard["state"] {
  if (freeBytes < reserve / 2) return "exhausted";
  if (freeBytes < reserve)
    return state === "exhausted" && freeBytes < reserve * 0.75 ? "exhausted" : "low";
  const isOkAgain = freeBytes >= Math.min(reserve * 1.5, totalBytes * 0.625);
  return state === "ok" || isOkAgain ? "ok" : "low";
}
