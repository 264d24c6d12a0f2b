/** What the background work of a store shares: its world, its manifest, its views, and how to open a table and to give up. */
import type { HutchError } from "../base/errors.ts";
import type { Manifest } from "./levels/manifest.ts";
import type { StoreOptions } from "./options.ts";
import type { StorePorts } from "./store-ports.ts";
import type { ViewOwner } from "./store-view.ts";
import type { Table } from "./table/table.ts";
import type { TableMetadata } from "./table/table-metadata.ts";

export interface StoreParts {
  readonly ports: StorePorts;
  readonly options: StoreOptions;
  readonly manifest: Manifest;
  readonly views: ViewOwner;
  /** Tables that a job has just written; all or none are open. */
  openOutputs(outputs: readonly TableMetadata[]): readonly Table[];
  /** Awaits the edit that installs `opened`; when it fails, they and their files are let go. */
  appendOr(opened: readonly Table[], edit: Promise<void>): Promise<void>;
  /** The manifest's levels as open tables: those of the current view and `opened`. */
  levelsOf(opened: readonly Table[]): readonly (readonly Table[])[];
  /** A disk that cannot be trusted: the store stops. Only the first call counts. */
  fail(error: HutchError): void;
  /** One at a time: compaction, quarantine and scrub never change the levels under each other. */
  exclusively<T>(work: () => Promise<T>): Promise<T>;
}
