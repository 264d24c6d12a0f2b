/**
 * Long work that people start: it begins at once, says how far it is, and its outcome is kept until newer ones push it out.
 *
 * Upkeep of one kind runs once at a time (`join`); changes of the ring may follow each other (`start`).
 */
import { HutchError, messageOf } from "../base/errors.ts";
import type { Logger } from "../ports/logger.ts";

/** Running and remembered; the oldest finished one goes first, and where all run, nothing new begins. */
const JOBS_MAX = 100;

export type UpkeepKind = "repair" | "flush" | "compact" | "scrub" | "drain";
export type ChangeKind = "leave" | "remove" | "replace" | "layout";
export type JobKind = UpkeepKind | ChangeKind | "snapshot";

/** Says how far the work is: a share, 0..1, and where it stands in words. */
export type OnProgress = (progress: number, detail: string) => void;

/** Settles with the outcome in words. */
export type Work = (onProgress: OnProgress) => Promise<string>;

export interface JobRecord {
  readonly id: string;
  readonly kind: JobKind;
  readonly state: "running" | "done" | "failed";
  readonly progress: number;
  readonly detail: string;
}

/** The very record that people are shown: it changes while they look. */
type LiveJob = { -readonly [Member in keyof JobRecord]: JobRecord[Member] };

export class AdminJobs {
  readonly #logger: Logger;
  readonly #jobs = new Map<string, LiveJob>();
  #count = 0;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  list(): readonly JobRecord[] {
    return [...this.#jobs.values()];
  }

  get(id: string): JobRecord | undefined {
    return this.#jobs.get(id);
  }

  /** The running job of this kind; a new one where there is none. */
  join(kind: JobKind, work: Work): JobRecord {
    const running = this.list().find((job) => job.kind === kind && job.state === "running");
    return running ?? this.start(kind, work);
  }

  /** Throws `overloaded` where too many jobs run. */
  start(kind: JobKind, work: Work): JobRecord {
    this.#makeRoom(kind);
    const id = `${kind}-${++this.#count}`;
    const job: LiveJob = { id, kind, state: "running", progress: 0, detail: "" };
    this.#jobs.set(id, job);
    void this.#supervise(job, work);
    return job;
  }

  async #supervise(job: LiveJob, work: Work): Promise<void> {
    try {
      job.detail = await work((progress, detail) => {
        // What was done stays done: a share of a whole that has grown does not go back.
        job.progress = Math.max(job.progress, Math.min(1, progress));
        job.detail = detail;
      });
      job.progress = 1;
      job.state = "done";
    } catch (error) {
      job.detail = messageOf(error);
      job.state = "failed";
      this.#logger.error("job_failed", { job: job.id, reason: job.detail });
    }
  }

  #makeRoom(kind: JobKind): void {
    for (const { id, state } of this.list()) {
      if (this.#jobs.size < JOBS_MAX) return;
      if (state !== "running") this.#jobs.delete(id);
    }
    if (this.#jobs.size >= JOBS_MAX)
      throw new HutchError("overloaded", `Cannot start "${kind}": ${JOBS_MAX} jobs are running`);
  }
}
