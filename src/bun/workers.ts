/**
 * One worker thread per lane, started by `prepare` or with the lane's first job, and kept.
 *
 *   run(kind, job) -> queue of its lane -> worker, one job at a time -> result or rebuilt error
 *
 * A worker that dies takes only the job it was running with it; the next job gets a new one, unless the lane has lost
 * too many of late. An idle worker does not keep the process alive. To start one takes descriptors, and where there are none it
 * fails as a file that cannot be opened does: `too-many-files`, and the next job tries again (row 90).
 */
import { assert } from "../base/assert.ts";
import { HutchError } from "../base/errors.ts";
import { DiskError } from "../ports/disk.ts";
import { rebuildError } from "../ports/job-failure.ts";
import type { JobTable, Workers } from "../ports/workers.ts";
import { addressOf } from "./own-files.ts";
import type { WorkerInit, WorkerJob, WorkerReply } from "./worker-protocol.ts";

/** A lane that is this far behind has a caller without back-pressure; the job is refused. */
const LANE_QUEUE_MAX = 1024;
/** A lane whose workers die this often within the window refuses jobs until the window has passed. */
const DEATHS_MAX = 3;
const DEATHS_WINDOW_MS = 60_000;

export interface BunWorkersOptions {
  /** Data directory that jobs work in. */
  readonly root: string;
  /** The table, for the lanes of its kinds ... */
  readonly jobs: JobTable;
  /** ... and where a worker finds the same table: the URL of a module and the name it exports. */
  readonly jobsModule: string;
  readonly jobsExport: string;
}

export class BunWorkers implements Workers {
  private readonly options: BunWorkersOptions;
  private readonly lanes = new Map<string, Lane>();
  private isClosed = false;

  constructor(options: BunWorkersOptions) {
    this.options = options;
  }

  async prepare(): Promise<void> {
    const names = new Set(Object.values(this.options.jobs).map(({ lane }) => lane));
    await Promise.all([...names].map((name) => this.lane(name).prepare()));
  }

  async run<Job, Result>(kind: string, job: Job): Promise<Result> {
    const entry = Object.hasOwn(this.options.jobs, kind) ? this.options.jobs[kind] : undefined;
    assert(entry !== undefined, `there are jobs of kind "${kind}"`);
    if (this.isClosed) throw refusal(kind, "shutting-down", "the workers are closed");
    // The caller knows the types of its kind (ports/workers.ts).
    return (await this.lane(entry.lane).run(kind, job)) as Result;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await Promise.all([...this.lanes.values()].map((lane) => lane.close()));
  }

  private lane(name: string): Lane {
    const lane = this.lanes.get(name) ?? new Lane(this.options);
    this.lanes.set(name, lane);
    return lane;
  }
}

interface WaitingJob {
  readonly message: WorkerJob;
  readonly resolve: (result: unknown) => void;
  readonly reject: (reason: Error) => void;
}

/** Invariant: `running` is set exactly while the worker owes an answer. */
class Lane {
  private readonly init: WorkerInit;
  private readonly queue: WaitingJob[] = [];
  private running: WaitingJob | undefined;
  private worker: Worker | undefined;
  private deathsMs: number[] = [];
  private whenIdle: (() => void) | undefined;
  private readonly whenStarted: (() => void)[] = [];

  constructor({ root, jobsModule, jobsExport }: BunWorkersOptions) {
    this.init = { type: "init", root, jobsModule, jobsExport };
  }

  /** Settles when the worker has loaded what it needs, or is gone. */
  prepare(): Promise<void> {
    if (this.worker !== undefined) return Promise.resolve();
    const worker = this.startWorker();
    this.worker = worker;
    worker.unref();
    return new Promise((resolve) => this.whenStarted.push(resolve));
  }

  run(kind: string, job: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.queue.length >= LANE_QUEUE_MAX) {
        reject(refusal(kind, "overloaded", `${LANE_QUEUE_MAX} jobs are waiting`));
        return;
      }
      this.queue.push({ message: { type: "job", kind, job }, resolve, reject });
      this.startNext();
    });
  }

  /** Waits for the running job, refuses the waiting ones, ends the worker. */
  async close(): Promise<void> {
    for (const { message, reject } of this.queue.splice(0)) {
      reject(refusal(message.kind, "shutting-down", "the workers are closed"));
    }
    if (this.running !== undefined) {
      await new Promise<void>((resolve) => (this.whenIdle = resolve));
    }
    const { worker } = this;
    this.worker = undefined;
    worker?.terminate();
    this.started();
  }

  private startNext(): void {
    while (this.running === undefined) {
      const next = this.queue.shift();
      if (next === undefined) return;
      this.start(next);
    }
  }

  private start(next: WaitingJob): void {
    const { kind } = next.message;
    if (this.worker === undefined && !this.mayStartWorker()) {
      const reason = `its worker died ${DEATHS_MAX} times within ${DEATHS_WINDOW_MS} ms`;
      next.reject(refusal(kind, "internal", reason));
      return;
    }
    this.worker ??= this.startWorker();
    try {
      this.worker.postMessage(next.message);
    } catch (thrown) {
      // A job that cannot be cloned never reaches the worker.
      next.reject(thrown as Error);
      return;
    }
    this.running = next;
    this.worker.ref();
  }

  private startWorker(): Worker {
    const worker = new Worker(addressOf("bun/worker-main.ts"));
    let reason = "it exited";
    worker.onmessage = ({ data }: MessageEvent<WorkerReply>) => this.hear(worker, data);
    worker.onerror = (event) => {
      event.preventDefault();
      reason = event.message;
    };
    worker.addEventListener("close", () => this.bury(worker, reason));
    worker.postMessage(this.init);
    return worker;
  }

  private hear(worker: Worker, reply: WorkerReply): void {
    // A worker that was ended on purpose is not this lane's any more.
    if (this.worker !== worker) return;
    if (reply.type === "ready") this.started();
    else if (reply.type === "useless") {
      this.bury(worker, reply.failure.message);
      worker.terminate();
    } else if (this.running !== undefined) {
      const { resolve, reject } = this.running;
      if (reply.type === "done") resolve(reply.result);
      else reject(rebuildError(reply.failure));
      this.settled(worker);
    }
  }

  private bury(worker: Worker, reason: string): void {
    if (this.worker !== worker) return;
    this.worker = undefined;
    const isStarved = /\bE[MN]FILE\b/.test(reason);
    if (!isStarved) this.deathsMs.push(performance.now());
    const lost = this.running;
    lost?.reject(deathOf(lost.message.kind, reason, isStarved));
    this.started();
    this.settled(worker);
  }

  private started(): void {
    for (const resolve of this.whenStarted.splice(0)) resolve();
  }

  private settled(worker: Worker): void {
    this.running = undefined;
    worker.unref();
    this.whenIdle?.();
    this.startNext();
  }

  private mayStartWorker(): boolean {
    const sinceMs = performance.now() - DEATHS_WINDOW_MS;
    this.deathsMs = this.deathsMs.filter((atMs) => atMs > sinceMs);
    return this.deathsMs.length < DEATHS_MAX;
  }
}

function deathOf(kind: string, reason: string, isStarved: boolean): Error {
  if (!isStarved) return refusal(kind, "internal", `its worker died: ${reason}`);
  return new DiskError("too-many-files", "", `Cannot run job "${kind}": ${reason.trim()}`);
}

function refusal(
  kind: string,
  code: "internal" | "overloaded" | "shutting-down",
  reason: string,
): HutchError {
  return new HutchError(code, `Cannot run job "${kind}": ${reason}`);
}
