/**
 * A node's view of the cluster (`cluster-report.ts`), the changes of its ring (`layout-operations.ts`), its storage and its upkeep, for the
 * administration of the REST face and for `/metrics`.
 *
 * Who compares, repairs, collects and verifies hands in what starts it and what tells of it; a node without such a part answers for itself alone.
 */

import { hex } from "../base/bytes.ts";
import { HutchError } from "../base/errors.ts";
import type { Metrics } from "../base/metrics.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { Store } from "../storage/store.ts";
import type { JobRecord, OnProgress, UpkeepKind } from "./admin-jobs.ts";
import { AdminJobs } from "./admin-jobs.ts";
import type { ReportParts, HintsReport, NodeFacts, NodeReport } from "./cluster-report.ts";
import { ClusterReport, partsOfOne } from "./cluster-report.ts";
import type { LayoutControl } from "./layout-control.ts";
import { LayoutOperations } from "./layout-operations.ts";
import { NodeSnapshots } from "./node-snapshots.ts";
import type { StatusReply } from "./peer-messages.ts";
import { defineStoreMetrics } from "./store-metrics.ts";

/** Work that a part of the node does when it is asked to, and what it says of itself all the time. */
export interface Upkeep {
  /** Settles with the outcome in words. */
  run(onProgress: OnProgress): Promise<string>;
  report(): object;
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
  /** The node is on its way into the cluster or out of it. */
  isLeaving?(): boolean;
  /** How the ring is changed; left out in a cluster of one. */
  readonly layout?: { readonly control: LayoutControl; readonly clock: Clock };
  /** Comparing with the other owners; left out in a cluster of one. */
  readonly repair?: Upkeep;
  /** Drops deletions that all owners have; left out where compaction alone may. */
  collect?(): Promise<{ readonly collected: number; readonly postponed: number }>;
  /** Verifying every byte on disk and healing what is damaged; without it damage is only found. */
  readonly scrub?: Upkeep;
  /** What the IDENTITY of a snapshot holds. */
  snapshotIdentity?(): Uint8Array;
  /** Records held back because they may be what was deleted and collected (R42). */
  readonly suspects?: { list(): readonly object[]; accept(id: string): Promise<void> };
}

export class Admin {
  readonly layout: LayoutOperations;
  readonly snapshots: NodeSnapshots;
  readonly #parts: AdminParts;
  readonly #report: ClusterReport;
  readonly #jobs: AdminJobs;
  #isDraining = false;

  constructor(parts: AdminParts) {
    const { facts, store, metrics, logger } = parts;
    const cluster = parts.cluster ?? partsOfOne(facts);
    this.#parts = parts;
    this.#report = new ClusterReport(cluster, facts, () => store.stats());
    this.#jobs = new AdminJobs(logger);
    this.layout = new LayoutOperations({
      ...parts.layout,
      jobs: this.#jobs,
      view: () => cluster.view(),
      copyBytes: () => this.#report.copyBytes(),
    });
    this.snapshots = new NodeSnapshots(store, this.#jobs, parts.snapshotIdentity);
    defineStoreMetrics(metrics, store);
  }

  /** From now on `readiness` says no; what is under way goes on. */
  drain(): void {
    this.#isDraining = true;
  }

  /** Follows no change of the ring any more; the changes go on without it. */
  close(): void {
    this.layout.close();
  }

  /** Clients should go elsewhere. */
  get isEnding(): boolean {
    return this.#isDraining || this.#parts.isLeaving?.() === true;
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

  /** How copies are compared and repaired. */
  repair(): Readonly<Record<string, unknown>> {
    return { ...this.#parts.repair?.report() };
  }

  /** What is known of damage on disk. */
  scrub(): Readonly<Record<string, unknown>> {
    const { quarantinedTables, lostRanges } = this.#parts.store.stats();
    return { quarantinedTables, lostRanges, ...this.#parts.scrub?.report() };
  }

  suspects(): readonly object[] {
    return this.#parts.suspects?.list() ?? [];
  }

  async acceptSuspect(id: string): Promise<void> {
    const { suspects } = this.#parts;
    if (suspects !== undefined) return suspects.accept(id);
    throw new HutchError("key-not-found", `Cannot accept suspect "${id}": none is held back`);
  }

  metrics(): string {
    return this.#parts.metrics.text();
  }

  jobs(): readonly JobRecord[] {
    return this.#jobs.list();
  }

  job(id: string): JobRecord | undefined {
    return this.#jobs.get(id);
  }

  /** Starts work of this kind and returns its job; the running one where there is one already. */
  start(kind: UpkeepKind): JobRecord {
    return this.#jobs.join(kind, (onProgress) => this.#work(kind, onProgress));
  }

  async #work(kind: UpkeepKind, onProgress: OnProgress): Promise<string> {
    const { store, repair, scrub } = this.#parts;
    switch (kind) {
      case "flush":
        await store.flush();
        return "everything is in tables";
      case "compact":
        return this.#compact(onProgress);
      case "scrub":
        return scrub === undefined ? scrubAlone(store) : scrub.run(onProgress);
      case "repair":
        return repair?.run(onProgress) ?? "a node alone has no other copies to compare with";
      case "drain":
        this.drain();
        return "not ready any more; stop the node when its clients have moved on";
    }
  }

  /** What is collected first need not be written again. */
  async #compact(onProgress: OnProgress): Promise<string> {
    const { store, collect } = this.#parts;
    const collected = await collect?.();
    const told =
      collected === undefined
        ? ""
        : `${collected.collected} deletions are collected, ${collected.postponed} have to wait; `;
    onProgress(HALF, `${told}merging tables`);
    await store.compact();
    return `${told}all tables are merged into one level`;
  }
}

const HALF = 0.5;

async function scrubAlone(store: Store): Promise<string> {
  const { tables, bytes, damaged } = await store.scrub();
  if (damaged === 0) return `${tables} tables (${bytes} bytes) are sound`;
  throw new HutchError("data-corrupt", `${damaged} of ${tables} tables are damaged`);
}
