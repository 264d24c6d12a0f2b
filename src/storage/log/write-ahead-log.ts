/**
 * The write-ahead log with group commit.
 *
 *   append: the record goes into the pending group, the caller gets the group's promise
 *   commit: one at a time: write the group with one call, one fdatasync, settle its promise; what arrived meanwhile is the next group
 *
 * Invariants:
 * - at most one fdatasync is in flight; everything appended before it started is covered by it (C6);
 * - `durableSequence` only grows, and only after the sync that covers it returned 0 (mode `os`: after the write);
 * - a group is settled only after every segment before its own is synced too;
 * - after a failed sync nothing is acknowledged any more (C15): the outcome of what was waiting is unknown and stays so;
 * - a group whose *write* failed for want of space leaves no trace: the file is cut back, `onRollback` takes it out of the memtable, nobody
 *   was told otherwise (C17).
 */
import { assert } from "../../base/assert.ts";
import { ByteWriter } from "../../base/byte-writer.ts";
import { HutchError, messageOf } from "../../base/errors.ts";
import { Histogram } from "../../base/metrics.ts";
import type { Clock } from "../../ports/clock.ts";
import { DiskError } from "../../ports/disk.ts";
import type { DiskFile } from "../../ports/disk.ts";
import type { FsyncMode } from "../options.ts";
import type { WriteBatch } from "../write-batch.ts";
import { encodeBatch } from "../write-batch.ts";
import { beginRecord, endRecord, RECORD_TYPES } from "./log-format.ts";

/** Buffers above this are given back after use, so that one large batch does not stay in memory. */
const KEPT_BUFFER_BYTES = 4 * 1024 * 1024;
const GROUP_BYTES = 16 * 1024;
/** The content of every group whose bytes are in a segment. */
const WRITTEN = new ByteWriter(0);

export interface LogSegment {
  readonly id: number;
  readonly salt: number;
  readonly file: DiskFile;
  /** Settles when the segment is in the manifest and its name on disk: nothing in it counts as durable before. */
  readonly registered: Promise<void>;
}

export interface WriteAheadLogOptions {
  readonly fsync: FsyncMode;
  readonly syncStuckMs: number;
  readonly clock: Clock;
  /** Entries above this sequence are gone; called before their writers learn of it. */
  readonly onRollback: (sequenceMax: number) => void;
  /** The disk cannot be trusted any more; called once. */
  readonly onFailure: (error: HutchError) => void;
}

/** Batches that are written and synced together. */
class CommitGroup {
  content: ByteWriter;
  readonly promise: Promise<void>;
  lastSequence = -1;
  /** Its bytes are in a segment already: later batches belong to another group. */
  isSealed = false;
  resolve!: () => void;
  reject!: (error: Error) => void;

  constructor(content: ByteWriter) {
    this.content = content;
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.promise.catch(() => undefined); // waiters have their own handlers; a group without waiters must not be unhandled
  }
}

export class WriteAheadLog {
  /** Highest sequence that is as durable as the mode promises. */
  durableSequence: number;
  /** Highest sequence that an fdatasync has covered; what the records prove to a reader after a crash. */
  syncedSequence: number;
  /** Highest sequence that reached the file. */
  private writtenSequence: number;
  private readonly options: WriteAheadLogOptions;
  private segment: LogSegment;
  private segmentBytes: number;
  /** Segments before the current one that hold bytes which are not synced yet. */
  private unsynced: LogSegment[] = [];
  private groups: CommitGroup[] = [];
  /** The buffer of a group that has been written, for the next one. */
  private spare: ByteWriter | undefined;
  private isCommitting = false;
  private committing: CommitGroup | undefined;
  private failure: HutchError | undefined;
  private idle: (() => void)[] = [];
  /** fdatasync calls that returned, for the metrics. */
  syncCount = 0;
  readonly times = { sync: new Histogram(), group: new Histogram() };

  constructor(segment: LogSegment, lastSequence: number, options: WriteAheadLogOptions) {
    this.segment = segment;
    this.segmentBytes = segment.file.size();
    this.durableSequence = lastSequence;
    this.syncedSequence = lastSequence;
    this.writtenSequence = lastSequence;
    this.options = options;
  }

  /** Bytes of the current segment, pending ones included. */
  get currentBytes(): number {
    let bytes = this.segmentBytes;
    for (const group of this.groups) bytes += group.content.length;
    return bytes;
  }

  /** Adds a batch whose first entry has `sequence`; settles when it is durable. */
  append(batch: WriteBatch, sequence: number): Promise<void> {
    assert(this.failure === undefined, "nothing is appended after a failure");
    const group = this.openGroup();
    const start = beginRecord(group.content);
    encodeBatch(group.content, batch);
    endRecord(
      group.content,
      start,
      RECORD_TYPES.batch,
      this.segment.salt,
      sequence,
      this.syncedSequence,
    );
    group.lastSequence = sequence + batch.count - 1;
    this.startCommit();
    return group.promise;
  }

  /** A promise that settles with the group that holds `sequence`; `undefined` when that is durable already. */
  whenDurable(sequence: number): Promise<void> | undefined {
    if (sequence <= this.durableSequence) return undefined;
    if (this.committing !== undefined && sequence <= this.committing.lastSequence)
      return this.committing.promise;
    for (const group of this.groups) if (sequence <= group.lastSequence) return group.promise;
    return this.failure === undefined ? undefined : rejected(this.failure);
  }

  /** Continues in `next`. What is pending goes to the old segment first, so that segments and memtables stay paired. */
  rotate(next: LogSegment): void {
    this.writePending();
    this.unsynced.push(this.segment);
    this.segment = next;
    this.segmentBytes = next.file.size();
  }

  /** Waits until nothing is pending; then writes the closing record and closes the files. A failure of the disk is reported as ever. */
  async close(): Promise<void> {
    await this.drained();
    if (this.failure === undefined) await this.appendClose();
    for (const segment of [...this.unsynced, this.segment]) segment.file.close();
    this.unsynced = [];
  }

  private async appendClose(): Promise<void> {
    try {
      this.appendControl(RECORD_TYPES.close);
      await this.syncAll();
      this.syncedSequence = this.writtenSequence;
    } catch (error) {
      const isSpace = error instanceof DiskError && error.kind === "no-space";
      if (!isSpace || !this.cutBack()) this.fail(error, undefined);
    }
  }

  /** Settles when every group so far is settled, however it ended. */
  drained(): Promise<void> {
    if (!this.isCommitting && this.groups.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.idle.push(resolve));
  }

  private openGroup(): CommitGroup {
    const last = this.groups[this.groups.length - 1];
    if (last !== undefined && !last.isSealed && this.options.fsync !== "always") return last;
    const group = new CommitGroup(this.spare ?? new ByteWriter(GROUP_BYTES));
    this.spare = undefined;
    this.groups.push(group);
    return group;
  }

  private startCommit(): void {
    if (this.isCommitting) return;
    this.isCommitting = true;
    void this.commitAll();
  }

  /** Begins in a later microtask: what the caller of `append` does next belongs to it, and so do the batches that arrive in the same turn. */
  private async commitAll(): Promise<void> {
    await undefined;
    while (this.groups.length > 0 && this.failure === undefined) await this.commitNext();
    this.isCommitting = false;
    if (this.failure === undefined && this.durableSequence === this.writtenSequence)
      this.appendMark();
    const idle = this.idle;
    this.idle = [];
    for (const resolve of idle) resolve();
  }

  private async commitNext(): Promise<void> {
    const group = this.groups[0]!;
    const startMs = this.options.clock.monoMs();
    if (!this.writeGroup(group)) return;
    this.groups.shift();
    this.committing = group;
    try {
      if (this.options.fsync !== "os") await this.syncAll();
      else await this.settleUnsynced();
      this.durableSequence = group.lastSequence;
      if (this.options.fsync !== "os") this.syncedSequence = group.lastSequence;
      group.resolve();
      this.times.group.record(this.options.clock.monoMs() - startMs);
    } catch (error) {
      this.fail(error, group);
    } finally {
      this.committing = undefined;
    }
  }

  /** Writes everything pending into the current segment, without a sync. */
  private writePending(): void {
    for (const group of this.groups) if (!this.writeGroup(group)) return;
  }

  /** False when the write failed and the pending groups were rejected. */
  private writeGroup(group: CommitGroup): boolean {
    const content = group.content;
    if (content.length === 0) return true;
    try {
      this.segment.file.append(content.view());
    } catch (error) {
      this.writeFailed(error);
      return false;
    }
    this.segmentBytes += content.length;
    this.writtenSequence = group.lastSequence;
    content.reset();
    if (content.buffer.length <= KEPT_BUFFER_BYTES) this.spare = content;
    group.content = WRITTEN;
    group.isSealed = true;
    return true;
  }

  private writeFailed(error: unknown): void {
    const isSpace =
      error instanceof DiskError && (error.kind === "no-space" || error.kind === "read-only");
    if (!isSpace || !this.cutBack()) {
      this.fail(error, undefined);
      return;
    }
    const unwritten = this.groups.filter((group) => group.content.length > 0);
    this.groups = this.groups.filter((group) => group.content.length === 0);
    this.options.onRollback(this.writtenSequence);
    const full = new HutchError("disk-full", "Cannot write to the log: no space left on the disk", {
      retry: "safe",
      cause: error,
    });
    for (const group of unwritten) group.reject(full);
  }

  /** Takes a partly written group off the end of the file again. */
  private cutBack(): boolean {
    const { file } = this.segment;
    try {
      if (file.size() !== this.segmentBytes) {
        file.truncate(this.segmentBytes);
        file.syncNow(); // or a power loss could bring back what was refused
      }
      return true;
    } catch {
      return false;
    }
  }

  private async syncAll(): Promise<void> {
    const before = this.unsynced;
    // Taken now: a rotation during the waits below continues in a segment that this group is not in.
    const { file, registered } = this.segment;
    this.unsynced = [];
    for (const segment of before) {
      await this.syncOne(segment.file);
      segment.file.close();
    }
    await this.syncOne(file);
    await registered;
  }

  /** Mode `os`: nothing is synced, but a segment counts only when it is in the manifest, and one that is full is let go. */
  private async settleUnsynced(): Promise<void> {
    const { registered } = this.segment;
    for (const segment of this.unsynced.splice(0)) {
      await segment.registered;
      segment.file.close();
    }
    await registered;
  }

  private syncOne(file: DiskFile): Promise<void> {
    const { clock, syncStuckMs } = this.options;
    const startMs = clock.monoMs();
    return new Promise((resolve, reject) => {
      const timer = clock.after(syncStuckMs, () =>
        reject(
          new HutchError(
            "disk-stuck",
            `Cannot sync the log: no answer from the disk within ${syncStuckMs} ms`,
          ),
        ),
      );
      file.sync().then(
        () => {
          this.syncCount++;
          this.times.sync.record(clock.monoMs() - startMs);
          timer.cancel();
          resolve();
        },
        (error: unknown) => {
          timer.cancel();
          reject(error as Error);
        },
      );
    });
  }

  private fail(cause: unknown, group: CommitGroup | undefined): void {
    const isStuck = cause instanceof HutchError && cause.code === "disk-stuck";
    this.failure = isStuck
      ? cause
      : new HutchError("io-error", `Cannot write to the log: ${messageOf(cause)}; the node stops`, {
          cause,
        });
    const unknown = new HutchError(
      "write-indeterminate",
      "Cannot tell whether the write is on disk: the log could not be synced",
      {
        retry: "safe-with-idempotency-key",
        cause,
      },
    );
    group?.reject(unknown);
    for (const waiting of this.groups) waiting.reject(unknown);
    this.groups = [];
    this.options.onFailure(this.failure);
  }

  /** Proves, to a reader after a crash, that all before it was synced. Not synced itself: losing it loses nothing. */
  private appendMark(): void {
    if (this.options.fsync === "os") return;
    try {
      this.appendControl(RECORD_TYPES.mark);
    } catch (error) {
      const isSpace = error instanceof DiskError && error.kind === "no-space";
      if (!isSpace || !this.cutBack()) this.fail(error, undefined);
    }
  }

  private appendControl(type: number): void {
    const writer = new ByteWriter(64);
    endRecord(
      writer,
      beginRecord(writer),
      type,
      this.segment.salt,
      this.writtenSequence + 1,
      this.syncedSequence,
    );
    this.segment.file.append(writer.view());
    this.segmentBytes += writer.length;
  }
}

/** A promise that nobody needs to handle. */
function rejected(error: HutchError): Promise<void> {
  const promise = Promise.reject<void>(error);
  promise.catch(() => undefined);
  return promise;
}
