/**
 * What happens to a table that does not verify (C13): it is taken out of service, what can be read of it is written to a new table in
 * its place, and the key ranges that could not be read are remembered as lost. The damaged file stays as NAME.corrupt.
 *
 * Also the scrub (C24), which reads every table from the disk again, and, after an unclean stop, decides which may be mapped (C12g).
 */
import { messageOf } from "../base/errors.ts";
import type { SalvageJob, SalvageResult } from "./compaction/salvage-table.ts";
import type { VerifyJob, VerifyResult } from "./compaction/verify-table.ts";
import { isPassing } from "./failure.ts";
import { fileName, quarantinedName } from "./file-names.ts";
import type { StoreParts } from "./store-parts.ts";
import type { TableMetadata } from "./table/table-metadata.ts";

export interface ScrubResult {
  readonly tables: number;
  readonly bytes: number;
  readonly damaged: number;
}

export class Quarantine {
  private readonly parts: StoreParts;
  private readonly onDamage: (file: string) => void;
  private readonly inWork = new Set<string>();
  private isStopped = false;
  quarantinedCount = 0;

  constructor(parts: StoreParts, onDamage: (file: string) => void) {
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

  /** Reads every table again. `bytesPerSecond` 0: as fast as it goes. */
  async scrub(bytesPerSecond: number): Promise<ScrubResult> {
    let tables = 0;
    let bytes = 0;
    let damaged = 0;
    for (const metadata of this.parts.manifest.state.levels.tables.flat()) {
      if (this.isStopped) break;
      const result = await this.verifyNow(metadata, bytesPerSecond);
      if (result === undefined) continue;
      tables++;
      bytes += result.bytes;
      if (result.damage.length > 0) {
        damaged++;
        await this.replace(fileName("table", metadata.id));
      } else this.allowMap(metadata.id);
    }
    return { tables, bytes, damaged };
  }

  /** `undefined` as well where no descriptor is left to read with. */
  private async verifyNow(
    table: TableMetadata,
    bytesPerSecond: number,
  ): Promise<VerifyResult | undefined> {
    try {
      return await this.verify(table, bytesPerSecond);
    } catch (error) {
      if (isPassing(error)) return undefined;
      throw error;
    }
  }

  /** `undefined` for a table that a compaction has replaced meanwhile. */
  private verify(table: TableMetadata, bytesPerSecond: number): Promise<VerifyResult | undefined> {
    return this.parts.exclusively(async () => {
      if (this.find(fileName("table", table.id)) === undefined) return undefined;
      return this.parts.ports.workers.run<VerifyJob, VerifyResult>("verify", {
        table,
        bytesPerSecond,
      });
    });
  }

  private allowMap(id: number): void {
    if (this.parts.options.readMode !== "map") return;
    const table = this.parts.views.current.levels.flat().find((open) => open.metadata.id === id);
    if (table !== undefined && !table.isMapped) table.switchToMap();
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
    this.onDamage(name);
    this.quarantinedCount++;
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
