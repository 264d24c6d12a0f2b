/**
 * Brings lagging copies up to a state that a read has merged (R33): at once where the answer waits for it, and otherwise in the background under a
 * budget (R34), because a repair that is not done now is done by the next read or by anti-entropy. Who stands in for an owner that is down keeps the state for it
 * as a hint.
 */
import { HutchError, messageOf } from "../base/errors.ts";
import { decodeRecord } from "../causality/record.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { KeyAddress } from "../ring/partition.ts";
import type { Bucket } from "./bucket-properties.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { HintStore } from "./hint-store.ts";
import { PeerError, type PeerRequest, type Peers } from "./peer-messages.ts";
import type { Replica } from "./replica.ts";
import type { ActingReplica } from "./replica-set.ts";
import { TokenBucket } from "./token-bucket.ts";
import type { TrustedClock } from "./trusted-clock.ts";

/** Background repairs a second, and at once. */
const REPAIRS_PER_SECOND = 1000;
const REPAIRS_AT_ONCE_MAX = 256;

export interface RepairCounters {
  blocking: number;
  background: number;
  skipped: number;
}

export interface ReadRepairOptions {
  readonly self: NodeId;
  readonly replica: Replica;
  readonly peers: Peers;
  readonly hints: HintStore;
  readonly trusted: TrustedClock;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly replicaTimeoutMs: number;
  view(): ClusterView;
}

export class ReadRepair {
  readonly counters: RepairCounters = { blocking: 0, background: 0, skipped: 0 };
  private readonly options: ReadRepairOptions;
  private readonly budget: TokenBucket;
  private underWay = 0;

  constructor(options: ReadRepairOptions) {
    this.options = options;
    this.budget = new TokenBucket(options.clock, REPAIRS_PER_SECOND, REPAIRS_PER_SECOND);
  }

  /** True when `replica` has at least `value` on disk. Never rejects. */
  repair(
    bucket: Bucket,
    address: KeyAddress,
    replica: ActingReplica,
    value: Uint8Array,
  ): Promise<boolean> {
    this.counters.blocking++;
    return this.bring(bucket, address, replica, value);
  }

  repairLater(
    bucket: Bucket,
    address: KeyAddress,
    replica: ActingReplica,
    value: Uint8Array,
  ): void {
    if (this.underWay >= REPAIRS_AT_ONCE_MAX || !this.budget.take()) {
      this.counters.skipped++;
      return;
    }
    this.counters.background++;
    this.underWay++;
    void this.bring(bucket, address, replica, value).then(() => this.underWay--);
  }

  private async bring(
    bucket: Bucket,
    address: KeyAddress,
    replica: ActingReplica,
    value: Uint8Array,
  ): Promise<boolean> {
    try {
      if (replica.node !== this.options.self) return await this.bringThere(address, replica, value);
      await this.bringHere(bucket, address, replica, value);
      return true;
    } catch (thrown) {
      // A replica that cannot be reached or cannot take it now: somebody else will mend it.
      if (thrown instanceof PeerError) return false;
      if (!(thrown instanceof HutchError))
        this.options.logger.error("read_repair_failed", {
          reason: messageOf(thrown),
        });
      return false;
    }
  }

  private async bringHere(
    bucket: Bucket,
    address: KeyAddress,
    { owner }: ActingReplica,
    value: Uint8Array,
  ): Promise<void> {
    const { self, replica, hints, trusted } = this.options;
    if (owner !== self) return hints.add(owner, address.internalKey, value, undefined);
    // What others have of ours tells of ourselves too (R12d).
    const options = { encoded: value, isFromPeer: true };
    await replica.merge(bucket, address, decodeRecord(value), trusted.nowMs(), options);
  }

  private async bringThere(
    { internalKey }: KeyAddress,
    { node, owner }: ActingReplica,
    record: Uint8Array,
  ): Promise<boolean> {
    const { peers, replicaTimeoutMs } = this.options;
    const side = undefined;
    const message: PeerRequest =
      node === owner
        ? { kind: "merge", internalKey, record, purpose: "repair", isConditional: false, side }
        : {
            kind: "hint",
            target: owner,
            targetIncarnation: this.options.view().incarnationOf(owner),
            internalKey,
            record,
            side,
          };
    const reply = await peers.call(node, message, replicaTimeoutMs, "repair");
    return reply.kind === "stored";
  }
}
