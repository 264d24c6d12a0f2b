/** One node that holds hints: a real store on a simulated disk, other nodes as maps of what they were given, a clock in the test's hand. */
import { LayoutState } from "../../src/ring/layout-state.ts";
import { ByteWriter } from "../../src/base/byte-writer.ts";
import { hex, utf8, utf8Text } from "../../src/base/bytes.ts";
import { Prng } from "../../src/base/prng.ts";
import { joinActor } from "../../src/causality/actor.ts";
import { NO_METADATA } from "../../src/causality/payload.ts";
import { type Record, decodeRecord, encodeRecord } from "../../src/causality/record.ts";
import { merge } from "../../src/causality/siblings.ts";
import { ClusterView } from "../../src/cluster/cluster-view.ts";
import { type HintOptions, HintStore } from "../../src/cluster/hint-store.ts";
import { type HandoffOptions, HintedHandoff } from "../../src/cluster/hinted-handoff.ts";
import {
  type MergeMessage,
  type PeerReply,
  type PeerRequest,
  type Peers,
} from "../../src/cluster/peer-messages.ts";
import type { Liveness, Member, NodeId } from "../../src/gossip/member.ts";
import { silentLogger } from "../../src/ports/logger.ts";
import type { Layout } from "../../src/ring/layout.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimRandom } from "../../src/sim/random.ts";
import { WriteBatch } from "../../src/storage/store.ts";
import { ManualClock } from "./manual-clock.ts";
import { type OpenStore, SMALL_OPTIONS, openStore } from "./open-store.ts";
import { StillClock } from "./still-clock.ts";

export const SELF = "00000000000000a1";
export const B = "00000000000000b2";
export const C = "00000000000000c3";
export const D = "00000000000000d4";
export const GENERATION = 65_536;
export const HOUR = 3_600_000;
export const DELAY_MS = 2000;
const STORED: PeerReply = { kind: "stored", isDurable: true };
const NAMES = [SELF, B, C, D];
const OPTIONS: HintOptions = { hintWindowMs: HOUR, hintTtlMs: 3 * HOUR, hintBytesMax: 2 ** 26 };

/** In partition 7, bucket `demo`. */
export function keyOf(name: string): Uint8Array {
  return new Uint8Array([0, 7, ...utf8(`demo\0${name}`)]);
}

/** The state after `node` has written `values` with counters from `counter` on. */
export function stateOf(value: string, counter = 1, node: NodeId = SELF): Uint8Array {
  const payload = {
    isTombstone: false,
    hlc: counter,
    expiresAtMs: 0,
    contentType: "",
    contentEncoding: "",
    meta: NO_METADATA,
    value: utf8(value),
  };
  const actor = joinActor(node, 1);
  return encoded([{ actor, counterMax: counter, values: [{ counter, payload }] }]);
}

export function encoded(record: Record): Uint8Array {
  const writer = new ByteWriter();
  encodeRecord(writer, record);
  return writer.finish();
}

/** The values of a state, sorted, in one line. */
export function textOf(record: Record | undefined): string {
  const values = (record ?? []).flatMap((entry) => entry.values);
  const texts = values.map(({ payload }) => utf8Text(payload.value)!);
  return texts.sort().join(" ");
}

/** Lets everything run that waits for nothing but its turn. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise<void>((next) => setImmediate(next));
}

type Answer = (node: NodeId, message: MergeMessage) => Promise<PeerReply>;

/** The other nodes. */
export class OtherNodes implements Peers {
  readonly calls: { readonly node: NodeId; readonly message: MergeMessage }[] = [];
  inFlight = 0;
  inFlightMax = 0;
  /** What they do instead of storing. */
  answer: Answer | undefined;
  private readonly states = new Map<string, Record>();

  async call(node: NodeId, request: PeerRequest): Promise<PeerReply> {
    if (request.kind !== "merge") throw new Error("only merges are expected");
    this.calls.push({ node, message: request });
    this.inFlight++;
    this.inFlightMax = Math.max(this.inFlightMax, this.inFlight);
    try {
      return await (this.answer ?? this.store)(node, request);
    } finally {
      this.inFlight--;
    }
  }

  readonly store: Answer = async (node, { internalKey, record }) => {
    const place = `${node}/${hex(internalKey)}`;
    this.states.set(place, merge(this.states.get(place) ?? [], decodeRecord(record)));
    return STORED;
  };

  valuesAt(node: NodeId, name: string): string {
    return textOf(this.states.get(`${node}/${hex(keyOf(name))}`));
  }

  isReachable(): boolean {
    return true;
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

export class HintWorld {
  readonly clock: ManualClock;
  readonly peers: OtherNodes;
  readonly hints: HintStore;
  readonly handoff: HintedHandoff;
  readonly opened: OpenStore;
  disk: SimDisk;
  /** What others know: liveness and incarnation. */
  readonly liveness = new Map<NodeId, Liveness>();
  readonly incarnations = new Map<NodeId, number>();
  layoutNodes: readonly NodeId[] = NAMES;
  owners: readonly NodeId[] = [SELF, B, C];
  private readonly changes: Partial<HintOptions & HandoffOptions>;

  private constructor(
    opened: OpenStore,
    disk: SimDisk,
    clock: ManualClock,
    peers: OtherNodes,
    changes: Partial<HintOptions & HandoffOptions>,
  ) {
    this.opened = opened;
    this.disk = disk;
    this.clock = clock;
    this.peers = peers;
    this.changes = changes;
    this.hints = new HintStore(opened.store, { ...OPTIONS, ...changes }, clock, silentLogger);
    this.handoff = new HintedHandoff({
      hints: this.hints,
      store: opened.store,
      peers,
      clock,
      random: new SimRandom(new Prng("handoff")),
      logger: silentLogger,
      replayDelayMs: DELAY_MS,
      view: () => this.view(),
      ownersOf: () => this.owners,
      mergeHere: (message) => peers.call(SELF, message),
      ...changes,
    });
  }

  /** Everybody but this node is down. */
  static async start(changes: Partial<HintOptions & HandoffOptions> = {}): Promise<HintWorld> {
    return HintWorld.on(new SimDisk({ seed: 5 }), new ManualClock(), new OtherNodes(), changes);
  }

  private static async on(
    disk: SimDisk,
    clock: ManualClock,
    peers: OtherNodes,
    changes: Partial<HintOptions & HandoffOptions>,
  ): Promise<HintWorld> {
    const world = { disk, clock: new StillClock(), random: new SimRandom(new Prng("node")) };
    const opened = await openStore(world, { ...SMALL_OPTIONS, memtableBytes: 65_536 });
    const made = new HintWorld(opened, disk, clock, peers, changes);
    for (const node of NAMES.slice(1)) made.liveness.set(node, "down");
    return made;
  }

  /** A clean restart, or one after the power went. */
  async restart(how: "clean" | "power-loss" = "clean"): Promise<HintWorld> {
    this.handoff.stop();
    if (how === "clean") await this.opened.close();
    const disk = how === "clean" ? this.disk : this.disk.powerLoss("strict");
    return HintWorld.on(disk, this.clock, this.peers, this.changes);
  }

  view(): ClusterView {
    const layout: Layout = {
      version: 1,
      q: 16,
      n: 3,
      members: this.layoutNodes.map((id) => ({
        id,
        name: id,
        zone: { dc: "", rack: "", host: id },
        weight: 1,
        peerAddress: "",
      })),
      owners: new Uint16Array(48).map((_, i) => i % 3),
    };
    const members = new Map(NAMES.map((id) => [id, this.memberOf(id)]));
    return new ClusterView(LayoutState.first(layout), SELF, members);
  }

  private memberOf(id: NodeId): Member {
    const record = {
      id,
      name: id,
      peerAddress: "",
      clientAddress: "",
      zone: { dc: "", rack: "", host: id },
      weight: 1,
      incarnation: this.incarnations.get(id) ?? GENERATION,
      version: 1,
      phase: "serving",
      layoutVersion: 1,
      layoutHash: 0,
      bucketsHash: 0,
    } as const;
    return { record, liveness: this.liveness.get(id) ?? "alive" };
  }

  set(node: NodeId, liveness: Liveness): void {
    this.liveness.set(node, liveness);
    this.handoff.viewChanged();
  }

  add(name: string, value: string, counter = 1, target: NodeId = B): Promise<void> {
    return this.hints.add(target, keyOf(name), stateOf(value, counter), undefined);
  }

  /** This node's own copy of a key. */
  async writeOwn(name: string, value: string, counter = 1): Promise<void> {
    await this.opened.store.apply(new WriteBatch().put(keyOf(name), stateOf(value, counter)));
  }

  held(target: NodeId = B): number {
    return this.hints.heldFor(target).count;
  }

  /** Lets time pass in small steps. */
  async pass(durationMs: number, stepMs = 100): Promise<void> {
    await settled();
    for (let passedMs = 0; passedMs < durationMs; passedMs += stepMs) {
      this.clock.advance(Math.min(stepMs, durationMs - passedMs));
      await settled();
    }
  }
}
