/**
 * Work that must not run on the loop (flush, compaction, scrub). A job is plain data (structured clone; shared
 * memory stays shared), its result too. Kinds and their functions are a table that the composition root hands over.
 *
 * Lanes: jobs of one lane run one after the other, lanes run side by side, so that a flush never waits for a compaction.
 */
import type { Clock } from "./clock.ts";
import type { Disk } from "./disk.ts";

/** What a job may touch inside its worker. */
export interface JobEnvironment {
  readonly disk: Disk;
  readonly clock: Clock;
}

/** `job` is checked by nobody: both sides are the same program. */
export type JobFunction<Job, Result> = (environment: JobEnvironment, job: Job) => Promise<Result>;

/** The table is heterogeneous; each caller knows the types of its kind. */
export type JobTable = Readonly<
  Record<string, { readonly lane: string; readonly run: JobFunction<never, unknown> }>
>;

export interface Workers {
  /** Starts a worker for every lane, so that later jobs need no descriptors to begin with (row 90). What fails is left to the first job. */
  prepare(): Promise<void>;
  /** Runs one job. A thrown error arrives with its `message`, `name`, and the fields of `DiskError` and `HutchError`. */
  run<Job, Result>(kind: string, job: Job): Promise<Result>;
  /** Lets running jobs end, refuses new ones. */
  close(): Promise<void>;
}
