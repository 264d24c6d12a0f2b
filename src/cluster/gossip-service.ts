/**
 * Drives one `Membership` on the ports and swaps the `ClusterView` (DESIGN.md section 3).
 *
 *   timer at `nextTickMs` --> tick    --> effects --> datagrams out
 *   datagram in           --> receive -->         --> next view, then the listeners
 *   setSelf, setLayout    -->                     --> exchange over HTTP/2 where datagrams are not enough
 *
 * The view is swapped before anybody is told, and only here.
 */
import { DecodeError } from "../base/byte-reader.ts";
import { Prng } from "../base/prng.ts";
import type { Doubt, Effects, MemberChange } from "../gossip/effects.ts";
import type { MemberRecord, NodeId } from "../gossip/member.ts";
import { Membership, type MembershipCounters, type SelfChanges } from "../gossip/membership.ts";
import { decodeTable, encodeTable } from "../gossip/update.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Datagrams } from "../ports/datagrams.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import type { PeerAddress } from "../ports/transport.ts";
import type { LayoutState } from "../ring/layout-state.ts";
import { ClusterView } from "./cluster-view.ts";
import type { PeerClient } from "./peer-client.ts";
import { PeerError } from "./peer-messages.ts";
import { SeedSearch } from "./seed-search.ts";

const PULL_TIMEOUT_MS = 2000;
/** At once; a further wish to pull is dropped, the difference will be noticed again. */
const PULLS_MAX = 2;
/** Nodes that are asked for their table at the start, one after the other until one answers. */
const FIRST_PULLS_MAX = 3;
const FLOOD_ALARM_MS = 60_000;

export interface GossipServiceOptions {
  readonly self: MemberRecord;
  /** 16 bytes. */
  readonly clusterId: Uint8Array;
  /** Names the members, and those that have left for ever (R51). */
  readonly state: LayoutState;
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly datagrams: Datagrams;
  readonly logger: Logger;
  readonly peers: Pick<PeerClient, "call" | "knock">;
  /** Where others may be met when nobody is where they were last (`seed-search.ts`). */
  readonly seeds: readonly PeerAddress[];
  /** `check` comes before each datagram (`pause-guard.ts`). */
  readonly guard: { check(): void };
  readonly events: GossipEvents;
}

export interface GossipEvents {
  /** `node` holds another layout or other bucket properties: exchange them. Repeated while it is so. */
  onStale(node: NodeId, topic: "layout" | "buckets"): void;
  /** The others had given this node up and may hold hints for it: it must go `syncing`. The view shows the refutation already. */
  onDeclaredDown(): void;
  /** `far-future` and `superseded` ask for a connection to `doubt.address`: see `Doubt`. */
  onDoubt(doubt: Doubt): void;
}

/** `changes` may hold a node more than once, in order. */
export type ViewListener = (view: ClusterView, changes: readonly MemberChange[]) => void;

export class GossipService {
  readonly #options: GossipServiceOptions;
  readonly #membership: Membership;
  readonly #listeners = new Set<ViewListener>();
  readonly #pulls = new Set<NodeId>();
  readonly #search: SeedSearch;
  #state: LayoutState;
  #view: ClusterView;
  #timer: Timer | undefined = undefined;
  #armedMs = Infinity;
  #life: "new" | "running" | "stopped" = "new";
  #floodToldMs = -Infinity;
  #droppedTold = 0;

  constructor(options: GossipServiceOptions) {
    const { self, clusterId, state, intervalMs, clock, random } = options;
    const times = { nowMs: clock.monoMs(), wallMs: clock.wallMs() };
    const prng = new Prng(`${random.u32()}/${random.u32()}`);
    this.#options = options;
    this.#state = state;
    const left = [...state.removed.keys()];
    this.#membership = new Membership({ self, clusterId, intervalMs, prng, left, ...times });
    this.#membership.setNamed([...state.members.values()], times.nowMs);
    this.#view = this.#newView();
    this.#search = new SeedSearch({
      ...options,
      startedMs: times.nowMs,
      greet: (node, address) => this.#greet(node, address),
    });
  }

  get view(): ClusterView {
    return this.#view;
  }

  /** As the others hear it, refutations included. */
  get self(): MemberRecord {
    return this.#membership.self;
  }

  get counters(): Readonly<MembershipCounters> {
    return this.#membership.counters;
  }

  /** Lifeguard: 0 (well) to 8. */
  get health(): number {
    return this.#membership.health;
  }

  start(): void {
    if (this.#life !== "new") return;
    this.#life = "running";
    this.#options.datagrams.onReceive((bytes, from) => this.#receive(bytes, from));
    this.#arm();
    void this.#pullFirst();
  }

  /** Called after each swap, in the order of registration. Returns how to stop it. */
  onChange(listener: ViewListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Changes what this node says of itself. */
  setSelf(changes: SelfChanges): void {
    this.#carryOut(this.#membership.setSelf(changes, this.#nowMs()));
  }

  /** What is known of layouts has grown: their members are the members now, and the others learn that this node holds it. */
  setLayouts(state: LayoutState): void {
    this.#state = state;
    const named = this.#membership.setNamed([...state.members.values()], this.#nowMs());
    this.#view = this.#newView();
    this.#carryOut(named);
    this.setSelf({ layoutVersion: state.newest.version, layoutHash: state.hash });
  }

  /** The transport has spoken with `node`, which said that it is this incarnation. */
  markAlive(node: NodeId, incarnation: number): void {
    this.#carryOut(this.#membership.markAlive(node, incarnation, this.#nowMs()));
  }

  /** Exchanges the tables of members with `node`; false where it did not answer, or two others are being asked. */
  async pull(node: NodeId): Promise<boolean> {
    if (this.#pulls.has(node) || this.#pulls.size >= PULLS_MAX) return false;
    this.#pulls.add(node);
    try {
      const body = encodeTable(this.#membership.snapshot());
      const request = { kind: "exchange", topic: "members", body } as const;
      const reply = await this.#options.peers.call(node, request, PULL_TIMEOUT_MS, "client");
      if (reply.kind !== "exchange" || this.#life === "stopped") return false;
      this.#learn(reply.body, node);
      return true;
    } catch (error) {
      if (!(error instanceof PeerError || error instanceof DecodeError)) throw error;
      this.#options.logger.debug("gossip_pull_failed", { node, error: error.message });
      return false;
    } finally {
      this.#pulls.delete(node);
    }
  }

  /** The body of the reply to an exchange of topic `members`. Throws `DecodeError` for a body that is none. */
  answerExchange(body: Uint8Array, from: NodeId): Uint8Array {
    this.#learn(body, from);
    return encodeTable(this.#membership.snapshot());
  }

  /** For `PauseGuard`: nobody is convicted for what was not heard meanwhile. */
  notePause(): void {
    this.#membership.notePause(this.#nowMs());
    this.#arm();
  }

  phiOf(node: NodeId): number {
    return this.#membership.phiOf(node, this.#nowMs());
  }

  /** Nodes that speak for this cluster and that the layout does not name (R51). */
  candidates(): readonly MemberRecord[] {
    return this.#membership.candidates();
  }

  /** To be remembered for ever, and given to the next start. */
  left(): readonly NodeId[] {
    return this.#membership.left();
  }

  /** Says `leaving` to some members and goes silent. */
  stop(): void {
    if (this.#life === "running") this.setSelf({ phase: "leaving" });
    this.#life = "stopped";
    this.#timer?.cancel();
  }

  #nowMs(): number {
    return this.#options.clock.monoMs();
  }

  #newView(): ClusterView {
    return new ClusterView(this.#state, this.#membership.self.id, this.#membership.members());
  }

  #receive(bytes: Uint8Array, from: PeerAddress): void {
    if (this.#life !== "running") return;
    this.#options.guard.check();
    this.#carryOut(this.#membership.receive(bytes, from, this.#nowMs()));
  }

  #tick(): void {
    const { clock } = this.#options;
    this.#armedMs = Infinity;
    this.#carryOut(this.#membership.tick(clock.monoMs(), clock.wallMs()));
    this.#warnOfFlood();
    if (!this.#membership.hasHeard && this.#state.members.size > 1)
      this.#search.look(this.#nowMs());
  }

  #greet(node: NodeId, address: PeerAddress): void {
    this.#carryOut(this.#membership.greet(node, address, this.#nowMs()));
  }

  /** Any call may have moved the next tick forward. */
  #arm(): void {
    if (this.#life !== "running") return;
    const dueMs = this.#membership.nextTickMs;
    if (dueMs >= this.#armedMs) return;
    this.#timer?.cancel();
    this.#armedMs = dueMs;
    const delayMs = Math.max(0, dueMs - this.#nowMs());
    this.#timer = this.#options.clock.after(delayMs, () => this.#tick());
  }

  #carryOut(effects: Effects): void {
    if (this.#life === "stopped") return;
    if (this.#life === "running") {
      for (const { to, bytes } of effects.datagrams) this.#options.datagrams.send(to, bytes);
      this.#arm();
    }
    if (effects.changes.length > 0) this.#swap(effects.changes);
    if (effects.wasDeclaredDown) {
      const { incarnation } = this.#membership.self;
      this.#options.logger.warn("gossip_was_declared_down", { incarnation });
      this.#options.events.onDeclaredDown();
    }
    for (const { node, topic } of effects.stale)
      if (topic === "members") void this.pull(node);
      else this.#options.events.onStale(node, topic);
    for (const doubt of effects.doubts) this.#tellDoubt(doubt);
  }

  #swap(changes: readonly MemberChange[]): void {
    this.#view = this.#newView();
    for (const change of changes) this.#logChange(change);
    const view = this.#view;
    for (const listener of this.#listeners) listener(view, changes);
  }

  #logChange({ id: node, before, after }: MemberChange): void {
    const { logger } = this.#options;
    if (after === undefined) logger.info("member_left", { node });
    else if (before !== undefined && before.liveness !== after.liveness) {
      const { name, incarnation } = after.record;
      const phi = Math.round(this.phiOf(node) * 100) / 100;
      logger.info(`member_${after.liveness}`, { node, name, incarnation, phi });
    }
  }

  #tellDoubt(doubt: Doubt): void {
    const { kind, id: node, address, incarnation } = doubt;
    this.#options.logger.warn("gossip_doubt", { kind, node, address, incarnation });
    this.#options.events.onDoubt(doubt);
  }

  #learn(body: Uint8Array, from: NodeId): void {
    this.#carryOut(this.#membership.learn(decodeTable(body), from, this.#nowMs()));
  }

  async #pullFirst(): Promise<void> {
    const others = [...this.#state.members.keys()].filter((id) => id !== this.self.id);
    const first = others.length === 0 ? 0 : this.#options.random.u32() % others.length;
    for (let i = 0; i < Math.min(others.length, FIRST_PULLS_MAX); i++) {
      if (this.#life !== "running") return;
      if (await this.pull(others[(first + i) % others.length]!)) return;
    }
  }

  /** Row 70: an alarm, once a minute at most. */
  #warnOfFlood(): void {
    const { candidatesDropped } = this.counters;
    const nowMs = this.#nowMs();
    const isNews = candidatesDropped > this.#droppedTold;
    if (!isNews || nowMs - this.#floodToldMs < FLOOD_ALARM_MS) return;
    this.#floodToldMs = nowMs;
    this.#droppedTold = candidatesDropped;
    this.#options.logger.error("gossip_candidates_flood", { candidatesDropped });
  }
}
