/**
 * Jobs without threads: each lane runs its jobs one after the other, in virtual time, on the node's own disk and clock.
 *
 * A job and its result are cloned as a real worker clones them, and errors are taken apart and rebuilt, so that code which
 * leans on shared objects fails here too. When the process dies, the delay before a job never ends.
 */
import { assert } from "../base/assert.ts";
import { HutchError } from "../base/errors.ts";
import type { Prng } from "../base/prng.ts";
import { describeError, rebuildError } from "../ports/job-failure.ts";
import type { JobEnvironment, JobTable, Workers } from "../ports/workers.ts";
import { SimCrash } from "./crash.ts";

/** Of a job: its function is about to run, has returned, has thrown. */
export type JobStage = "begins" | "ends" | "fails";

export interface SimWorkersOptions extends JobEnvironment {
  readonly jobs: JobTable;
  readonly onJob?: (kind: string, stage: JobStage) => void;
  readonly prng: Prng;
  /** How long a job takes to start, drawn uniformly; 0 = microtasks only. Default 1 ms. */
  readonly delayMsMax?: number;
}

export class SimWorkers implements Workers {
  private readonly options: SimWorkersOptions;
  /** The end of the last job of each lane; never rejects. */
  private readonly lanes = new Map<string, Promise<unknown>>();
  private isClosed = false;

  constructor(options: SimWorkersOptions) {
    this.options = options;
  }

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  async run<Job, Result>(kind: string, job: Job): Promise<Result> {
    const { jobs } = this.options;
    const entry = Object.hasOwn(jobs, kind) ? jobs[kind] : undefined;
    assert(entry !== undefined, `there are jobs of kind "${kind}"`);
    this.refuseWhenClosed(kind);
    const cloned = structuredClone(job);
    const turn = (this.lanes.get(entry.lane) ?? Promise.resolve()).then(() => {
      this.refuseWhenClosed(kind);
      // The caller knows the types of its kind (ports/workers.ts).
      return this.perform(kind, () => entry.run(this.options, cloned as never));
    });
    this.lanes.set(
      entry.lane,
      turn.catch(() => undefined),
    );
    return (await turn) as Result;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await Promise.all(this.lanes.values());
  }

  private async perform(kind: string, run: () => Promise<unknown>): Promise<unknown> {
    const { clock, prng, delayMsMax = 1, onJob = () => {} } = this.options;
    if (delayMsMax > 0) await clock.sleep(prng.float() * delayMsMax);
    try {
      onJob(kind, "begins");
      const result = structuredClone(await run());
      onJob(kind, "ends");
      return result;
    } catch (thrown) {
      // Not an error of the job: its whole process is gone.
      if (thrown instanceof SimCrash) throw thrown;
      onJob(kind, "fails");
      throw rebuildError(structuredClone(describeError(thrown)));
    }
  }

  private refuseWhenClosed(kind: string): void {
    if (!this.isClosed) return;
    throw new HutchError("shutting-down", `Cannot run job "${kind}": the workers are closed`);
  }
}
