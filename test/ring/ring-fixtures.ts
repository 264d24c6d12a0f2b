/** Clusters to make layouts of, and what a layout looks like from outside, computed the plain way. */
import fc from "fast-check";
import type { Layout, LayoutMember } from "../../src/ring/layout.ts";

type Zone = LayoutMember["zone"];

export function memberOf(index: number, zone: Partial<Zone> = {}, weight = 1): LayoutMember {
  return {
    // Scattered, so that order of ids is not order of joining.
    id: (Math.imul(index + 1, 0x9e3779b1) >>> 0).toString(16).padStart(16, "0"),
    name: `n${index}`,
    zone: { dc: "dc1", rack: "r1", host: `h${index}`, ...zone },
    weight,
    peerAddress: `10.0.0.${index}:7000`,
  };
}

/** `count` members in `rackCount` racks in turn. */
export function membersInRacks(count: number, rackCount: number): LayoutMember[] {
  return Array.from({ length: count }, (_, index) =>
    memberOf(index, { rack: `r${index % rackCount}` }),
  );
}

/** What is called zone in a cluster: whichever level is used, or all of them. */
const zoneStyles: readonly ((zone: number, other: number) => Partial<Zone>)[] = [
  () => ({}),
  (zone) => ({ dc: `dc${zone}` }),
  (zone) => ({ rack: `r${zone}` }),
  (zone) => ({ host: `h${zone}` }),
  (zone, other) => ({ dc: `dc${zone % 2}`, rack: `r${zone}`, host: `h${other}` }),
  (zone, other) => ({ dc: `dc${zone}`, rack: `r${other % 3}`, host: `h${other}` }),
];

interface ClusterShape {
  readonly isWeighted?: boolean;
  readonly nodesMin?: number;
}

/** 1..40 nodes in 1..5 zones. */
export function arbitraryMembers(shape: ClusterShape = {}): fc.Arbitrary<LayoutMember[]> {
  const { isWeighted = true, nodesMin = 1 } = shape;
  const weight = isWeighted
    ? fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 1000 }))
    : fc.constant(1);
  return fc
    .record({ style: fc.nat(zoneStyles.length - 1), zoneCount: fc.integer({ min: 1, max: 5 }) })
    .chain(({ style, zoneCount }) =>
      fc
        .array(fc.tuple(fc.nat(zoneCount - 1), fc.nat(7), weight), {
          minLength: nodesMin,
          maxLength: 40,
        })
        .map((nodes) =>
          nodes.map(([zone, other, ownWeight], index) =>
            memberOf(index, zoneStyles[style]!(zone, other), ownWeight),
          ),
        ),
    );
}

export const arbitraryQ = fc.integer({ min: 4, max: 10 }).map((bits) => 2 ** bits);
export const arbitraryN = fc.integer({ min: 1, max: 5 });

const levelKeys: readonly ((member: LayoutMember) => string)[] = [
  ({ zone }) => zone.dc,
  ({ zone }) => JSON.stringify([zone.dc, zone.rack]),
  ({ zone }) => JSON.stringify([zone.dc, zone.rack, zone.host]),
  ({ id }) => id,
];

/** Distinct dcs, racks, hosts, nodes: "2,3,3,3". */
export function spreadOf(members: readonly LayoutMember[]): string {
  return levelKeys.map((keyOf) => new Set(members.map(keyOf)).size).join(",");
}

/** No `count` of `members` can have more of any of the four than this. */
export function widestSpreadOf(members: readonly LayoutMember[], count: number): string {
  return levelKeys.map((keyOf) => Math.min(count, new Set(members.map(keyOf)).size)).join(",");
}

export function ownersAt({ n, members, owners }: Layout, partition: number): LayoutMember[] {
  return Array.from(owners.subarray(partition * n, (partition + 1) * n), (at) => members[at]!);
}

/** How often each member owns a partition at one of the first `places` places, by index. */
export function loadOf({ n, members, owners }: Layout, places = n): number[] {
  const counts = new Array<number>(members.length).fill(0);
  for (const [at, owner] of owners.entries()) if (at % n < places) counts[owner]!++;
  return counts;
}

/** Copies in `next` whose owner did not own the partition in `current`. */
export function movedCopies(current: Layout, next: Layout): number {
  let moved = 0;
  for (let partition = 0; partition < next.q; partition++) {
    const before = new Set(ownersAt(current, partition).map(({ id }) => id));
    for (const { id } of ownersAt(next, partition)) if (!before.has(id)) moved++;
  }
  return moved;
}
