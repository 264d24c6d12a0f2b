/**
 * A few nodes in one process: real coordinators, replicas, hint stores and peer handlers over real stores on simulated disks, with one clock in the
 * test's hand and links that lose, delay and garble what the test wants. Everything that nodes say to each other goes through the bytes of
 * `peer-protocol.ts`. What the nodes believe of each other is told by the test; there is no gossip.
 */
import { LayoutState } from "../../src/ring/layout-state.ts";
import { ByteWriter } from "../../src/base/byte-writer.ts";
import { hex, utf8, utf8Text } from "../../src/base/bytes.ts";
import { Prng } from "../../src/base/prng.ts";
import { type Actor, makeActor } from "../../src/causality/actor.ts";
import { type Record, decodeRecord } from "../../src/causality/record.ts";
import { ClusterView } from "../../src/cluster/cluster-view.ts";
import { Coordinator } from "../../src/cluster/coordinator.ts";
import type { Explained } from "../../src/cluster/answers.ts";
import { HintStore } from "../../src/cluster/hint-store.ts";
import { HintedHandoff } from "../../src/cluster/hinted-handoff.ts";
import { failedReplyOf } from "../../src/cluster/peer-failure.ts";
import type { MergeGate } from "../../src/cluster/merge-gate.ts";
import { NodePeerHandler, type PeerHandlerOptions } from "../../src/cluster/peer-handler.ts";
import {
  PeerError,
  type PeerPriority,
  type PeerReply,
  type PeerRequest,
  type Peers,
} from "../../src/cluster/peer-messages.ts";
import {
  FrameReader,
  VERSIONS,
  beginBatch,
  sealBatch,
  setBudget,
  writeReplyFrame,
  writeRequestFrame,
} from "../../src/cluster/peer-protocol.ts";
import type { RecordObserver } from "../../src/cluster/record-writer.ts";
import type { ReplicaStore } from "../../src/cluster/replica-store.ts";
import { StateExchange } from "../../src/cluster/state-exchange.ts";
import type { Liveness, Member, MemberRecord, NodeId } from "../../src/gossip/member.ts";
import type { Clock, Timer } from "../../src/ports/clock.ts";
import { silentLogger } from "../../src/ports/logger.ts";
import type {
  ReadRequest,
  ReadResult,
  WriteRequest,
  WriteResult,
} from "../../src/quorum/operation.ts";
import {
  type Level,
  consistencyFor,
  levelConsistency,
} from "../../src/quorum/parse-consistency.ts";
import { assignLayout } from "../../src/ring/assignment.ts";
import type { Layout } from "../../src/ring/layout.ts";
import {
  type KeyAddress,
  addressOf,
  bucketPrefix,
  partitionBitsOf,
} from "../../src/ring/partition.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimRandom } from "../../src/sim/random.ts";
import type { Store } from "../../src/storage/store.ts";
import { ManualClock } from "./manual-clock.ts";
import { GET, PUT, valuesOf } from "./one-node.ts";
import { type OpenStore, SMALL_OPTIONS, openStore } from "./open-store.ts";
import { StillClock } from "./still-clock.ts";

export const Q = 16;
export const HOUR_MS = 3_600_000;
export const REPLICA_TIMEOUT_MS = 500;
export const DRIFT_MAX_MS = 500;
const GENERATION = 65_536;
const TURNS = 60;

/**
 * What happens to a message on its way.
 *
 *   refused     nobody listens there                       not-sent
 *   full        the sender's queue has no room               not-sent
 *   lost        it never arrives                           times out
 *   cut         it has its effect, then the link ends      unknown
 *   mute        it has its effect, the reply is lost       times out
 *   garbage     the reply is no message                    the link ends
 *   a number    the request arrives so many ms late
 */
export type Fault = "refused" | "full" | "lost" | "cut" | "mute" | "garbage" | number;

/** One request that was sent. */
export interface Sent {
  readonly from: ManyNode;
  readonly to: ManyNode;
  readonly request: PeerRequest;
  readonly priority: PeerPriority;
}

type Intercept = (sent: Sent) => Fault | undefined;

export interface ManyNodesOptions {
  readonly isDurable?: boolean;
  /** Puts something between node `index` and its store. */
  readonly wrap?: (store: Store, index: number) => ReplicaStore;
  /** What a node has besides; made anew at each of its starts, before its coordinator. */
  readonly extend?: (node: ManyNode, store: ReplicaStore) => NodeExtension;
}

export interface NodeExtension {
  readonly observer?: RecordObserver;
  readonly gate?: MergeGate;
  readonly repairs: PeerHandlerOptions["repairs"];
  /** Everything else is there now. */
  composed(): void;
  stop(): Promise<void>;
}

export class ManyNodes {
  readonly clock = new ManualClock();
  readonly nodes: ManyNode[] = [];
  readonly layout: Layout;
  readonly options: ManyNodesOptions;
  /** All requests so far. */
  readonly sent: Sent[] = [];
  private interceptor: Intercept | undefined;
  /** Changes a reply on its way. */
  tamper: ((reply: PeerReply, sent: Sent) => PeerReply) | undefined;

  private constructor(count: number, options: ManyNodesOptions) {
    this.options = options;
    const members = Array.from({ length: count }, (_, i) => ({
      id: hex(idOf(i)),
      name: `n${i + 1}`,
      zone: { dc: "dc1", rack: `r${i}`, host: `h${i}` },
      weight: 1,
      peerAddress: `n${i + 1}:1`,
    }));
    this.layout = assignLayout({ version: 1, q: Q, n: 3, members });
  }

  static async start(count: number, options: ManyNodesOptions = {}): Promise<ManyNodes> {
    const cluster = new ManyNodes(count, options);
    for (let i = 0; i < count; i++) {
      const disk = new SimDisk({ seed: i + 1 });
      const opened = await openDisk(disk);
      cluster.nodes.push(new ManyNode(cluster, i, disk, opened, 1));
    }
    cluster.viewsChanged();
    return cluster;
  }

  get intercept(): Intercept | undefined {
    return this.interceptor;
  }

  /** What happens to one message, before the target's own `fault` is asked. Refused connections are tried anew from here on. */
  set intercept(intercept: Intercept | undefined) {
    this.interceptor = intercept;
    for (const node of this.nodes) node.refusals.clear();
  }

  node(id: NodeId): ManyNode {
    return this.nodes.find((node) => node.id === id)!;
  }

  address(key: string, bucket = "demo"): KeyAddress {
    return addressOf(bucketPrefix(bucket), utf8(key), partitionBitsOf(Q));
  }

  /** Owners first, then fallbacks. */
  walk(key: string, bucket = "demo"): ManyNode[] {
    const view = this.nodes[0]!.view();
    return view.walk(this.address(key, bucket).partition).map((id) => this.node(id));
  }

  /** Everybody learns what `liveness` and `phase` of the nodes say now. */
  viewsChanged(): void {
    for (const node of this.nodes) node.forgetView();
    for (const node of this.nodes) if (node.isRunning) node.handoff.viewChanged();
  }

  /** The process is gone and all know it. */
  down(...nodes: ManyNode[]): void {
    for (const node of nodes) {
      node.fault = "refused";
      node.liveness = "down";
    }
    this.viewsChanged();
  }

  /** Back, in the phase given, with all hints still to come. */
  up(phase: MemberRecord["phase"], ...nodes: ManyNode[]): void {
    for (const node of nodes) {
      node.fault = undefined;
      node.liveness = "alive";
      node.phase = phase;
      node.incarnation += GENERATION;
      for (const other of this.nodes) other.refusals.delete(node.id);
    }
    this.viewsChanged();
  }

  setPhase(phase: MemberRecord["phase"], ...nodes: ManyNode[]): void {
    for (const node of nodes) node.phase = phase;
    this.viewsChanged();
  }

  /** `sides` hear nothing of each other, and believe each other down. */
  partition(...sides: ManyNode[][]): void {
    for (const side of sides)
      for (const node of side)
        for (const other of this.nodes)
          if (side.includes(other)) node.believes.delete(other.id);
          else node.believes.set(other.id, "down");
    const together = (a: ManyNode, b: ManyNode): boolean =>
      sides.some((side) => side.includes(a) && side.includes(b));
    this.intercept = ({ from, to }) => (together(from, to) ? undefined : "refused");
    this.viewsChanged();
  }

  heal(): void {
    for (const node of this.nodes) node.believes.clear();
    this.intercept = undefined;
    this.viewsChanged();
  }

  /** Lets time pass until `work` settles; fails after `maxMs`. */
  async run<T>(work: Promise<T> | T, maxMs = 20_000): Promise<T> {
    let isSettled = false;
    const watched = Promise.resolve(work).finally(() => (isSettled = true));
    watched.catch(() => undefined);
    await settle();
    const untilMs = this.clock.monoMs() + maxMs;
    while (!isSettled) {
      if (this.clock.monoMs() >= untilMs) throw new Error(`nothing settled within ${maxMs} ms`);
      this.clock.advance(5);
      await settle();
    }
    return watched;
  }

  /** Time passes, and what falls due is done. */
  async pass(ms: number): Promise<void> {
    await settle();
    for (let left = ms; left > 0; left -= 5) {
      this.clock.advance(Math.min(5, left));
      await settle();
    }
  }

  countSent(kind: PeerRequest["kind"], to?: ManyNode): number {
    return this.sent.filter((sent) => sent.request.kind === kind && (to ?? sent.to) === sent.to)
      .length;
  }

  async close(): Promise<void> {
    this.intercept = undefined;
    this.tamper = undefined;
    for (const node of this.nodes) node.fault = undefined;
    await this.pass(3000);
    for (const node of this.nodes) await this.run(node.stop());
  }
}

/** Lets all promise jobs run. */
export async function settle(): Promise<void> {
  for (let i = 0; i < TURNS; i++) await Promise.resolve();
}

function idOf(index: number): Uint8Array {
  return new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0xa1 + index]);
}

function openDisk(disk: SimDisk): Promise<OpenStore> {
  const random = new SimRandom(new Prng("node"));
  const world = { disk, clock: new StillClock(), random };
  return openStore(world, { ...SMALL_OPTIONS, memtableBytes: 65_536 });
}

/** The common clock, with a wall clock of its own, that counts the timers which are set. */
class NodeClock implements Clock {
  skewMs = 0;
  timers = 0;
  private readonly base: ManualClock;

  constructor(base: ManualClock) {
    this.base = base;
  }

  wallMs(): number {
    return this.base.wallMs() + this.skewMs;
  }

  monoMs(): number {
    return this.base.monoMs();
  }

  after(delayMs: number, callback: () => void): Timer {
    let isSet = true;
    const end = (): void => {
      if (isSet) this.timers--;
      isSet = false;
    };
    this.timers++;
    const timer = this.base.after(delayMs, () => {
      end();
      callback();
    });
    return {
      cancel: () => {
        end();
        timer.cancel();
      },
    };
  }

  sleep(delayMs: number): Promise<void> {
    return this.base.sleep(delayMs);
  }
}

export class ManyNode {
  readonly index: number;
  readonly id: NodeId;
  readonly name: string;
  readonly clock: NodeClock;
  readonly cluster: ManyNodes;
  readonly disk: SimDisk;
  /** What happens to everything that is sent to this node. */
  fault: Fault | undefined;
  liveness: Liveness = "alive";
  phase: MemberRecord["phase"] = "serving";
  incarnation = GENERATION;
  /** What this node thinks of others, where it differs from what everybody does. */
  readonly believes = new Map<NodeId, Liveness>();
  /** Who refused the last connection. */
  readonly refusals = new Set<NodeId>();
  readonly latencies = new Map<NodeId, { readonly p95: number; readonly mean: number }>();
  dataIncarnation: number;
  amnesias = 0;
  isRunning = true;
  coordinator!: Coordinator;
  hints!: HintStore;
  handoff!: HintedHandoff;
  handler!: NodePeerHandler;
  exchange!: StateExchange;
  opened: OpenStore;
  extension: NodeExtension | undefined;
  private known: ClusterView | undefined;

  constructor(
    cluster: ManyNodes,
    index: number,
    disk: SimDisk,
    opened: OpenStore,
    dataIncarnation: number,
  ) {
    this.cluster = cluster;
    this.index = index;
    this.id = hex(idOf(index));
    this.name = `n${index + 1}`;
    this.clock = new NodeClock(cluster.clock);
    this.disk = disk;
    this.opened = opened;
    this.dataIncarnation = dataIncarnation;
    this.compose();
  }

  private compose(): void {
    const { cluster, clock, opened } = this;
    const store = cluster.options.wrap?.(opened.store, this.index) ?? opened.store;
    this.extension = cluster.options.extend?.(this, store);
    const { observer, gate, repairs = {} } = this.extension ?? {};
    const limits = { hintWindowMs: HOUR_MS, hintTtlMs: 3 * HOUR_MS, hintBytesMax: 2 ** 26 };
    this.hints = new HintStore(store, limits, clock, silentLogger);
    const peers = new FakePeers(this);
    const random = new SimRandom(new Prng(`node ${this.index}`));
    this.handoff = new HintedHandoff({
      hints: this.hints,
      store,
      peers,
      clock,
      random,
      logger: silentLogger,
      replayDelayMs: 1000,
      view: () => this.view(),
      ownersOf: (internalKey) => {
        const { bucket, address } = this.coordinator.locate(internalKey);
        return this.view().holders(address.partition, this.view().copiesOf(bucket));
      },
      mergeHere: (message) => this.handler.merge(message),
    });
    const isDurable = cluster.options.isDurable ?? true;
    this.coordinator = new Coordinator({
      store,
      clock,
      logger: silentLogger,
      nodeId: idOf(this.index),
      nodeName: this.name,
      incarnation: this.dataIncarnation,
      clusterId: new Uint8Array(16).fill(7),
      clusterSecret: new Uint8Array(16).fill(9),
      q: Q,
      isDurable,
      ...(observer && { observer }),
      ...(gate && { gate }),
      others: {
        view: () => this.view(),
        peers,
        hints: this.hints,
        handoff: this.handoff,
        replicaTimeoutMs: REPLICA_TIMEOUT_MS,
        driftMaxMs: DRIFT_MAX_MS,
        onAmnesia: () => this.forgetful(),
        mayStore: () => true,
        onBucketsChange: () => undefined,
        spreadBuckets: (entry) => this.exchange.spread([entry]),
      },
    });
    this.exchange = new StateExchange({
      peers,
      buckets: this.coordinator.buckets,
      logger: silentLogger,
      view: () => this.view(),
      encodedLayouts: () => LayoutState.first(this.cluster.layout).encode(),
      learnLayouts: () => Promise.resolve(),
    });
    this.handler = new NodePeerHandler({
      coordinator: this.coordinator,
      store,
      hints: this.hints,
      handoff: this.handoff,
      clock,
      q: Q,
      isDurable,
      view: () => this.view(),
      lastGenerationOf: () => 0,
      markAlive: () => undefined,
      exchange: (message) => this.exchange.answerBuckets(message.body),
      status: () => ({ kind: "status", keys: 0, bytes: 0, dataIncarnation: 1, hints: [] }),
      repairs,
      knock: () => ({ kind: "knock", body: new Uint8Array(0) }),
    });
    this.extension?.composed();
  }

  private forgetful(): Actor {
    this.amnesias++;
    this.dataIncarnation++;
    return makeActor(idOf(this.index), this.dataIncarnation);
  }

  view(): ClusterView {
    return (this.known ??= this.makeView());
  }

  forgetView(): void {
    this.known = undefined;
  }

  private makeView(): ClusterView {
    const members = new Map<NodeId, Member>();
    for (const node of this.cluster.nodes)
      members.set(node.id, {
        record: node.record(),
        liveness: this.believes.get(node.id) ?? node.liveness,
      });
    return new ClusterView(LayoutState.first(this.cluster.layout), this.id, members);
  }

  private record(): MemberRecord {
    const member = this.cluster.layout.members.find(({ id }) => id === this.id)!;
    const { incarnation, phase } = this;
    return {
      ...member,
      clientAddress: "",
      incarnation,
      version: 0,
      phase,
      layoutVersion: 1,
      layoutHash: 0,
      bucketsHash: 0,
    };
  }

  async stop(): Promise<void> {
    this.isRunning = false;
    this.handoff.stop();
    await this.extension?.stop();
    await this.coordinator.stop();
    await this.opened.close();
  }

  /** Stops cleanly and starts again on the same disk; serving, as everybody else sees it. */
  async restart(dataIncarnation = this.dataIncarnation): Promise<void> {
    await this.stop();
    this.opened = await openDisk(this.disk);
    this.dataIncarnation = dataIncarnation;
    this.isRunning = true;
    this.incarnation += GENERATION;
    for (const other of this.cluster.nodes) other.refusals.delete(this.id);
    this.compose();
    this.cluster.viewsChanged();
  }

  put(key: string, value: string, changes: Changes<WriteRequest> = {}): Promise<WriteResult> {
    return this.write(key, { ...PUT, value: utf8(value) }, changes);
  }

  delete(key: string, changes: Changes<WriteRequest> = {}): Promise<WriteResult> {
    return this.write(key, { ...PUT, kind: "delete" }, changes);
  }

  /** Never throws where it is called. */
  private async write(
    key: string,
    request: WriteRequest,
    { level = "QUORUM", bucket = "demo", ...changes }: Changes<WriteRequest>,
  ): Promise<WriteResult> {
    const consistency = this.consistency(level, bucket);
    return this.coordinator.write(bucket, utf8(key), { ...request, consistency, ...changes });
  }

  async get(key: string, changes: Changes<ReadRequest> = {}): Promise<ReadResult> {
    const { level = "QUORUM", bucket = "demo", ...rest } = changes;
    const consistency = this.consistency(level, bucket);
    return this.coordinator.read(bucket, utf8(key), { ...GET, consistency, ...rest });
  }

  private consistency(level: string, bucket: string): ReadRequest["consistency"] {
    const properties = this.coordinator.bucket(bucket);
    return consistencyFor(level, properties, this.coordinator.effectiveN(bucket));
  }

  async values(key: string, changes: Changes<ReadRequest> = {}): Promise<string[]> {
    return valuesOf(await this.get(key, changes)).sort();
  }

  explain(key: string, bucket = "demo"): Promise<Explained> {
    return this.coordinator.explain(bucket, utf8(key));
  }

  /** The state under the key on this node's own disk. */
  recordOf(key: string, bucket = "demo"): Record {
    const stored = this.opened.store.get(this.cluster.address(key, bucket).internalKey);
    return stored === undefined ? [] : decodeRecord(stored.value.slice());
  }

  /** The values of that state, "-" for a deletion, sorted. */
  stored(key: string, bucket = "demo"): string[] {
    return textsOf(this.recordOf(key, bucket));
  }

  /** The values that this node keeps of the key as hints, for whomever. */
  hinted(key: string, bucket = "demo"): string[] {
    return textsOf(this.hints.read(this.cluster.address(key, bucket).internalKey)?.record ?? []);
  }

  hintCount(target: ManyNode): number {
    return this.hints.heldFor(target.id).count;
  }

  /** Puts a value here and nowhere else, as a write of which only this copy has heard. */
  async mintAlone(key: string, value: string, changes: Partial<WriteRequest> = {}): Promise<void> {
    const { coordinator } = this;
    const bucket = coordinator.buckets.get("demo");
    const request = { ...PUT, value: utf8(value), ...changes };
    const address = this.cluster.address(key);
    const outcome = coordinator.replica.mint(bucket, address, request, coordinator.nowMs());
    await outcome.durable;
  }

  /** Asks this node as `from` would. */
  async ask(request: PeerRequest, from: ManyNode): Promise<PeerReply> {
    try {
      return overTheWire(await this.handler.handle(request, from.id, 1000));
    } catch (thrown) {
      return failedReplyOf(thrown);
    }
  }
}

/** `level` is a level or a dictionary, as in `X-Consistency`. */
export type Changes<Request> = Partial<Request> & {
  readonly level?: Level | string;
  readonly bucket?: string;
};

function textsOf(record: Record): string[] {
  return record
    .flatMap(({ values }) => values)
    .map(({ payload }) => (payload.isTombstone ? "-" : utf8Text(payload.value)!))
    .sort();
}

export const ALL3 = levelConsistency("ALL", 3, false);

export class FakePeers implements Peers {
  private readonly self: ManyNode;

  constructor(self: ManyNode) {
    this.self = self;
  }

  private faultOf(sent: Sent): Fault | undefined {
    return this.self.cluster.intercept?.(sent) ?? sent.to.fault;
  }

  call(
    node: NodeId,
    request: PeerRequest,
    timeoutMs: number,
    priority: PeerPriority,
  ): Promise<PeerReply> {
    const { cluster } = this.self;
    const to = cluster.node(node);
    const bytes = encodeRequestOf(request, timeoutMs);
    const sent: Sent = { from: this.self, to, request, priority };
    cluster.sent.push(sent);
    const fault = this.faultOf(sent);
    if (fault === "refused" || !to.isRunning) {
      this.self.refusals.add(node);
      return Promise.reject(new PeerError("not-sent", "unreachable", node));
    }
    if (fault === "full") return Promise.reject(new PeerError("not-sent", "overloaded", node));
    this.self.refusals.delete(node);
    return new Promise((resolve, reject) => {
      const timer = cluster.clock.after(timeoutMs, () =>
        reject(new PeerError("unknown", "timeout", node)),
      );
      const settleWith = (work: () => void): void => {
        timer.cancel();
        work();
      };
      const deliver = (): void => {
        void this.deliver(sent, bytes, fault).then(
          (reply) => reply !== undefined && settleWith(() => resolve(reply)),
          (thrown: unknown) => settleWith(() => reject(thrown)),
        );
      };
      if (fault === "lost") return;
      if (typeof fault === "number") cluster.clock.after(fault, deliver);
      else deliver();
    });
  }

  /** `undefined` where no reply comes back. */
  private async deliver(
    sent: Sent,
    bytes: Uint8Array,
    fault: Fault | undefined,
  ): Promise<PeerReply | undefined> {
    const { from, to } = sent;
    await Promise.resolve();
    const frames = new FrameReader(bytes, VERSIONS.max);
    frames.next();
    const request = frames.readRequest()!;
    let reply: PeerReply;
    try {
      reply = overTheWire(await to.handler.handle(request, from.id, frames.budgetMs));
    } catch (thrown) {
      reply = overTheWire(failedReplyOf(thrown));
    }
    if (fault === "cut" || fault === "garbage") throw new PeerError("unknown", "lost", to.id);
    if (fault === "mute") return undefined;
    return from.cluster.tamper?.(reply, sent) ?? reply;
  }

  isReachable(node: NodeId): boolean {
    return !this.isConnectionRefused(node);
  }

  isConnectionRefused(node: NodeId): boolean {
    return this.self.refusals.has(node);
  }

  latencyP95Ms(node: NodeId): number | undefined {
    return this.self.latencies.get(node)?.p95;
  }

  latencyMeanMs(node: NodeId): number {
    return this.self.latencies.get(node)?.mean ?? 0;
  }
}

function encodeRequestOf(request: PeerRequest, budgetMs: number): Uint8Array {
  const writer = new ByteWriter(256);
  writeRequestFrame(writer, 1, request);
  setBudget(writer, 0, budgetMs);
  return sealed(writer);
}

function sealed(frames: ByteWriter): Uint8Array {
  const batch = beginBatch(frames.length, VERSIONS.max);
  batch.raw(frames.view());
  return sealBatch(batch).slice();
}

function overTheWire(reply: PeerReply): PeerReply {
  const writer = new ByteWriter(256);
  writeReplyFrame(writer, 1, reply);
  const frames = new FrameReader(sealed(writer), VERSIONS.max);
  frames.next();
  return frames.readReply();
}
