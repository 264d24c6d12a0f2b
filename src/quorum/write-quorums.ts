/**
 * When a write is acknowledged while ownership changes (R58): one `WriteQuorum` for the owners in each active layout, and the write needs all of them. An
 * acknowledgement counts in each set that has the owner whose share it is. Nearly always there is one set.
 *
 * What is told to the client (`acks`, counts) is of the set that has fewest, the owners that reads ask where they are equal: some of the other sets may be
 * about to let go of their copies (simulator, seed 71239).
 */
import { consistencyAmong } from "./parse-consistency.ts";
import type { Consistency } from "./consistency.ts";
import type { AckCounts } from "./operation.ts";
import type { QuorumState, ReplicaRole } from "./read-quorum.ts";
import { WriteQuorum } from "./write-quorum.ts";

/**
 * What is needed among so many owners.
 *
 * @param isRead they are the owners that reads ask: what was promised of them is never made less
 */
export function neededOf(consistency: Consistency, count: number, isRead: boolean): Consistency {
  return isRead && count < consistency.n ? consistency : consistencyAmong(consistency, count);
}

interface OwnerQuorum {
  readonly owners: readonly string[];
  readonly needed: Consistency;
  readonly quorum: WriteQuorum;
}

export class WriteQuorums {
  private readonly sets: readonly OwnerQuorum[];

  /** @param ownerSets ids, of each active layout, those that reads ask first */
  constructor(consistency: Consistency, ownerSets: readonly (readonly string[])[]) {
    this.sets = ownerSets.map((owners, at) => {
      const needed = neededOf(consistency, owners.length, at === 0);
      return { owners, needed, quorum: new WriteQuorum(needed) };
    });
  }

  /** Of the set that is still short, else of the one with the fewest acknowledgements. */
  get reported(): { readonly needed: Consistency; readonly quorum: WriteQuorum } {
    const short = this.sets.find(({ quorum }) => quorum.state !== "reached");
    if (short !== undefined) return short;
    let fewest = this.sets[0]!;
    for (const set of this.sets) if (set.quorum.ok < fewest.quorum.ok) fewest = set;
    return fewest;
  }

  /** A copy of what is told as they are now. Hints are kept for owners of whatever set. */
  counts(): AckCounts {
    const counts = this.reported.quorum.counts();
    return { ...counts, hinted: Math.max(counts.hinted, this.first.hinted) };
  }

  /** The owners that reads ask. */
  private get first(): WriteQuorum {
    return this.sets[0]!.quorum;
  }

  /** The share of `owner`, an id, goes to `node`, a name. */
  send(node: string, role: ReplicaRole, owner: string): void {
    for (const { owners, quorum } of this.sets) if (owners.includes(owner)) quorum.send(node, role);
  }

  acknowledge(node: string, owner: string, isDurable: boolean): void {
    for (const { owners, quorum } of this.sets)
      if (owners.includes(owner)) quorum.acknowledge(node, isDurable);
  }

  fail(node: string, owner: string, result: "timeout" | "failed"): void {
    for (const { owners, quorum } of this.sets)
      if (owners.includes(owner)) quorum.fail(node, result);
  }

  keepHints(count: number): void {
    this.first.keepHints(count);
  }

  get state(): QuorumState {
    let state: QuorumState = "reached";
    for (const { quorum } of this.sets) {
      if (quorum.state === "unreachable") return "unreachable";
      if (quorum.state === "pending") state = "pending";
    }
    return state;
  }
}
