/**
 * What a change of layout means, before anybody applies it (R57): how many partitions move and about how many bytes, what each node carries before and
 * after, and how far apart the copies lie. Pure; the moves are those of `transfer-plan.ts`, which the streams follow too.
 *
 * Bytes are an estimate: a copy counts as many as the copies of its source do on average.
 */
import type { NodeId } from "../gossip/member.ts";
import type { Layout, LayoutMember } from "../ring/layout.ts";
import { planTransfers, transferCounts } from "../ring/transfer-plan.ts";
import type { Grouping } from "../ring/zones.ts";
import { zoneLevels } from "../ring/zones.ts";

/** How many of each the copies of one partition lie in; a rack is one only inside its data centre, a host only inside its rack. */
export interface SpreadCounts {
  readonly dcs: number;
  readonly racks: number;
  readonly hosts: number;
}

export interface SpreadReport {
  /** What the copies of a partition could lie in, with the nodes there are. */
  readonly widest: SpreadCounts;
  /** What those of the worst partition do lie in, level by level. */
  readonly least: SpreadCounts;
  /** Partitions whose copies lie closer together than they could. */
  readonly below: readonly number[];
}

export interface NodeLoad {
  /** As people know it. */
  readonly id: string;
  readonly before: number;
  readonly after: number;
  readonly incoming: number;
  readonly outgoing: number;
  readonly bytesIn: number;
}

export interface LayoutPreview {
  /** The one to apply. */
  readonly version: number;
  readonly moves: { readonly partitions: number; readonly bytes: number };
  readonly nodes: readonly NodeLoad[];
  readonly spread: { readonly before: SpreadReport; readonly after: SpreadReport };
}

/** Estimated bytes of one copy that a node holds. */
export type CopyBytes = (node: NodeId) => number;

export function previewOf(current: Layout, next: Layout, copyBytes: CopyBytes): LayoutPreview {
  const transfers = planTransfers(current, next);
  const bytesIn = new Map<NodeId, number>();
  for (const { source, target } of transfers)
    bytesIn.set(target, (bytesIn.get(target) ?? 0) + copyBytes(source));
  const names = namesOf(current, next);
  const nodes = [...transferCounts(current, next)].map(([id, counts]) => ({
    id: names.get(id) ?? id,
    ...counts,
    bytesIn: Math.round(bytesIn.get(id) ?? 0),
  }));
  const bytes = [...bytesIn.values()].reduce((sum, each) => sum + each, 0);
  return {
    version: next.version,
    moves: { partitions: transfers.length, bytes: Math.round(bytes) },
    nodes,
    spread: { before: spreadOf(current), after: spreadOf(next) },
  };
}

function namesOf(current: Layout, next: Layout): ReadonlyMap<NodeId, string> {
  const members = [...current.members, ...next.members];
  return new Map(members.map(({ id, name }) => [id, name]));
}

/** Data centres, racks, hosts: the first level is everything, the last one nodes. */
const FIRST_LEVEL = 1;
const LEVEL_COUNT = 3;

/**
 * How far apart the copies of `layout` lie.
 *
 * @param zoneOf where a member is today, which may not be where it was when the layout was made
 */
export function spreadOf(
  layout: Layout,
  zoneOf: (member: LayoutMember) => LayoutMember["zone"] = ({ zone }) => zone,
): SpreadReport {
  const members = layout.members.map((member) => ({ ...member, zone: zoneOf(member) }));
  const levels = zoneLevels(members).slice(FIRST_LEVEL, FIRST_LEVEL + LEVEL_COUNT);
  const widest = levels.map(({ count }) => Math.min(layout.n, count));
  const least = [...widest];
  const below: number[] = [];
  for (let partition = 0; partition < layout.q; partition++) {
    const met = levels.map((level) => groupsOf(layout, partition, level));
    if (met.some((count, at) => count < widest[at]!)) below.push(partition);
    for (const [at, count] of met.entries()) least[at] = Math.min(least[at]!, count);
  }
  return { widest: countsOf(widest), least: countsOf(least), below };
}

/** In how many groups of a level the owners of a partition are. */
function groupsOf({ n, owners }: Layout, partition: number, { groupOf }: Grouping): number {
  let count = 0;
  const start = partition * n;
  for (let at = start; at < start + n; at++) {
    const group = groupOf[owners[at]!]!;
    let earlier = start;
    while (groupOf[owners[earlier]!] !== group) earlier++;
    if (earlier === at) count++;
  }
  return count;
}

function countsOf([dcs, racks, hosts]: readonly number[]): SpreadCounts {
  return { dcs: dcs!, racks: racks!, hosts: hosts! }; // one for each level
}
