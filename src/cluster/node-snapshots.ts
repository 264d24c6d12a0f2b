/**
 * Snapshots of one node for its administration: taken as jobs, listed, removed (`storage/disk-snapshots.ts`).
 *
 * Nodes take theirs without each other. What makes the snapshots of all nodes one of the cluster is that a write is on W of them when it is
 * acknowledged: each acknowledged before the first one began is on W of the snapshots.
 */
import { HutchError } from "../base/errors.ts";
import type { Store } from "../storage/store.ts";
import type { AdminJobs, JobRecord } from "./admin-jobs.ts";

export type SnapshotRecord = ReturnType<Store["diskSnapshots"]["list"]>[number];

export class NodeSnapshots {
  readonly #store: Store;
  readonly #jobs: AdminJobs;
  readonly #identity: (() => Uint8Array) | undefined;
  /** The last one that was begun. */
  #last: { readonly name: string; readonly job: JobRecord } | undefined;

  /** @param identity what tells later whose snapshot it is; where it is left out, none can be taken */
  constructor(store: Store, jobs: AdminJobs, identity: (() => Uint8Array) | undefined) {
    this.#store = store;
    this.#jobs = jobs;
    this.#identity = identity;
  }

  list(): readonly SnapshotRecord[] {
    return this.#store.diskSnapshots.list();
  }

  /** The job that takes it; the running one where it is asked for again. Throws `bad-request`, `snapshot-conflict`, `disk-full`. */
  take(name: string): JobRecord {
    const identity = this.#identity;
    if (identity === undefined)
      throw new HutchError("not-implemented", "Cannot take a snapshot: this node has no identity");
    const { diskSnapshots } = this.#store;
    const running = this.#last?.job.state === "running" ? this.#last : undefined;
    if (running?.name === name) return running.job;
    diskSnapshots.refuseUnfit(name);
    if (running !== undefined)
      throw new HutchError(
        "snapshot-conflict",
        `Cannot take snapshot "${name}": "${running.name}" is being taken`,
        { retry: "safe" },
      );
    const job = this.#jobs.start("snapshot", async () => {
      const { tables, bytes } = await diskSnapshots.take(name, identity());
      return `"${name}" has ${tables} tables (${bytes} bytes)`;
    });
    this.#last = { name, job };
    return job;
  }

  /** Rejects with `no-such-snapshot`. */
  remove(name: string): Promise<void> {
    return this.#store.diskSnapshots.remove(name);
  }
}
