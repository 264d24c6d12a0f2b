/** What a coordinator needs to work with other nodes; a node alone has none of it. `node.ts` puts it together. */
import type { HutchError } from "../base/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { ReplicaRole } from "../quorum/read-quorum.ts";
import type { KeyAddress } from "../ring/partition.ts";
import type { Bucket } from "./bucket-properties.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { Deadlines } from "./deadlines.ts";
import type { HintStore } from "./hint-store.ts";
import type { HintedHandoff } from "./hinted-handoff.ts";
import type { Peers } from "./peer-messages.ts";
import type { ActingReplica } from "./replica-set.ts";
import type { HedgeBudget } from "./hedge-budget.ts";

/** What is here of a key. The bytes are the receiver's; they may be shown once `durable` has settled. */
export interface LocalState {
  readonly value: Uint8Array | undefined;
  readonly durable: Promise<void> | undefined;
}

export interface CoordinationParts {
  view(): ClusterView;
  readonly peers: Peers;
  readonly hints: HintStore;
  readonly handoff: Pick<HintedHandoff, "noteUnacknowledged">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly deadlines: Deadlines;
  /** Longest wait for one replica (N1). */
  readonly replicaTimeoutMs: number;
  /** Reads that may ask one replica more than they need (N5). */
  readonly hedges: HedgeBudget;
  /** Throws `CorruptionError`. A fallback's state is what its hints hold. */
  readLocal(address: KeyAddress, role: ReplicaRole): LocalState;
  reportDamage(error: HutchError): void;
  /** Age at which a deletion may have been forgotten, by whoever has the fastest clock; `undefined` where none ever is. */
  readonly outlivedMs: number | undefined;
  /** Unix ms; never throws and never goes back. */
  nowMs(): number;
  /** Brings `replica`, which may be this node, to at least `value`; true when it has it on disk. Never rejects. */
  repair(
    bucket: Bucket,
    address: KeyAddress,
    replica: ActingReplica,
    value: Uint8Array,
  ): Promise<boolean>;
  /** The same in the background, as far as the budget goes (R34). */
  repairLater(bucket: Bucket, address: KeyAddress, replica: ActingReplica, value: Uint8Array): void;
}
