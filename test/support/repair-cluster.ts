/** A few nodes with trees and anti-entropy: `many-nodes.ts` and what a node needs to become equal to the others. */
import { Prng } from "../../src/base/prng.ts";
import { AntiEntropy } from "../../src/cluster/anti-entropy.ts";
import { BucketCopies } from "../../src/cluster/bucket-copies.ts";
import { ExchangeAnswers, type ExchangeParts } from "../../src/cluster/exchange-answers.ts";
import type { TreeId } from "../../src/cluster/exchange-codec.ts";
import type { MergeGate } from "../../src/cluster/merge-gate.ts";
import { MerkleIndex } from "../../src/cluster/merkle-index.ts";
import type { PeerHandlerOptions } from "../../src/cluster/peer-handler.ts";
import type { RecordObserver } from "../../src/cluster/record-writer.ts";
import { RepairPace } from "../../src/cluster/repair-pace.ts";
import type { ReplicaStore } from "../../src/cluster/replica-store.ts";
import type { NodeId } from "../../src/gossip/member.ts";
import { silentLogger } from "../../src/ports/logger.ts";
import { SimRandom } from "../../src/sim/random.ts";
import {
  FakePeers,
  type ManyNode,
  ManyNodes,
  type ManyNodesOptions,
  type NodeExtension,
  Q,
} from "./many-nodes.ts";

const SECRET = new Uint8Array(16).fill(9);
const PARTITIONS = Array.from({ length: Q }, (_, partition) => partition);

export interface RepairClusterOptions extends ManyNodesOptions {
  readonly gate?: MergeGate;
  readonly intervalMs?: number;
}

/** The trees of one node, how it answers, and how it drives. */
export class RepairPart implements NodeExtension {
  readonly node: ManyNode;
  readonly gate?: MergeGate;
  readonly observer: RecordObserver;
  readonly repairs: PeerHandlerOptions["repairs"];
  readonly pace: RepairPace;
  /** By partition. */
  readonly gcFloors = new Map<number, number>();
  /** Keys that others would not take from this node. */
  readonly refused: Uint8Array[] = [];
  trees!: MerkleIndex;
  antiEntropy!: AntiEntropy;
  private readonly store: ReplicaStore;
  private readonly options: RepairClusterOptions;
  private answers!: ExchangeAnswers;

  constructor(node: ManyNode, store: ReplicaStore, options: RepairClusterOptions) {
    this.node = node;
    this.store = store;
    this.options = options;
    if (options.gate !== undefined) this.gate = options.gate;
    this.pace = new RepairPace({
      clock: node.clock,
      load: () => ({ inFlight: 0, operations: 0 }),
    });
    this.observer = {
      changing: (...change) => this.trees.changing(...change),
      takenBack: (partition) => this.trees.takenBack(partition),
    };
    this.repairs = {
      roots: (...asked) => this.answers.answerers.roots(...asked),
      hashes: (...asked) => this.answers.answerers.hashes(...asked),
      compare: (...asked) => this.answers.answerers.compare(...asked),
      store: (...asked) => this.answers.answerers.store(...asked),
    };
  }

  composed(): void {
    const { node, pace } = this;
    const random = new SimRandom(new Prng(`repair ${node.index}`));
    this.trees = new MerkleIndex({
      store: this.store,
      clock: node.clock,
      random,
      logger: silentLogger,
      clusterSecret: SECRET,
      q: Q,
      copies: new BucketCopies(node.coordinator.buckets),
      rest: (workMs) => pace.rest(workMs, 0),
    });
    const parts = this.parts();
    this.answers = new ExchangeAnswers(parts);
    const { intervalMs } = this.options;
    this.antiEntropy = new AntiEntropy({
      ...parts,
      peers: new FakePeers(node),
      random,
      logger: silentLogger,
      others: () => node.cluster.nodes.filter((other) => other !== node).map(({ id }) => id),
      isUp: (id) => node.view().isUp(id),
      incarnationOf: (id) => node.view().incarnationOf(id),
      treesShared: (id) => this.treesShared(id),
      ...(intervalMs !== undefined && { intervalMs }),
    });
    this.trees.start(PARTITIONS);
  }

  private parts(): ExchangeParts {
    const { node, store, pace, gcFloors } = this;
    const { coordinator, clock } = node;
    return {
      store,
      clock,
      pace,
      replica: coordinator.replica,
      buckets: coordinator.buckets,
      trees: this.trees,
      locate: (internalKey) => node.coordinator.locate(internalKey),
      copiesOf: (bucket) => bucket.properties.n,
      isHeld: (tree) => this.owns(node.id, tree),
      nowMs: () => coordinator.nowMs(),
      gcFloor: (partition) => gcFloors.get(partition) ?? 0,
      raiseGcFloor: (partition, floor) => void gcFloors.set(partition, floor),
      ownedSince: () => 1000 + node.index,
      onRefused: async (internalKey) => void this.refused.push(internalKey.slice()),
    };
  }

  private owns(id: NodeId, { partition, n }: TreeId): boolean {
    const view = this.node.view();
    return view.walk(partition).slice(0, view.effectiveN(n)).includes(id);
  }

  private treesShared(peer: NodeId): TreeId[] {
    const copies = new Set([3]);
    for (const { explicit } of this.node.coordinator.buckets.all())
      if (explicit.n !== undefined) copies.add(explicit.n);
    return PARTITIONS.flatMap((partition) => [...copies].map((n) => ({ partition, n }))).filter(
      (tree) => this.owns(peer, tree) && this.owns(this.node.id, tree),
    );
  }

  async stop(): Promise<void> {
    await this.antiEntropy.stop();
    await this.trees.close();
  }
}

export async function startRepairCluster(
  count: number,
  options: RepairClusterOptions = {},
): Promise<ManyNodes> {
  return ManyNodes.start(count, {
    ...options,
    extend: (node, store) => new RepairPart(node, store, options),
  });
}

export function partOf(node: ManyNode): RepairPart {
  return node.extension as RepairPart; // `startRepairCluster` gives every node one
}
