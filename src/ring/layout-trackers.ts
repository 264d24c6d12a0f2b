/**
 * While ownership changes: which layout versions are active, and how far each node is with them (R58; the algorithm is Garage's).
 *
 *   ack(v)       no write of mine that is under way ignores v
 *   sync(v)      I have pushed everything I hold to its owners in v; started after all had acknowledged v
 *   syncAck(v)   I know that all have synced v
 *
 * Writes go to the owners of every active version. Reads use the newest version r such that, in every older one, a majority of the owners of
 * each partition has synced r: whatever a majority acknowledged in the older version has reached the owners in r. A version retires
 * when all know that all have synced a newer one: nobody reads from it any more, and nobody holds anything that only it would find.
 *
 * Trackers only grow, and merge by the maximum per node, so gossip can bring them in any order and any number of times. A value never changes;
 * every change makes a new one. A node that is lost for good holds its versions back until somebody answers for it with `report`.
 */
import { assert } from "../base/assert.ts";
import { HutchError } from "../base/errors.ts";
import type { Layout } from "./layout.ts";

/** How far one node is: layout versions, 0 for none. */
export interface Progress {
  readonly ack: number;
  readonly sync: number;
  readonly syncAck: number;
}

const NO_PROGRESS: Progress = { ack: 0, sync: 0, syncAck: 0 };
/** Above it, a new layout waits until older ones have retired. */
export const ACTIVE_LAYOUTS_MAX = 8;

export class LayoutTrackers {
  /** The active layouts, the oldest first; never empty. */
  readonly layouts: readonly Layout[];
  readonly progress: ReadonlyMap<string, Progress>;
  /** Members of any active layout: any of them may be writing or holding something. */
  readonly nodes: ReadonlySet<string>;
  private knownReadLayout: Layout | undefined;

  constructor(layouts: readonly Layout[], progress: ReadonlyMap<string, Progress> = new Map()) {
    assert(layouts.length >= 1 && layouts.length <= ACTIVE_LAYOUTS_MAX, "1..8 layouts are active");
    this.layouts = layouts;
    this.progress = progress;
    this.nodes = new Set(layouts.flatMap(({ members }) => members.map(({ id }) => id)));
    this.knownReadLayout = undefined;
  }

  get newest(): Layout {
    return this.layouts.at(-1)!; // never empty
  }

  /** With `layout` active too. Throws `layout-conflict` where too many still are; a version that is not newer changes nothing. */
  withLayout(layout: Layout): LayoutTrackers {
    if (layout.version <= this.newest.version) return this;
    if (this.layouts.length === ACTIVE_LAYOUTS_MAX)
      throw new HutchError(
        "layout-conflict",
        `Cannot activate layout version ${layout.version}: ${ACTIVE_LAYOUTS_MAX} versions are active, wait until nodes have synced`,
        { retry: "safe" },
      );
    return new LayoutTrackers([...this.layouts, layout], this.progress);
  }

  of(node: string): Progress {
    return this.progress.get(node) ?? NO_PROGRESS;
  }

  /** With what `node` is known to have reached; what it had already stays. */
  report(node: string, reached: Partial<Progress>): LayoutTrackers {
    return this.merge(new Map([[node, { ...NO_PROGRESS, ...reached }]]));
  }

  /** With the maximum of both, per node and tracker. Nodes of no active layout are left out. */
  merge(theirs: ReadonlyMap<string, Progress>): LayoutTrackers {
    const merged = new Map(this.progress);
    let isChanged = false;
    for (const [node, reached] of theirs) {
      if (!this.nodes.has(node)) continue;
      const mine = this.of(node);
      const both = furthest(mine, reached);
      if (isSame(mine, both)) continue;
      merged.set(node, both);
      isChanged = true;
    }
    return isChanged ? new LayoutTrackers(this.layouts, merged) : this;
  }

  /** Every write under way anywhere reaches the owners in this version: pushing for it may start. */
  ackedByAll(): number {
    return this.least("ack");
  }

  /** What a node that knows this may report as its `syncAck`. */
  syncedByAll(): number {
    return this.least("sync");
  }

  private least(tracker: keyof Progress): number {
    let least = Number.POSITIVE_INFINITY;
    for (const node of this.nodes) least = Math.min(least, this.of(node)[tracker]);
    return least;
  }

  /** A write needs its W in the owner set of each of these; a node in several counts for each. */
  writeVersions(): readonly Layout[] {
    return this.layouts;
  }

  /** The layout that reads use. */
  readVersion(): Layout {
    this.knownReadLayout ??= this.layouts.findLast((layout, at) =>
      this.layouts.slice(0, at).every((older) => this.hasHandedOver(older, layout.version)),
    )!; // the oldest always qualifies
    return this.knownReadLayout;
  }

  /** Whether a majority of the owners of every partition of `older` has synced `version`. */
  private hasHandedOver(older: Layout, version: number): boolean {
    const { n, members, owners } = older;
    const hasSynced = members.map(({ id }) => this.of(id).sync >= version);
    const quorum = Math.floor(n / 2) + 1;
    for (let start = 0; start < owners.length; start += n) {
      let synced = 0;
      for (let at = start; at < start + n; at++) if (hasSynced[owners[at]!]) synced++;
      if (synced < quorum) return false;
    }
    return true;
  }

  /** Active layouts that nobody needs any more. */
  retirable(): readonly Layout[] {
    const known = this.least("syncAck");
    return this.layouts.filter((layout) => layout.version < known && layout !== this.newest);
  }

  /** Without what is retirable, and without nodes that are in no active layout any more. */
  retire(): LayoutTrackers {
    const retired = this.retirable();
    if (retired.length === 0) return this;
    const { nodes } = new LayoutTrackers(this.layouts.slice(retired.length));
    const progress = [...this.progress].filter(([node]) => nodes.has(node));
    return new LayoutTrackers(this.layouts.slice(retired.length), new Map(progress));
  }
}

function furthest(a: Progress, b: Progress): Progress {
  return {
    ack: Math.max(a.ack, b.ack),
    sync: Math.max(a.sync, b.sync),
    syncAck: Math.max(a.syncAck, b.syncAck),
  };
}

function isSame(a: Progress, b: Progress): boolean {
  return a.ack === b.ack && a.sync === b.sync && a.syncAck === b.syncAck;
}
