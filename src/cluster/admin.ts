/**
 * A node's view of the cluster, its storage and its long work, for the administration of the REST face and for
 * `/metrics`. This is the view of a cluster of one: it owns every partition, nobody suspects it, no hints are held.
 *
 * Long work is a *job*: started at once, at most one of a kind at a time, its outcome kept until newer ones push it out.
 */

import { HutchError, messageOf } from "../base/errors.ts";
import { hex } from "../base/bytes.ts";
import type { Metrics } from "../base/metrics.ts";
import type { Logger } from "../ports/logger.ts";
import type { Store, StoreStats } from "../storage/store.ts";

/** Finished jobs that are remembered; the oldest goes first. */
const JOBS_MAX = 100;

export type JobKind = "repair" | "flush" | "compact" | "scrub" | "drain";

interface JobRecord {
  readonly id: string;
  readonly kind: JobKind;
  state: "running" | "done" | "failed";
  progress: number;
  detail: string;
}

/** What does not change while a node runs. */
export interface NodeFacts {
  readonly nodeId: string;
  readonly clusterName: string;
  readonly clusterId: Uint8Array;
  /** Partitions of the ring. */
  readonly q: number;
  /** Copies of each key that buckets ask for unless they say otherwise. */
  readonly n: number;
  readonly address: string;
  readonly peerAddress: string;
  readonly zone: { readonly dc: string; readonly rack: string; readonly host: string };
  readonly weight: number;
  readonly incarnation: number;
}

export interface AdminParts {
  readonly facts: NodeFacts;
  readonly store: Store;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** The partition of a key. */
  partitionOf(bucket: string, key: Uint8Array): number;
}

/** Layout of a cluster of one: the first and only. */
const LAYOUT_VERSION = 1;

export class Admin {
  readonly #parts: AdminParts;
  readonly #jobs = new Map<string, JobRecord>();
  #jobCount = 0;
  #isDraining = false;

  constructor(parts: AdminParts) {
    this.#parts = parts;
    defineStoreMetrics(parts.metrics, parts.store);
  }

  /** From now on `readiness` says no; what is under way goes on. */
  drain(): void {
    this.#isDraining = true;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  readiness() {
    const { failure } = this.#parts.store;
    const checks = {
      storage: failure === undefined ? "ok" : failure.message,
      lifecycle: this.#isDraining ? "draining" : "ok",
    };
    return { isReady: Object.values(checks).every((check) => check === "ok"), checks };
  }

  cluster() {
    const { clusterName, clusterId, q, n } = this.#parts.facts;
    return {
      name: clusterName,
      id: hex(clusterId),
      layoutVersion: LAYOUT_VERSION,
      q,
      n,
      nodes: { up: 1, suspect: 0, down: 0 },
      partitions: { serving: q, syncing: 0 },
    };
  }

  nodes() {
    const { nodeId, address, peerAddress, zone, weight, incarnation, q } = this.#parts.facts;
    const stats = this.#parts.store.stats();
    return [
      {
        id: nodeId,
        address,
        peerAddress,
        zone,
        weight,
        state: this.#isDraining ? ("leaving" as const) : ("up" as const),
        phi: 0,
        incarnation,
        partitions: q,
        keys: stats.entryCount,
        bytes: stats.tableBytes + stats.memtableBytes,
        hintsFor: 0,
      },
    ];
  }

  ring() {
    const { nodeId, q } = this.#parts.facts;
    const owners = [nodeId];
    const partitions = Array.from({ length: q }, (_, partition) => ({
      partition,
      owners,
      state: "serving",
    }));
    return { layoutVersion: LAYOUT_VERSION, q, partitions };
  }

  route(bucket: string, key: Uint8Array) {
    const owners = [this.#parts.facts.nodeId];
    return { partition: this.#parts.partitionOf(bucket, key), owners, fallbacks: [] };
  }

  layout() {
    const { nodeId, zone, weight, q } = this.#parts.facts;
    const nodes = [{ id: nodeId, zone, weight, partitions: q }];
    return { version: LAYOUT_VERSION, q, nodes, staged: [] };
  }

  /** Nobody else, so nothing is ever held for anybody. */
  hints() {
    return [];
  }

  storage(): Readonly<Record<string, unknown>> {
    return { ...this.#parts.store.stats() };
  }

  metrics(): string {
    return this.#parts.metrics.text();
  }

  jobs(): readonly JobRecord[] {
    return [...this.#jobs.values()];
  }

  job(id: string): JobRecord | undefined {
    return this.#jobs.get(id);
  }

  /** Starts work of this kind and returns its job; the running one where there is one already. */
  start(kind: JobKind): JobRecord {
    const running = this.jobs().find((job) => job.kind === kind && job.state === "running");
    if (running !== undefined) return running;
    this.#forgetOldJobs();
    const job: JobRecord = {
      id: `${kind}-${++this.#jobCount}`,
      kind,
      state: "running",
      progress: 0,
      detail: "",
    };
    this.#jobs.set(job.id, job);
    void this.#supervise(job);
    return job;
  }

  async #supervise(job: JobRecord): Promise<void> {
    try {
      job.detail = await this.#work(job.kind);
      job.progress = 1;
      job.state = "done";
    } catch (error) {
      job.detail = messageOf(error);
      job.state = "failed";
      this.#parts.logger.error("job_failed", { job: job.id, reason: job.detail });
    }
  }

  async #work(kind: JobKind): Promise<string> {
    const { store } = this.#parts;
    switch (kind) {
      case "flush":
        await store.flush();
        return "everything is in tables";
      case "compact":
        await store.compact();
        return "all tables are merged into one level";
      case "scrub": {
        const { tables, bytes, damaged } = await store.scrub();
        if (damaged === 0) return `${tables} tables (${bytes} bytes) are sound`;
        throw new HutchError("data-corrupt", `${damaged} of ${tables} tables are damaged`);
      }
      case "repair":
        return "a node alone has no other copies to compare with";
      case "drain":
        this.drain();
        return "not ready any more; stop the node when its clients have moved on";
    }
  }

  #forgetOldJobs(): void {
    for (const job of this.jobs()) {
      if (this.#jobs.size < JOBS_MAX) return;
      if (job.state !== "running") this.#jobs.delete(job.id);
    }
  }
}

/** Facts of the store, read when somebody asks. */
const STORE_GAUGES = [
  ["entries", "Entries in tables and memtables, an upper bound of the keys", "entryCount"],
  ["table_bytes", "Bytes of all tables", "tableBytes"],
  ["memtable_bytes", "Memory of the memtables", "memtableBytes"],
  ["frozen_memtables", "Memtables that wait for their flush", "frozenMemtables"],
  ["wal_segments", "Segments of the log", "walSegments"],
  ["wal_bytes", "Bytes of the current log segment", "walBytes"],
  ["wal_syncs", "Syncs of the log since the start", "walSyncs"],
  ["flushes", "Memtables made into tables since the start", "flushes"],
  ["compactions", "Compactions since the start", "compactions"],
  ["compaction_read_bytes", "Bytes that compactions read since the start", "compactionBytesRead"],
  [
    "compaction_written_bytes",
    "Bytes that compactions wrote since the start",
    "compactionBytesWritten",
  ],
  ["delayed_writes", "Writes that had to wait since the start", "delayedWrites"],
  ["refused_writes", "Writes refused for want of room or speed since the start", "refusedWrites"],
  ["quarantined_tables", "Tables out of service because of damage", "quarantinedTables"],
  ["lost_ranges", "Ranges of keys whose data could not be saved", "lostRanges"],
  ["disk_free_bytes", "Free bytes of the file system", "freeBytes"],
] as const satisfies readonly (readonly [string, string, keyof StoreStats])[];

function defineStoreMetrics(metrics: Metrics, store: Store): void {
  for (const [name, help, field] of STORE_GAUGES)
    metrics.gauge(`hutch_store_${name}`, help, () => store.stats()[field]);
}
