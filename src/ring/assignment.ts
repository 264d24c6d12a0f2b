/**
 * Makes a layout: which members own which partitions (D1, R55, R56).
 *
 * Always: every partition has min(n, members) distinct owners, no set of as many members is spread wider over dc, rack and host, every member
 * owns its share by weight rounded down or up, as far as that spread allows (`shares.ts`), and is first among the owners in its share of
 * them (`owner-order.ts`). The same input gives the same layout; nothing is random.
 *
 *   without a previous layout   lay the runs of `shares.ts` round a circle: few distinct sets of owners (R56). Neighbours on the circle come
 *                               far apart on the ring, so that a node's partitions have fallbacks of all kinds
 *   with a previous one         1. keep every owner that is still a member and fits the spread
 *                               2. fill what is missing with whoever is furthest below its share
 *                               3. even out by shortest chains of replacements (`balance.ts`, `owner-sets.ts`)
 *
 * So a join moves what the new node gets, a leave what the old one had, and a change of zones or weights not much more than it must.
 */
import { assert } from "../base/assert.ts";
import { balance } from "./balance.ts";
import { LAYOUT_MEMBERS_MAX, REPLICAS_MAX, WEIGHT_MAX } from "./layout.ts";
import type { Layout, LayoutMember } from "./layout.ts";
import { orderOwners } from "./owner-order.ts";
import { OwnerSets } from "./owner-sets.ts";
import { partitionBitsOf } from "./partition.ts";
import { shareBounds, shareOut, widestSpread } from "./shares.ts";
import type { Run } from "./shares.ts";
import { ZoneCover, zoneLevels } from "./zones.ts";

export interface LayoutRequest {
  readonly version: number;
  readonly q: number;
  /** Owners wanted per partition; fewer members give fewer. */
  readonly n: number;
  /** In any order. */
  readonly members: readonly LayoutMember[];
  /** With the same q; as much of it as can stay stays. */
  readonly previous?: Layout;
}

export function assignLayout({ version, q, n, members, previous }: LayoutRequest): Layout {
  assert(Number.isInteger(n) && n >= 1 && n <= REPLICAS_MAX, "n is in 1..15");
  assert(partitionBitsOf(q) > 0, "q is a power of two");
  const sorted = inOrder(members);
  const replicaCount = Math.min(n, sorted.length);
  const spread = widestSpread(sorted, replicaCount);
  const runs = shareOut(sorted, spread);
  const sets = new OwnerSets(q, replicaCount, sorted.length, spread);
  if (previous === undefined) lay(sets, sorted, runs);
  else adapt(sets, sorted, runs, previous);
  const { owners } = sets;
  orderOwners(owners, replicaCount, sorted.length, new ZoneCover(zoneLevels(sorted)));
  return { version, q, n: replicaCount, members: sorted, owners };
}

function inOrder(members: readonly LayoutMember[]): LayoutMember[] {
  assert(members.length >= 1 && members.length <= LAYOUT_MEMBERS_MAX, "a layout has 1..1024 nodes");
  const sorted = [...members].sort((a, b) => (a.id < b.id ? -1 : 1));
  for (const [at, { id, weight }] of sorted.entries()) {
    assert(id !== sorted[at - 1]?.id, "a node is a member once");
    assert(Number.isInteger(weight) && weight >= 1 && weight <= WEIGHT_MAX, "a weight is 1..1000");
  }
  return sorted;
}

/** The runs end to end round the circle, whose positions are partitions in an order of their own. */
function lay(sets: OwnerSets, members: readonly LayoutMember[], runs: readonly Run[]): void {
  const ring = spacedOut(sets.q);
  for (const run of runs) {
    const share = sets.q * run.numerator;
    let position = 0;
    let weight = 0;
    for (const member of run.members) {
      weight += members[member]!.weight;
      const end = Math.ceil((share * weight) / run.denominator);
      for (; position < end; position++) sets.add(ring[position % sets.q]!, member);
    }
  }
  for (const [position, partition] of ring.entries()) rotate(sets, partition, position);
}

/** Everybody's turn to be first comes equally often along a run. */
function rotate({ owners, n }: OwnerSets, partition: number, turn: number): void {
  const set = owners.slice(partition * n, (partition + 1) * n);
  for (let at = 0; at < n; at++) owners[partition * n + at] = set[(at + turn) % n]!;
}

/**
 * 0..q-1 so that what is near in it is mostly far apart on the ring, at all kinds of distances: partition p comes at place p (p + 1) / 2 mod q. For
 * powers of two that meets every place once.
 */
function spacedOut(q: number): number[] {
  const order = new Array<number>(q).fill(0);
  for (let partition = 0; partition < q; partition++)
    order[((partition * (partition + 1)) / 2) % q] = partition;
  return order;
}

function adapt(
  sets: OwnerSets,
  members: readonly LayoutMember[],
  runs: readonly Run[],
  previous: Layout,
): void {
  assert(previous.q === sets.q, "a cluster keeps its q");
  const { counts } = sets;
  const { low, high } = shareBounds(members, runs, sets.q);
  const ring = spacedOut(sets.q);
  const kept = keptOwners(members, previous);
  for (const partition of ring)
    for (const node of sets.compatible(kept(partition))) sets.add(partition, node);
  const mostWanting = (a: number, b: number): number =>
    counts[a]! - low[a]! - (counts[b]! - low[b]!);
  for (const partition of ring)
    while (sets.sizes[partition]! < sets.n)
      sets.add(partition, sets.bestAddition(partition, mostWanting));
  balance(sets, low, high);
}

/** The owners of a partition in `previous` that are among `members`, by their new index. */
function keptOwners(
  members: readonly LayoutMember[],
  previous: Layout,
): (partition: number) => number[] {
  const indexOfId = new Map(members.map(({ id }, index) => [id, index]));
  const newIndex = previous.members.map(({ id }) => indexOfId.get(id));
  const { n, owners } = previous;
  return (partition) =>
    Array.from(owners.subarray(partition * n, (partition + 1) * n)).flatMap(
      (owner) => newIndex[owner] ?? [],
    );
}
