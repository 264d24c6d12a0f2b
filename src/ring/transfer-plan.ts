/**
 * What a change of layout moves: for every partition, who gets a copy that had none, and in whose stead. For previews (R57) and for the
 * order of streams; what a stream reads from is more than one old owner (R59).
 */
import { assert } from "../base/assert.ts";
import { ownersOf } from "./layout.ts";
import type { Layout } from "./layout.ts";

/** One copy of one partition. */
export interface Transfer {
  readonly partition: number;
  /** The old owner that gives its copy up; where none does (n has grown), the first of the old owners. */
  readonly source: string;
  readonly target: string;
}

/** Partitions of one node, for a table. */
export interface TransferCounts {
  readonly before: number;
  readonly after: number;
  readonly incoming: number;
  readonly outgoing: number;
}

/** The copies that `next` has and `current` has not, by partition. */
export function planTransfers(current: Layout, next: Layout): Transfer[] {
  assert(current.q === next.q, "a cluster keeps its q");
  const transfers: Transfer[] = [];
  for (let partition = 0; partition < next.q; partition++) {
    const before = ownersOf(current, partition);
    const after = ownersOf(next, partition);
    const leaving = before.filter((node) => !after.includes(node));
    const joining = after.filter((node) => !before.includes(node));
    for (const [at, target] of joining.entries())
      transfers.push({ partition, source: leaving[at] ?? before[0]!, target });
  }
  return transfers;
}

/** By node id, every member of either layout, in order of id. */
export function transferCounts(current: Layout, next: Layout): Map<string, TransferCounts> {
  const before = ownedCounts(current);
  const after = ownedCounts(next);
  const transfers = planTransfers(current, next);
  const incoming = countBy(transfers.map(({ target }) => target));
  const outgoing = countBy(transfers.map(({ source }) => source));
  const nodes = [...new Set([...before.keys(), ...after.keys()])].sort();
  const of = (counts: ReadonlyMap<string, number>, node: string): number => counts.get(node) ?? 0;
  return new Map(
    nodes.map((node) => [
      node,
      {
        before: of(before, node),
        after: of(after, node),
        incoming: of(incoming, node),
        outgoing: of(outgoing, node),
      },
    ]),
  );
}

/** How many partitions each member owns, by id; members that own nothing are there with 0. */
export function ownedCounts({ members, owners }: Layout): Map<string, number> {
  const counts = new Uint32Array(members.length);
  for (let index = 0; index < owners.length; index++) counts[owners[index]!]!++;
  return new Map(members.map(({ id }, member) => [id, counts[member]!]));
}

function countBy(nodes: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const node of nodes) counts.set(node, (counts.get(node) ?? 0) + 1);
  return counts;
}
