/**
 * One node among others: puts the parts together that speak with the other nodes, and passes on what happens.
 *
 *   gossip says a node is up, down, back      -> handoff, syncing, links
 *   gossip says that nodes hold other state   -> state exchange
 *   we were given up, paused, or alone        -> syncing
 *   a peer asks                               -> peer handler
 */
import type { HutchError } from "../base/errors.ts";
import { makeActor } from "../causality/actor.ts";
import type { MemberChange } from "../gossip/effects.ts";
import {
  type Member,
  type MemberRecord,
  type NodeId,
  REFUTATIONS,
  generationOf,
} from "../gossip/member.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import type { Tracer } from "../ports/tracer.ts";
import type { PeerAddress, PeerPorts } from "../ports/transport.ts";
import type { LayoutState } from "../ring/layout-state.ts";
import type { LayoutMember } from "../ring/layout.ts";
import type { ClusterView } from "./cluster-view.ts";
import { Convergence } from "./convergence.ts";
import { Coordinator, type CoordinatorOptions } from "./coordinator.ts";
import { GossipService } from "./gossip-service.ts";
import type { Healer, HealerStore } from "./healer.ts";
import { makeHealer } from "./healing.ts";
import { HintStore } from "./hint-store.ts";
import { HintedHandoff } from "./hinted-handoff.ts";
import type { LayoutManager } from "./layout-manager.ts";
import { PauseGuard } from "./pause-guard.ts";
import { PeerClient, type PeerIdentity } from "./peer-client.ts";
import { NodePeerHandler } from "./peer-handler.ts";
import type {
  ExchangeMessage,
  KnockMessage,
  KnockReply,
  PeerReply,
  PeerRequest,
  StatusReply,
} from "./peer-messages.ts";
import type { ReplicaStore } from "./replica-store.ts";
import { RingChange } from "./ring-change.ts";
import { StateExchange } from "./state-exchange.ts";
import { Syncing } from "./syncing.ts";
import { WhoIsWho } from "./who-is-who.ts";

const SYNC_EVERY_MS_MAX = 500;

export interface ClusterNodeOptions extends Omit<CoordinatorOptions, "others"> {
  readonly store: ReplicaStore & HealerStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly ports: PeerPorts;
  readonly layouts: LayoutState;
  readonly seeds: readonly PeerAddress[];
  readonly self: LayoutMember;
  /** Name of the member whose place this node takes; empty for none. */
  readonly replaces: string;
  readonly areJoinsApplied: boolean;
  /** Copies wanted per partition. */
  readonly n: number;
  readonly clientAddress: string;
  /** Of this start (R49). */
  readonly generation: number;
  /** Of the start before it, as this disk knows. */
  readonly previousGeneration: number;
  readonly gossipIntervalMs: number;
  readonly replicaTimeoutMs: number;
  readonly driftMaxMs: number;
  readonly hintWindowMs: number;
  readonly hintTtlMs: number;
  readonly hintBytesMax: number;
  readonly hintReplayDelayMs: number;
  readonly repairIntervalMs: number;
  readonly gcDelayMs: number;
  identity(): PeerIdentity;
  readonly scheduleFlush?: (run: () => void) => void;
  readonly tracer?: Tracer;
  /** This copy has forgotten something: a new incarnation, on disk (R12d). */
  renewIncarnation(): number;
  knock(message: KnockMessage): KnockReply;
  status(): StatusReply;
  /** Ends the links that others have opened to us. */
  dropInboundLinks(): void;
  /** The node cannot go on: a later process is this node now (R52), or the cluster will not have it. */
  onFailure(error: HutchError): void;
  /** The node has left, or was removed: it should end, and not come back with its data. */
  onGone(): void;
}

export class ClusterNode {
  readonly coordinator: Coordinator;
  readonly peers: PeerClient;
  readonly hints: HintStore;
  readonly handoff: HintedHandoff;
  readonly gossip: GossipService;
  readonly syncing: Syncing;
  private readonly options: ClusterNodeOptions;
  private readonly guard: PauseGuard;
  private readonly whoIsWho: WhoIsWho;
  private readonly handler: NodePeerHandler;
  private readonly exchange: StateExchange;
  /** Of nodes that have started anew: the generation before, one entry for each. */
  private readonly lastGenerations = new Map<NodeId, number>();
  readonly ring: RingChange;
  readonly convergence: Convergence;
  /** Made last; the coordinator asks for it when it reads. */
  readonly healer: Healer;

  constructor(options: ClusterNodeOptions) {
    const { store, clock, logger } = options;
    this.options = options;
    this.hints = new HintStore(store, options, clock, logger);
    this.peers = this.makePeers();
    this.guard = new PauseGuard(clock, (gapMs) => this.paused(gapMs));
    this.gossip = this.makeGossip();
    this.whoIsWho = new WhoIsWho({
      peers: this.peers,
      logger,
      view: () => this.view,
      markAlive: (node, incarnation) => this.gossip.markAlive(node, incarnation),
      onSuperseded: (error) => options.onFailure(error),
    });
    this.handoff = this.makeHandoff();
    this.convergence = this.makeConvergence();
    this.coordinator = this.makeCoordinator();
    this.convergence.open(this.coordinator);
    this.syncing = this.makeSyncing();
    this.exchange = this.makeExchange();
    this.ring = this.makeRing();
    this.handler = this.makeHandler();
    this.healer = this.makeHealer();
    this.gossip.onChange((view, changes) => this.viewChanged(view, changes));
  }

  private makePeers(): PeerClient {
    return new PeerClient({
      ...this.options,
      transport: this.options.ports.transport,
      addressOf: (node) => this.addressOf(node),
      nameOf: (node) => this.nameOf(node),
    });
  }

  private makeGossip(): GossipService {
    const { options } = this;
    return new GossipService({
      ...options,
      guard: this.guard,
      self: selfRecord(options),
      state: options.layouts,
      intervalMs: options.gossipIntervalMs,
      datagrams: options.ports.datagrams,
      peers: this.peers,
      events: {
        onStale: (node, topic) => this.exchange.differs(node, topic),
        onDeclaredDown: () => this.syncing.enter("declared_down"),
        onDoubt: (doubt) => void this.whoIsWho.lookInto(doubt),
      },
    });
  }

  get view(): ClusterView {
    return this.gossip.view;
  }

  get layouts(): LayoutManager {
    return this.ring.layouts;
  }

  private addressOf(node: NodeId): string | undefined {
    const { view } = this.gossip;
    return view.members.get(node)?.record.peerAddress ?? view.planned.get(node)?.peerAddress;
  }

  /** As the layouts call it. */
  nameOf(node: NodeId): string | undefined {
    return this.view.state.members.get(node)?.name;
  }

  private makeHandoff(): HintedHandoff {
    const { store, clock, random, logger, hintReplayDelayMs } = this.options;
    return new HintedHandoff({
      hints: this.hints,
      store,
      peers: this.peers,
      clock,
      random,
      logger,
      replayDelayMs: hintReplayDelayMs,
      view: () => this.view,
      ownersOf: (internalKey) => {
        const { bucket, address } = this.coordinator.locate(internalKey);
        const holders = this.view.holders(address.partition, this.view.copiesOf(bucket));
        // Who was removed is an owner until the layout that names it has retired, and never comes back.
        return holders.filter((node) => !this.view.state.removed.has(node));
      },
      mergeHere: (message) => this.handler.merge(message, this.view.self),
    });
  }

  private makeCoordinator(): Coordinator {
    const { options, peers, hints, handoff } = this;
    const { replicaTimeoutMs, driftMaxMs } = options;
    return new Coordinator({
      ...options,
      observer: this.convergence.observer,
      gate: this.convergence.deletions.suspects,
      isLost: (internalKey) => this.healer.covers(internalKey),
      others: {
        view: () => this.view,
        peers,
        hints,
        handoff,
        replicaTimeoutMs,
        driftMaxMs,
        mayStore: (partition, bucket) => this.ring.handover.mayStore(partition, bucket),
        onAmnesia: (isUnawares) => {
          if (isUnawares) this.convergence.forgotten();
          return makeActor(options.nodeId, options.renewIncarnation());
        },
        onBucketsChange: () => {
          this.tellBuckets();
          this.convergence.bucketsChanged();
        },
        spreadBuckets: (entry) => this.exchange.spread([entry]),
        learnBuckets: () => this.exchange.learnFromAll(),
        changeCopies: (change) => this.layouts.changeCopies(change),
      },
    });
  }

  private makeSyncing(): Syncing {
    const { peers, options } = this;
    const { clock, logger, gossipIntervalMs } = options;
    return new Syncing({
      peers,
      clock,
      logger,
      intervalMs: Math.min(gossipIntervalMs, SYNC_EVERY_MS_MAX),
      view: () => this.view,
      incarnation: () => this.ownIncarnation,
      setPhase: (phase) => this.gossip.setSelf({ phase }),
      pull: (hasForgotten) => this.convergence.catchUp(hasForgotten),
      previousGeneration: this.options.previousGeneration,
      onRolledBack: () => {
        this.convergence.forgotten();
        this.coordinator.replica.name.renew();
      },
    });
  }

  private makeExchange(): StateExchange {
    const { peers, coordinator, options } = this;
    return new StateExchange({
      peers,
      buckets: coordinator.buckets,
      logger: options.logger,
      view: () => this.view,
      encodedLayouts: () => this.layouts.state().encode(),
      learnLayouts: (body, node) => this.ring.learn(body, node),
    });
  }

  private makeRing(): RingChange {
    const { options, peers, coordinator, gossip, hints, syncing } = this;
    return new RingChange({
      ...options,
      peers,
      view: () => this.view,
      setLayouts: (state) => gossip.setLayouts(state),
      tick: () => coordinator.replica.clock.tick(coordinator.nowMs()),
      olderWritesEnded: () => coordinator.olderWritesEnded(),
      copies: coordinator.copies,
      learnBuckets: () => this.exchange.learnFromOne(),
      adoptCopies: (...change) => coordinator.buckets.adoptCopies(...change),
      dropRecords: (records) => this.convergence.dropRecords(records),
      push: (partition, target) => this.convergence.push(partition, target),
      newestHintMs: () => hints.newestMs,
      hasNoHints: (upToMs) => !hints.holdsUpTo(upToMs),
      isServing: () => !syncing.isSyncing,
      forget: (partition) => this.convergence.forget(partition),
      onDropped: () => coordinator.replica.name.renew(),
      rest: (workMs, bytes) => this.convergence.pace.rest(workMs, bytes),
      onRefused: (error) => options.onFailure(error),
    });
  }

  private makeConvergence(): Convergence {
    const { options, peers } = this;
    return new Convergence({
      ...options,
      self: options.self.id,
      peers,
      hints: () => this.hints,
      view: () => this.view,
      mayStore: (partition, bucket) => this.ring.handover.mayStore(partition, bucket),
    });
  }

  private makeHealer(): Healer {
    const { options, coordinator, convergence, hints, layouts } = this;
    return makeHealer({
      ...options,
      coordinator,
      convergence,
      hints,
      layouts,
      view: () => this.view,
      learnBuckets: () => this.exchange.learnFromOne(),
    });
  }

  private makeHandler(): NodePeerHandler {
    const { coordinator, hints, handoff, options } = this;
    const { store, clock, q, isDurable } = options;
    return new NodePeerHandler({
      coordinator,
      store,
      hints,
      handoff,
      clock,
      q,
      isDurable,
      view: () => this.view,
      lastGenerationOf: (node) => this.lastGenerations.get(node) ?? 0,
      markAlive: (node, incarnation) => this.gossip.markAlive(node, incarnation),
      exchange: (message, from) => this.answerExchange(message, from),
      status: () => options.status(),
      knock: (message) => options.knock(message),
      repairs: this.convergence.answerers,
    });
  }

  private get ownIncarnation(): number {
    return this.view.incarnationOf(this.view.self);
  }

  /** Begins to speak and to listen; syncing until the others have been asked. */
  start(hasForgotten = false): void {
    this.tellBuckets();
    this.gossip.start();
    this.guard.start();
    if (hasForgotten) this.convergence.forgotten();
    this.syncing.enter(hasForgotten ? "rebuilding" : "started", hasForgotten);
    this.convergence.start();
    this.healer.start();
    this.ring.start();
  }

  /** The first step of an end: the others learn that nothing should be asked of this node any more. */
  leave(): void {
    this.ring.stop();
    this.healer.stop();
    this.syncing.stop();
    this.handoff.stop();
    this.gossip.stop();
  }

  /** After the last write: the trees are on disk when this settles. */
  async close(): Promise<void> {
    this.guard.stop();
    await this.convergence.stop();
    this.peers.close();
  }

  /** A peer asks; `from` has shown the cluster's id. */
  handle(request: PeerRequest, from: NodeId, budgetMs: number): PeerReply | Promise<PeerReply> {
    this.ring.admit(request, from);
    return this.handler.handle(request, from, budgetMs);
  }

  /** Before anything that comes in is looked at: was this process standing still (R53)? */
  check(): void {
    this.guard.check();
  }

  /** Is another process with this id alive, of a later start (R52)? */
  isDuplicate(node: NodeId, incarnation: number): boolean {
    return this.whoIsWho.isDuplicate(node, incarnation);
  }

  private paused(gapMs: number): void {
    this.options.logger.warn("paused", { ms: Math.round(gapMs) });
    this.gossip.notePause();
    this.syncing.enter("paused");
    this.peers.dropAllLinks();
    this.options.dropInboundLinks();
  }

  private viewChanged(view: ClusterView, changes: readonly MemberChange[]): void {
    for (const { id, before, after } of changes) {
      const wasUp = before !== undefined && before.liveness !== "down";
      if (isNewLife(before, after)) this.newLife(id, before!);
      else if (after?.liveness === "alive" && !wasUp) this.peers.retryNow(id);
      if (after?.liveness === "alive" && !wasUp && !this.healer.isSound) this.healer.kick();
    }
    this.syncing.viewChanged(view);
    this.handoff.viewChanged();
    this.convergence.viewChanged();
  }

  private newLife(id: NodeId, before: Member): void {
    this.peers.forget(id);
    this.lastGenerations.set(id, generationOf(before.record.incarnation));
  }

  private tellBuckets(): void {
    this.gossip.setSelf({ bucketsHash: this.coordinator.buckets.hash });
  }

  private async answerExchange(message: ExchangeMessage, from: NodeId): Promise<Uint8Array> {
    const { topic, body } = message;
    if (topic === "members") return this.gossip.answerExchange(body, from);
    if (topic === "buckets") return this.exchange.answerBuckets(body);
    return this.ring.answer(topic, body, from);
  }
}

/** Another process: a link to the one before may look open for a long time and leads nowhere. */
function isNewLife(before: Member | undefined, after: Member | undefined): boolean {
  if (before === undefined || after === undefined || before.record.incarnation === 0) return false;
  return generationOf(after.record.incarnation) > generationOf(before.record.incarnation);
}

function selfRecord(options: ClusterNodeOptions): MemberRecord {
  const { self, clientAddress, generation, layouts } = options;
  const { id, name, peerAddress, zone, weight } = self;
  return {
    id,
    name,
    peerAddress,
    clientAddress,
    zone,
    weight,
    incarnation: generation * REFUTATIONS,
    version: 1,
    phase: "syncing",
    layoutVersion: layouts.newest.version,
    layoutHash: layouts.hash,
    bucketsHash: 0,
  };
}
