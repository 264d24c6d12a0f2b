/** What the REST face needs of a node besides keys: its views of the cluster, its storage, its long work. */
import type { LayoutApi } from "./layout-api.ts";

export interface AdminApi {
  /** `ready`, or why not. */
  /** Clients should go elsewhere: each answer is the last one on its connection. */
  readonly isEnding: boolean;
  readiness(): { readonly isReady: boolean; readonly checks: Readonly<Record<string, string>> };
  cluster(): ClusterSummary;
  /** Asks the other nodes for what only they know; answers without those that do not answer in time. */
  nodes(): Promise<readonly NodeSummary[]>;
  ring(): {
    readonly layoutVersion: number;
    readonly q: number;
    readonly partitions: readonly RingPartition[];
  };
  /** Preference list of one key. */
  route(
    bucket: string,
    key: Uint8Array,
  ): {
    readonly partition: number;
    readonly owners: readonly string[];
    readonly fallbacks: readonly string[];
  };
  readonly layout: LayoutApi;
  readonly snapshots: SnapshotApi;
  /** What all nodes that answer hold for others. */
  hints(): Promise<readonly HeldForNode[]>;
  storage(): Readonly<Record<string, unknown>>;
  /** How this node compares and repairs its copies, and how far it is. */
  repair(): Readonly<Record<string, unknown>>;
  /** What was verified of the bytes on disk, and what was found. */
  scrub(): Readonly<Record<string, unknown>>;
  /** Records held back because they may be what was deleted and collected (R42). */
  suspects(): readonly object[];
  /** Lets one of them in. Rejects with `key-not-found` where none has that id. */
  acceptSuspect(id: string): Promise<void>;
  jobs(): readonly Job[];
  job(id: string): Job | undefined;
  /** Starts long work and returns its job at once. */
  start(kind: "repair" | "flush" | "compact" | "scrub" | "drain"): Job;
  /** OpenMetrics text. */
  metrics(): string;
}

/** Copies of all that this node has, in its data directory. */
export interface SnapshotApi {
  list(): readonly SnapshotSummary[];
  /** Throws `bad-request`, `snapshot-conflict`, `disk-full`. */
  take(name: string): Job;
  /** Rejects with `bad-request`, `no-such-snapshot`. */
  remove(name: string): Promise<void>;
}

export interface SnapshotSummary {
  readonly name: string;
  /** Unix ms; 0 where that cannot be read any more. */
  readonly createdMs: number;
  readonly tables: number;
  readonly bytes: number;
}

export interface ClusterSummary {
  readonly name: string;
  readonly id: string;
  readonly layoutVersion: number;
  readonly q: number;
  readonly n: number;
  readonly nodes: { readonly up: number; readonly suspect: number; readonly down: number };
  readonly partitions: { readonly serving: number; readonly syncing: number };
}

export interface NodeSummary {
  readonly id: string;
  readonly address: string;
  readonly peerAddress: string;
  readonly zone: { readonly dc: string; readonly rack: string; readonly host: string };
  readonly weight: number;
  readonly state: "up" | "syncing" | "suspect" | "down" | "leaving" | "left";
  readonly phi: number;
  readonly incarnation: number;
  readonly partitions: number;
  readonly keys: number;
  readonly bytes: number;
  readonly hintsFor: number;
}

export interface HeldForNode {
  readonly node: string;
  readonly count: number;
  readonly bytes: number;
  /** Unix ms. */
  readonly oldestMs: number;
}

export interface RingPartition {
  readonly partition: number;
  readonly owners: readonly string[];
  readonly state: string;
}

export interface Job {
  readonly id: string;
  readonly kind: string;
  readonly state: "running" | "done" | "failed";
  /** 0..1. */
  readonly progress: number;
  readonly detail: string;
}
