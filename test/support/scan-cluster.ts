/**
 * Several nodes that can only be scanned: real stores on simulated disks, a layout at random, and peers that fail as a test says. Records are put
 * into the copies directly, so that a test decides who misses what.
 */
import { LayoutState } from "../../src/ring/layout-state.ts";
import { ByteWriter } from "../../src/base/byte-writer.ts";
import { hex, utf8 } from "../../src/base/bytes.ts";
import { Prng } from "../../src/base/prng.ts";
import { ContextTokens } from "../../src/causality/context-token.ts";
import { NO_METADATA, tombstone } from "../../src/causality/payload.ts";
import { joinActor } from "../../src/causality/actor.ts";
import { type Record, encodeRecord } from "../../src/causality/record.ts";
import type { Bucket } from "../../src/cluster/bucket-properties.ts";
import { ClusterView } from "../../src/cluster/cluster-view.ts";
import { Listing } from "../../src/cluster/listing.ts";
import {
  PeerError,
  type PeerReply,
  type PeerRequest,
  type Peers,
  type ScanMessage,
  type ScanReply,
} from "../../src/cluster/peer-messages.ts";
import type { ReplicaStore } from "../../src/cluster/replica-store.ts";
import { answerScan } from "../../src/cluster/scan-answer.ts";
import type { Member, MemberRecord, NodeId } from "../../src/gossip/member.ts";
import {
  type BucketProperties,
  DEFAULT_BUCKET_PROPERTIES,
  type ListPage,
  type ListRequest,
} from "../../src/quorum/operation.ts";
import type { Layout } from "../../src/ring/layout.ts";
import { addressOf, bucketPrefix, partitionBitsOf } from "../../src/ring/partition.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimRandom } from "../../src/sim/random.ts";
import { WriteBatch } from "../../src/storage/store.ts";
import { ManualClock } from "./manual-clock.ts";
import { LIST } from "./one-node.ts";
import { type OpenStore, SMALL_OPTIONS, openStore } from "./open-store.ts";
import { StillClock } from "./still-clock.ts";

export const ZONE = { dc: "d", rack: "r", host: "h" };

export function nodeId(index: number): NodeId {
  return `00000000000000${(0xa0 + index).toString(16)}`;
}

/** Distinct owners at random. */
export function randomLayout(prng: Prng, nodeCount: number, q: number, n: number): Layout {
  const members = Array.from({ length: nodeCount }, (_, index) => ({
    id: nodeId(index),
    name: `n${index}`,
    zone: ZONE,
    weight: 1,
    peerAddress: `n${index}:1`,
  }));
  const ownerCount = Math.min(n, nodeCount);
  const owners = new Uint16Array(q * ownerCount);
  for (let partition = 0; partition < q; partition++) {
    const order = members.map((_, index) => ({ index, at: prng.u32() }));
    order.sort((a, b) => a.at - b.at);
    for (let i = 0; i < ownerCount; i++) owners[partition * ownerCount + i] = order[i]!.index;
  }
  return { version: 1, q, n: ownerCount, members, owners };
}

export function memberOf(id: NodeId, changes: Partial<MemberRecord> = {}): Member {
  const record: MemberRecord = {
    id,
    name: id,
    peerAddress: "",
    clientAddress: "",
    zone: ZONE,
    weight: 1,
    incarnation: 65_536,
    version: 1,
    phase: "serving",
    layoutVersion: 1,
    layoutHash: 0,
    bucketsHash: 0,
    ...changes,
  };
  return { record, liveness: "alive" };
}

export function viewOf(
  layout: Layout,
  self: NodeId,
  phases: { readonly [id: NodeId]: MemberRecord["phase"] } = {},
): ClusterView {
  const members = new Map<NodeId, Member>();
  for (const { id } of layout.members)
    members.set(id, memberOf(id, { phase: phases[id] ?? "serving" }));
  return new ClusterView(LayoutState.first(layout), self, members);
}

export function testBucket(changes: Partial<BucketProperties> = {}, name = "demo"): Bucket {
  const properties = { ...DEFAULT_BUCKET_PROPERTIES, ...changes };
  return { name, prefix: bucketPrefix(name), properties, explicit: changes, isListed: true };
}

/** One value of one writer; `counter` says which of its writes. */
export function stateOf(counter: number, text: string | undefined, writer = "w1"): Record {
  const actor = joinActor(hex(utf8(writer.padEnd(8, "."))), 1);
  const value = {
    isTombstone: false,
    hlc: counter,
    expiresAtMs: 0,
    contentType: "",
    contentEncoding: "",
    meta: NO_METADATA,
    value: utf8(text ?? ""),
  };
  const payload = text === undefined ? tombstone(counter) : value;
  return [{ actor, counterMax: counter, values: [{ counter, payload }] }];
}

export function bytesOf(record: Record): Uint8Array {
  const writer = new ByteWriter();
  encodeRecord(writer, record);
  return writer.view();
}

interface AskedScan {
  readonly node: NodeId;
  readonly message: ScanMessage;
}

export class ScanCluster implements Peers {
  readonly clock = new ManualClock();
  readonly layout: Layout;
  readonly stores = new Map<NodeId, OpenStore>();
  /** Each scan that was asked of a peer, in order. */
  readonly asked: AskedScan[] = [];
  /** What happens to the scan of a peer; throws, or gives another reply. */
  onScan: (node: NodeId, reply: ScanReply, message: ScanMessage) => PeerReply = (_, reply) => reply;
  /** What stands between scans and the own store. */
  wrapOwn: (store: ReplicaStore) => ReplicaStore = (store) => store;
  readonly unreachable = new Set<NodeId>();
  phases: { readonly [id: NodeId]: MemberRecord["phase"] } = {};
  self = nodeId(0);
  /** Peers answer with no more than this at a time. */
  peerPageKeys = Infinity;
  inFlightMax = 0;
  private readonly inFlight = new Map<NodeId, number>();

  private constructor(layout: Layout) {
    this.layout = layout;
  }

  static async start(layout: Layout): Promise<ScanCluster> {
    const cluster = new ScanCluster(layout);
    for (const { id } of layout.members) {
      const random = new SimRandom(new Prng(id));
      const world = { disk: new SimDisk({ seed: 1 }), clock: new StillClock(), random };
      cluster.stores.set(id, await openStore(world, { ...SMALL_OPTIONS, memtableBytes: 16_384 }));
    }
    return cluster;
  }

  async close(): Promise<void> {
    for (const opened of this.stores.values()) await opened.close();
  }

  get view(): ClusterView {
    return viewOf(this.layout, this.self, this.phases);
  }

  partitionOf(key: Uint8Array, bucket = "demo"): number {
    return addressOf(bucketPrefix(bucket), key, partitionBitsOf(this.layout.q)).partition;
  }

  ownersOf(key: Uint8Array, bucket = "demo"): NodeId[] {
    return [...this.view.walk(this.partitionOf(key, bucket))].slice(0, this.layout.n);
  }

  /** Into the copies at `nodes` alone. */
  async store(
    nodes: readonly NodeId[],
    key: Uint8Array,
    record: Record,
    bucket = "demo",
  ): Promise<void> {
    const address = addressOf(bucketPrefix(bucket), key, partitionBitsOf(this.layout.q));
    const batch = new WriteBatch().put(address.internalKey, bytesOf(record));
    await Promise.all(nodes.map((node) => this.stores.get(node)!.store.apply(batch)));
  }

  get listing(): Listing {
    const tokens = new ContextTokens(new Uint8Array(16), new Uint8Array(16));
    return new Listing({
      store: this.wrapOwn(this.stores.get(this.self)!.store),
      clock: this.clock,
      partitionCount: this.layout.q,
      nowMs: () => this.clock.wallMs(),
      tokenizerOf: () => ({ tokens, fingerprint: 0 }),
      view: () => this.view,
      peers: this,
    });
  }

  page(request: Partial<ListRequest> = {}, bucket = testBucket()): Promise<ListPage> {
    return this.listing.page(bucket, { ...LIST, ...request });
  }

  async call(node: NodeId, request: PeerRequest): Promise<PeerReply> {
    if (request.kind !== "scan") throw new Error(`no such message here: ${request.kind}`);
    this.asked.push({ node, message: request });
    const inFlight = (this.inFlight.get(node) ?? 0) + 1;
    this.inFlight.set(node, inFlight);
    this.inFlightMax = Math.max(this.inFlightMax, inFlight);
    try {
      // The scans of several nodes under way take turns.
      await Promise.resolve();
      if (this.unreachable.has(node)) throw new PeerError("not-sent", "unreachable", node);
      const { store } = this.stores.get(node)!;
      const own = { store, clock: this.clock, partitionCount: this.layout.q };
      const keysMax = Math.min(request.keysMax, this.peerPageKeys);
      return this.onScan(node, await answerScan(own, { ...request, keysMax }), request);
    } finally {
      this.inFlight.set(node, this.inFlight.get(node)! - 1);
    }
  }

  isReachable(node: NodeId): boolean {
    return !this.unreachable.has(node);
  }

  isConnectionRefused(): boolean {
    return false;
  }

  latencyP95Ms(): undefined {
    return undefined;
  }

  latencyMeanMs(): number {
    return 1;
  }
}
