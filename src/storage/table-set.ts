/** Opens the tables that the manifest lists, keeps a view's tables open from one to the next, and lets go of outputs that were not installed. */
import { CorruptionError } from "../base/errors.ts";
import { isPassing } from "./failure.ts";
import { fileName } from "./file-names.ts";
import type { Manifest } from "./levels/manifest.ts";
import type { StoreOptions } from "./options.ts";
import type { StorePorts } from "./store-ports.ts";
import type { ViewOwner } from "./store-view.ts";
import { BlockCache } from "./table/block-cache.ts";
import { type ReadMode, Table } from "./table/table.ts";
import type { TableMetadata } from "./table/table-metadata.ts";

export class TableSet {
  private readonly ports: StorePorts;
  private readonly options: StoreOptions;
  private readonly manifest: Manifest;
  private readonly views: ViewOwner;
  private readonly cache: BlockCache;

  constructor(ports: StorePorts, options: StoreOptions, manifest: Manifest, views: ViewOwner) {
    this.ports = ports;
    this.options = options;
    this.manifest = manifest;
    this.views = views;
    this.cache = new BlockCache(options.blockCacheBytes);
  }

  private open(metadata: TableMetadata, mode: ReadMode): Table {
    const { cache, ports } = this;
    const { compression } = ports;
    return Table.open(ports.disk, metadata, { mode, cache, compression });
  }

  /** At start: all that the manifest lists. Returns the files that are damaged; what does not open is in no view. */
  openAll(mode: ReadMode): readonly string[] {
    const opened: Table[] = [];
    const damaged: string[] = [];
    for (const metadata of this.manifest.state.levels.tables.flat()) {
      const file = fileName("table", metadata.id);
      try {
        const table = this.open(metadata, mode);
        opened.push(table);
        if (table.isBloomDamaged) damaged.push(file); // rewriting it loses nothing
      } catch (error) {
        if (!(error instanceof CorruptionError)) throw error;
        this.ports.logger.error("table_not_opened", { file, reason: error.message });
        damaged.push(file);
      }
    }
    this.views.swap({ ...this.views.current, levels: this.levelsOf(opened) });
    return damaged;
  }

  /** Tables that a job has just written; all or none are open. */
  openOutputs(outputs: readonly TableMetadata[]): readonly Table[] {
    const opened: Table[] = [];
    try {
      for (const metadata of outputs) opened.push(this.open(metadata, this.options.readMode));
      return opened;
    } catch (error) {
      this.discard(opened, outputs);
      throw error;
    }
  }

  /** See `StoreParts`. */
  async appendOr(opened: readonly Table[], edit: Promise<void>): Promise<void> {
    try {
      await edit;
    } catch (error) {
      // After a failed sync nobody knows whether the manifest names them: then the files stay.
      const outputs = isPassing(error) ? opened.map((table) => table.metadata) : [];
      this.discard(opened, outputs);
      throw error;
    }
  }

  private discard(opened: readonly Table[], outputs: readonly TableMetadata[]): void {
    for (const table of opened) table.close();
    for (const { id } of outputs) this.ports.disk.unlink(fileName("table", id));
  }

  /** See `StoreParts`. */
  levelsOf(opened: readonly Table[]): readonly (readonly Table[])[] {
    const byId = new Map(
      this.views.current.levels.flat().map((table) => [table.metadata.id, table]),
    );
    for (const table of opened) byId.set(table.metadata.id, table);
    return this.manifest.state.levels.tables.map((tables) =>
      tables.flatMap((metadata) => byId.get(metadata.id) ?? []),
    );
  }
}
