/** What `GET /v1/admin/live` tells once a second, as the dashboard reads it. */
import type { ClusterSummary, HeldForNode, NodeSummary } from "./admin-api.ts";
import type { ChangeSummary } from "./layout-api.ts";

export interface LiveSample {
  /** Name of the node that tells it. */
  readonly node: string;
  /** Unix ms. */
  readonly atMs: number;
  readonly cluster: ClusterSummary;
  readonly nodes: readonly NodeSummary[];
  /** Of the node that tells it: single-key operations that it answered, per second since the sample before. */
  readonly rates: LiveRates;
  /** Of the same operations and the same second. */
  readonly latency: { readonly read: LiveLatency; readonly write: LiveLatency };
  /** What all nodes hold for others. */
  readonly hints: readonly HeldForNode[];
  /** Of the node that tells it. */
  readonly disk: { readonly usedBytes: number; readonly freeBytes: number };
  readonly repair: LiveRepair;
  /** How far the nodes are on their way to a new layout. Like `repair` it is looked at every few seconds. */
  readonly change: ChangeSummary | null;
  readonly hotKeys: HotKeyReport;
}

export interface LiveRates {
  /** Answered; an absence is an answer. */
  readonly reads: number;
  readonly writes: number;
  readonly deletes: number;
  /** Problems from 400 to 499. */
  readonly refused: number;
  /** Problems from 500 on. */
  readonly failed: number;
}

/** Milliseconds; zeros where nothing was asked. */
export interface LiveLatency {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

export interface LiveRepair {
  /** Partitions of this node that were compared with another owner. */
  readonly verified: number;
  /** Unix ms of the one that waits longest; 0 where none was compared yet. */
  readonly oldestMs: number;
  /** 0..1 of the round under way; `null` between rounds. */
  readonly progress: number | null;
  readonly keysMoved: number;
}

/** Keys that many requests ask for, most first, from a sample of them (`hot-keys.ts`). */
export interface HotKeyReport {
  /** One in so many requests is looked at, on average. */
  readonly sampleEvery: number;
  /** Requests looked at, older ones counted less. */
  readonly samples: number;
  readonly keys: readonly HotKey[];
}

export interface HotKey {
  readonly bucket: string;
  /** As in the path: percent-encoded. */
  readonly path: string;
  /** Of `samples`; at most `error` too many. */
  readonly count: number;
  readonly error: number;
  readonly writes: number;
}
