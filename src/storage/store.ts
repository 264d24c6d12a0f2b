/**
 * One node's storage: an LSM tree of opaque keys and values. This file is the facade and the only import for other folders.
 *
 *   apply -> log (group commit) + memtable -> flush -> level 0 -> compaction -> levels 1..6
 *   get   -> memtables -> level 0, newest first -> one table a level
 *
 * Promises:
 * - an applied batch is visible at once, all of it or nothing, and durable when its promise settles (by the fsync mode);
 * - after a crash, exactly a prefix of the applied batches is there, and it includes every one whose promise had settled;
 * - a byte that changed on disk is reported, never returned, and never taken for an absent key;
 * - a disk that fails a sync stops the store for good (`failure`); a full disk refuses writes and recovers by itself.
 */
import { HutchError, CorruptionError } from "../base/errors.ts";
import { Histogram } from "../base/metrics.ts";
import type { Timer } from "../ports/clock.ts";
import { Admission } from "./admission.ts";
import { Compactor } from "./compaction/compactor.ts";
import { isPassing, toFailure } from "./failure.ts";
import { DiskSnapshots } from "./disk-snapshots.ts";
import { Flusher } from "./flusher.ts";
import type { Manifest } from "./levels/manifest.ts";
import type { LogOwner } from "./log/log-format.ts";
import type { StoreOptions } from "./options.ts";
import type { LostRange } from "./levels/lost-ranges.ts";
import type { Damage } from "./quarantine.ts";
import { Quarantine } from "./quarantine.ts";
import type { StoreRead } from "./read-path.ts";
import { ReadPath } from "./read-path.ts";
import { recover, removeOrphans } from "./recovery.ts";
import { type ScrubProgress, type ScrubResult, Scrubber } from "./scrubber.ts";
import { Snapshot } from "./snapshot.ts";
import { SpaceGuard } from "./space-guard.ts";
import type { StoreParts } from "./store-parts.ts";
import { type StoreStats, type StoreTimes, statsOf, timesOf } from "./store-stats.ts";
import type { StorePorts } from "./store-ports.ts";
import { ViewOwner } from "./store-view.ts";
import { TableSet } from "./table-set.ts";
import { WritePath } from "./write-path.ts";
import type { WriteBatch } from "./write-batch.ts";

export { WriteBatch } from "./write-batch.ts";
export { DEFAULT_STORE_OPTIONS, VALUE_BYTES_MAX } from "./options.ts";
export { Snapshot } from "./snapshot.ts";
export type { FsyncMode, RetentionParameters, StoreOptions } from "./options.ts";
export type { EntryIterator } from "./iterators/entry-iterator.ts";
export { type LostRange, clipRange, lostRangeOf, removeHealed } from "./levels/lost-ranges.ts";
export type { Damage } from "./quarantine.ts";
export type { ScrubProgress, ScrubResult } from "./scrubber.ts";
export type { StorePorts } from "./store-ports.ts";
export type { StoreStats, StoreTimes } from "./store-stats.ts";
export type { StoreRead } from "./read-path.ts";

/** Whose files these are, and how the last process left them (`data-directory.ts`). */
export interface StoreOwner extends LogOwner {
  readonly wasClean: boolean;
}

/** How long `close` waits for a compaction or a scrub in progress. */
const CLOSE_WAIT_MS = 5000;

export class Store {
  private readonly ports: StorePorts;
  private readonly options: StoreOptions;
  private readonly manifest: Manifest;
  private readonly views: ViewOwner;
  private readonly writePath: WritePath;
  private readonly reader = new ReadPath();
  private readonly readTimes = new Histogram();
  private readonly admission: Admission;
  private readonly space: SpaceGuard;
  private readonly flusher: Flusher;
  private readonly compactor: Compactor;
  private readonly quarantine: Quarantine;
  private readonly scrubber: Scrubber;
  private readonly tables: TableSet;
  private readonly parts: StoreParts;
  /** Copies of all of it in the data directory. */
  readonly diskSnapshots: DiskSnapshots;
  private readonly wasClean: boolean;
  private exclusive: Promise<unknown> = Promise.resolve();
  private failureListeners: ((error: HutchError) => void)[] = [];
  private damageListeners: ((damage: Damage) => void)[] = [];
  private ageTimer: Timer | undefined;
  private isClosing = false;
  private isClosed = false;
  /** Set once, when the disk could not be trusted any more. */
  failure: HutchError | undefined;

  private constructor(
    ports: StorePorts,
    options: StoreOptions,
    owner: StoreOwner,
    manifest: Manifest,
    lastSequence: number,
  ) {
    this.ports = ports;
    this.options = options;
    this.manifest = manifest;
    this.wasClean = owner.wasClean;
    this.admission = new Admission(ports.clock, options);
    this.space = new SpaceGuard(ports.disk, ports.clock, options, (state) =>
      this.spaceChanged(state),
    );
    this.writePath = this.makeWritePath(owner, lastSequence);
    this.views = new ViewOwner(ports.disk, {
      active: this.writePath.firstMemtable(),
      frozen: [],
      levels: manifest.state.levels.tables.map(() => []),
      lostRanges: manifest.state.levels.lostRanges,
    });
    this.writePath.attach(this.views);
    this.tables = new TableSet(ports, options, manifest, this.views);
    this.parts = this.makeParts();
    this.flusher = new Flusher(this.parts, () => this.afterFlush());
    const { writePath, flusher, space } = this;
    this.diskSnapshots = new DiskSnapshots({ ...this.parts, owner, writePath, flusher, space });
    this.quarantine = new Quarantine(this.parts, (damage) => {
      for (const listener of this.damageListeners) listener(damage);
    });
    this.scrubber = new Scrubber(this.parts, this.quarantine, (error) =>
      this.backgroundFailed(error),
    );
    this.compactor = new Compactor(
      this.parts,
      (file) => this.quarantine.replace(file),
      () => this.admission.wake(),
    );
  }

  /**
   * Opens the store in the data directory of `ports.disk`, which the caller has locked (`DataDirectory`).
   * Throws `data-refused` with nothing changed where files are damaged, foreign or newer than this program.
   */
  static async open(ports: StorePorts, options: StoreOptions, owner: StoreOwner): Promise<Store> {
    const prepared = ports.workers.prepare();
    const recovered = await recover(ports, options, owner);
    if (recovered.droppedBytes > 0)
      ports.logger.warn("wal_tail_truncated", { bytes: recovered.droppedBytes });
    if (recovered.damage !== undefined)
      ports.logger.error("log_damaged", { reason: recovered.damage.message, lost: "every key" });
    const store = new Store(ports, options, owner, recovered.manifest, recovered.lastSequence);
    await store.writePath.registered;
    await store.openTables();
    removeOrphans(ports.disk, recovered.manifest.state);
    await prepared;
    store.startTimers();
    store.compactor.kick();
    if (!store.wasClean) void store.verifyAll();
    return store;
  }

  /** Back-pressure; see `admission.ts`. Ask before reading what the write depends on, and again after waiting. */
  admit(purpose: "put" | "delete" = "put"): Promise<void> | undefined {
    this.refuseStopped();
    return this.admission.admit(
      {
        level0Count: this.views.current.levels[0]!.length,
        frozenCount: this.views.current.frozen.length,
        isMemtableFull: this.writePath.isMemtableFull,
        space: this.space.state,
      },
      purpose,
    );
  }

  /**
   * The newest value of `key`, `undefined` when there is none. Throws `CorruptionError` where the truth cannot be read.
   * The value is a view, valid until the caller's next `await`.
   */
  get(key: Uint8Array): StoreRead | undefined {
    try {
      const { current } = this.views;
      const { clock } = this.ports;
      return this.reader.getTimed(current, key, Number.MAX_SAFE_INTEGER, clock, this.readTimes);
    } catch (error) {
      this.reportDamage(error);
      throw error;
    }
  }

  /**
   * As `get`, for what mends damage: "lost" for a key in a lost range of which nothing newer is known. What is applied on top is newer, so it can be read. Throws
   * for damage that was not known yet: what it has lost is known when its table is replaced.
   */
  getOrLost(key: Uint8Array): StoreRead | "lost" | undefined {
    try {
      return this.get(key);
    } catch (error) {
      if (error instanceof CorruptionError && error.file === "") return "lost";
      throw error;
    }
  }

  /**
   * Adds a batch: visible when this returns, durable when the promise settles. Rejects with `disk-full` (nothing of it stays visible)
   * or `write-indeterminate` (the store has stopped).
   */
  apply(batch: WriteBatch): Promise<void> {
    this.refuseStopped();
    return this.writePath.apply(batch);
  }

  /** `undefined` when all up to `sequence` is durable, else a promise for it; a reader awaits it before it shows the value to anybody. */
  whenDurable(sequence: number): Promise<void> | undefined {
    return this.writePath.log.whenDurable(sequence);
  }

  /** Pinned and consistent; the caller closes it. */
  snapshot(): Snapshot {
    return new Snapshot(this.views, this.writePath.lastSequence);
  }

  /** Damage that a scan met: takes the table out of service. Harmless for other errors. */
  reportDamage(error: unknown): void {
    if (error instanceof CorruptionError && error.file !== "")
      void this.supervise(this.quarantine.replace(error.file));
  }

  /** Everything applied so far into tables. */
  async flush(): Promise<void> {
    this.refuseStopped();
    if (this.views.current.active.entryCount > 0) this.writePath.freeze(0, 0);
    await this.flusher.drained();
    if (this.failure !== undefined) throw this.failure;
  }

  /** Everything in tables into one level. */
  async compact(): Promise<void> {
    await this.flush();
    await this.compactor.compactAll();
  }

  /** Of which keys the truth is unknown; disjoint, in key order. */
  get lostRanges(): readonly LostRange[] {
    return this.views.current.lostRanges;
  }

  /** Called when a table was found damaged, in the turn in which what it lost is known and no reader is answered from it any more. */
  onDamage(listener: (damage: Damage) => void): void {
    this.damageListeners.push(listener);
  }

  /**
   * What was lost in these ranges, up to their sequences, is here again as far as it is anywhere: absence is absence from now on, and an older entry that was
   * left is the newest. The caller has applied all before, and deleted what must not come back. Settles when that is durable.
   */
  async healed(ranges: readonly LostRange[]): Promise<void> {
    this.refuseStopped();
    if (this.options.fsync === "os") await this.flush();
    await this.writePath.log.whenDurable(this.writePath.lastSequence);
    await this.manifest.append(
      () => ({ healed: ranges }),
      () =>
        this.views.swap({
          ...this.views.current,
          lostRanges: this.manifest.state.levels.lostRanges,
        }),
    );
  }

  /** Reads every table from the disk again (C24). */
  scrub(onProgress?: (progress: ScrubProgress) => void): Promise<ScrubResult> {
    this.refuseStopped();
    return this.scrubber.all(this.options.scrubBytesPerSecond, onProgress);
  }

  get scrubProgress(): ScrubProgress {
    return this.scrubber.progress;
  }

  onFailure(listener: (error: HutchError) => void): void {
    this.failureListeners.push(listener);
  }

  /** Writes and syncs what is pending, ends the background work, closes all files. True when nothing was left undone. */
  async close(): Promise<boolean> {
    this.isClosing = true;
    this.ageTimer?.cancel();
    this.space.stop();
    this.admission.wake();
    this.quarantine.stop();
    this.scrubber.stop();
    this.diskSnapshots.stop();
    // A compaction may take minutes more; what it writes after the manifest is closed is an orphan, and removed at the next start.
    const background = this.compactor.stop().then(() => this.exclusive);
    await this.forAWhile(background);
    await this.flusher.stop();
    await this.writePath.log.close();
    const isRecorded = await this.recordEnd();
    await this.manifest.close();
    this.isClosed = true;
    this.views.closeAll();
    return isRecorded && this.failure === undefined;
  }

  /** A timer that is left over would keep a process that has nothing else to do. */
  private async forAWhile(background: Promise<unknown>): Promise<void> {
    const { promise: isLate, resolve } = Promise.withResolvers<void>();
    const timer = this.ports.clock.after(CLOSE_WAIT_MS, resolve);
    await Promise.race([background.catch(() => undefined), isLate]);
    timer.cancel();
  }

  /** How far the log must reach at the next start: a tail that is lost while the node is down does not go unnoticed. */
  private async recordEnd(): Promise<boolean> {
    if (this.failure !== undefined) return false;
    const { syncedSequence } = this.writePath.log;
    try {
      await this.manifest.append(
        () => ({ durableSequence: syncedSequence }),
        () => undefined,
      );
      return true;
    } catch (error) {
      if (!isPassing(error)) this.fail(toFailure(error));
      return false;
    }
  }

  stats(): StoreStats {
    const { views, manifest, writePath, flusher, compactor, quarantine, admission, space } = this;
    const parts = { views, manifest, writePath, flusher, compactor, quarantine, admission, space };
    return statsOf(parts);
  }

  /** How long things take. */
  get times(): StoreTimes {
    return timesOf(this.readTimes, this.writePath, this.flusher, this.compactor);
  }

  private makeWritePath(owner: StoreOwner, lastSequence: number): WritePath {
    const { ports, options, manifest } = this;
    return new WritePath(
      {
        ports,
        options,
        owner,
        manifest,
        onFrozen: (frozen) => this.flusher.add(frozen),
        onFailure: (error) => this.fail(error),
        onDiskFull: () => this.space.check(),
      },
      lastSequence,
    );
  }

  private makeParts(): StoreParts {
    const { ports, options, manifest, views } = this;
    return {
      ports,
      options,
      manifest,
      views,
      openOutputs: (outputs) => this.tables.openOutputs(outputs),
      appendOr: (opened, edit) => this.tables.appendOr(opened, edit),
      levelsOf: (opened) => this.tables.levelsOf(opened),
      fail: (error) => this.fail(error),
      exclusively: (work) => this.exclusively(work),
    };
  }

  /** At start: what does not open is quarantined before anything is served. */
  private async openTables(): Promise<void> {
    const readMode = this.wasClean ? this.options.readMode : "read";
    for (const file of this.tables.openAll(readMode)) await this.quarantine.replace(file);
  }

  /** After an unclean stop: tables are read, not mapped, until each has been verified (C12g). */
  private async verifyAll(): Promise<void> {
    await this.supervise(this.scrubber.all(this.options.compactionBytesPerSecond));
  }

  private exclusively<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.exclusive.then(work, work);
    this.exclusive = turn.catch(() => undefined);
    return turn;
  }

  private afterFlush(): void {
    if (this.writePath.isMemtableFull) this.writePath.tryFreeze();
    this.admission.wake();
    this.compactor.kick();
  }

  private spaceChanged(state: SpaceGuard["state"]): void {
    this.ports.logger.warn("disk_space", {
      state,
      freeBytes: this.space.freeBytes,
      totalBytes: this.space.totalBytes,
    });
  }

  private startTimers(): void {
    this.space.start();
    this.checkAge();
    this.scrubber.start();
  }

  /** A memtable that is old enough is flushed even when it is small, so that no log segment lives for ever. */
  private checkAge(): void {
    const { active } = this.views.current;
    const age = this.ports.clock.monoMs() - active.createdMs;
    if (active.entryCount > 0 && age >= this.options.memtableAgeMs && this.failure === undefined)
      this.freezeOld();
    this.ageTimer = this.ports.clock.after(Math.max(100, this.options.memtableAgeMs / 4), () =>
      this.checkAge(),
    );
  }

  private freezeOld(): void {
    try {
      this.writePath.freeze(0, 0);
    } catch (error) {
      if (!(error instanceof HutchError)) throw error;
    }
  }

  /** Background work whose failure stops the store instead of going unheard. */
  private async supervise(work: Promise<unknown>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.backgroundFailed(error);
    }
  }

  private backgroundFailed(error: unknown): void {
    if (!this.isClosing) this.fail(toFailure(error));
  }

  private refuseStopped(): void {
    if (this.failure !== undefined)
      throw new HutchError("unavailable", `Cannot use the store: ${this.failure.message}`, {
        retry: "safe",
        cause: this.failure,
      });
    if (this.isClosing)
      throw new HutchError("shutting-down", "Cannot use the store: it is closing", {
        retry: "safe",
      });
  }

  private fail(error: HutchError): void {
    if (this.failure !== undefined || this.isClosed) return;
    this.failure = error;
    this.ports.logger.error("store_failed", { code: error.code, reason: error.message });
    this.admission.wake();
    for (const listener of this.failureListeners) listener(error);
  }
}
