/** What a store says of itself, for the metrics and for `/v1/admin/storage`. */
import type { Histogram } from "../base/metrics.ts";
import type { Admission } from "./admission.ts";
import type { Compactor } from "./compaction/compactor.ts";
import type { Flusher } from "./flusher.ts";
import { levelBytes } from "./levels/levels.ts";
import type { Manifest } from "./levels/manifest.ts";
import type { Quarantine } from "./quarantine.ts";
import type { SpaceGuard } from "./space-guard.ts";
import type { ViewOwner } from "./store-view.ts";
import type { WritePath } from "./write-path.ts";

/** Plain data; bytes and counts. */
export interface StoreStats {
  /** Entries in tables and memtables: an upper bound of the number of keys. */
  readonly entryCount: number;
  readonly tableBytes: number;
  readonly levels: readonly {
    readonly tables: number;
    readonly bytes: number;
    readonly entries: number;
  }[];
  readonly memtableBytes: number;
  readonly memtableEntries: number;
  readonly frozenMemtables: number;
  readonly walSegments: number;
  readonly walBytes: number;
  readonly walSyncs: number;
  readonly lastSequence: number;
  readonly durableSequence: number;
  readonly flushes: number;
  readonly flushedBytes: number;
  readonly compactions: number;
  readonly compactionBytesRead: number;
  readonly compactionBytesWritten: number;
  readonly isCompacting: boolean;
  readonly quarantinedTables: number;
  readonly lostRanges: number;
  readonly mappedTables: number;
  readonly pinnedViews: number;
  readonly delayedWrites: number;
  readonly refusedWrites: number;
  readonly freeBytes: number;
  readonly totalBytes: number;
  readonly space: "ok" | "low" | "exhausted";
}

/** Durations, for the metrics. */
export interface StoreTimes {
  /** Of one in `SAMPLED` lookups. */
  readonly read: Histogram;
  /** From the write of a group of batches to the moment when all of it is durable. */
  readonly write: Histogram;
  readonly sync: Histogram;
  readonly flush: Histogram;
  readonly compaction: Histogram;
}

export function timesOf(
  read: Histogram,
  { log }: WritePath,
  flusher: Flusher,
  compactor: Compactor,
): StoreTimes {
  const { sync, group } = log.times;
  return { read, write: group, sync, flush: flusher.times, compaction: compactor.times };
}

interface StatsSources {
  readonly views: ViewOwner;
  readonly manifest: Manifest;
  readonly writePath: WritePath;
  readonly flusher: Flusher;
  readonly compactor: Compactor;
  readonly quarantine: Quarantine;
  readonly admission: Admission;
  readonly space: SpaceGuard;
}

export function statsOf(sources: StatsSources): StoreStats {
  const { views, manifest, writePath, flusher, compactor, quarantine, admission, space } = sources;
  const { current } = views;
  const levels = manifest.state.levels.tables.map((tables) => ({
    tables: tables.length,
    bytes: levelBytes(tables),
    entries: tables.reduce((sum, table) => sum + table.entryCount - table.deletionCount, 0),
  }));
  const memtables = [current.active, ...current.frozen];
  const memtableEntries = memtables.reduce((sum, table) => sum + table.keyCount, 0);
  return {
    entryCount: memtableEntries + levels.reduce((sum, level) => sum + level.entries, 0),
    tableBytes: levels.reduce((sum, level) => sum + level.bytes, 0),
    levels,
    memtableBytes: memtables.reduce((sum, table) => sum + table.heapBytes, 0),
    memtableEntries,
    frozenMemtables: current.frozen.length,
    walSegments: manifest.state.walIds.length,
    walBytes: writePath.log.currentBytes,
    walSyncs: writePath.log.syncCount,
    lastSequence: writePath.lastSequence,
    durableSequence: writePath.log.durableSequence,
    flushes: flusher.flushCount,
    flushedBytes: flusher.flushedBytes,
    compactions: compactor.compactionCount,
    compactionBytesRead: compactor.bytesRead,
    compactionBytesWritten: compactor.bytesWritten,
    isCompacting: compactor.isRunning,
    quarantinedTables: quarantine.quarantinedCount,
    lostRanges: current.lostRanges.length,
    mappedTables: current.levels.flat().filter((table) => table.isMapped).length,
    pinnedViews: views.pinnedCount,
    delayedWrites: admission.delayedCount,
    refusedWrites: admission.refusedCount,
    freeBytes: space.freeBytes,
    totalBytes: space.totalBytes,
    space: space.state,
  };
}
