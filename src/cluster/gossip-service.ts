/**
 * Drives `Membership` on the ports and swaps the `ClusterView`.
 */
import type { Effects, Doubt, MemberChange } from "../gossip/effects.ts";
import type { MemberRecord, NodeId } from "../gossip/member.ts";
import type { MembershipCounters, SelfChanges } from "../gossip/membership.ts";
import type { Clock } from "../ports/clock.ts";
import type { Datagrams } from "../ports/datagrams.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import type { Layout } from "../ring/layout.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { Peers } from "./peer-messages.ts";

export interface GossipServiceOptions {
  readonly self: MemberRecord;
  readonly clusterId: Uint8Array;
  readonly layout: Layout;
  readonly left: readonly NodeId[];
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly datagrams: Datagrams;
  readonly logger: Logger;
  readonly peers: Pick<Peers, "call">;
  readonly events: GossipEvents;
}

export interface GossipEvents {
  /** `node` holds another layout or other bucket properties: exchange them. Repeated while it is so. */
  onStale(node: NodeId, topic: "layout" | "buckets"): void;
  /** The others had given this node up: it must go `syncing`. */
  onDeclaredDown(): void;
  /** See `Doubt`; `far-future` and `superseded` ask for a connection to `doubt.address`. */
  onDoubt(doubt: Doubt): void;
}

export type ViewListener = (view: ClusterView, changes: readonly MemberChange[]) => void;

/** `GossipService` as `node.ts` sees it. */
export interface GossipServiceApi {
  readonly view: ClusterView;
  readonly counters: Readonly<MembershipCounters>;
  readonly health: number;
  start(): void;
  /** Called after each swap, in the order of registration. Returns how to stop. */
  onChange(listener: ViewListener): () => void;
  setSelf(changes: SelfChanges): void;
  /** A later layout has been applied: names the members anew, tells the others its version and hash, swaps the view. */
  setLayout(layout: Layout, layoutHash: number): void;
  markAlive(node: NodeId, incarnation: number): void;
  /** Exchanges full state with `node`; false if it did not answer. */
  pull(node: NodeId): Promise<boolean>;
  /** The body of the reply to an exchange of topic `members`. Throws `DecodeError` for a body that is none. */
  answerExchange(body: Uint8Array, from: NodeId): Uint8Array;
  /** From `PauseGuard.onPause`. */
  notePause(): void;
  phiOf(node: NodeId): number;
  candidates(): readonly MemberRecord[];
  /** Says `leaving` to some members and goes silent. */
  stop(): void;
}

export type { Effects };
