/**
 * Brings lagging copies up to a state that a read has merged (R33): at once where the answer waits for it, and otherwise in the background under a
 * budget (R34), because a repair that is not done now is done by the next read or by anti-entropy.
 */
import { HutchError } from "../base/errors.ts";
import { decodeRecord } from "../causality/record.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Clock } from "../ports/clock.ts";
import type { KeyAddress } from "../ring/partition.ts";
import type { Bucket } from "./bucket-properties.ts";
import type { Peers } from "./peer-messages.ts";
import type { Replica } from "./replica.ts";
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
  readonly trusted: TrustedClock;
  readonly clock: Clock;
  readonly replicaTimeoutMs: number;
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

  /** True when `node` has at least `value` on disk. Never rejects. */
  repair(bucket: Bucket, address: KeyAddress, node: NodeId, value: Uint8Array): Promise<boolean> {
    this.counters.blocking++;
    return this.bring(bucket, address, node, value);
  }

  repairLater(bucket: Bucket, address: KeyAddress, node: NodeId, value: Uint8Array): void {
    if (this.underWay >= REPAIRS_AT_ONCE_MAX || !this.budget.take()) {
      this.counters.skipped++;
      return;
    }
    this.counters.background++;
    this.underWay++;
    void this.bring(bucket, address, node, value).then(() => this.underWay--);
  }

  private async bring(
    bucket: Bucket,
    address: KeyAddress,
    node: NodeId,
    value: Uint8Array,
  ): Promise<boolean> {
    const { self, replica, peers, trusted, replicaTimeoutMs } = this.options;
    const { internalKey } = address;
    try {
      if (node === self) {
        await replica.merge(bucket, address, decodeRecord(value), trusted.nowMs());
        return true;
      }
      const reply = await peers.call(
        node,
        {
          kind: "merge",
          internalKey,
          record: value,
          purpose: "repair",
          isConditional: false,
          side: undefined,
        },
        replicaTimeoutMs,
        "repair",
      );
      return reply.kind === "stored";
    } catch (thrown) {
      // A replica that cannot be reached or cannot take it now: somebody else will mend it.
      if (thrown instanceof HutchError || isNoReply(thrown)) return false;
      throw thrown;
    }
  }
}

function isNoReply(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === "PeerError";
}
