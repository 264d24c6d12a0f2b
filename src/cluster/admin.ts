/**
 * A node's view of the cluster (`cluster-report.ts`), its storage and its long work, for the administration of the REST face
 * and for `/metrics`.
 *
 * Long work is a *job*: started at once, at most one of a kind at a time, its outcome kept until newer ones push it out.
 */

import { HutchError, messageOf } from "../base/errors.ts";
import { hex } from "../base/bytes.ts";
import type { Metrics } from "../base/metrics.ts";
import type { Logger } from "../ports/logger.ts";
import type { Store, StoreStats } from "../storage/store.ts";
import type { ReportParts, HintsReport, NodeFacts, NodeReport } from "./cluster-report.ts";
import { ClusterReport, partsOfOne } from "./cluster-report.ts";
import type { StatusReply } from "./peer-messages.ts";

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

export interface AdminParts {
  readonly facts: NodeFacts;
  readonly store: Store;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** The partition of a key. */
  partitionOf(bucket: string, key: Uint8Array): number;
  /** The other nodes; left out in a cluster of one. */
  readonly cluster?: ReportParts;
  /** How far this node is with what it missed: it is ready when that is `serving`. Left out in a cluster of one. */
  phase?(): string;
}

export class Admin {
  readonly #parts: AdminParts;
  readonly #report: ClusterReport;
  readonly #jobs = new Map<string, JobRecord>();
  #jobCount = 0;
  #isDraining = false;

  constructor(parts: AdminParts) {
    const { facts, store } = parts;
    this.#parts = parts;
    this.#report = new ClusterReport(parts.cluster ?? partsOfOne(facts), facts, () =>
      store.stats(),
    );
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
    const phase = this.#parts.phase?.();
    const checks = {
      storage: failure === undefined ? "ok" : failure.message,
      ...(phase === undefined ? {} : { cluster: phase === "serving" ? "ok" : phase }),
      lifecycle: this.#isDraining ? "draining" : "ok",
    };
    return { isReady: Object.values(checks).every((check) => check === "ok"), checks };
  }

  cluster() {
    const { clusterName, clusterId, n } = this.#parts.facts;
    const { layoutVersion, q, ...counts } = this.#report.summary();
    return { name: clusterName, id: hex(clusterId), layoutVersion, q, n, ...counts };
  }

  nodes(): Promise<readonly NodeReport[]> {
    return this.#report.nodes(this.#isDraining);
  }

  ring() {
    return this.#report.ring();
  }

  route(bucket: string, key: Uint8Array) {
    return this.#report.route(bucket, this.#parts.partitionOf(bucket, key));
  }

  layout() {
    return this.#report.layout();
  }

  /** Writes that nodes hold for others, by the name of the other. */
  hints(): Promise<readonly HintsReport[]> {
    return this.#report.hints();
  }

  /** What this node answers when another one asks how it is. */
  statusReply(): StatusReply {
    return this.#report.statusReply();
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
