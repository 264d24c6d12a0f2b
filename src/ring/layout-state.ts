/**
 * All that a cluster has to agree on about its ring, as one value that merges (R57, R58): the layout versions that have not retired, how far each
 * node is with them, who is lost for ever, and what changes are staged.
 *
 *   stage    changes are registers by node id, on top of the newest version
 *   apply    `next` makes a version from the newest and the changes, `withLayout` makes it active; a majority must have agreed before
 *   work     each node reports ack, sync, syncAck (`layout-trackers.ts`) by `report`
 *   retire   `retired` lets go of versions that nobody needs; whoever was a member of these only is gone for ever
 *
 * A join semilattice: `merge` is commutative, associative and idempotent, so that states which nodes exchange in any order become
 * equal, down to their bytes. What makes it one: versions above a floor that only rises (`layout-history.ts`); progress and removals only
 * grow; staged changes count on one version only, so those of a side that knows a newer one win as a whole.
 *
 * A state travels as a whole: whoever knows what a node reported knows every version that the node knew when it did. That is why nobody can
 * retire a version under a node that still reads from it.
 *
 * A value never changes; a change that changes nothing returns the same value.
 */
import { assert } from "../base/assert.ts";
import { readU32 } from "../base/byte-reader.ts";
import { equalBytes } from "../base/bytes.ts";
import { HutchError } from "../base/errors.ts";
import { stateDigest } from "../kernels/kernels.ts";
import { ACTIVE_LAYOUTS_MAX, HISTORY_VERSIONS_MAX, LayoutHistory } from "./layout-history.ts";
import {
  decodeFacts,
  encodeFacts,
  type LayoutFacts,
  PROGRESS_MAX,
  REMOVED_MAX,
} from "./layout-state-codec.ts";
import {
  furthest,
  isSameProgress,
  LayoutTrackers,
  NO_PROGRESS,
  type Progress,
} from "./layout-trackers.ts";
import type { CopiesChange, Layout, LayoutMember } from "./layout.ts";
import { lostBy, nextLayout } from "./next-layout.ts";
import {
  assertEncodable,
  changedNode,
  type ChangeStamp,
  type LayoutChange,
  mergeStaged,
  onTopOf,
  STAGED_MAX,
} from "./staged-changes.ts";

export class LayoutState {
  readonly trackers: LayoutTrackers;
  private readonly facts: LayoutFacts;
  private encoded: Uint8Array | undefined;
  private digest: number;

  private constructor(facts: LayoutFacts) {
    this.facts = facts;
    this.trackers = new LayoutTrackers(facts.history.active, facts.progress, facts.removed);
    this.encoded = undefined;
    this.digest = -1;
  }

  /** Of a cluster whose ring was never changed. */
  static first(layout: Layout): LayoutState {
    return new LayoutState({
      history: LayoutHistory.first(layout),
      progress: new Map(),
      removed: new Map(),
      staged: new Map(),
    });
  }

  /** Throws `DecodeError`. Reads a bare layout too, the form from before there were several. */
  static decode(bytes: Uint8Array): LayoutState {
    return new LayoutState(normal(decodeFacts(bytes)));
  }

  /** Not to be changed. */
  encode(): Uint8Array {
    this.encoded ??= encodeFacts(this.facts);
    return this.encoded;
  }

  /** 32 bits of all of it: nodes with equal ones need not exchange anything. */
  get hash(): number {
    if (this.digest === -1) this.digest = readU32(stateDigest(this.encode()), 0);
    return this.digest;
  }

  /** The active layouts, the oldest first: a write needs its W in each of them. */
  get layouts(): readonly Layout[] {
    return this.trackers.layouts;
  }

  /** The newest active one. */
  get newest(): Layout {
    return this.trackers.newest;
  }

  /** The one that reads, minting and preference lists use. */
  get readLayout(): Layout {
    return this.trackers.readVersion();
  }

  /** The version that `next` and `nextAs` make. Numbers of versions in conflict are taken. */
  get nextVersion(): number {
    return this.facts.history.newestVersion + 1;
  }

  /** Contents of each version that has more than one, as long as no newer version is active. */
  get conflicts(): ReadonlyMap<number, readonly Layout[]> {
    return this.facts.history.conflicts();
  }

  /** The version that each id was gone with; no id comes back. */
  get removed(): ReadonlyMap<string, number> {
    return this.facts.removed;
  }

  /** By node id. */
  get staged(): ReadonlyMap<string, LayoutChange> {
    const wanted = [...this.facts.staged].filter(([, { change }]) => change.kind !== "none");
    return new Map(wanted.map(([node, { change }]) => [node, change]));
  }

  /** By id, everybody in any active layout, as the newest that names it has it. */
  get members(): ReadonlyMap<string, LayoutMember> {
    const members = new Map<string, LayoutMember>();
    for (const layout of this.layouts)
      for (const member of layout.members)
        if (!this.removed.has(member.id)) members.set(member.id, member);
    return members;
  }

  /** What to hand to `withLayout` with the layout of `next`: members that the staged changes declare lost. */
  get lost(): readonly string[] {
    const { ids } = this.facts.history;
    return [...new Set(lostBy([...this.staged.values()]))].filter((id) => ids.has(id));
  }

  merge(other: LayoutState): LayoutState {
    if (other === this) return this;
    const history = this.facts.history.merge(other.facts.history);
    const sides = [this.facts, other.facts];
    const latest = sides.filter((side) => side.history.newestVersion === history.newestVersion);
    const merged = new LayoutState(
      normal({
        history,
        progress: union(furthest, ...sides.map(({ progress }) => progress)),
        removed: union(Math.max, ...sides.map(({ removed }) => removed)),
        staged: mergeStaged(...latest.map(({ staged }) => staged.values())),
      }),
    );
    return equalBytes(merged.encode(), this.encode()) ? this : merged;
  }

  /**
   * With `changes` staged on top of the newest version; a later stamp wins over an earlier one, `none` takes back. Throws `layout-conflict` for a
   * node that is gone for ever, and above `STAGED_MAX` nodes. What people typed is checked before.
   */
  stage(changes: readonly LayoutChange[], stamp: ChangeStamp): LayoutState {
    const { staged } = this.facts;
    for (const change of changes) {
      assertEncodable(change);
      if (change.kind === "join") this.expectNotGone(change.member.id, "stage the join of");
    }
    const added = changes.map((change) => ({
      stamp,
      change: onTopOf(staged.get(changedNode(change))?.change, change),
    }));
    const nodes = new Set([...staged.keys(), ...changes.map(changedNode)]);
    if (nodes.size > STAGED_MAX)
      throw new HutchError(
        "layout-conflict",
        `Cannot stage changes of ${nodes.size} nodes: ${STAGED_MAX} are possible, apply some first`,
      );
    return this.with({ staged: mergeStaged(staged.values(), added) });
  }

  private expectNotGone(node: string, attempt: string): void {
    const version = this.removed.get(node);
    if (version === undefined) return;
    throw new HutchError(
      "layout-conflict",
      `Cannot ${attempt} node "${node}": it is gone for ever since layout version ${version}, it may join anew with an empty data directory`,
    );
  }

  /** The layout that the staged changes give, with `n` copies wanted. Throws `layout-conflict` where nothing is staged or a conflict is not settled. */
  next(n: number): Layout {
    const [conflict] = this.conflicts.keys();
    const cannot = `Cannot make layout version ${this.nextVersion}`;
    if (conflict !== undefined)
      throw new HutchError(
        "layout-conflict",
        `${cannot}: version ${conflict} has several contents, choose one first`,
      );
    const changes = [...this.staged.values()];
    if (changes.length === 0 && !this.newest.members.some(({ id }) => this.removed.has(id)))
      throw new HutchError("layout-conflict", `${cannot}: nothing is staged`);
    const { newest, nextVersion: version, removed } = this;
    return nextLayout({ newest, version, n, changes, removed });
  }

  /** The assignment of `layout` as the next version: to go back to it, to choose it out of several, or to give a bucket another number of copies. */
  nextAs({ q, n, members, owners }: Layout, copies?: CopiesChange): Layout {
    return { version: this.nextVersion, q, n, members, owners, ...(copies && { copies }) };
  }

  /**
   * With `layout`, made by `next` or `nextAs` (a vote may have raised its version), active too, nothing staged, and `lost` gone for ever. Unchanged
   * where it is here already. Throws `layout-conflict` where it is not newer than all, too many versions have not retired, or it brings a node
   * back too late.
   */
  withLayout(layout: Layout, lost: readonly string[] = []): LayoutState {
    if (this.facts.history.has(layout)) return this;
    const isUrgent = lost.length > 0 || this.conflicts.size > 0;
    const versionsMax = isUrgent ? HISTORY_VERSIONS_MAX : ACTIVE_LAYOUTS_MAX;
    const history = this.facts.history.with(layout, versionsMax);
    this.expectNobodyBack(layout);
    const gone = new Map(lost.map((id) => [id, layout.version]));
    const removed = union(Math.max, this.removed, gone);
    return this.with({ history, removed, staged: new Map() });
  }

  /**
   * A node on its way out may stay only until reads have left its last version. From then on others may have let it go, and tell it so, before
   * they hear that it was to stay.
   */
  private expectNobodyBack(layout: Layout): void {
    const lastVersions = new Map<string, number>();
    for (const { version, members } of this.layouts)
      for (const { id } of members) lastVersions.set(id, version);
    for (const { id } of layout.members) {
      const last = lastVersions.get(id);
      if (last === this.newest.version) continue;
      this.expectNotGone(id, "bring back");
      if (last !== undefined && last < this.readLayout.version)
        throw new HutchError(
          "layout-conflict",
          `Cannot bring back node "${id}": it is leaving, and all nodes have synced without it`,
        );
    }
  }

  /**
   * With what `node` has reached; what it had reached stays. Reports of those who are no members, or gone, change nothing. Once anybody knows that
   * all have synced a version, the history up to it is fixed.
   */
  report(node: string, reached: Partial<Progress>): LayoutState {
    const { history, progress, removed } = this.facts;
    if (!history.ids.has(node) || removed.has(node)) return this;
    const known = progress.get(node) ?? NO_PROGRESS;
    const now = furthest(known, { ...NO_PROGRESS, ...reached });
    assert(
      Math.max(now.ack, now.sync, now.syncAck) <= history.newestVersion,
      "a node reports versions that there are",
    );
    if (isSameProgress(known, now)) return this;
    const fixed = history.fixedTo(this.trackers.newestAmong(now.syncAck).version);
    return this.with({ history: fixed, progress: new Map(progress).set(node, now) });
  }

  /** Without the versions that nobody needs any more. Whoever was a member of these only is gone for ever: it has handed over all it had. */
  retired(): LayoutState {
    const floor = this.trackers.oldestNeeded().version;
    if (floor === this.layouts[0]!.version) return this;
    const history = this.facts.history.from(floor);
    const left = [...this.facts.history.ids].filter((id) => !history.ids.has(id));
    const removed = union(Math.max, new Map(left.map((id) => [id, floor])), this.removed);
    return this.with({ history, removed });
  }

  private with(facts: Partial<LayoutFacts>): LayoutState {
    return new LayoutState(normal({ ...this.facts, ...facts }));
  }
}

/** Within its bounds, and without the progress of nodes that are gone. */
function normal({ history, progress, removed, staged }: LayoutFacts): LayoutFacts {
  const kept = newestRemovals(removed);
  const waitedFor = [...progress].filter(([id]) => !kept.has(id));
  return { history, progress: lowestIds(waitedFor), removed: kept, staged };
}

function lowestIds(progress: [string, Progress][]): ReadonlyMap<string, Progress> {
  if (progress.length <= PROGRESS_MAX) return new Map(progress);
  return new Map(progress.sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, PROGRESS_MAX));
}

function newestRemovals(removed: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  if (removed.size <= REMOVED_MAX) return removed;
  const newestFirst = [...removed].sort(([a, v], [b, w]) => w - v || (a < b ? -1 : 1));
  return new Map(newestFirst.slice(0, REMOVED_MAX));
}

/** Every key of any of them; where several have it, what `join` makes of their values. */
function union<T>(
  join: (a: T, b: T) => T,
  ...sides: readonly ReadonlyMap<string, T>[]
): Map<string, T> {
  const all = new Map<string, T>();
  for (const side of sides)
    for (const [key, value] of side) {
      const known = all.get(key);
      all.set(key, known === undefined ? value : join(known, value));
    }
  return all;
}
