/**
 * The compaction job: several tables in, disjoint tables in key order out. Runs in a worker.
 *
 *   inputs -> merge (newest version of each key) -> retention -> drop deletes at the bottom -> outputs of up to `tableBytesMax`
 *
 * - Every input block is verified on the way (C11). One that is bad stops the job with a `CorruptionError` that names its
 *   table: it is never copied forward, and never left out silently.
 * - All or nothing: on any failure, a full disk included, the outputs written so far are removed. Inputs are never touched;
 *   whoever installs the outputs in the manifest removes them.
 * - A delete entry may go only where no older table can hold its key (`isBottommost`); what a value means, and whether it may
 *   go, only `retain` knows (C26).
 */
import { EMPTY_BYTES } from "../../base/bytes.ts";
import { type Disk, DiskError } from "../../ports/disk.ts";
import type { JobEnvironment } from "../../ports/workers.ts";
import { fileName } from "../file-names.ts";
import { DELETE_ENTRY, type EntryIterator, PUT_ENTRY } from "../iterators/entry-iterator.ts";
import { MergingIterator } from "../iterators/merging-iterator.ts";
import { BlockCache } from "../table/block-cache.ts";
import type { Compression } from "../table/compression.ts";
import { Table } from "../table/table.ts";
import type { TableMetadata } from "../table/table-metadata.ts";
import { TableWriter } from "../table/table-writer.ts";
import { RateLimiter } from "./rate-limiter.ts";

export interface MergeJob {
  /** Of equal keys the highest sequence wins, whatever the order here. */
  readonly inputs: readonly TableMetadata[];
  /** Outputs take ids from here on; the last one is not split any more, however long it gets. */
  readonly firstOutputId: number;
  readonly outputIdCount: number;
  /** Where an output is ended; exceeded by one entry and the tail of the file. */
  readonly tableBytesMax: number;
  readonly blockBytes: number;
  /** No table outside `inputs` holds older entries of these keys: delete entries are dropped. */
  readonly isBottommost: boolean;
  /** Of entries read; zero: no limit. */
  readonly bytesPerSecond: number;
}

export interface MergeResult {
  /** Ascending and disjoint; empty where nothing was left. */
  readonly outputs: readonly TableMetadata[];
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/** False: the value of this put entry is not needed any more, and the entry becomes a delete. */
export type Retain = (
  keyBytes: Uint8Array,
  keyStart: number,
  keyEnd: number,
  valueBytes: Uint8Array,
  valueStart: number,
  valueEnd: number,
) => boolean;

/** The rate limiter is asked every so many bytes. */
const STEP_BYTES = 64 * 1024;

/** Throws `CorruptionError` for a damaged input, `DiskError` (`no-space` among others) from the outputs. */
export async function mergeTables(
  environment: JobEnvironment,
  job: MergeJob,
  compression: Compression,
  retain: Retain = () => true,
): Promise<MergeResult> {
  const tables: Table[] = [];
  const outputs = new MergeOutputs(environment, job, compression);
  try {
    openInputs(environment.disk, job, compression, tables);
    const source = new MergingIterator(tables.map((table) => table.iterator()));
    await copyEntries(source, outputs, job, retain, environment);
    return { ...outputs.finish(), bytesRead: sumOfFileBytes(job.inputs) };
  } catch (thrown) {
    outputs.remove();
    throw thrown;
  } finally {
    for (const table of tables) table.close();
  }
}

/** Fills `tables` one by one, so that those already open are closed when the next does not open. */
function openInputs(disk: Disk, job: MergeJob, compression: Compression, tables: Table[]): void {
  const cache = new BlockCache(0);
  for (const input of job.inputs)
    tables.push(Table.open(disk, input, { mode: "read", cache, compression }));
}

async function copyEntries(
  source: EntryIterator,
  outputs: MergeOutputs,
  job: MergeJob,
  retain: Retain,
  environment: JobEnvironment,
): Promise<void> {
  const limiter = new RateLimiter(environment.clock, job.bytesPerSecond);
  let stepBytes = 0;
  for (source.seekToFirst(); source.isValid; source.next()) {
    if (isRetained(source, retain)) outputs.put(source);
    else if (!job.isBottommost) outputs.delete(source);
    stepBytes += source.keyEnd - source.keyStart + (source.valueEnd - source.valueStart);
    if (stepBytes < STEP_BYTES) continue;
    const pause = limiter.spend(stepBytes);
    stepBytes = 0;
    if (pause !== undefined) await pause;
  }
}

function isRetained(entry: EntryIterator, retain: Retain): boolean {
  if (entry.kind === DELETE_ENTRY) return false;
  return retain(
    entry.keyBytes,
    entry.keyStart,
    entry.keyEnd,
    entry.valueBytes,
    entry.valueStart,
    entry.valueEnd,
  );
}

function sumOfFileBytes(tables: readonly TableMetadata[]): number {
  let sum = 0;
  for (const table of tables) sum += table.fileBytes;
  return sum;
}

/** The output tables, one open at a time. */
class MergeOutputs {
  private readonly environment: JobEnvironment;
  private readonly job: MergeJob;
  private readonly compression: Compression;
  private readonly finished: TableMetadata[] = [];
  private writer: TableWriter | undefined;

  constructor(environment: JobEnvironment, job: MergeJob, compression: Compression) {
    this.environment = environment;
    this.job = job;
    this.compression = compression;
  }

  put(entry: EntryIterator): void {
    this.open().add(
      entry.keyBytes,
      entry.keyStart,
      entry.keyEnd,
      PUT_ENTRY,
      entry.sequence,
      entry.valueBytes,
      entry.valueStart,
      entry.valueEnd,
    );
  }

  delete(entry: EntryIterator): void {
    const { keyBytes, keyStart, keyEnd, sequence } = entry;
    this.open().add(keyBytes, keyStart, keyEnd, DELETE_ENTRY, sequence, EMPTY_BYTES, 0, 0);
  }

  finish(): { outputs: readonly TableMetadata[]; bytesWritten: number } {
    this.endTable();
    return { outputs: this.finished, bytesWritten: sumOfFileBytes(this.finished) };
  }

  /** Takes back everything, as far as the disk lets us; what stays is an orphan that start-up removes (C23). */
  remove(): void {
    this.writer?.abandon();
    this.writer = undefined;
    for (const table of this.finished) removeTable(this.environment.disk, table.id);
    this.finished.length = 0;
  }

  private open(): TableWriter {
    if (this.isFull()) this.endTable();
    this.writer ??= new TableWriter(this.environment.disk, this.nextId(), {
      blockBytes: this.job.blockBytes,
      compression: this.compression,
      origin: "compaction",
      createdMs: this.environment.clock.wallMs(),
    });
    return this.writer;
  }

  private isFull(): boolean {
    if (this.writer === undefined || this.writer.fileBytes < this.job.tableBytesMax) return false;
    return this.finished.length + 1 < this.job.outputIdCount;
  }

  private nextId(): number {
    return this.job.firstOutputId + this.finished.length;
  }

  private endTable(): void {
    if (this.writer === undefined) return;
    this.finished.push(this.writer.finish());
    this.writer = undefined;
  }
}

function removeTable(disk: Disk, id: number): void {
  try {
    disk.unlink(fileName("table", id));
  } catch (thrown) {
    if (!(thrown instanceof DiskError)) throw thrown;
  }
}
