/**
 * Everything by which this node takes part in changes of the ring, put together: what is known of layouts, votes, joins, handovers.
 */
import { DecodeError } from "../base/byte-reader.ts";
import { HutchError } from "../base/errors.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import { LayoutState } from "../ring/layout-state.ts";
import type { LayoutMember } from "../ring/layout.ts";
import type { BucketCopies } from "./bucket-copies.ts";
import type { ClusterView } from "./cluster-view.ts";
import { Handover, type PushResult } from "./handover.ts";
import { LayoutJoin } from "./layout-join.ts";
import { LayoutManager } from "./layout-manager.ts";
import type { PeerRequest, Peers, ScannedEntry } from "./peer-messages.ts";
import type { ReplicaStore } from "./replica-store.ts";

/** Nodes that join within so many gossip intervals are in one layout version. */
const SETTLE_INTERVALS = 5;

export interface RingChangeOptions {
  readonly self: LayoutMember;
  readonly replaces: string;
  readonly areJoinsApplied: boolean;
  /** Copies wanted per partition. */
  readonly n: number;
  readonly layouts: LayoutState;
  readonly gossipIntervalMs: number;
  readonly store: ReplicaStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly peers: Peers;
  view(): ClusterView;
  setLayouts(state: LayoutState): void;
  tick(): number;
  olderWritesEnded(): Promise<void>;
  /** How many copies buckets have; each number has its own owners. */
  readonly copies: Pick<BucketCopies, "all" | "copiesOf">;
  /** Deletes records that are not this node's any more. */
  dropRecords(records: readonly ScannedEntry[]): Promise<void>;
  push(partition: number, target: NodeId): Promise<PushResult>;
  newestHintMs(): number;
  hasNoHints(upToMs: number): boolean;
  isServing(): boolean;
  forget(partition: number): void;
  onDropped(): void;
  learnBuckets(): Promise<void>;
  adoptCopies(bucket: string, n: number, since: number): Promise<void>;
  rest(workMs: number, bytes: number): Promise<void>;
  /** This node is of the cluster no more, and must not come back with its data. */
  onGone(): void;
  /** The cluster will not have this node. */
  onRefused(error: HutchError): void;
}

export class RingChange {
  readonly layouts: LayoutManager;
  readonly handover: Handover;
  private readonly joining: LayoutJoin;

  constructor(options: RingChangeOptions) {
    const { self, replaces, areJoinsApplied, gossipIntervalMs } = options;
    this.handover = new Handover({ ...options, self: self.id });
    this.layouts = new LayoutManager({
      ...options,
      self: self.id,
      state: options.layouts,
      handover: this.handover,
      learnLayouts: (body, node) => this.learn(body, node),
    });
    this.joining = new LayoutJoin({
      ...options,
      self,
      replaces,
      isApplied: areJoinsApplied,
      settleMs: SETTLE_INTERVALS * gossipIntervalMs,
      layouts: this.layouts,
    });
  }

  start(): void {
    this.layouts.start();
    this.joining.start();
  }

  stop(): void {
    this.joining.stop();
    this.layouts.stop();
  }

  /** Whoever is of the cluster no more may learn that, and nothing else (R51, row 106). Throws `unavailable`. */
  admit(request: PeerRequest, from: NodeId): void {
    if (!this.isGone(from) || (request.kind === "exchange" && request.topic === "layout")) return;
    throw new HutchError(
      "unavailable",
      "Cannot answer: the node is of the cluster no more; want an empty data directory, with which it may join anew",
    );
  }

  /** Nothing that it says is believed. */
  private isGone(node: NodeId): boolean {
    return this.layouts.state().removed.has(node);
  }

  /** The body of the reply. Throws `DecodeError` and what joins and votes throw. */
  async answer(
    topic: "layout" | "propose" | "join",
    body: Uint8Array,
    from: NodeId,
  ): Promise<Uint8Array> {
    switch (topic) {
      case "propose":
        return this.layouts.votes.answer(body);
      case "join":
        return this.joining.answer(body);
      case "layout":
        await this.learn(body, from);
        return this.layouts.state().encode();
    }
  }

  /** What another node has answered to an exchange of layouts. */
  async learn(body: Uint8Array, from: NodeId): Promise<void> {
    if (this.isGone(from)) return;
    const theirs = LayoutState.decode(body.slice());
    if (theirs.newest.q !== this.layouts.state().newest.q)
      throw new DecodeError("Cannot use layouts of another number of partitions");
    await this.layouts.merge(theirs);
  }
}
