/** Of one node's storage, for `/metrics`: what it holds, what it has done, how long that takes. */
import type { Histogram, Metrics } from "../base/metrics.ts";
import type { Store, StoreStats, StoreTimes } from "../storage/store.ts";

type Fact = readonly [name: string, help: string, field: NumberIn<StoreStats>];
type NumberIn<T> = { [Name in keyof T]: T[Name] extends number ? Name : never }[keyof T];

const GAUGES: readonly Fact[] = [
  [
    "entries",
    "Stored entries in tables and memtables, hints and the records of the node included: an upper bound of the keys, what nodes[].keys shows",
    "entryCount",
  ],
  ["table_bytes", "Bytes of all tables", "tableBytes"],
  ["memtable_bytes", "Memory of the memtables", "memtableBytes"],
  ["frozen_memtables", "Memtables that wait for their flush", "frozenMemtables"],
  ["wal_segments", "Segments of the log", "walSegments"],
  ["wal_bytes", "Bytes of the current log segment", "walBytes"],
  ["mapped_tables", "Tables that are read through memory maps", "mappedTables"],
  ["pinned_views", "Old versions of the table set that readers hold", "pinnedViews"],
  ["quarantined_tables", "Tables out of service because of damage", "quarantinedTables"],
  ["lost_ranges", "Ranges of keys whose data could not be saved", "lostRanges"],
  ["disk_free_bytes", "Free bytes of the file system", "freeBytes"],
  ["disk_size_bytes", "Bytes of the file system, free or not", "totalBytes"],
];

const COUNTS: readonly Fact[] = [
  ["wal_syncs", "Syncs of the log", "walSyncs"],
  ["flushes", "Memtables made into tables", "flushes"],
  ["flushed_bytes", "Bytes of tables that flushes wrote", "flushedBytes"],
  ["compactions", "Compactions", "compactions"],
  ["compaction_read_bytes", "Bytes that compactions read", "compactionBytesRead"],
  ["compaction_written_bytes", "Bytes that compactions wrote", "compactionBytesWritten"],
  ["delayed_writes", "Writes that had to wait for flush or compaction", "delayedWrites"],
  ["refused_writes", "Writes refused for want of room or speed", "refusedWrites"],
];

const TIMES: readonly (readonly [string, string, keyof StoreTimes])[] = [
  ["read", "Time of a lookup of one key; one in 16 is measured", "read"],
  [
    "write",
    "Time from the write of a group of batches to the log until all of it is durable",
    "write",
  ],
  ["wal_sync", "Time of one sync of the log", "sync"],
  ["flush", "Time from a full memtable to its table", "flush"],
  ["compaction", "Time of one compaction", "compaction"],
];

export function defineStoreMetrics(metrics: Metrics, store: Store): void {
  for (const [name, help, field] of GAUGES)
    metrics.gauge(`hutch_store_${name}`, help, () => store.stats()[field]);
  for (const [name, help, field] of COUNTS)
    metrics.count(`hutch_store_${name}`, help, () => store.stats()[field]);
  metrics.gauge("hutch_store_used_bytes", "Bytes of tables and of the current log segment", () => {
    const { tableBytes, walBytes } = store.stats();
    return tableBytes + walBytes;
  });
  metrics.gauge(
    "hutch_store_failed",
    "1 when the disk could not be trusted any more and the node ends",
    () => Number(store.failure !== undefined),
  );
  metrics.gauges("hutch_store_level_tables", "Tables by level", ["level"], () =>
    store.stats().levels.map(({ tables }, level) => [[String(level)], tables] as const),
  );
  metrics.gauges("hutch_store_level_bytes", "Bytes of tables by level", ["level"], () =>
    store.stats().levels.map(({ bytes }, level) => [[String(level)], bytes] as const),
  );
  for (const [name, help, field] of TIMES)
    adopt(metrics, `hutch_store_${name}`, help, store.times[field]);
}

function adopt(metrics: Metrics, name: string, help: string, times: Histogram): void {
  metrics.histogram(name, help).adopt(times);
}
