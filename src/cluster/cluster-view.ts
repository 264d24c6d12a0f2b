/**
 * What this node believes of the cluster at one moment: layouts and members together, immutable, pinned by each operation (DESIGN.md section 3). The
 * gossip service swaps in the next one.
 *
 *   readLayout   whom reads ask, who mints, who stands in: the oldest active layout until everybody has handed over to a newer one (R58)
 *   layout       the newest: where the cluster is going to
 *   layouts      all active ones: a write needs its acknowledgements among the owners of each
 *
 * Nearly always they are one and the same. Ownership comes from layouts alone; liveness only says who is asked and who stands in (R50).
 */
import type { Member, NodeId } from "../gossip/member.ts";
import type { LayoutState } from "../ring/layout-state.ts";
import type { Layout, LayoutMember } from "../ring/layout.ts";
import { preferenceList } from "../ring/preference-list.ts";
import { type Copies, type CopiesNow, copiesByBucket, copiesIn } from "./copies.ts";

export class ClusterView {
  readonly state: LayoutState;
  readonly layout: Layout;
  readonly readLayout: Layout;
  /** The oldest first. */
  readonly layouts: readonly Layout[];
  readonly self: NodeId;
  /** By node id; the node itself included, its own phase as it tells the others. */
  readonly members: ReadonlyMap<NodeId, Member>;
  /** Members of any active layout, without those that are gone for ever. */
  readonly planned: ReadonlyMap<NodeId, LayoutMember>;
  /** Buckets of which the active layouts say how many copies they have. */
  private readonly copiesNow: ReadonlyMap<string, CopiesNow>;

  constructor(state: LayoutState, self: NodeId, members: ReadonlyMap<NodeId, Member>) {
    this.state = state;
    this.layout = state.newest;
    this.readLayout = state.readLayout;
    this.layouts = state.layouts;
    this.self = self;
    this.members = members;
    const { planned, copiesNow } = factsOf(state);
    this.planned = planned;
    this.copiesNow = copiesNow;
  }

  /** Nodes that counts of replicas are limited by (R6). */
  get nodeCount(): number {
    return this.readLayout.members.length;
  }

  /** Is ownership on its way from one layout to another? */
  get isChanging(): boolean {
    return this.layouts.length > 1;
  }

  /** Some layout names this node; while it joins none does, and nobody waits for what it does. */
  get isMember(): boolean {
    return this.planned.has(this.self);
  }

  /** The newest layout does not name this node any more: it hands over what it has, and ends. */
  get isLeaving(): boolean {
    return this.isMember && !idsOf(this.layout).has(this.self);
  }

  /** Of how many owners quorums are counted now (R6). */
  effectiveN(copies: Copies): number {
    return Math.min(copiesIn(this.readLayout, copies), this.nodeCount);
  }

  /** How many copies the keys of a bucket have, in each layout. */
  copiesOf({ name, properties }: NamedBucket): Copies {
    return this.copiesNow.get(name)?.copies ?? properties.n;
  }

  /** What its n is to be; until then the layouts go by what it was. */
  wantedN({ name, properties }: NamedBucket): number {
    return this.copiesNow.get(name)?.n ?? properties.n;
  }

  /** Every node of the layout that reads use, owners first, then fallbacks in ring order; each once. */
  walk(partition: number): readonly NodeId[] {
    return preferenceList(this.readLayout, partition);
  }

  /** Whom reads ask, and who mints. */
  owners(partition: number, copies: Copies): readonly NodeId[] {
    return firstOf(this.walk(partition), copiesIn(this.readLayout, copies));
  }

  /** Who is to own the partition. */
  nextOwners(partition: number, copies: Copies): readonly NodeId[] {
    return ownersIn(this.layout, partition, copies);
  }

  /** The owners in each active layout, those of `owners` first; equal sets once. A node that is gone for ever still counts as an owner that is down. */
  ownerSets(partition: number, copies: Copies): readonly (readonly NodeId[])[] {
    return this.ownership(partition, copies).sets;
  }

  /** Owners in any active layout: whoever may hold the partition's keys. */
  holders(partition: number, copies: Copies): readonly NodeId[] {
    return this.ownership(partition, copies).holders;
  }

  private ownership(partition: number, copies: Copies): Ownership {
    const known = ownershipsOf(this.state, copies);
    return (known[partition] ??= this.findOwnership(partition, copies));
  }

  private findOwnership(partition: number, copies: Copies): Ownership {
    const sets = this.distinctSets(partition, copies);
    return { sets, holders: sets.length === 1 ? sets[0]! : [...new Set(sets.flat())] };
  }

  private distinctSets(partition: number, copies: Copies): readonly (readonly NodeId[])[] {
    const sets = [this.owners(partition, copies)];
    if (!this.isChanging) return sets;
    for (const layout of this.layouts) {
      const set = ownersIn(layout, partition, copies);
      if (!sets.some((known) => isSameSet(known, set))) sets.push(set);
    }
    return sets;
  }

  isUp(node: NodeId): boolean {
    if (node === this.self) return true;
    const member = this.members.get(node);
    return member !== undefined && member.liveness !== "down" && member.record.phase !== "left";
  }

  /** Its word about absences counts and it may mint (D4, R4). */
  isServing(node: NodeId): boolean {
    const member = this.members.get(node);
    return member !== undefined && this.isUp(node) && member.record.phase === "serving";
  }

  incarnationOf(node: NodeId): number {
    return this.members.get(node)?.record.incarnation ?? 0;
  }

  /** As people know it. */
  nameOf(node: NodeId): string {
    return this.members.get(node)?.record.name ?? this.planned.get(node)?.name ?? node;
  }
}

interface NamedBucket {
  readonly name: string;
  readonly properties: { readonly n: number };
}

interface LayoutFacts {
  readonly planned: ReadonlyMap<NodeId, LayoutMember>;
  readonly copiesNow: ReadonlyMap<string, CopiesNow>;
}

function idsOf(layout: Layout): ReadonlySet<NodeId> {
  let ids = idsOfLayouts.get(layout);
  if (ids === undefined)
    idsOfLayouts.set(layout, (ids = new Set(layout.members.map(({ id }) => id))));
  return ids;
}

const idsOfLayouts = new WeakMap<Layout, ReadonlySet<NodeId>>();

/** Who owns one partition, for one number of copies. */
interface Ownership {
  readonly sets: readonly (readonly NodeId[])[];
  readonly holders: readonly NodeId[];
}

/** Kept with the state of the layouts, because every operation asks: by number of copies and partition. Of more numbers, those asked for last. */
const COPIES_KEPT_MAX = 16;
const ownershipsOfStates = new WeakMap<LayoutState, Map<Copies, Ownership[]>>();

function ownershipsOf(state: LayoutState, copies: Copies): Ownership[] {
  let kept = ownershipsOfStates.get(state);
  if (kept === undefined) ownershipsOfStates.set(state, (kept = new Map()));
  let known = kept.get(copies);
  if (known !== undefined) return known;
  if (kept.size >= COPIES_KEPT_MAX) kept.clear();
  known = new Array<Ownership>(state.newest.q);
  kept.set(copies, known);
  return known;
}

/** Views come and go with every word of gossip, layouts do not. */
function factsOf(state: LayoutState): LayoutFacts {
  let facts = factsOfStates.get(state);
  if (facts === undefined) {
    facts = { planned: state.members, copiesNow: copiesByBucket(state.layouts) };
    factsOfStates.set(state, facts);
  }
  return facts;
}

const factsOfStates = new WeakMap<LayoutState, LayoutFacts>();

/** The owners in one layout. */
export function ownersIn(layout: Layout, partition: number, copies: Copies): readonly NodeId[] {
  return firstOf(preferenceList(layout, partition), copiesIn(layout, copies));
}

function firstOf(list: readonly NodeId[], n: number): readonly NodeId[] {
  return n >= list.length ? list : list.slice(0, n);
}

function isSameSet(a: readonly NodeId[], b: readonly NodeId[]): boolean {
  return a.length === b.length && a.every((node) => b.includes(node));
}
