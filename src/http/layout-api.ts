/**
 * What the REST face needs of a node to change the ring (R57): the layout with what is staged and what it would move, and the changes themselves.
 * Nodes go by the names that people gave them.
 */
import type { Job } from "./admin-api.ts";

export interface LayoutApi {
  show(): Promise<LayoutSummary>;
  /** The layout as it would be shown with `changes` staged too; nothing is staged. */
  preview(changes: readonly ChangeRequest[]): Promise<LayoutSummary>;
  stage(changes: readonly ChangeRequest[]): Promise<LayoutSummary>;
  /** Settles when the nodes have agreed on the version; the job lasts until all have followed. */
  apply(version: number, options: ChangeOptions): Promise<Job>;
  revert(): Promise<LayoutSummary>;
  /** Stages one change and applies it. */
  changeNode(change: NodeChange, options: ChangeOptions): Promise<Job>;
}

export interface ChangeOptions {
  /** Where it would be refused for being unwise. */
  readonly isForced: boolean;
}

export interface Zone {
  readonly dc: string;
  readonly rack: string;
  readonly host: string;
}

/** One staged change; `id` is a name or 16 hex digits. */
export interface ChangeRequest {
  readonly id: string;
  readonly weight?: number | undefined;
  /** What is left out stays. */
  readonly zone?: { readonly [Part in keyof Zone]?: string | undefined } | undefined;
  readonly action?: "join" | "leave" | "remove" | "replace" | "none" | undefined;
  /** The node that takes the place of `id`, in a `replace`. */
  readonly with?: string | undefined;
}

export interface NodeChange {
  readonly id: string;
  readonly action: "leave" | "remove" | "replace";
  readonly with?: string | undefined;
}

export interface LayoutSummary {
  readonly version: number;
  /** Partitions. */
  readonly q: number;
  /** Copies of each. */
  readonly n: number;
  readonly nodes: readonly LayoutNode[];
  readonly staged: readonly StagedChange[];
  /** Versions that were made twice, differently (R57). */
  readonly conflicts: readonly Readonly<Record<string, unknown>>[];
  /** How far the nodes are on their way to a version; `null` where all is settled. */
  readonly change: ChangeSummary | null;
  readonly spread: SpreadSummary;
  /** What the staged changes would do; only where something is staged. */
  readonly preview?: PreviewSummary;
}

export interface LayoutNode {
  readonly id: string;
  readonly zone: Zone;
  readonly weight: number;
  readonly partitions: number;
}

export interface StagedChange {
  readonly id: string;
  readonly action: "join" | "leave" | "remove" | "update";
  readonly weight?: number;
  readonly zone?: Zone;
  /** The node whose place the joining one takes. */
  readonly replaces?: string;
}

export interface ChangeSummary {
  readonly version: number;
  readonly readVersion: number;
  readonly nodes: number;
  readonly acknowledged: number;
  readonly synced: number;
  /** Of the node that answers: copies of partitions handed over. */
  readonly transfers: { readonly done: number; readonly total: number };
  readonly bytesSent: number;
  /** Nodes that are not up and hold the change back. */
  readonly waitingFor: readonly string[];
}

/** Of so many data centres, racks and hosts are the copies of a partition. */
export interface SpreadCounts {
  readonly dcs: number;
  readonly racks: number;
  readonly hosts: number;
}

export interface SpreadSummary {
  /** What could be, with these nodes. */
  readonly widest: SpreadCounts;
  /** Of the worst partition, level by level. */
  readonly least: SpreadCounts;
  /** Partitions whose spread is not what it could be. */
  readonly below: readonly number[];
}

export interface PreviewSummary {
  /** The version to apply. */
  readonly version: number;
  /** Copies of partitions that move, and about how many bytes. */
  readonly moves: { readonly partitions: number; readonly bytes: number };
  readonly nodes: readonly {
    readonly id: string;
    readonly before: number;
    readonly after: number;
    readonly incoming: number;
    readonly outgoing: number;
    readonly bytesIn: number;
  }[];
  readonly spread: { readonly before: SpreadSummary; readonly after: SpreadSummary };
  /** Why it would be refused unless forced. */
  readonly objections: readonly { readonly code: string; readonly detail: string }[];
}
