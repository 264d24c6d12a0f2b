/** What comes with a state that is to be merged, and who is asked before one is that could undo a deletion (R42). */
import type { Record } from "../causality/record.ts";
import type { NodeId } from "../gossip/member.ts";
import type { KeyAddress } from "../ring/partition.ts";
import type { Bucket } from "./bucket-properties.ts";
import type { SideEntry } from "./peer-messages.ts";

export interface MergeOptions {
  /** Another node sent it, so dots of ours in it tell of ourselves (R12d, row 64). */
  readonly isFromPeer?: boolean;
  /** The bytes of the incoming record, where they are at hand. */
  readonly encoded?: Uint8Array;
  /** Refuse, with nothing written, unless what is here is covered by what comes in (R18). */
  readonly isConditional?: boolean;
  readonly side?: SideEntry | undefined;
  /** The other owners have been asked about it (R42). */
  readonly isVerified?: boolean;
  /** Who brought it, for the case that it is suspect. */
  readonly source?: StateSource;
  /** What is damaged here counts as absent: this is what mends it. */
  readonly isHealing?: boolean;
}

/** Where a state comes from. */
export interface StateSource {
  readonly node: NodeId;
  readonly purpose: "write" | "repair" | "handoff" | "exchange";
  /** The node has held the partition since then without having forgotten anything, and the state is its own; 0 where it does not say so. */
  readonly ownedSince: number;
}

/** Knows which absences are those of collected deletions (R42, `suspects.ts`). */
export interface MergeGate {
  /** Could `incoming` undo one, with `before` being what is here? */
  isSuspect(partition: number, before: Record, incoming: Record): boolean;
  /** May a key that knew of no newer dot than `counter` have been collected here? */
  mayBeCollected(partition: number, counter: number): boolean;
  /** Merges a suspect state as far as the other owners confirm it; rejects with `suspect-state` or `unavailable`. */
  consider(
    bucket: Bucket,
    address: KeyAddress,
    incoming: Record,
    options: MergeOptions,
  ): Promise<void>;
}
