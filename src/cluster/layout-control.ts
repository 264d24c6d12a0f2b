/**
 * How people change the ring (R57): what administration and the joining of nodes ask of `LayoutManager`. Every change is staged first, shown, and then
 * applied as the next version.
 */
import type { NodeId } from "../gossip/member.ts";
import type { LayoutState } from "../ring/layout-state.ts";
import type { Layout } from "../ring/layout.ts";
import type { LayoutChange } from "../ring/staged-changes.ts";

export type { LayoutChange } from "../ring/staged-changes.ts";

/** A change of the ring that is being carried out. */
export interface ChangeProgress {
  /** The version that nodes are on their way to. */
  readonly version: number;
  /** The version that reads still use. */
  readonly readVersion: number;
  readonly nodes: number;
  /** How many have no operation under way that ignores the version. */
  readonly acknowledged: number;
  /** How many have handed over all that they hold. */
  readonly synced: number;
  /** Handovers of this node: pairs of a partition and a node that gets a copy of it. */
  readonly transfersDone: number;
  readonly transfersTotal: number;
  readonly bytesSent: number;
  /** Members that are not up and hold the change back. */
  readonly waitingFor: readonly NodeId[];
}

export interface LayoutControl {
  state(): LayoutState;
  /** Copies wanted per partition. */
  readonly n: number;
  /** Settles when it is on disk here; the others learn of it by and by. */
  stage(changes: readonly LayoutChange[]): Promise<void>;
  /**
   * Makes the staged changes the layout `version`, which must be the newest plus one. Rejects with `layout-conflict` for another version, where nothing
   * is staged, or where a majority of the members does not agree (unless `isForced`), and with `would-underreplicate`.
   */
  apply(version: number, options?: { readonly isForced?: boolean }): Promise<Layout>;
  /** Settles a version with several contents by going on with the one before; else drops what is staged; with nothing staged and a change under way, goes back to the layout before it, as a new version. */
  revert(): Promise<void>;
  /** `undefined` where all is settled. */
  progress(): ChangeProgress | undefined;
}
