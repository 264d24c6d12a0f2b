/**
 * What this node believes of the cluster at one moment: layout and members together, immutable, pinned by each operation (DESIGN.md section 3). The
 * gossip service swaps in the next one.
 *
 * Ownership comes from the layout alone; liveness only says who is asked and who stands in (R50).
 */
import type { Member, NodeId } from "../gossip/member.ts";
import type { Layout } from "../ring/layout.ts";
import { preferenceList } from "../ring/preference-list.ts";

export class ClusterView {
  readonly layout: Layout;
  readonly self: NodeId;
  /** By node id; the node itself included, its own phase as it tells the others. */
  readonly members: ReadonlyMap<NodeId, Member>;

  constructor(layout: Layout, self: NodeId, members: ReadonlyMap<NodeId, Member>) {
    this.layout = layout;
    this.self = self;
    this.members = members;
  }

  /** Nodes that counts of replicas are limited by (R6). */
  get nodeCount(): number {
    return this.layout.members.length;
  }

  effectiveN(n: number): number {
    return Math.min(n, this.nodeCount);
  }

  /** Every node of the layout, owners first, then fallbacks in ring order; each once. */
  walk(partition: number): readonly NodeId[] {
    return preferenceList(this.layout, partition);
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
    return (
      this.members.get(node)?.record.name ??
      this.layout.members.find(({ id }) => id === node)?.name ??
      node
    );
  }
}
