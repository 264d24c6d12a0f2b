/**
 * The work that storage gives to workers, as a table of job kinds.
 *
 * What a value means is not storage's business: whoever composes the program hands in `retention`, which makes, from the parameters of
 * one compaction, the function that says which values are still needed (C26).
 */
import type { JobTable } from "../ports/workers.ts";
import type { MergeJob, Retain } from "./compaction/merge-tables.ts";
import { mergeTables } from "./compaction/merge-tables.ts";
import type { SalvageJob } from "./compaction/salvage-table.ts";
import { salvageTable } from "./compaction/salvage-table.ts";
import type { VerifyJob } from "./compaction/verify-table.ts";
import { verifyTable } from "./compaction/verify-table.ts";
import type { FlushJob } from "./memory/flush-memtable.ts";
import { flushMemtable } from "./memory/flush-memtable.ts";
import type { RetentionParameters } from "./options.ts";
import type { Compression } from "./table/compression.ts";

export interface CompactJob extends MergeJob {
  readonly retention: RetentionParameters;
}

export type Retention = (parameters: RetentionParameters) => Retain;

export const keepEverything: Retention = () => () => true;

/** Flushes have a lane of their own: they never wait for a compaction (C18). */
export function createStorageJobs(compression: Compression, retention: Retention): JobTable {
  return {
    flush: {
      lane: "flush",
      run: (environment, job: FlushJob) => flushMemtable(environment, job, compression),
    },
    compact: {
      lane: "background",
      run: (environment, job: CompactJob) =>
        mergeTables(environment, job, compression, retention(job.retention)),
    },
    salvage: {
      lane: "background",
      run: (environment, job: SalvageJob) => salvageTable(environment, job, compression),
    },
    verify: {
      lane: "background",
      run: (environment, job: VerifyJob) => verifyTable(environment, job),
    },
  };
}
