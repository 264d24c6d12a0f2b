/** What a coordinator is given of the other nodes, and what stands for it where there are none. */
import type { Actor } from "../causality/actor.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import { layoutOfOne, NO_PEERS, viewOfOne } from "./alone.ts";
import type { BucketSpreading } from "./bucket-admin.ts";
import type { ClusterView } from "./cluster-view.ts";
import { HintStore } from "./hint-store.ts";
import type { HintedHandoff } from "./hinted-handoff.ts";
import type { Peers } from "./peer-messages.ts";
import type { ReplicaStore } from "./replica-store.ts";

export const REPLICA_TIMEOUT_MS = 500;

/** The other nodes of a cluster, and how this one speaks with them. */
export interface OtherNodes extends BucketSpreading {
  view(): ClusterView;
  readonly peers: Peers;
  readonly hints: HintStore;
  readonly handoff: Pick<HintedHandoff, "noteUnacknowledged">;
  readonly replicaTimeoutMs: number;
  readonly driftMaxMs: number;
  /** States of the bucket in this partition may be stored here: nothing that was left over from an earlier time as an owner is being dropped. */
  mayStore(partition: number, bucket: string): boolean;
  /** This copy has forgotten something: the actor to mint under from now on (R12d). */
  onAmnesia(isUnawares: boolean): Actor;
  /** Properties of some bucket are not what they were. */
  onBucketsChange(): void;
}

/** As much of it as a cluster of one has. */
export type Company = Pick<OtherNodes, "view" | "peers" | "hints" | "handoff" | "replicaTimeoutMs">;

export function nobodyElse(self: {
  readonly id: NodeId;
  readonly name: string;
  readonly q: number;
  readonly store: ReplicaStore;
  readonly clock: Clock;
  readonly logger: Logger;
}): Company {
  const view = viewOfOne(layoutOfOne(self.id, self.name, self.q));
  const noHints = { hintWindowMs: 0, hintTtlMs: 0, hintBytesMax: 0 };
  return {
    view: () => view,
    peers: NO_PEERS,
    hints: new HintStore(self.store, noHints, self.clock, self.logger),
    handoff: { noteUnacknowledged: () => undefined },
    replicaTimeoutMs: REPLICA_TIMEOUT_MS,
  };
}
