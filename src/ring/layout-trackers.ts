/**
 * While ownership changes: how far each node is with the active layout versions (R58; the algorithm is Garage's).
 *
 *   ack(v)       no operation of mine that is under way ignores v
 *   sync(v)      I have pushed everything I hold to its owners in v; started after all had acknowledged v
 *   syncAck(v)   I know that all have synced v
 *
 * Writes go to the owners of every active version. Reads use the newest version that all nodes have synced. All, not a majority of the owners in
 * the older versions: under a sloppy quorum a write may rest on fallbacks and in hints alone, so no majority of owners is sure to hold it.
 * Versions older than the newest of which all know that all have synced it retire: nobody reads from them any more, and nobody holds anything
 * that only they would find.
 *
 * A node has acknowledged and synced what is older than the first active version that names it: it coordinated nothing and holds nothing from
 * then. So a node that joins does not take reads back to a version that others have left. It has to say syncAck itself: until it knows
 * better, it reads from the oldest version it has heard of. A node that is lost for good (`removed`) is not waited for.
 *
 * A value never changes; every change makes a new one.
 */
import { assert } from "../base/assert.ts";
import type { Layout } from "./layout.ts";

/** How far one node is: layout versions, 0 for none. */
export interface Progress {
  readonly ack: number;
  readonly sync: number;
  readonly syncAck: number;
}
export type Tracker = keyof Progress;

export const NO_PROGRESS: Progress = { ack: 0, sync: 0, syncAck: 0 };

export class LayoutTrackers {
  /** The active layouts, the oldest first; never empty. Versions may be left out. */
  readonly layouts: readonly Layout[];
  /** As reported; nodes that are not waited for are passed over. */
  readonly progress: ReadonlyMap<string, Progress>;
  /** The nodes that are waited for: members of any active layout, any of which may be writing or holding something. */
  readonly nodes: ReadonlySet<string>;
  private readonly firstVersions: ReadonlyMap<string, number>;
  private readonly read: Layout;

  constructor(
    layouts: readonly Layout[],
    progress: ReadonlyMap<string, Progress> = new Map(),
    removed: { has(node: string): boolean } = new Set(),
  ) {
    assert(layouts.length >= 1, "a layout is active");
    this.layouts = layouts;
    this.progress = progress;
    this.firstVersions = firstVersionsOf(layouts, removed);
    this.nodes = new Set(this.firstVersions.keys());
    this.read = this.newestAmong(this.syncedByAll());
  }

  get newest(): Layout {
    return this.layouts.at(-1)!; // never empty
  }

  /** How far `node` is: what it reported, or what goes without saying. */
  of(node: string): Progress {
    const reported = this.progress.get(node) ?? NO_PROGRESS;
    const before = (this.firstVersions.get(node) ?? 1) - 1;
    return furthest(reported, { ack: before, sync: before, syncAck: 0 });
  }

  /** The nodes that have not come as far as `version`: those that hold it back. */
  behind(tracker: Tracker, version: number): string[] {
    return [...this.nodes].filter((node) => this.of(node)[tracker] < version);
  }

  /** Every write under way anywhere reaches the owners in this version: pushing for it may start. */
  ackedByAll(): number {
    return this.least("ack");
  }

  /** What a node that knows this may report as its `syncAck`. */
  syncedByAll(): number {
    return this.least("sync");
  }

  /** The layout that reads use. */
  readVersion(): Layout {
    return this.read;
  }

  /** The oldest layout that anybody needs: what is older may retire. */
  oldestNeeded(): Layout {
    return this.newestAmong(this.least("syncAck"));
  }

  private least(tracker: Tracker): number {
    let least = this.newest.version;
    for (const node of this.nodes) least = Math.min(least, this.of(node)[tracker]);
    return least;
  }

  /** The newest up to `version`, else the oldest there is. */
  newestAmong(version: number): Layout {
    return this.layouts.findLast((layout) => layout.version <= version) ?? this.layouts[0]!;
  }
}

function firstVersionsOf(
  layouts: readonly Layout[],
  removed: { has(node: string): boolean },
): Map<string, number> {
  const first = new Map<string, number>();
  for (const { version, members } of layouts)
    for (const { id } of members) if (!first.has(id) && !removed.has(id)) first.set(id, version);
  return first;
}

/** The maximum per tracker: reports may come in any order and any number of times. */
export function furthest(a: Progress, b: Progress): Progress {
  return {
    ack: Math.max(a.ack, b.ack),
    sync: Math.max(a.sync, b.sync),
    syncAck: Math.max(a.syncAck, b.syncAck),
  };
}

export function isSameProgress(a: Progress, b: Progress): boolean {
  return a.ack === b.ack && a.sync === b.sync && a.syncAck === b.syncAck;
}
