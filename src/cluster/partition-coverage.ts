/**
 * Whom a listing asks: for every partition enough of its owners that each acknowledged write is known to one of them (R62, R4).
 *
 *   1. this node, for all that it owns
 *   2. the node that helps with the most partitions still short of a copy; again, until none is short or nobody helps
 *
 * That is greedy set cover: few distinct nodes, not always the fewest. Only serving owners are chosen, because what a copy does not list counts
 * as absent. What stays short is named, and the listing says so.
 */
import type { NodeId } from "../gossip/member.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { Copies } from "./copies.ts";
import { PartitionSet } from "./partition-set.ts";

export interface CoveringNode {
  readonly node: NodeId;
  readonly partitions: PartitionSet;
}

export interface Coverage {
  readonly nodes: readonly CoveringNode[];
  /** Some copies were found, fewer than wanted. */
  readonly partial: PartitionSet;
  /** No copy was found. */
  readonly missing: PartitionSet;
}

export interface CoverageWanted {
  /** The bucket's. */
  readonly n: Copies;
  readonly partitions: readonly number[];
  readonly copies: number;
  /** Of owners that serve. */
  readonly mayAsk: (node: NodeId, partition: number) => boolean;
}

/** A majority of the owners of every partition (R6). */
export function coverByQuorum(
  view: ClusterView,
  n: Copies,
  mayAsk: (node: NodeId) => boolean,
): Coverage {
  const copies = Math.floor(view.effectiveN(n) / 2) + 1;
  return cover(view, { n, partitions: PartitionSet.all(view.layout.q).members(), copies, mayAsk });
}

export function cover(view: ClusterView, wanted: CoverageWanted): Coverage {
  const search = new CoverSearch(view, wanted);
  const nodes: CoveringNode[] = [];
  let chosen = search.helps.has(view.self) ? view.self : search.mostHelpful();
  while (chosen !== undefined) {
    nodes.push({ node: chosen, partitions: search.choose(chosen) });
    chosen = search.mostHelpful();
  }
  return { nodes, ...search.shortage() };
}

class CoverSearch {
  /** Partitions still short of a copy that a node not yet chosen could give. */
  readonly helps = new Map<NodeId, number>();
  private readonly partitionCount: number;
  private readonly copies: number;
  /** Of each partition, those who may be asked. */
  private readonly owners = new Map<number, readonly NodeId[]>();
  private readonly shortOf = new Map<number, number>();

  constructor(view: ClusterView, { n, partitions, copies, mayAsk }: CoverageWanted) {
    this.partitionCount = view.layout.q;
    this.copies = copies;
    const isServing = new Map<NodeId, boolean>();
    for (const id of view.planned.keys()) isServing.set(id, view.isServing(id));
    for (const partition of partitions) {
      const owners = ownersOf(view, n, partition).filter(
        (owner) => isServing.get(owner) === true && mayAsk(owner, partition),
      );
      this.owners.set(partition, owners);
      this.shortOf.set(partition, copies);
      for (const owner of owners) this.helps.set(owner, (this.helps.get(owner) ?? 0) + 1);
    }
  }

  /** The first of those that help with the most partitions; `undefined` where nobody helps. */
  mostHelpful(): NodeId | undefined {
    let best: NodeId | undefined;
    let most = 0;
    for (const [node, count] of this.helps)
      if (count > most) {
        best = node;
        most = count;
      }
    return best;
  }

  /** Takes `node` for every partition that it helps with. */
  choose(node: NodeId): PartitionSet {
    this.helps.delete(node);
    const chosen = PartitionSet.none(this.partitionCount);
    for (const [partition, short] of this.shortOf) {
      const owners = this.owners.get(partition)!;
      if (!owners.includes(node)) continue;
      chosen.add(partition);
      if (short > 1) this.shortOf.set(partition, short - 1);
      else this.satisfied(partition, owners);
    }
    return chosen;
  }

  private satisfied(partition: number, owners: readonly NodeId[]): void {
    this.shortOf.delete(partition);
    for (const owner of owners) {
      const count = this.helps.get(owner);
      if (count !== undefined) this.helps.set(owner, count - 1);
    }
  }

  shortage(): Pick<Coverage, "partial" | "missing"> {
    const partial = PartitionSet.none(this.partitionCount);
    const missing = PartitionSet.none(this.partitionCount);
    for (const [partition, short] of this.shortOf)
      (short === this.copies ? missing : partial).add(partition);
    return { partial, missing };
  }
}

/** Straight from the layout where it has as many owners as the bucket wants; a longer list goes on along the ring. */
function ownersOf(view: ClusterView, n: Copies, partition: number): readonly NodeId[] {
  const layout = view.readLayout;
  const count = view.effectiveN(n);
  if (count > layout.n) return view.walk(partition).slice(0, count);
  const owners: NodeId[] = [];
  for (let i = 0; i < count; i++)
    owners.push(layout.members[layout.owners[partition * layout.n + i]!]!.id);
  return owners;
}
