/**
 * The layout versions that have not retired, and what each is said to contain (R57).
 *
 * A version is made by one node, agreed by a majority, so it has one content. Where people force it two nodes may make one each; then
 * both are kept, neither counts, and a newer version settles it. Such a version keeps its place until it retires: a content that were
 * forgotten would come back with the next node that knows nothing else.
 *
 * Invariants: versions `floor`..`newestVersion` are all here, at most `ACTIVE_LAYOUTS_MAX`; a version has 1..`CONTENTS_MAX` contents, the
 * lowest hash first. At the floor the first content counts however many there are: whoever let go of everything before had all nodes
 * with it.
 *
 * A join semilattice: the higher floor wins, and with it what its holders say of the floor; above it, the union of contents. Both sides have
 * every version from their floor on, and the one with the newest reaches down to within `ACTIVE_LAYOUTS_MAX` of it, so the union has
 * no gaps and keeps the bound.
 */
import { HutchError } from "../base/errors.ts";
import { compareBytes } from "../base/bytes.ts";
import { encodeLayout, type Layout, layoutHash } from "./layout.ts";
import { ACTIVE_LAYOUTS_MAX } from "./layout-trackers.ts";

/** Of more contents of one version, those with the lowest hashes are kept. */
export const CONTENTS_MAX = 4;

export interface LayoutContent {
  readonly layout: Layout;
  readonly bytes: Uint8Array;
  readonly hash: number;
}

export function contentOf(layout: Layout): LayoutContent {
  return { layout, bytes: encodeLayout(layout), hash: layoutHash(layout) };
}

/** The order in which contents of one version are kept. */
export function compareContents(a: LayoutContent, b: LayoutContent): number {
  return a.hash - b.hash || compareBytes(a.bytes, b.bytes);
}

export class LayoutHistory {
  readonly floor: number;
  /** By version, from the floor on. */
  readonly versions: readonly (readonly LayoutContent[])[];
  /** The layouts that count, the oldest first; never empty. */
  readonly active: readonly Layout[];
  /** The ids of all members of all contents. */
  readonly ids: ReadonlySet<string>;

  constructor(floor: number, versions: readonly (readonly LayoutContent[])[]) {
    this.floor = floor;
    this.versions = versions;
    this.active = versions.flatMap((contents, at) =>
      at === 0 || contents.length === 1 ? [contents[0]!.layout] : [],
    );
    this.ids = new Set(versions.flat().flatMap(({ layout }) => layout.members.map(({ id }) => id)));
  }

  static first(layout: Layout): LayoutHistory {
    return new LayoutHistory(layout.version, [[contentOf(layout)]]);
  }

  /** Conflicts count: their number is taken. */
  get newestVersion(): number {
    return this.floor + this.versions.length - 1;
  }

  get q(): number {
    return this.active[0]!.q;
  }

  of(version: number): readonly LayoutContent[] {
    return this.versions[version - this.floor] ?? [];
  }

  /** Versions with more than one content and nothing newer that counts. */
  conflicts(): Map<number, readonly Layout[]> {
    const settled = this.active.at(-1)!.version;
    const conflicts = new Map<number, readonly Layout[]>();
    for (let version = settled; version <= this.newestVersion; version++) {
      const contents = this.of(version);
      if (contents.length > 1)
        conflicts.set(
          version,
          contents.map(({ layout }) => layout),
        );
    }
    return conflicts;
  }

  /** With `layout`, the version after the newest. Unchanged where it is here already; throws `layout-conflict` for any other version. */
  with(layout: Layout): LayoutHistory {
    const content = contentOf(layout);
    if (this.of(layout.version).some((known) => compareContents(known, content) === 0)) return this;
    const cannot = `Cannot apply layout version ${layout.version}`;
    if (layout.version !== this.newestVersion + 1)
      throw new HutchError(
        "layout-conflict",
        `${cannot}: version ${this.newestVersion} is the newest, make the next one from it`,
      );
    if (this.versions.length === ACTIVE_LAYOUTS_MAX)
      throw new HutchError(
        "layout-conflict",
        `${cannot}: ${ACTIVE_LAYOUTS_MAX} versions have not retired, wait until all nodes have synced`,
        { retry: "safe" },
      );
    return new LayoutHistory(this.floor, [...this.versions, [content]]);
  }

  /** Without versions below `floor`, which is one that counts. */
  from(floor: number): LayoutHistory {
    return new LayoutHistory(floor, this.versions.slice(floor - this.floor));
  }

  merge(other: LayoutHistory): LayoutHistory {
    if (other.q !== this.q)
      throw new HutchError(
        "wrong-cluster",
        `Cannot merge layouts: ${other.q} partitions there, ${this.q} here`,
      );
    const floor = Math.max(this.floor, other.floor);
    const newest = Math.max(this.newestVersion, other.newestVersion);
    const versions: (readonly LayoutContent[])[] = [];
    for (let version = floor; version <= newest; version++) {
      const sides = [this, other].filter((side) => version > floor || side.floor === floor);
      versions.push(lowest(sides.flatMap((side) => side.of(version))));
    }
    return new LayoutHistory(floor, versions);
  }
}

function lowest(contents: readonly LayoutContent[]): readonly LayoutContent[] {
  const sorted = [...contents].sort(compareContents);
  const distinct = sorted.filter(
    (content, at) => at === 0 || compareContents(sorted[at - 1]!, content) !== 0,
  );
  return distinct.slice(0, CONTENTS_MAX);
}
