/** What anti-entropy has found and done: totals for the metrics, and for each partition when and with whom it was last found or made equal. */
import type { NodeId } from "../gossip/member.ts";
import type { TreeId } from "./exchange-codec.ts";
import type { ExchangeResult } from "./tree-exchange.ts";

/** Plain counts for the metrics. */
export interface RepairTotals {
  rounds: number;
  roundsSkipped: number;
  exchanges: number;
  exchangesFailed: number;
  /** Trees found equal by their roots alone. */
  treesEqual: number;
  leavesDiffering: number;
  keysSent: number;
  keysReceived: number;
  bytesSent: number;
  bytesReceived: number;
}

export interface PartitionRepair {
  readonly partition: number;
  /** Unix ms. */
  readonly lastVerifiedMs: number;
  readonly lastPeer: NodeId;
  /** Keys had to be moved. */
  readonly differed: boolean;
}

/** A round over all pairs of this node, under way or done. Counts are of trees. */
export interface RepairRound {
  readonly startedMs: number;
  total: number;
  done: number;
  differing: number;
  /** Peers that could not be asked, and trees whose exchange did not come to its end. */
  failed: number;
  isFinished: boolean;
}

export interface RepairReport {
  readonly partitions: readonly PartitionRepair[];
  readonly totals: Readonly<RepairTotals>;
  readonly running: RepairRound | undefined;
}

export class RepairLog {
  readonly totals: RepairTotals = {
    rounds: 0,
    roundsSkipped: 0,
    exchanges: 0,
    exchangesFailed: 0,
    treesEqual: 0,
    leavesDiffering: 0,
    keysSent: 0,
    keysReceived: 0,
    bytesSent: 0,
    bytesReceived: 0,
  };
  private readonly wallMs: () => number;
  /** When a round last came to its end, or when this node began to look; Unix ms. */
  lastRoundMs: number;
  /** At most one for each partition of the cluster. */
  private readonly partitions = new Map<number, PartitionRepair>();

  constructor(wallMs: () => number) {
    this.wallMs = wallMs;
    this.lastRoundMs = wallMs();
  }

  roundEnded(): void {
    this.totals.rounds++;
    this.lastRoundMs = this.wallMs();
  }

  /** When the partition that was verified longest ago was; Unix ms, 0 for none so far. */
  get oldestVerifiedMs(): number {
    let oldestMs = Infinity;
    for (const { lastVerifiedMs } of this.partitions.values())
      oldestMs = Math.min(oldestMs, lastVerifiedMs);
    return oldestMs === Infinity ? 0 : oldestMs;
  }

  addTraffic({ bytesSent, bytesReceived }: ExchangeResult): void {
    this.totals.bytesSent += bytesSent;
    this.totals.bytesReceived += bytesReceived;
  }

  add(tree: TreeId, peer: NodeId, result: ExchangeResult): void {
    const { totals } = this;
    totals.exchanges++;
    totals.leavesDiffering += result.leavesDiffering;
    totals.keysSent += result.keysSent;
    totals.keysReceived += result.keysReceived;
    this.addTraffic(result);
    if (!result.isComplete) totals.exchangesFailed++;
    else this.note(tree, peer, result.keysSent + result.keysReceived > 0);
  }

  /** Equal, as the roots say. */
  verified(tree: TreeId, peer: NodeId): void {
    this.totals.treesEqual++;
    this.note(tree, peer, false);
  }

  private note({ partition }: TreeId, lastPeer: NodeId, differed: boolean): void {
    const lastVerifiedMs = this.wallMs();
    this.partitions.set(partition, { partition, lastVerifiedMs, lastPeer, differed });
  }

  report(running: RepairRound | undefined): RepairReport {
    const partitions = [...this.partitions.values()].sort((a, b) => a.partition - b.partition);
    return { partitions, totals: { ...this.totals }, running };
  }
}
