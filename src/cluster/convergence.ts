/**
 * Everything that makes replicas equal and keeps them so, put together (R31): Merkle trees and their exchange, the collection of deletions, the healing of
 * damage, under one pace.
 */
import { HutchError, messageOf } from "../base/errors.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import { WriteBatch } from "../storage/store.ts";
import type { OnProgress } from "./admin-jobs.ts";
import { AntiEntropy } from "./anti-entropy.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { Coordinator } from "./coordinator.ts";
import { Deletions } from "./deletions.ts";
import type { Copies } from "./copies.ts";
import { ExchangeAnswers, type ExchangeParts } from "./exchange-answers.ts";
import type { TreeId } from "./exchange-codec.ts";
import type { PushResult } from "./handover.ts";
import type { HintStore } from "./hint-store.ts";
import { MerkleIndex } from "./merkle-index.ts";
import type { Peers, RepairAnswerer, RepairTopic, ScannedEntry } from "./peer-messages.ts";
import type { RecordObserver } from "./record-writer.ts";
import type { RepairRound } from "./repair-log.ts";
import { type ForegroundLoad, RepairPace } from "./repair-pace.ts";
import type { ReplicaStore } from "./replica-store.ts";

const PROGRESS_EVERY_MS = 200;
const IDLE: ForegroundLoad = { inFlight: 0, operations: 0 };

export interface ConvergenceOptions {
  readonly store: ReplicaStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly peers: Peers;
  readonly q: number;
  /** Copies that buckets have unless they say otherwise. */
  readonly n: number;
  readonly clusterSecret: Uint8Array;
  readonly repairIntervalMs: number;
  readonly gcDelayMs: number;
  readonly driftMaxMs: number;
  readonly self: NodeId;
  view(): ClusterView;
  /** States of this partition, and of the bucket where it is named, may be stored here now. */
  mayStore(partition: number, bucket?: string): boolean;
  hints(): Pick<HintStore, "read">;
}

export class Convergence {
  readonly pace: RepairPace;
  readonly deletions: Deletions;
  /** Made with `open`. */
  trees!: MerkleIndex;
  antiEntropy!: AntiEntropy;
  private readonly options: ConvergenceOptions;
  private coordinator!: Coordinator;
  private answers!: ExchangeAnswers;
  private copiesVersion = 0;
  private heldIn: ClusterView["state"] | undefined;

  constructor(options: ConvergenceOptions) {
    this.options = options;
    const { clock } = options;
    this.pace = new RepairPace({ clock, load: () => this.coordinator?.foreground ?? IDLE });
    this.deletions = new Deletions({
      ...options,
      pace: this.pace,
      coordinator: () => this.coordinator,
    });
  }

  /** What the coordinator's replica tells of every change, and whom it asks about old states; nothing is written before `open`. */
  get observer(): RecordObserver {
    const { due } = this.deletions;
    return {
      changing: (...change) => {
        this.trees.changing(...change);
        due.changing(...change);
      },
      takenBack: (partition) => this.trees.takenBack(partition),
    };
  }

  /** The second half of the making: the coordinator is there. */
  open(coordinator: Coordinator): void {
    const { options } = this;
    this.coordinator = coordinator;
    this.copiesVersion = coordinator.copies.version();
    this.trees = new MerkleIndex({
      ...options,
      copies: coordinator.copies,
      rest: (workMs, bytes) => this.pace.rest(workMs, bytes),
    });
    const parts = this.exchangeParts();
    this.answers = new ExchangeAnswers(parts);
    this.antiEntropy = new AntiEntropy({
      ...options,
      ...parts,
      intervalMs: options.repairIntervalMs,
      others: () => [...this.view.planned.keys()].filter((id) => id !== this.view.self),
      isUp: (node) => this.view.isUp(node),
      incarnationOf: (node) => this.view.incarnationOf(node),
      treesShared: (peer) => this.treesShared(peer),
    });
  }

  private exchangeParts(): ExchangeParts {
    const { store, clock } = this.options;
    const { coordinator } = this;
    const { facts } = this.deletions;
    return {
      store,
      clock,
      replica: coordinator.replica,
      buckets: coordinator.buckets,
      pace: this.pace,
      trees: this.trees,
      locate: (internalKey) => coordinator.locate(internalKey),
      copiesOf: (bucket) => coordinator.copies.of(bucket),
      isHeld: (tree, bucket) => this.isHeld(tree, bucket),
      nowMs: () => coordinator.nowMs(),
      gcFloor: (partition) => facts.gcFloorOf(partition),
      raiseGcFloor: (partition, floor) => facts.learnFloor(partition, floor),
      ownedSince: (partition) => facts.ownedSinceOf(partition),
      onRefused: (internalKey) => this.deletions.suspects.review(internalKey),
    };
  }

  private get view(): ClusterView {
    return this.options.view();
  }

  /** For `PeerHandlerOptions.repairs`. */
  get answerers(): Readonly<Partial<Record<RepairTopic, RepairAnswerer>>> {
    return { ...this.answers.answerers, ...this.deletions.answerers };
  }

  private isHeld({ partition, n }: TreeId, bucket?: string): boolean {
    const { view } = this;
    return (
      view.holders(partition, n).includes(view.self) && this.options.mayStore(partition, bucket)
    );
  }

  private treesShared(peer: NodeId): TreeId[] {
    const { view } = this;
    const trees: TreeId[] = [];
    for (const n of this.coordinator.copies.all())
      for (let partition = 0; partition < view.layout.q; partition++)
        if (this.isShared(peer, partition, n)) trees.push({ partition, n });
    return trees;
  }

  private isShared(peer: NodeId, partition: number, n: Copies): boolean {
    const { view } = this;
    const holders = view.holders(partition, n);
    return holders.includes(view.self) && holders.includes(peer);
  }

  /** Partitions of which this node keeps something, in any active layout. */
  heldPartitions(): number[] {
    const all = Array.from({ length: this.view.layout.q }, (_, partition) => partition);
    return all.filter((partition) => this.isHeldPartition(partition));
  }

  isHeldPartition(partition: number): boolean {
    const { view } = this;
    const counts = this.coordinator.copies.all();
    return counts.some((n) => view.holders(partition, n).includes(view.self));
  }

  start(): void {
    this.heldIn = this.view.state;
    this.trees.start(this.heldPartitions());
    this.antiEntropy.start();
    this.tellFacts();
    this.deletions.start();
  }

  private tellFacts(): void {
    this.deletions.ownershipChanged().catch((thrown: unknown) => {
      // What is not on disk is told again with the next change, and is conservative until then.
      this.options.logger.warn("partition_facts_not_saved", { reason: messageOf(thrown) });
    });
  }

  /** This node may have forgotten something (R12): it vouches for nothing that is older. */
  forgotten(): void {
    this.deletions.facts.resetOwnedSince().catch((thrown: unknown) => {
      this.options.logger.warn("partition_facts_not_saved", { reason: messageOf(thrown) });
    });
  }

  /** Nothing is asked or merged any more when this settles, and the trees are on disk. */
  async stop(): Promise<void> {
    this.deletions.stop();
    await this.antiEntropy.stop();
    await this.trees.close();
  }

  /** The layouts may be others: partitions that are new here get their trees. */
  viewChanged(): void {
    const { state } = this.view;
    if (this.heldIn === undefined || this.heldIn.layouts === state.layouts) return;
    this.heldIn = state;
    for (const partition of this.heldPartitions()) this.trees.hold(partition);
    this.tellFacts();
    this.bucketsChanged();
  }

  /** Properties of some bucket are not what they were, or layouts say another number of copies. */
  bucketsChanged(): void {
    this.trees.bucketsChanged();
    const version = this.coordinator.copies.version();
    if (version === this.copiesVersion) return;
    this.copiesVersion = version;
    // It may own keys now that others have held all the time.
    this.forgotten();
  }

  /** The partition is not this node's any more. */
  forget(partition: number): void {
    this.trees.forget(partition);
  }

  /** Brings `target` to at least what is here of the partition. What a tree has not seen yet it could not tell. */
  async push(partition: number, target: NodeId): Promise<PushResult> {
    this.trees.hold(partition);
    let isComplete = this.trees.isTrusted(partition);
    let bytesSent = 0;
    for (const n of this.coordinator.copies.all()) {
      if (!isComplete || !this.isShared(target, partition, n)) continue;
      const result = await this.antiEntropy.push(target, { partition, n });
      bytesSent += result.bytesSent;
      isComplete &&= result.isComplete;
    }
    return { isComplete: isComplete && this.trees.isTrusted(partition), bytesSent };
  }

  /** Records that are not this node's any more, in the turn in which they were read. */
  dropRecords(records: readonly ScannedEntry[]): Promise<void> {
    const { writer } = this.coordinator.replica;
    const batch = new WriteBatch();
    const places = records.map(({ key, record }) => {
      const place = this.coordinator.locate(key);
      writer.drop(batch, place.bucket, place.address, record);
      return place;
    });
    return writer.apply(batch, places);
  }

  /** One round with everybody now, for administration. */
  async repairAll(onProgress: OnProgress): Promise<string> {
    const { round, finished } = this.antiEntropy.runNow();
    const tell = (): void => onProgress(round.done / Math.max(1, round.total), wordsOf(round));
    const ticking = this.every(PROGRESS_EVERY_MS, tell);
    await finished;
    ticking.stop();
    if (round.failed === 0) return wordsOf(round);
    throw new HutchError("unavailable", `${wordsOf(round)}; want all owners up, and again`, {
      retry: "safe",
    });
  }

  private every(intervalMs: number, run: () => void): { stop(): void } {
    const { clock } = this.options;
    let timer: Timer;
    const again = (): void => {
      timer = clock.after(intervalMs, () => {
        run();
        again();
      });
    };
    again();
    return { stop: () => timer.cancel() };
  }

  /** Fetches what this node may lack of its partitions from a quorum of their owners (R59); false where that has to be tried again. */
  catchUp(hasForgotten: boolean): Promise<boolean> {
    const options = { quorum: true, hasForgotten };
    return this.antiEntropy.repairPartitions(this.heldPartitions(), options);
  }
}

function wordsOf({ done, total, differing, failed }: RepairRound): string {
  const compared = `${done} of ${total} pairs of copies are compared, ${differing} differed`;
  return failed === 0 ? compared : `${compared}, ${failed} could not be finished`;
}
