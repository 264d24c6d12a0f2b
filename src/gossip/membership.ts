/**
 * SWIM membership with Lifeguard's extensions and phi accrual, as a value: it takes ticks and datagrams and hands back effects. No promises, no clock,
 * no chance but the generator it is given; the same calls give the same effects.
 *
 *   every interval (+-20 %)    probe the next of a shuffled round; probe the most silent early if phi says so; talk to the suspects and to one of the
 *                              down now and then, so that whoever is back hears of it
 *   every datagram             carries news (`broadcast-queue.ts`), heartbeats (the newest, and some by chance) and what the receiver must hear of itself
 *   no ack                     k others try; then it is suspect (`beliefs.ts`), and after the suspicion's time down
 *
 * The work of a tick and of a datagram does not depend on the number of members, but for the suspects among them.
 *
 * Das, Gupta, Motivala: "SWIM"; Dadgar, Phillips, Currey: "Lifeguard"; Hayashibara et al.: "The phi accrual failure detector".
 */
import { assert } from "../base/assert.ts";
import type { Prng } from "../base/prng.ts";
import { Beliefs, Turn } from "./beliefs.ts";
import type { Effects } from "./effects.ts";
import { LocalHealth } from "./local-health.ts";
import {
  generationOf,
  type Member,
  type MemberRecord,
  type NamedMember,
  type NodeId,
} from "./member.ts";
import { type Entry, MemberTable } from "./member-table.ts";
import { Courier } from "./courier.ts";
import { decodeMessage, type Message } from "./message.ts";
import { Prober } from "./prober.ts";
import { Strangers } from "./strangers.ts";
import { fitsRecord } from "./update.ts";

const JITTER = 0.2;
/** A node that is down is greeted every so many intervals. */
const GREETING_INTERVALS = 3;
const TELLS_MAX = 3;
/** Own news go at once to so many others, the rest hears them with the probes. */
const NEWS_FANOUT = 3;
const NEWS_FANOUT_SMALL = 8;
/** Lateness of the own calls: a worse health, and a pause after which nobody is convicted for a while (N11, R53). */
const LATE_MS = 250;
const PAUSE_MS = 500;
/** A difference is told again after so many intervals. */
const STALE_INTERVALS = 2;

export interface MembershipOptions {
  /** As it starts: its incarnation is `generation * REFUTATIONS`, its version at least 1. */
  readonly self: MemberRecord;
  /** 16 bytes. */
  readonly clusterId: Uint8Array;
  readonly intervalMs: number;
  readonly prng: Prng;
  /** Ids that have left for ever (R51). */
  readonly left: Iterable<NodeId>;
  /** Monotonic. */
  readonly nowMs: number;
  /** Unix ms; only for the guard on generations (R49). */
  readonly wallMs: number;
}

/** What a node may change about itself while it runs. */
export type SelfChanges = Partial<
  Pick<MemberRecord, "phase" | "layoutVersion" | "layoutHash" | "bucketsHash" | "clientAddress">
>;

export interface MembershipCounters {
  received: number;
  malformed: number;
  wrongCluster: number;
  /** For another node id, from a node that has left or that is no member, or from an older start of a node. */
  ignored: number;
  probes: number;
  probesFailed: number;
  earlyProbes: number;
  suspicions: number;
  convictions: number;
  refutations: number;
  /** Nodes that would have been candidates but for the cap: somebody floods the cluster (row 70). */
  candidatesDropped: number;
  pauses: number;
}

export class Membership {
  readonly #clusterId: Uint8Array;
  readonly #intervalMs: number;
  readonly #prng: Prng;
  readonly #table: MemberTable;
  readonly #strangers: Strangers;
  readonly #beliefs: Beliefs;
  readonly #health = new LocalHealth();
  readonly #prober: Prober;
  readonly #courier: Courier;
  readonly #own = { received: 0, malformed: 0, wrongCluster: 0, ignored: 0, pauses: 0 };
  #nextPeriodMs: number;
  /** Since when all tables that were heard of differ from this one; -1 while they do not. */
  #differsSinceMs = -1;
  #hasHeard = false;

  constructor(options: MembershipOptions) {
    const { self, intervalMs, prng, nowMs } = options;
    assert(intervalMs > 0, "an interval is positive");
    assert(self.version >= 1, "versions count from 1");
    assert(fitsRecord(self), "names, labels and addresses fit into a datagram");
    this.#clusterId = options.clusterId;
    this.#intervalMs = intervalMs;
    this.#prng = prng;
    this.#table = new MemberTable(prng);
    this.#strangers = new Strangers(options.left);
    const parts = [this.#table, this.#strangers, this.#health, prng] as const;
    this.#beliefs = new Beliefs(self, ...parts, intervalMs, options.wallMs);
    this.#courier = new Courier(this.#beliefs, options.clusterId);
    this.#prober = new Prober(this.#beliefs, this.#courier, this.#health, intervalMs, prng.u32());
    // Nodes that start together do not probe together.
    this.#nextPeriodMs = nowMs + prng.float() * intervalMs;
  }

  get self(): MemberRecord {
    return this.#beliefs.self;
  }

  /** Lifeguard: 0 (well) to 8. */
  get health(): number {
    return this.#health.score;
  }

  /** Has any other member been heard since the start, by datagram, exchange or link? */
  get hasHeard(): boolean {
    return this.#hasHeard;
  }

  get counters(): MembershipCounters {
    const candidatesDropped = this.#strangers.dropped;
    return { ...this.#own, ...this.#prober.counters, ...this.#beliefs.counters, candidatesDropped };
  }

  /** `tick` is due then; any call may move it forward. */
  get nextTickMs(): number {
    let dueMs = Math.min(this.#nextPeriodMs, this.#prober.dueMs);
    for (const { suspicion } of this.#table.suspects)
      if (suspicion !== undefined) dueMs = Math.min(dueMs, suspicion.deadlineMs);
    return dueMs;
  }

  /** Does what is due. Harmless when nothing is. */
  tick(nowMs: number, wallMs: number): Effects {
    this.#noticeLateness(nowMs, true);
    this.#beliefs.wallMs = wallMs;
    const turn = new Turn(nowMs);
    this.#prober.continue(turn);
    this.#beliefs.convictOverdue(turn);
    if (nowMs >= this.#nextPeriodMs) this.#startPeriod(turn);
    return this.#finish(turn);
  }

  /** Takes a datagram; never throws for what it holds. `from` is where the network says it came from. */
  receive(bytes: Uint8Array, from: string, nowMs: number): Effects {
    this.#noticeLateness(nowMs, false);
    this.#own.received++;
    const turn = new Turn(nowMs);
    const message = decodeMessage(bytes, this.#clusterId);
    if (message === "malformed") this.#own.malformed++;
    else if (message === "wrong-cluster") this.#own.wrongCluster++;
    else this.#hear(message, from, turn);
    return this.#finish(turn);
  }

  /** Whom the layout names: nobody else is a member; who was and is no more has left for ever (R51). */
  setNamed(named: readonly NamedMember[], nowMs: number): Effects {
    const turn = new Turn(nowMs);
    this.#beliefs.setNamed(named, turn);
    for (const { id, after } of turn.changes) if (after === undefined) this.#prober.forget(id);
    return this.#finish(turn);
  }

  /** Raises the version, and tells some members at once. */
  setSelf(changes: SelfChanges, nowMs: number): Effects {
    const turn = new Turn(nowMs);
    const { self } = this;
    this.#beliefs.setSelf({ ...self, ...changes, version: self.version + 1 }, turn);
    return this.#finish(turn);
  }

  /** First-hand evidence from the transport: its hello or reply carried this incarnation. */
  markAlive(id: NodeId, incarnation: number, nowMs: number): Effects {
    const turn = new Turn(nowMs);
    const entry = this.#table.get(id);
    if (entry !== undefined) {
      this.#hasHeard = true;
      this.#beliefs.markAlive(entry, incarnation, turn);
    }
    return this.#finish(turn);
  }

  /** Shows the own record to a member that may be met at `address`, wherever it was before; what it answers tells whether it is there. */
  greet(id: NodeId, address: string, nowMs: number): Effects {
    const turn = new Turn(nowMs);
    const entry = this.#table.get(id);
    turn.owesRecord = true;
    if (entry !== undefined) this.#courier.sendTo(entry, "ping", turn, 0, address);
    return this.#finish(turn);
  }

  /** Takes what `by` sent of its `snapshot`. Not passed on: the others have their own exchanges. */
  learn(members: readonly Member[], by: NodeId, nowMs: number): Effects {
    const turn = new Turn(nowMs);
    this.#hasHeard = true;
    for (const { record, liveness } of members) {
      const wasUnheard = this.#table.get(record.id)?.incarnation === 0;
      const isNews = this.#beliefs.hearRecord(record, false, turn);
      const entry = this.#table.get(record.id);
      // Of a node that is new to us, the opinion of who knows it counts as one voice.
      if (isNews && wasUnheard && liveness !== "alive" && entry !== undefined && by !== record.id)
        this.#beliefs.suspect(entry, by, turn);
    }
    return this.#finish(turn);
  }

  /** Every member that was heard of, this node included: what `learn` takes. */
  snapshot(): readonly Member[] {
    return [...this.members().values()].filter(({ record }) => record.incarnation > 0);
  }

  /** By id, this node included; a new map each time. */
  members(): ReadonlyMap<NodeId, Member> {
    const members = new Map<NodeId, Member>();
    members.set(this.self.id, { record: this.self, liveness: "alive" });
    for (const { id, member } of this.#table.entries()) members.set(id, member);
    return members;
  }

  /** One of `members()`, this node excepted. */
  member(id: NodeId): Member | undefined {
    return this.#table.get(id)?.member;
  }

  /** This process stood still: what was not heard proves nothing, and nobody is convicted for one window (R53). */
  notePause(nowMs: number): void {
    this.#own.pauses++;
    this.#health.worsen();
    this.#prober.abandon();
    this.#beliefs.resumedMs = nowMs;
    for (const { suspicion } of this.#table.suspects)
      suspicion?.postpone(nowMs + this.#beliefs.suspicionMs / 2);
    this.#nextPeriodMs = Math.max(nowMs, this.#nextPeriodMs);
  }

  /** How suspicious its silence is (R54): 1 is nothing, 8 is a lot. 0 for a node never heard of. */
  phiOf(id: NodeId, nowMs: number): number {
    return this.#table.get(id)?.phi.phi(nowMs, this.#beliefs.resumedMs) ?? 0;
  }

  /** Nodes that speak for this cluster and that the layout does not name (R51); at most 1,024. */
  candidates(): readonly MemberRecord[] {
    return this.#strangers.candidates();
  }

  left(): readonly NodeId[] {
    return this.#strangers.left();
  }

  // Time

  /** A tick that is late, or a datagram that is looked at while a tick is overdue, was kept waiting by this process (N11). */
  #noticeLateness(nowMs: number, isTick: boolean): void {
    const lateMs = nowMs - this.nextTickMs;
    if (lateMs > PAUSE_MS) this.notePause(nowMs);
    else if (isTick && lateMs > LATE_MS) this.#health.worsen();
  }

  #startPeriod(turn: Turn): void {
    const { nowMs } = turn;
    this.#nextPeriodMs = nowMs + this.#intervalMs * (1 - JITTER + 2 * JITTER * this.#prng.float());
    this.#courier.heartbeat++;
    this.#prober.probeNext(turn);
    this.#prober.probeSilent(turn);
    this.#remindSuspects(turn);
    if (this.#courier.heartbeat % GREETING_INTERVALS === 0) this.#greetDown(turn);
  }

  /** Who is accused by this node hears it again in each interval: its refutation must not hang on one datagram. */
  #remindSuspects(turn: Turn): void {
    let told = 0;
    for (const entry of this.#table.suspects) {
      if (told >= TELLS_MAX) return;
      if (entry.suspicion?.isAccusedBy(this.self.id) !== true || entry.isProbed) continue;
      turn.toTell.add(entry);
      told++;
    }
  }

  /** One after the other: a node that is back hears from somebody that it was given up. */
  #greetDown(turn: Turn): void {
    const { downs } = this.#table;
    for (const entry of downs) {
      downs.delete(entry);
      downs.add(entry);
      this.#courier.sendTo(entry, "ping", turn);
      return;
    }
  }

  // Datagrams

  #hear(message: Message, from: string, turn: Turn): void {
    const { sender, kind } = message;
    const isRelayed = kind === "ping-request" || kind === "indirect-ack";
    if (sender === this.self.id) return this.#hearNamesake(message, from, turn);
    const isForUs = isRelayed || message.target === this.self.id;
    if (!isForUs || this.#strangers.hasLeft(sender)) {
      this.#own.ignored++;
      return;
    }
    const entry = this.#table.get(sender);
    if (entry === undefined) this.#hearStranger(message, from, turn);
    else if (generationOf(message.incarnation) < entry.generation)
      this.#hearPredecessor(message, entry, from, turn);
    else this.#hearMember(message, entry, from, turn);
  }

  /** Another process under this node's id. Which of the two is in the right shows where they meet by transport (R52). */
  #hearNamesake({ incarnation }: Message, from: string, turn: Turn): void {
    this.#own.ignored++;
    const { id } = this.self;
    const isLater = generationOf(incarnation) > generationOf(this.self.incarnation);
    const kind = isLater ? "superseded" : "duplicate";
    this.#beliefs.doubt(kind, { id, peerAddress: from, incarnation }, turn);
  }

  /** Speaks for this cluster, but no layout names it: it is remembered and, so that it does not take us for dead, answered, and that is all. */
  #hearStranger({ kind, sender, sequence, updates }: Message, from: string, turn: Turn): void {
    this.#own.ignored++;
    for (const update of updates)
      if (update.kind === "record" && update.record.id === sender)
        this.#beliefs.hearRecord(update.record, false, turn);
    if (kind === "ping")
      this.#courier.send(
        { kind: "ack", to: from, target: sender, sequence, receiver: undefined },
        turn,
      );
  }

  #hearPredecessor({ kind }: Message, entry: Entry, from: string, turn: Turn): void {
    this.#own.ignored++;
    if (kind === "ping") this.#courier.sendSuccessor(from, entry, turn);
  }

  #hearMember(message: Message, entry: Entry, from: string, turn: Turn): void {
    this.#hasHeard = true;
    for (const update of message.updates)
      if (update.kind === "record") this.#beliefs.hearRecord(update.record, true, turn);
      else this.#beliefs.hearOpinion(update, turn);
    for (const { id, generation, heartbeat } of message.heartbeats) {
      const subject = this.#table.get(id);
      if (subject !== undefined) this.#beliefs.hearHeartbeat(subject, generation, heartbeat, turn);
    }
    this.#hearHead(message, entry, turn);
    if (message.wantsRecord) turn.owesRecord = true;
    this.#reply(message, entry, from, turn);
  }

  #hearHead({ incarnation, version, heartbeat, digest }: Message, entry: Entry, turn: Turn): void {
    const { record } = entry;
    this.#beliefs.hearHeartbeat(entry, generationOf(incarnation), heartbeat, turn);
    entry.isBehind =
      incarnation > record.incarnation ||
      (incarnation === record.incarnation && version > record.version);
    this.#compareTables(entry, digest, turn);
    this.#compareTopics(entry, turn);
  }

  #reply(message: Message, entry: Entry, from: string, turn: Turn): void {
    const { kind, sequence, target } = message;
    // The address may be news that got lost.
    const to = entry.isBehind ? from : entry.record.peerAddress;
    if (kind === "ping") return this.#courier.sendTo(entry, "ack", turn, sequence, to);
    if (kind === "ping-request") this.#prober.help(entry, target, sequence, turn);
    else if (kind === "ack") this.#prober.hearAck(entry, sequence, turn);
    else if (kind === "indirect-ack") this.#prober.hearIndirectAck(message);
    const asks = entry.isBehind && turn.nowMs - entry.askedMs >= this.#intervalMs;
    if (asks) entry.askedMs = turn.nowMs;
    const owes = turn.owesRecord && this.#mayDefend(entry, turn);
    if (asks || owes) this.#courier.sendTo(entry, "news", turn, 0, to);
  }

  /**
   * Once in an interval, unless there is a new record to show: two nodes that each have the other for down would answer accusation with accusation
   * without end, and each copy that the network makes would start another such chain.
   */
  #mayDefend(entry: Entry, { nowMs, refutedAs }: Turn): boolean {
    if (refutedAs === undefined && nowMs - entry.defendedMs < this.#intervalMs) return false;
    entry.defendedMs = nowMs;
    return true;
  }

  /** Differences are normal while news spread; what lasts longer is mended by an exchange. */
  #compareTables(entry: Entry, digest: number, turn: Turn): void {
    if (digest === this.#table.digest) this.#differsSinceMs = -1;
    else if (this.#differsSinceMs < 0) this.#differsSinceMs = turn.nowMs;
    else if (turn.nowMs - this.#differsSinceMs >= this.#patienceMs()) {
      this.#differsSinceMs = turn.nowMs;
      turn.stale.push({ node: entry.id, topic: "members" });
    }
  }

  #patienceMs(): number {
    if (this.#table.unheardCount > 0) return this.#intervalMs;
    return this.#intervalMs * (4 + 4 * Math.log10(this.#beliefs.nodeCount));
  }

  /** Said of those only that this node talks with: a new layout spreads like all news instead of everybody asking its author. */
  #compareTopics(entry: Entry, turn: Turn): void {
    const { self } = this;
    const { record } = entry;
    if (record.incarnation === 0) return;
    const isLayoutStale =
      record.layoutVersion > self.layoutVersion ||
      (record.layoutVersion === self.layoutVersion && record.layoutHash !== self.layoutHash);
    const areBucketsStale = record.bucketsHash !== self.bucketsHash;
    if (!isLayoutStale && !areBucketsStale) return;
    if (turn.nowMs - entry.staleMs < STALE_INTERVALS * this.#intervalMs) return;
    entry.staleMs = turn.nowMs;
    if (isLayoutStale) turn.stale.push({ node: entry.id, topic: "layout" });
    if (areBucketsStale) turn.stale.push({ node: entry.id, topic: "buckets" });
  }

  #finish(turn: Turn): Effects {
    if (turn.hasOwnNews) {
      const isSmall = this.#table.size <= NEWS_FANOUT_SMALL;
      const fanout = isSmall ? NEWS_FANOUT_SMALL : NEWS_FANOUT;
      const isUp = ({ liveness }: Entry): boolean => liveness !== "down";
      for (const entry of this.#table.schedule.sample(fanout, isUp)) turn.toTell.add(entry);
    }
    for (const entry of turn.toProbe) if (!entry.isProbed) this.#prober.probe(entry, turn);
    for (const entry of turn.toTell) this.#courier.sendTo(entry, "news", turn);
    return turn;
  }
}
