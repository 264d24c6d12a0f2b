/**
 * Who stands for a key at one moment: its owners, and for those that are down the next healthy nodes on the walk (D4).
 *
 *   owners      the first n of the walk, as many as the bucket has copies in the layout that reads use; liveness never changes them (R50)
 *   ownerSets   while the ring changes, the owners in each active layout: a write needs its acknowledgements in each (R58)
 *   acting      each owner that is not down, or the fallback that stands in for it
 *
 * Two words of trouble: *down* is the failure detector's verdict or a refused connection, and only then somebody stands in and hints are kept
 * (R25); *unreachable* is any reason not to wait for a node now, such as an open breaker, and only changes the order of asking.
 */
import type { NodeId } from "../gossip/member.ts";
import type { ReplicaRole } from "../quorum/read-quorum.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { Copies } from "./copies.ts";
import type { Peers } from "./peer-messages.ts";

export interface ActingReplica {
  readonly node: NodeId;
  /** The owner whose share it is; the node itself where that is an owner. */
  readonly owner: NodeId;
  readonly role: ReplicaRole;
}

export class ReplicaSet {
  readonly view: ClusterView;
  readonly owners: readonly NodeId[];
  /** Of each active layout, `owners` first. */
  readonly ownerSets: readonly (readonly NodeId[])[];
  /** All of them, each once. */
  readonly holders: readonly NodeId[];
  private readonly peers: Peers;
  private readonly walk: readonly NodeId[];
  /** Where the search for the next fallback goes on. */
  private nextOnWalk: number;

  constructor(view: ClusterView, peers: Peers, partition: number, copies: Copies) {
    this.view = view;
    this.peers = peers;
    this.walk = view.walk(partition);
    this.ownerSets = view.ownerSets(partition, copies);
    this.owners = this.ownerSets[0]!;
    this.holders = this.ownerSets.length === 1 ? this.owners : [...new Set(this.ownerSets.flat())];
    this.nextOnWalk = this.owners.length;
  }

  /** In any active layout. */
  isOwner(node: NodeId): boolean {
    return this.holders.includes(node);
  }

  isDown(node: NodeId): boolean {
    if (node === this.view.self) return false;
    if (!this.view.isUp(node)) return true;
    // To ask whether it can be reached is to try again, once in a while.
    return this.peers.isConnectionRefused(node) && !this.peers.isReachable(node);
  }

  isReachable(node: NodeId): boolean {
    return node === this.view.self || (!this.isDown(node) && this.peers.isReachable(node));
  }

  /** Owners that may mint, in ring order; those that nobody should wait for now come last. */
  minters(): NodeId[] {
    const minters: NodeId[] = [];
    let unreachable: NodeId[] | undefined;
    for (const node of this.owners) {
      if (!this.view.isServing(node) || this.isDown(node)) continue;
      if (this.isReachable(node)) minters.push(node);
      else (unreachable ??= []).push(node);
    }
    if (unreachable !== undefined) minters.push(...unreachable);
    return minters;
  }

  /** The next healthy node on the walk that has not stood in yet. */
  takeFallback(): NodeId | undefined {
    while (this.nextOnWalk < this.walk.length) {
      const node = this.walk[this.nextOnWalk++]!;
      if (this.mayStandIn(node)) return node;
    }
    return undefined;
  }

  /** Healthy nodes behind the owners, in walk order. */
  fallbacks(): NodeId[] {
    return this.walk.slice(this.owners.length).filter((node) => this.mayStandIn(node));
  }

  /** Whoever gets a share of its own in another active layout does not stand in as well: one disk would count twice. */
  private mayStandIn(node: NodeId): boolean {
    return this.isReachable(node) && !this.holders.includes(node);
  }

  /** Owners that are not down, and, for a sloppy operation, a fallback for each that is. */
  acting(isSloppy: boolean): ActingReplica[] {
    const acting: ActingReplica[] = [];
    let next = this.owners.length;
    for (const owner of this.owners)
      if (!this.isDown(owner)) acting.push({ node: owner, owner, role: "primary" });
      else if (isSloppy) {
        while (next < this.walk.length && !this.mayStandIn(this.walk[next]!)) next++;
        const node = this.walk[next++];
        if (node !== undefined) acting.push({ node, owner, role: "fallback" });
      }
    return acting;
  }

  /** Acknowledgements that a write can hope for now, among the owners in the layout that reads use or in another one. */
  countPossible(
    isSloppy: boolean,
    owners: readonly NodeId[] = this.owners,
  ): { readonly all: number; readonly primary: number } {
    let primary = 0;
    for (const owner of owners) if (!this.isDown(owner)) primary++;
    const missing = owners.length - primary;
    const standing = isSloppy && missing > 0 ? Math.min(missing, this.fallbacks().length) : 0;
    return { all: primary + standing, primary };
  }
}
