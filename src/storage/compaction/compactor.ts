/**
 * Keeps the levels in shape: picks, merges in a worker, installs; one compaction at a time.
 *
 *   pick -> worker writes and syncs the outputs -> manifest edit (outputs in, inputs out) -> view swap -> inputs unlinked after the last pin
 *
 * A damaged input is handed to the quarantine and the pick is made anew; a full disk is waited out.
 */
import { CorruptionError, messageOf } from "../../base/errors.ts";
import { Histogram } from "../../base/metrics.ts";
import { isPassing, toFailure } from "../failure.ts";
import type { CompactJob } from "../jobs.ts";
import { LEVEL_COUNT } from "../levels/levels.ts";
import type { StoreParts } from "../store-parts.ts";
import type { MergeResult } from "./merge-tables.ts";
import type { Compaction } from "./pick-compaction.ts";
import { pickCompaction, pickFullCompaction, rangeOf } from "./pick-compaction.ts";

const RETRY_MS = 5000;
/** Damage that the quarantine cannot mend must not make a busy loop. */
const CORRUPTION_RETRY_MS = 100;
/** Output tables that one compaction may write. */
const OUTPUTS_MAX = 10_000;

export class Compactor {
  private readonly parts: StoreParts;
  private readonly quarantine: (file: string) => Promise<void>;
  private readonly cursors: (Uint8Array | undefined)[] = Array.from(
    { length: LEVEL_COUNT },
    () => undefined,
  );
  private readonly onInstalled: () => void;
  private running: Promise<void> | undefined;
  private isStopped = false;
  compactionCount = 0;
  bytesRead = 0;
  bytesWritten = 0;
  readonly times = new Histogram();

  constructor(
    parts: StoreParts,
    quarantine: (file: string) => Promise<void>,
    onInstalled: () => void,
  ) {
    this.parts = parts;
    this.quarantine = quarantine;
    this.onInstalled = onInstalled;
  }

  get isRunning(): boolean {
    return this.running !== undefined;
  }

  /** Something may have to be done now. */
  kick(): void {
    if (this.isStopped) return;
    this.running ??= this.run();
  }

  /** Merges everything into one level; also what drops all that retention lets go. */
  async compactAll(): Promise<void> {
    await this.drained();
    await this.parts.exclusively(() =>
      this.compact(pickFullCompaction(this.parts.manifest.state.levels)),
    );
  }

  async drained(): Promise<void> {
    while (this.running !== undefined) await this.running;
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    await this.drained();
  }

  private async run(): Promise<void> {
    try {
      while (!this.isStopped && (await this.compactOnce())) continue;
    } catch (error) {
      this.parts.fail(toFailure(error));
    } finally {
      this.running = undefined;
    }
  }

  /** False when nothing needs to be done. */
  private async compactOnce(): Promise<boolean> {
    try {
      return await this.parts.exclusively(() => {
        const { manifest, options } = this.parts;
        return this.compact(pickCompaction(manifest.state.levels, options, this.cursors));
      });
    } catch (error) {
      if (error instanceof CorruptionError) {
        await this.quarantine(error.file);
        await this.parts.ports.clock.sleep(CORRUPTION_RETRY_MS);
      } else if (isPassing(error)) {
        this.parts.ports.logger.warn("compaction_postponed", { reason: messageOf(error) });
        await this.parts.ports.clock.sleep(RETRY_MS);
      } else throw error;
      return true;
    }
  }

  private async compact(compaction: Compaction | undefined): Promise<boolean> {
    if (compaction === undefined) return false;
    const { ports } = this.parts;
    const startMs = ports.clock.monoMs();
    const result = await ports.workers.run<CompactJob, MergeResult>(
      "compact",
      this.jobOf(compaction),
    );
    await this.install(compaction, result);
    this.cursors[compaction.sourceLevel] = rangeOf(compaction.inputs).largest;
    this.compactionCount++;
    this.times.record(ports.clock.monoMs() - startMs);
    this.bytesRead += result.bytesRead;
    this.bytesWritten += result.bytesWritten;
    this.onInstalled();
    return true;
  }

  private jobOf(compaction: Compaction): CompactJob {
    const { options, manifest } = this.parts;
    const isBehind = manifest.state.levels.tables[0]!.length >= options.level0Slowdown / 2;
    return {
      inputs: compaction.inputs,
      firstOutputId: manifest.reserveFileIds(OUTPUTS_MAX),
      outputIdCount: OUTPUTS_MAX,
      tableBytesMax: options.tableBytes,
      blockBytes: options.blockBytes,
      isBottommost: compaction.isBottommost,
      bytesPerSecond: isBehind ? 0 : options.compactionBytesPerSecond,
      retention: options.retention(),
    };
  }

  private async install(compaction: Compaction, result: MergeResult): Promise<void> {
    const { manifest, views } = this.parts;
    const opened = this.parts.openOutputs(result.outputs);
    const removedIds = compaction.inputs.map((table) => table.id);
    await this.parts.appendOr(
      opened,
      manifest.append(
        () => ({
          removed: removedIds,
          added: result.outputs.map((table) => ({ level: compaction.targetLevel, table })),
        }),
        () => {
          const { current } = views;
          const removed = current.levels
            .flat()
            .filter((table) => removedIds.includes(table.metadata.id));
          views.swap({ ...current, levels: this.parts.levelsOf(opened) }, removed);
        },
      ),
    );
  }
}
