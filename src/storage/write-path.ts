/**
 * The way of a batch into the store: log and active memtable in one synchronous step, durable later.
 *
 * - What `apply` adds is visible to reads at once, so a caller that reads, merges and applies without an `await` in between needs no
 *   lock. It is acknowledged only when the log says that it is durable.
 * - One log segment belongs to one memtable. When either is full, both are continued by new ones; the memtable waits, frozen, for its flush
 *   and the segment lives until the flushed table is in the manifest (C9).
 */
import { HutchError, messageOf } from "../base/errors.ts";
import { hashKey } from "../kernels/kernels.ts";
import { DiskError } from "../ports/disk.ts";
import { isPassing, toFailure } from "./failure.ts";
import type { Manifest } from "./levels/manifest.ts";
import { createSegment } from "./log/create-segment.ts";
import type { LogOwner } from "./log/log-format.ts";
import type { LogSegment } from "./log/write-ahead-log.ts";
import { WriteAheadLog } from "./log/write-ahead-log.ts";
import { memtableCapacity } from "./memory/memtable-capacity.ts";
import { Memtable } from "./memory/memtable.ts";
import { FROZEN_MEMTABLES_MAX } from "./options.ts";
import type { StoreOptions } from "./options.ts";
import type { StorePorts } from "./store-ports.ts";
import type { ViewOwner } from "./store-view.ts";
import type { WriteBatch } from "./write-batch.ts";
import { encodedBatchBytes } from "./write-batch.ts";

/** Longer than any request waits; then the store gives up. */
const REGISTER_ATTEMPTS_MAX = 60;
const REGISTER_RETRY_MS = 1000;

export interface FrozenMemtable {
  readonly memtable: Memtable;
  /** Every sequence up to here is in this memtable or an older one. */
  readonly lastSequence: number;
  /** The flush must not be recorded before its segment is. */
  readonly registered: Promise<void>;
}

export interface WritePathOptions {
  readonly ports: StorePorts;
  readonly options: StoreOptions;
  readonly owner: LogOwner;
  readonly manifest: Manifest;
  readonly onFrozen: (frozen: FrozenMemtable) => void;
  readonly onFailure: (error: HutchError) => void;
  /** The disk was full; nothing of the batch is left. */
  readonly onDiskFull: () => void;
}

export class WritePath {
  lastSequence: number;
  readonly log: WriteAheadLog;
  private readonly context: WritePathOptions;
  private readonly hash = new Uint32Array(4);
  private segment: LogSegment;
  private views!: ViewOwner;

  /** Makes the first segment; await `registered` before serving. Call `attach` before the first `apply`. */
  constructor(context: WritePathOptions, lastSequence: number) {
    this.context = context;
    this.lastSequence = lastSequence;
    this.segment = this.newSegment(lastSequence);
    this.log = new WriteAheadLog(this.segment, lastSequence, {
      fsync: context.options.fsync,
      syncStuckMs: context.options.syncStuckMs,
      clock: context.ports.clock,
      onRollback: (sequenceMax) => this.rollback(sequenceMax),
      onFailure: context.onFailure,
    });
  }

  get registered(): Promise<void> {
    return this.segment.registered;
  }

  /** The memtable that goes with the first segment. */
  firstMemtable(): Memtable {
    return this.newMemtable(0, 0);
  }

  attach(views: ViewOwner): void {
    this.views = views;
  }

  get isMemtableFull(): boolean {
    const { options } = this.context;
    return (
      this.views.current.active.usedBytes >= options.memtableBytes ||
      this.log.currentBytes >= options.walSegmentBytes
    );
  }

  /** See `Store.apply`. Throws `disk-full` when a full memtable cannot be continued. */
  apply(batch: WriteBatch): Promise<void> {
    const bytes = encodedBatchBytes(batch);
    if (!this.views.current.active.hasRoomFor(batch.count, bytes))
      this.makeRoom(batch.count, bytes);
    const active = this.views.current.active;
    const sequence = this.lastSequence + 1;
    const durable = this.log.append(batch, sequence);
    const { hash } = this;
    for (let i = 0; i < batch.count; i++) {
      const key = batch.keys[i]!;
      hashKey(key, 0, key.length, hash);
      active.put(batch.kinds[i]!, key, batch.values[i]!, sequence + i, hash[0]!);
    }
    this.lastSequence += batch.count;
    if (this.isMemtableFull) this.tryFreeze();
    return durable;
  }

  /** What this batch was merged on may be taken back on the way, when the disk has no room for what is pending: then so is this batch. */
  private makeRoom(entryCount: number, bytes: number): void {
    const before = this.lastSequence;
    this.freeze(entryCount, bytes);
    if (this.lastSequence !== before)
      throw new HutchError("disk-full", "Cannot write to the log: no space left on the disk", {
        retry: "safe",
      });
  }

  /** Continues in a new segment and memtable, with room for a batch of that size. */
  freeze(entryCount: number, bytes: number): void {
    const next = this.nextSegment();
    const before = this.segment;
    this.log.rotate(next);
    this.segment = next;
    const { active, frozen } = this.views.current;
    const memtable = this.newMemtable(entryCount, bytes);
    this.views.swap({ ...this.views.current, active: memtable, frozen: [active, ...frozen] });
    this.context.onFrozen({
      memtable: active,
      lastSequence: this.lastSequence,
      registered: before.registered,
    });
  }

  /** A full memtable may be continued a little later: when the disk refuses just now, or enough of them wait for their flush. */
  tryFreeze(): void {
    if (this.views.current.frozen.length >= FROZEN_MEMTABLES_MAX) return;
    try {
      this.freeze(0, 0);
    } catch (error) {
      this.context.ports.logger.warn("memtable_not_continued", { reason: messageOf(error) });
    }
  }

  private nextSegment(): LogSegment {
    try {
      return this.newSegment(this.log.syncedSequence);
    } catch (error) {
      throw this.refusal(error);
    }
  }

  /** A disk without space or descriptors may have some later; any other that cannot make a file cannot be trusted. */
  private refusal(error: unknown): unknown {
    if (!(error instanceof DiskError)) return error;
    const options = { retry: "safe", cause: error } as const;
    if (error.kind === "too-many-files")
      return new HutchError(
        "overloaded",
        "Cannot start a new log segment: no file descriptor is left, nothing was written",
        options,
      );
    if (error.kind === "no-space" || error.kind === "read-only") {
      this.context.onDiskFull();
      return new HutchError(
        "disk-full",
        "Cannot start a new log segment: the disk is full, nothing was written",
        options,
      );
    }
    const failure = toFailure(error);
    this.context.onFailure(failure);
    return failure;
  }

  private newSegment(syncedSequence: number): LogSegment {
    const { ports, owner, manifest } = this.context;
    const id = manifest.reserveFileIds(1);
    const segment = createSegment(ports.disk, {
      id,
      salt: ports.random.u32(),
      owner,
      durableSequence: syncedSequence,
      register: () => this.register(id),
    });
    segment.registered.catch((error: unknown) => this.context.onFailure(toFailure(error)));
    return segment;
  }

  /** A disk that is full just now is waited out: what is in the segment is not acknowledged before. */
  private async register(id: number): Promise<void> {
    const { ports, manifest } = this.context;
    for (let attempt = 1; ; attempt++) {
      try {
        await ports.disk.syncDirectorySoon("");
        await manifest.append(
          () => ({ addedWalIds: [id] }),
          () => undefined,
        );
        return;
      } catch (error) {
        if (!isPassing(error) || attempt === REGISTER_ATTEMPTS_MAX) throw error;
        ports.logger.warn("segment_not_registered_yet", { reason: messageOf(error) });
        await ports.clock.sleep(REGISTER_RETRY_MS);
      }
    }
  }

  private newMemtable(entryCount: number, bytes: number): Memtable {
    const { options, ports } = this.context;
    return new Memtable(
      memtableCapacity(options, entryCount, bytes),
      this.segment.id,
      ports.clock.monoMs(),
    );
  }

  private rollback(sequenceMax: number): void {
    this.views.current.active.rollback(sequenceMax, 1);
    this.lastSequence = sequenceMax;
    this.context.onDiskFull();
  }
}
