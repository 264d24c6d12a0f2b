/**
 * What happens to a table that does not verify (C13): it is taken out of service, what can be read of it is written to a new table in
 * its place, and the key ranges that could not be read are remembered as lost. The damaged file stays as NAME.corrupt. Nothing bad is ever copied
 * forward: a compaction that meets damage stops, and is picked anew when the table has been replaced (C11).
 */
import { messageOf } from "../base/errors.ts";
import type { SalvageJob, SalvageResult } from "./compaction/salvage-table.ts";
import { isPassing } from "./failure.ts";
import { fileName, quarantinedName } from "./file-names.ts";
import type { LostRange } from "./levels/lost-ranges.ts";
import type { StoreParts } from "./store-parts.ts";
import type { TableMetadata } from "./table/table-metadata.ts";

/** A table was taken out of service. */
export interface Damage {
  readonly file: string;
  /** What of it could not be read; empty where only what is made again was damaged. */
  readonly lostRanges: readonly LostRange[];
}

export class Quarantine {
  private readonly parts: StoreParts;
  private readonly onDamage: (damage: Damage) => void;
  private readonly inWork = new Set<string>();
  private isStopped = false;
  quarantinedCount = 0;

  /** @param onDamage what is lost is remembered by then, and no reader is answered from it any more */
  constructor(parts: StoreParts, onDamage: (damage: Damage) => void) {
    this.parts = parts;
    this.onDamage = onDamage;
  }

  stop(): void {
    this.isStopped = true;
  }

  /** Replaces the table in `file`; harmless for a file that is no table of the store any more, and when called twice. */
  async replace(file: string): Promise<void> {
    if (this.inWork.has(file) || this.isStopped) return;
    this.inWork.add(file);
    try {
      await this.parts.exclusively(async () => {
        const found = this.find(file);
        if (found !== undefined) await this.salvage(found.level, found.table);
      });
    } catch (error) {
      // It stays where it is: reads of its damaged blocks fail one by one, and the next one asks for this again.
      if (!isPassing(error)) throw error;
      this.parts.ports.logger.warn("quarantine_postponed", { file, reason: messageOf(error) });
    } finally {
      this.inWork.delete(file);
    }
  }

  private find(file: string): { level: number; table: TableMetadata } | undefined {
    const { tables } = this.parts.manifest.state.levels;
    for (let level = 0; level < tables.length; level++)
      for (const table of tables[level]!)
        if (fileName("table", table.id) === file) return { level, table };
    return undefined;
  }

  private async salvage(level: number, table: TableMetadata): Promise<void> {
    const { ports, options, manifest, views } = this.parts;
    const name = fileName("table", table.id);
    ports.logger.error("table_damaged", { file: name });
    const { output, lost } = await ports.workers.run<SalvageJob, SalvageResult>("salvage", {
      input: table,
      outputId: manifest.reserveFileIds(1),
      blockBytes: options.blockBytes,
      bytesPerSecond: 0,
    });
    const opened = this.parts.openOutputs(output === undefined ? [] : [output]);
    await this.parts.appendOr(
      opened,
      manifest.append(
        () => ({
          removed: [table.id],
          added: output === undefined ? [] : [{ level, table: output }],
          lostRanges: lost,
        }),
        () => {
          const { current } = views;
          const removed = current.levels.flat().filter((open) => open.metadata.id === table.id);
          this.setAside(name);
          const lostRanges = manifest.state.levels.lostRanges;
          views.swap({ ...current, levels: this.parts.levelsOf(opened), lostRanges }, removed);
          this.quarantinedCount++;
          this.onDamage({ file: name, lostRanges: lost });
        },
      ),
    );
    ports.logger.error("table_quarantined", { file: name, lostRanges: lost.length, level });
  }

  private setAside(name: string): void {
    const { disk, logger } = this.parts.ports;
    try {
      if (disk.sizeOf(name) < 0) return;
      disk.rename(name, quarantinedName(name));
      disk.syncDirectory("");
    } catch (error) {
      logger.warn("quarantine_rename_failed", { file: name, reason: messageOf(error) });
    }
  }
}
