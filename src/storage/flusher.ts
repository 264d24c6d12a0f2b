/**
 * Turns frozen memtables into level-0 tables, oldest first, one at a time.
 *
 *   worker writes and syncs the table -> manifest edit (table in, segment out) -> view swap -> segment unlinked (C9)
 *
 * A full disk is waited out: memtable and segment stay. Any other failure stops the store (row 86).
 */
import { HutchError, messageOf } from "../base/errors.ts";
import { Histogram } from "../base/metrics.ts";
import { isPassing, toFailure } from "./failure.ts";
import { fileName } from "./file-names.ts";
import type { FlushJob } from "./memory/flush-memtable.ts";
import type { StoreParts } from "./store-parts.ts";
import type { Table } from "./table/table.ts";
import type { TableMetadata } from "./table/table-metadata.ts";
import type { FrozenMemtable } from "./write-path.ts";

const RETRY_MS = 1000;

const ended = (): HutchError =>
  new HutchError("shutting-down", "Cannot flush: the store has stopped", { retry: "safe" });

export class Flusher {
  private readonly parts: StoreParts;
  private readonly onFlushed: () => void;
  private queue: FrozenMemtable[] = [];
  private running: Promise<void> | undefined;
  private isStopped = false;
  private ending: PromiseWithResolvers<void> | undefined;
  flushCount = 0;
  flushedBytes = 0;
  readonly times = new Histogram();

  constructor(parts: StoreParts, onFlushed: () => void) {
    this.parts = parts;
    this.onFlushed = onFlushed;
  }

  get queueLength(): number {
    return this.queue.length;
  }

  add(frozen: FrozenMemtable): void {
    this.queue.push(frozen);
    if (this.isStopped) return;
    this.running ??= this.run();
  }

  /** Settles when all that is frozen now is in tables, or the flusher was stopped. */
  async drained(): Promise<void> {
    while (this.running !== undefined) await this.running;
  }

  /** Settles with the flush in work; rejects where the disk does not take it just now, for those who do not wait, and where it will not end. */
  next(): Promise<void> {
    if (this.running === undefined) return Promise.reject(ended());
    this.ending ??= Promise.withResolvers<void>();
    return this.ending.promise;
  }

  private tellWaiting(failure?: unknown): void {
    const { ending } = this;
    this.ending = undefined;
    if (failure === undefined) ending?.resolve();
    else ending?.reject(failure);
  }

  /** Lets the flush in flight end; what is still frozen is replayed from the log at the next start. */
  async stop(): Promise<void> {
    this.isStopped = true;
    await this.drained();
  }

  private async run(): Promise<void> {
    try {
      while (this.queue.length > 0 && !this.isStopped) await this.flushFirst();
    } catch (error) {
      this.parts.fail(toFailure(error));
    } finally {
      this.running = undefined;
      this.tellWaiting(ended());
    }
  }

  private async flushFirst(): Promise<void> {
    const { clock, logger } = this.parts.ports;
    try {
      await this.flush(this.queue[0]!);
      this.queue.shift();
      this.onFlushed();
      this.tellWaiting();
    } catch (error) {
      if (!isPassing(error)) throw error;
      this.tellWaiting(error);
      logger.warn("flush_postponed", { reason: messageOf(error) });
      await clock.sleep(RETRY_MS);
    }
  }

  private async flush(frozen: FrozenMemtable): Promise<void> {
    const { ports, options, manifest } = this.parts;
    const { memtable } = frozen;
    const startMs = ports.clock.monoMs();
    const metadata = await ports.workers.run<FlushJob, TableMetadata | undefined>("flush", {
      memory: memtable.bytes.buffer as SharedArrayBuffer, // made by Memtable
      usedWords: memtable.usedWords,
      tableId: manifest.reserveFileIds(1),
      blockBytes: options.blockBytes,
    });
    const opened = this.parts.openOutputs(metadata === undefined ? [] : [metadata]);
    await frozen.registered;
    await this.parts.appendOr(
      opened,
      manifest.append(
        () => ({
          added: metadata === undefined ? [] : [{ level: 0, table: metadata }],
          removedWalIds: [memtable.walId],
          flushedSequence: frozen.lastSequence,
        }),
        () => this.install(frozen, opened),
      ),
    );
    this.flushCount++;
    this.times.record(ports.clock.monoMs() - startMs);
    this.flushedBytes += metadata?.fileBytes ?? 0;
    ports.disk.unlink(fileName("wal", memtable.walId));
  }

  private install(frozen: FrozenMemtable, opened: readonly Table[]): void {
    const { views } = this.parts;
    const { current } = views;
    views.swap({
      ...current,
      frozen: current.frozen.filter((memtable) => memtable !== frozen.memtable),
      levels: this.parts.levelsOf(opened),
    });
  }
}
