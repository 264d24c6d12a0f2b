/** What a coordinator is made of: the ports, who it is, and whom it has beside it. */
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { MergeGate } from "./merge-gate.ts";
import type { OtherNodes } from "./other-nodes.ts";
import type { RecordObserver } from "./record-writer.ts";
import type { ReplicaStore } from "./replica-store.ts";

export interface CoordinatorOptions {
  /** Open, with the retention of `causality/retention.ts`. */
  readonly store: ReplicaStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Eight bytes, random, for ever this node's. */
  readonly nodeId: Uint8Array;
  /** As shown to users and in `X-Node`. */
  readonly nodeName: string;
  /** New whenever the data may have forgotten something (R12). */
  readonly incarnation: number;
  readonly clusterId: Uint8Array;
  /** Sixteen bytes that seal tokens; known to the nodes only. */
  readonly clusterSecret: Uint8Array;
  /** Q, for ever the cluster's. */
  readonly q: number;
  /** Does an acknowledged write survive a power loss (`fsync` is not `os`)? */
  readonly isDurable: boolean;
  /** Age at which a deletion may be forgotten (R39). */
  readonly gcDelayMs?: number;
  /** Left out by a node alone. */
  readonly others?: OtherNodes;
  /** Keeps the Merkle trees in step. */
  readonly observer?: RecordObserver;
  /** Knows deletions that have been collected. */
  readonly gate?: MergeGate;
  /** Is the key among what a damaged disk has lost and is not healed yet? */
  readonly isLost?: (internalKey: Uint8Array) => boolean;
}
