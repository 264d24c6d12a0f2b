/** Knobs of one store. Every field is required here; `config.ts` has the defaults that users meet. */
export interface StoreOptions {
  /**
   * When a write is acknowledged. `group`: one fdatasync covers all that arrived before it started (default). `always`: every batch
   * has an fdatasync of its own. `os`: after write(2); a power loss may take what the kernel had not written yet.
   */
  readonly fsync: FsyncMode;
  /** Size at which a memtable is frozen and flushed. Default 64 MiB. Larger: fewer, larger tables; more memory, longer recovery. */
  readonly memtableBytes: number;
  /** Age at which a memtable that is not empty is flushed. Default 1 h. Bounds how old the oldest log segment can be. */
  readonly memtableAgeMs: number;
  /** Log bytes after which the memtable is frozen too (overwrites grow the log, not the table). Default 128 MiB. */
  readonly walSegmentBytes: number;
  /** Uncompressed content of a table block. Default 2 KiB: every read verifies a whole block (docs/decisions/block-size.md). Larger: smaller index, better compression, slower point reads. */
  readonly blockBytes: number;
  /** Size at which a compaction starts its next table. Default 32 MiB. */
  readonly tableBytes: number;
  /** Number of level-0 tables that starts a compaction. Default 4. */
  readonly level0Trigger: number;
  /** Number of level-0 tables at which writes are delayed (C18). Default 12. */
  readonly level0Slowdown: number;
  /** Number of level-0 tables at which writes are refused. Default 20. */
  readonly level0Stop: number;
  /** Target size of level 1; each further level is ten times larger. Default 256 MiB. */
  readonly levelBaseBytes: number;
  /** Compaction and scrub read and write at most this much a second while level 0 is below its slowdown; 0 = no limit. Default 64 MiB. */
  readonly compactionBytesPerSecond: number;
  /** Scrub rate. Default 8 MiB/s (C24). */
  readonly scrubBytesPerSecond: number;
  /** Every table is read again within this time. Default 14 days. */
  readonly scrubIntervalMs: number;
  /** May the scrub read on, as far as the load goes? Left out: always. A table that is older than the interval does not ask. */
  readonly mayScrub?: () => boolean;
  /**
   * What to do about a log whose acknowledged records do not verify (row 78). `refuse` (default): do not open. `quarantine`: keep what
   * verifies, set the damaged segment aside and call every key lost, for a node whose data others have too.
   */
  readonly onDamagedLog?: "refuse" | "quarantine";
  /** Heap for decompressed blocks and for blocks read without a map. Default 32 MiB. */
  readonly blockCacheBytes: number;
  /** `map`: tables are mmapped. `read`: pread only, for file systems whose maps cannot be trusted. */
  readonly readMode: "map" | "read";
  /** Free bytes below which writes are refused (C17); 0 = max(5 % of the disk, 2 memtables + one compaction), never above half of the disk. */
  readonly diskReserveBytes: number;
  /** An fdatasync that takes longer makes the node give up its disk (row 87). Default 30 s. */
  readonly syncStuckMs: number;
  /** Handed to the retention function of every compaction as it is at that time; see `jobs.ts`. */
  readonly retention: () => RetentionParameters;
}

export type FsyncMode = "always" | "group" | "os";

/** Plain data for the retention function; storage does not look inside. */
export type RetentionParameters = Readonly<Record<string, number>>;

const MIB = 1024 * 1024;

export const DEFAULT_STORE_OPTIONS: StoreOptions = {
  fsync: "group",
  memtableBytes: 64 * MIB,
  memtableAgeMs: 3_600_000,
  walSegmentBytes: 128 * MIB,
  blockBytes: 2048,
  tableBytes: 32 * MIB,
  level0Trigger: 4,
  level0Slowdown: 12,
  level0Stop: 20,
  levelBaseBytes: 256 * MIB,
  compactionBytesPerSecond: 64 * MIB,
  scrubBytesPerSecond: 8 * MIB,
  scrubIntervalMs: 14 * 86_400_000,
  blockCacheBytes: 32 * MIB,
  readMode: "map",
  diskReserveBytes: 0,
  syncStuckMs: 30_000,
  retention: () => ({}),
};

/** Largest key that storage takes; the entry header has 16 bits for it. */
export const KEY_BYTES_MAX = 4096;
/** Largest value that storage takes; it must fit into one block (`BLOCK_BYTES_MAX`). A record holds all siblings of its key: that is four of the largest. */
export const VALUE_BYTES_MAX = 64 * 1024 * 1024;
/** Frozen memtables that may wait for their flush; with one more, writes wait (C18). */
export const FROZEN_MEMTABLES_MAX = 2;
