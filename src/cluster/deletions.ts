/**
 * Everything that keeps deletions deleted and lets go of them in the end, put together for one node: the facts of its partitions, the gate before its replica, the
 * collector, and the answers to topics `collect` and `held`. Made before the coordinator, which gets `due` as an observer and `suspects` as its gate.
 */
import { HLC_STEPS_PER_MS, hlcOfWallMs } from "../causality/hlc.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import { COPIES_MAX } from "../ring/layout.ts";
import { preferenceList } from "../ring/preference-list.ts";
import type { Bucket } from "./bucket-properties.ts";
import type { ClusterView } from "./cluster-view.ts";
import { CollectAnswers } from "./collect-answers.ts";
import { CollectionDue } from "./collection-due.ts";
import type { Copies } from "./copies.ts";
import type { Coordinator } from "./coordinator.ts";
import type { HintStore } from "./hint-store.ts";
import { NO_RANK, PartitionFacts } from "./partition-facts.ts";
import type { Peers, RepairAnswerer } from "./peer-messages.ts";
import type { Rests } from "./repair-pace.ts";
import type { ReplicaStore } from "./replica-store.ts";
import { Suspects } from "./suspects.ts";
import { TombstoneCollector } from "./tombstone-collector.ts";

export interface DeletionsOptions {
  readonly store: ReplicaStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly peers: Peers;
  readonly pace: Rests;
  readonly self: NodeId;
  readonly q: number;
  readonly gcDelayMs: number;
  readonly driftMaxMs: number;
  view(): ClusterView;
  hints(): Pick<HintStore, "read">;
  /** Not before the first message and the first call of `start`. */
  coordinator(): Coordinator;
}

export class Deletions {
  readonly facts: PartitionFacts;
  readonly due: CollectionDue;
  readonly suspects: Suspects;
  readonly collector: TombstoneCollector;
  /** For `PeerHandlerOptions.repairs`. */
  readonly answerers: Readonly<Record<"collect" | "held", RepairAnswerer>>;
  private readonly options: DeletionsOptions;

  constructor(options: DeletionsOptions) {
    const { q, store, logger, gcDelayMs, view } = options;
    this.options = options;
    this.facts = new PartitionFacts({
      store,
      logger,
      q,
      nowHlc: () => this.nowHlc(),
      floorMax: () => this.floorMax(),
    });
    this.due = new CollectionDue(q, gcDelayMs);
    const common = {
      ...options,
      facts: this.facts,
      due: this.due,
      locate: (internalKey: Uint8Array) => options.coordinator().locate(internalKey),
      nowMs: () => options.coordinator().nowMs(),
      layoutVersion: () => view().layout.version,
      isServing: (node: NodeId) => view().isServing(node),
      copiesOf: (bucket: Bucket) => view().copiesOf(bucket),
      holdersOf: (partition: number, copies: Copies) => view().holders(partition, copies),
    };
    this.suspects = new Suspects({
      ...common,
      replica: () => options.coordinator().replica,
      ownersOf: (partition, copies) => view().owners(partition, copies),
    });
    const answers = new CollectAnswers({
      ...common,
      writer: () => options.coordinator().replica.writer,
      hints: { read: (internalKey) => options.hints().read(internalKey) },
      isServing: () => view().isServing(options.self),
      isOwner: ({ bucket, address }) => options.coordinator().isOwner(bucket, address),
    });
    this.collector = new TombstoneCollector({
      ...common,
      answers,
      ownersOf: common.holdersOf,
      firstOwnerOf: (partition) => view().walk(partition)[0]!, // a layout has members
    });
    this.answerers = {
      collect: (body) => answers.answer(body),
      held: (body) => this.suspects.answer(body),
    };
  }

  /** At or above every dot that any node has given out: clocks are apart by no more than the drift that is allowed. */
  private nowHlc(): number {
    const { clock, driftMaxMs } = this.options;
    return hlcOfWallMs(clock.wallMs() + driftMaxMs) + HLC_STEPS_PER_MS - 1;
  }

  /** A deletion is older than gc-delay by every owner's clock before it is collected, and its dots are older than it. */
  private floorMax(): number {
    const { clock, driftMaxMs, gcDelayMs } = this.options;
    return hlcOfWallMs(clock.wallMs() + driftMaxMs - gcDelayMs) + HLC_STEPS_PER_MS - 1;
  }

  start(): void {
    this.suspects.start();
    this.collector.start();
  }

  stop(): void {
    this.suspects.stop();
    this.collector.stop();
  }

  /** To be called at the start and after every change of layouts. Settles when it is on disk. */
  ownershipChanged(): Promise<void> {
    const { layouts, self } = this.options.view();
    return this.facts.setRanks((partition) => {
      const ranks = layouts.map((layout) => preferenceList(layout, partition).indexOf(self));
      const held = ranks.filter((rank) => rank >= 0 && rank < COPIES_MAX);
      return Math.min(NO_RANK, ...held);
    });
  }
}
