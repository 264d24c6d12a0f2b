/**
 * The layout versions that have not retired, and what each is said to contain (R57).
 *
 * A version is made by one node, agreed by a majority, so it has one content. Where people force it two nodes may make one each; then
 * both are kept, neither counts, and a newer version settles it. Such a version keeps its place until it retires: a content that were
 * forgotten would come back with the next node that knows nothing else. Numbers may be left out: a vote that nobody won costs one.
 *
 *   floor    versions below it have retired
 *   fixed    some node knows that all have synced it: up to here, what its holders do not know of can never count. So the layout that
 *            reads use never goes back, whoever turns up late with whatever
 *
 * Invariants: versions ascend from the floor on; each has 1..`CONTENTS_MAX` contents, the lowest hash first; floor <= fixed <= newest. Of the
 * oldest the first content counts however many there are, so that there is always a layout to go by.
 *
 * A join semilattice: both limits rise to the higher one; above `fixed` a version has the contents of both sides, up to it those of sides
 * that hold it to be fixed.
 */
import { HutchError } from "../base/errors.ts";
import { compareBytes } from "../base/bytes.ts";
import { encodeLayout, type Layout, layoutHash } from "./layout.ts";

/** A change of the ring waits while so many versions have not retired; unless it clears away what would hold them up for ever. */
export const ACTIVE_LAYOUTS_MAX = 8;
/** Versions forced on several sides at once come to more than `ACTIVE_LAYOUTS_MAX`; above this the oldest are given up. */
export const HISTORY_VERSIONS_MAX = 32;
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
  readonly fixed: number;
  /** The contents of each version, the oldest first. */
  readonly versions: readonly (readonly LayoutContent[])[];
  /** The layouts that count, the oldest first; never empty. */
  readonly active: readonly Layout[];
  /** The ids of all members of all contents. */
  readonly ids: ReadonlySet<string>;

  constructor(floor: number, fixed: number, versions: readonly (readonly LayoutContent[])[]) {
    this.floor = floor;
    this.fixed = fixed;
    this.versions = versions;
    this.active = versions.flatMap((contents, at) =>
      at === 0 || contents.length === 1 ? [contents[0]!.layout] : [],
    );
    this.ids = new Set(versions.flat().flatMap(({ layout }) => layout.members.map(({ id }) => id)));
  }

  static first(layout: Layout): LayoutHistory {
    return new LayoutHistory(layout.version, layout.version, [[contentOf(layout)]]);
  }

  /** Conflicts count: their number is taken. */
  get newestVersion(): number {
    return versionOf(this.versions.at(-1)!); // never empty
  }

  get q(): number {
    return this.active[0]!.q;
  }

  /** Versions with more than one content and nothing newer that counts. */
  conflicts(): Map<number, readonly Layout[]> {
    const settled = this.active.at(-1)!.version;
    const open = this.versions.filter(
      (contents) => contents.length > 1 && versionOf(contents) >= settled,
    );
    return new Map(
      open.map((contents) => [versionOf(contents), contents.map(({ layout }) => layout)]),
    );
  }

  has(layout: Layout): boolean {
    const content = contentOf(layout);
    return this.versions.flat().some((known) => compareContents(known, content) === 0);
  }

  /** With a newer version. Throws `layout-conflict` for one that is not newer, and where too many have not retired. */
  with(layout: Layout, versionsMax = ACTIVE_LAYOUTS_MAX): LayoutHistory {
    const cannot = `Cannot apply layout version ${layout.version}`;
    if (layout.version <= this.newestVersion)
      throw new HutchError(
        "layout-conflict",
        `${cannot}: version ${this.newestVersion} is there already, make the next one from it`,
      );
    if (this.versions.length >= versionsMax)
      throw new HutchError(
        "layout-conflict",
        `${cannot}: ${this.versions.length} versions have not retired, wait until all nodes have synced`,
        { retry: "safe" },
      );
    return new LayoutHistory(this.floor, this.fixed, [...this.versions, [contentOf(layout)]]);
  }

  /** Without versions below `floor`, which is one that counts. */
  from(floor: number): LayoutHistory {
    const kept = this.versions.filter((contents) => versionOf(contents) >= floor);
    return new LayoutHistory(floor, Math.max(floor, this.fixed), kept);
  }

  /** With everything up to `version`, which is one that counts, for certain. */
  fixedTo(version: number): LayoutHistory {
    return version <= this.fixed ? this : new LayoutHistory(this.floor, version, this.versions);
  }

  /** Throws `wrong-cluster` where q differs. */
  merge(other: LayoutHistory): LayoutHistory {
    if (other.q !== this.q)
      throw new HutchError(
        "wrong-cluster",
        `Cannot merge layouts: ${other.q} partitions there, ${this.q} here`,
      );
    const floor = Math.max(this.floor, other.floor);
    const fixed = Math.max(this.fixed, other.fixed);
    const counting = [this, other].flatMap((side) =>
      side.versions.filter((contents) => {
        const version = versionOf(contents);
        return version >= floor && (version > fixed || version <= side.fixed);
      }),
    );
    const versions = byVersion(counting.flat()).slice(-HISTORY_VERSIONS_MAX);
    return new LayoutHistory(floor, fixed, versions);
  }
}

/** Sorted, each content once, the lowest of each version. */
function byVersion(contents: readonly LayoutContent[]): LayoutContent[][] {
  const sorted = [...contents].sort(compareContents);
  const versions = new Map<number, LayoutContent[]>();
  for (const content of sorted) {
    const { version } = content.layout;
    const known = versions.get(version) ?? [];
    versions.set(version, known);
    const isNew = known.length === 0 || compareContents(known.at(-1)!, content) !== 0;
    if (isNew && known.length < CONTENTS_MAX) known.push(content);
  }
  return [...versions].sort(([a], [b]) => a - b).map(([, kept]) => kept);
}

function versionOf(contents: readonly LayoutContent[]): number {
  return contents[0]!.layout.version; // a version has a content
}
