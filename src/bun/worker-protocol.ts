/** What travels between `workers.ts` and `worker-main.ts`. The first message to a worker is `WorkerInit`, the rest are jobs. */
import type { JobFailure } from "../ports/job-failure.ts";

export interface WorkerInit {
  readonly type: "init";
  /** Data directory that jobs work in. */
  readonly root: string;
  /** Module that exports the job table, and the name it has there. */
  readonly jobsModule: string;
  readonly jobsExport: string;
}

export interface WorkerJob {
  readonly type: "job";
  readonly kind: string;
  readonly job: unknown;
}

export type WorkerRequest = WorkerInit | WorkerJob;

/** A worker has one job at a time, so a reply needs no number. */
export type WorkerReply =
  | { readonly type: "ready" }
  /** It could not load what jobs need, and never will: a failed import is kept. */
  | { readonly type: "useless"; readonly failure: JobFailure }
  | { readonly type: "done"; readonly result: unknown }
  | { readonly type: "failed"; readonly failure: JobFailure };
