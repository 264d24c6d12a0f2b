/**
 * Drives `Membership` on the ports: its ticks, its datagrams, its full exchanges over HTTP/2; and makes an immutable `ClusterView` of what it knows.
 *
 *   tick, datagram, first-hand news -> Membership -> effects: datagrams out · the next view, and its listeners · exchanges · doubts
 *
 * Everything happens in the turn in which it is heard, so a view that a listener sees is never older than what it is told.
 */
import type { Doubt, Effects, MemberChange, Stale } from "../gossip/effects.ts";
import type { MemberRecord, NodeId } from "../gossip/member.ts";
import { Membership, type MembershipCounters, type SelfChanges } from "../gossip/membership.ts";
import { decodeTable, encodeTable } from "../gossip/update.ts";
import { hex } from "../base/bytes.ts";
import { Prng } from "../base/prng.ts";
import { messageOf } from "../base/errors.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Datagrams } from "../ports/datagrams.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import type { Layout } from "../ring/layout.ts";
import { ClusterView } from "./cluster-view.ts";
import type { Peers } from "./peer-messages.ts";

const EXCHANGE_TIMEOUT_MS = 2000;
const SEED_BYTES = 16;
/** A tick never waits longer than this, so that a clock that was set cannot stop it. */
const TICK_MS_MAX = 1000;

export interface GossipServiceOptions {
  readonly self: MemberRecord;
  readonly clusterId: Uint8Array;
  readonly layout: Layout;
  readonly left: readonly NodeId[];
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly datagrams: Datagrams;
  readonly logger: Logger;
  readonly peers: Pick<Peers, "call">;
  readonly events: GossipEvents;
}

export interface GossipEvents {
  /** `node` holds another layout or other bucket properties: exchange them. Repeated while it is so. */
  onStale(node: NodeId, topic: "layout" | "buckets"): void;
  /** The others had given this node up: it must go `syncing`. */
  onDeclaredDown(): void;
  /** See `Doubt`; `far-future` and `superseded` ask for a connection to `doubt.address`. */
  onDoubt(doubt: Doubt): void;
  /** Before a datagram is looked at (R53). */
  onInbound(): void;
}

export type ViewListener = (view: ClusterView, changes: readonly MemberChange[]) => void;

export class GossipService {
  view: ClusterView;
  private readonly options: GossipServiceOptions;
  private readonly membership: Membership;
  private readonly listeners = new Set<ViewListener>();
  /** Members that a full exchange is under way with; one at a time each. */
  private readonly pulling = new Set<NodeId>();
  private layout: Layout;
  private timer: Timer | undefined;
  private timerDueMs = 0;
  private isStarted = false;

  constructor(options: GossipServiceOptions) {
    const { self, clusterId, intervalMs, left, clock, random, layout } = options;
    this.options = options;
    this.layout = layout;
    this.membership = new Membership({
      self,
      clusterId,
      intervalMs,
      prng: new Prng(`gossip/${hex(random.bytes(SEED_BYTES))}`),
      left,
      nowMs: clock.monoMs(),
      wallMs: clock.wallMs(),
    });
    this.membership.setNamed(layout.members, clock.monoMs());
    this.view = this.makeView();
  }

  private makeView(): ClusterView {
    return new ClusterView(this.layout, this.options.self.id, this.membership.members());
  }

  get counters(): Readonly<MembershipCounters> {
    return this.membership.counters;
  }

  get health(): number {
    return this.membership.health;
  }

  start(): void {
    this.isStarted = true;
    this.options.datagrams.onReceive((bytes, from) => this.receive(bytes, from));
    this.tickLater();
  }

  /** Called after each swap, in the order of registration. Returns how to stop. */
  onChange(listener: ViewListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private receive(bytes: Uint8Array, from: string): void {
    if (!this.isStarted) return;
    this.options.events.onInbound();
    this.carryOut(this.membership.receive(bytes, from, this.nowMs()));
  }

  private nowMs(): number {
    return this.options.clock.monoMs();
  }

  /** Never later than it was due: datagrams that come faster than one a millisecond must not put the tick off for ever. */
  private tickLater(): void {
    const nowMs = this.nowMs();
    const dueMs = nowMs + Math.min(TICK_MS_MAX, Math.max(1, this.membership.nextTickMs - nowMs));
    if (this.timer !== undefined && this.timerDueMs <= dueMs) return;
    this.timer?.cancel();
    this.timerDueMs = dueMs;
    this.timer = this.options.clock.after(dueMs - nowMs, () => {
      this.timer = undefined;
      this.tick();
    });
  }

  private tick(): void {
    if (!this.isStarted) return;
    const { clock } = this.options;
    this.carryOut(this.membership.tick(clock.monoMs(), clock.wallMs()));
  }

  private carryOut(effects: Effects): void {
    const { events, datagrams } = this.options;
    const isChanged = effects.changes.length > 0 || effects.refutedAs !== undefined;
    if (isChanged) this.swap(effects.changes);
    if (!this.isStarted) return;
    for (const { to, bytes } of effects.datagrams) datagrams.send(to, bytes);
    if (effects.wasDeclaredDown) events.onDeclaredDown();
    for (const stale of effects.stale) this.exchange(stale);
    for (const doubt of effects.doubts) events.onDoubt(doubt);
    this.tickLater();
  }

  private swap(changes: readonly MemberChange[]): void {
    this.view = this.makeView();
    for (const listener of this.listeners) listener(this.view, changes);
  }

  private exchange({ node, topic }: Stale): void {
    if (topic !== "members") this.options.events.onStale(node, topic);
    else void this.pull(node);
  }

  setSelf(changes: SelfChanges): void {
    this.carryOut(this.membership.setSelf(changes, this.nowMs()));
    this.swap([]);
  }

  /** A later layout has been applied: names the members anew, tells the others its version and hash, swaps the view. */
  setLayout(layout: Layout, layoutHash: number): void {
    this.layout = layout;
    const nowMs = this.nowMs();
    this.carryOut(this.membership.setNamed(layout.members, nowMs));
    this.setSelf({ layoutVersion: layout.version, layoutHash });
  }

  /** First-hand news: its hello or its reply carried this incarnation. */
  markAlive(node: NodeId, incarnation: number): void {
    this.carryOut(this.membership.markAlive(node, incarnation, this.nowMs()));
  }

  /** Exchanges full state with `node`; false if it did not answer. */
  async pull(node: NodeId): Promise<boolean> {
    if (this.pulling.has(node)) return false;
    this.pulling.add(node);
    try {
      const body = encodeTable(this.membership.snapshot());
      const message = { kind: "exchange", topic: "members", body } as const;
      const reply = await this.options.peers.call(node, message, EXCHANGE_TIMEOUT_MS, "client");
      if (reply.kind !== "exchange" || !this.isStarted) return false;
      this.carryOut(this.membership.learn(decodeTable(reply.body), node, this.nowMs()));
      return true;
    } catch (thrown) {
      this.options.logger.debug("pull_failed", { node, reason: messageOf(thrown) });
      return false;
    } finally {
      this.pulling.delete(node);
    }
  }

  /** The body of the reply to an exchange of topic `members`. Throws `DecodeError` for a body that is none. */
  answerExchange(body: Uint8Array, from: NodeId): Uint8Array {
    const theirs = decodeTable(body);
    const answer = encodeTable(this.membership.snapshot());
    this.carryOut(this.membership.learn(theirs, from, this.nowMs()));
    return answer;
  }

  /** From `PauseGuard.onPause`. */
  notePause(): void {
    this.membership.notePause(this.nowMs());
  }

  phiOf(node: NodeId): number {
    return this.membership.phiOf(node, this.nowMs());
  }

  candidates(): readonly MemberRecord[] {
    return this.membership.candidates();
  }

  /** Says `leaving` to some members and goes silent. */
  stop(): void {
    if (!this.isStarted) return;
    this.setSelf({ phase: "leaving" });
    this.isStarted = false;
    this.timer?.cancel();
  }
}
