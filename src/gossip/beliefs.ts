/**
 * What this node takes for true of the others, and why: the rules by which records, opinions and heartbeats change it.
 *
 *   a later record            replaces the earlier one; a new generation is a new process and alive
 *   "suspect", same inc.      alive -> suspect; the suspect is told; another accuser brings the verdict nearer
 *   "down", same inc.         one more accuser; a verdict only where two nodes have come to it: no single word convicts
 *   time out                  suspect -> down
 *   incarnation + 1           suspect -> alive; down -> alive after three further heartbeats (R53), so that a flapping node stays down
 *   any of it about me        incarnation + 1, at once
 *
 * Opinions about another incarnation than the one held are about the past, or about what is not known here yet: they change nothing (N13).
 */
import type { Doubt } from "./effects.ts";
import { EffectList } from "./effects.ts";
import { BroadcastQueue } from "./broadcast-queue.ts";
import type { LocalHealth } from "./local-health.ts";
import type { Prng } from "../base/prng.ts";
import {
  generationOf,
  isLater,
  type Liveness,
  type MemberRecord,
  type NamedMember,
  type NodeId,
  REFUTATIONS,
} from "./member.ts";
import { Entry, type MemberTable } from "./member-table.ts";
import type { Strangers } from "./strangers.ts";
import { confirmationsNeeded, Suspicion, suspicionMaxMs } from "./suspicion.ts";
import { encodeUpdate, type Opinion } from "./update.ts";

/** R49, in seconds. */
const GENERATION_AHEAD_MAX = 86_400;
/** R53; doubled for each time that it went down again within `FLAP_INTERVALS`, twice at most. */
const RETURN_HEARTBEATS = 3;
const FLAP_INTERVALS = 50;
const FLAPS_MAX = 2;
/** Heartbeats of about so many members reach a node in one interval; the more members, the longer between two of one. */
const HEARTBEATS_PER_INTERVAL = 40;
/** The same doubt is told again after so many intervals. */
const DOUBT_INTERVALS = 5;
const DOUBTS_REMEMBERED_MAX = 1024;
/** About so many nodes see for themselves when they hear of a suspect, which tells it, too: in a small cluster all. */
const CHECKERS = 8;

/** One call of `Membership`: the time, what has to be done outside, and what has to be sent before it ends. */
export class Turn extends EffectList {
  readonly nowMs: number;
  /** Members that have to hear what is said of them. */
  readonly toTell = new Set<Entry>();
  /** Members that others could not reach. */
  readonly toProbe = new Set<Entry>();
  /** The own record has changed: some members hear it now, not with the next probe. */
  hasOwnNews = false;
  /** Whoever sent the datagram at hand has to get the own record. */
  owesRecord = false;

  constructor(nowMs: number) {
    super();
    this.nowMs = nowMs;
  }
}

export interface BeliefCounters {
  suspicions: number;
  convictions: number;
  refutations: number;
}

export class Beliefs {
  self: MemberRecord;
  /** `self` in bytes. */
  ownUpdate: Uint8Array;
  readonly table: MemberTable;
  readonly strangers: Strangers;
  readonly queue = new BroadcastQueue();
  readonly counters: BeliefCounters = { suspicions: 0, convictions: 0, refutations: 0 };
  readonly #intervalMs: number;
  readonly #health: LocalHealth;
  readonly #prng: Prng;
  /** Unix ms, as of the last tick. */
  wallMs: number;
  /** This process stood still until then. */
  resumedMs = -1;
  /** Up to this incarnation it is known that the others had this node for down. */
  #downUpTo: number;
  readonly #doubtsMs = new Map<string, number>();

  constructor(
    self: MemberRecord,
    table: MemberTable,
    strangers: Strangers,
    health: LocalHealth,
    prng: Prng,
    intervalMs: number,
    wallMs: number,
  ) {
    this.self = self;
    this.table = table;
    this.strangers = strangers;
    this.#health = health;
    this.#prng = prng;
    this.#intervalMs = intervalMs;
    this.wallMs = wallMs;
    this.#downUpTo = self.incarnation - 1;
    this.ownUpdate = encodeUpdate({ kind: "record", record: self });
    table.noteSelf(undefined, self);
    this.queue.push(self.id, this.ownUpdate);
  }

  /** This node included. */
  get nodeCount(): number {
    return this.table.size + 1;
  }

  /** What is expected between two advances of one member's heartbeat. */
  get heartbeatMs(): number {
    return this.#intervalMs * Math.max(1, this.nodeCount / HEARTBEATS_PER_INTERVAL);
  }

  get suspicionMs(): number {
    return suspicionMaxMs(this.nodeCount, this.#intervalMs);
  }

  setNamed(named: readonly NamedMember[], turn: Turn): void {
    const ids = new Set(named.map(({ id }) => id));
    for (const entry of [...this.table.entries()])
      if (!ids.has(entry.id)) this.#markLeft(entry, turn);
    for (const member of named) this.#name(member, turn);
  }

  /** Replaces the own record; nobody else raises its numbers. */
  setSelf(record: MemberRecord, turn: Turn): void {
    const [before, after] = [this.self, record].map(
      (of) => ({ record: of, liveness: "alive" }) as const,
    );
    turn.changes.push({ id: record.id, before, after });
    this.table.noteSelf(this.self, record);
    this.self = record;
    this.ownUpdate = encodeUpdate({ kind: "record", record });
    this.queue.push(record.id, this.ownUpdate);
    turn.hasOwnNews = true;
  }

  /** True when it was news. `isSpread`: it is passed on. */
  hearRecord(record: MemberRecord, isSpread: boolean, turn: Turn): boolean {
    if (record.id === this.self.id) return this.#hearOfSelf(record, turn);
    if (this.strangers.hasLeft(record.id)) return false;
    const entry = this.table.get(record.id);
    if (entry === undefined) {
      this.strangers.hear(record, turn.nowMs);
      return false;
    }
    if (!isLater(record, entry.record)) {
      if (isContradiction(record, entry.record)) this.doubt("duplicate", record, turn);
      return false;
    }
    if (this.#isFarFuture(record, entry)) {
      this.doubt("far-future", record, turn);
      return false;
    }
    this.#accept(entry, record, turn);
    if (isSpread) this.queue.push(record.id, encodeUpdate({ kind: "record", record }));
    return true;
  }

  hearOpinion(opinion: Opinion, turn: Turn): void {
    const { id, by, incarnation } = opinion;
    if (id === this.self.id) return this.#hearAccusation(opinion, turn);
    const entry = this.table.get(id);
    if (entry === undefined || this.table.get(by) === undefined || by === id) return;
    if (incarnation === 0 || incarnation !== entry.incarnation) return;
    if (entry.liveness === "alive") this.suspect(entry, by, turn);
    else if (entry.suspicion?.confirm(by) === true) this.#spread(opinion);
    if (opinion.kind === "down" && (entry.suspicion?.voiceCount ?? 0) >= 2)
      this.#convict(entry, turn);
  }

  hearHeartbeat(entry: Entry, generation: number, heartbeat: number, turn: Turn): void {
    if (generation !== entry.generation || heartbeat <= entry.heartbeat) return;
    entry.heartbeat = heartbeat;
    entry.phi.advance(turn.nowMs, this.resumedMs);
    if (entry.liveness !== "down") this.table.touch(entry);
    else if (entry.returnsAtHeartbeat >= 0 && heartbeat >= entry.returnsAtHeartbeat) {
      entry.returnedMs = turn.nowMs;
      this.#setLiveness(entry, "alive", turn);
    }
  }

  /** `by` could not reach it. */
  suspect(entry: Entry, by: NodeId, turn: Turn): void {
    if (entry.liveness === "down") return;
    if (entry.suspicion === undefined) {
      if (entry.incarnation > 0) this.counters.suspicions++;
      entry.suspicion = this.#newSuspicion(entry, by, turn.nowMs);
      this.#setLiveness(entry, "suspect", turn);
    } else if (!entry.suspicion.confirm(by)) return;
    this.#spread({ kind: "suspect", id: entry.id, incarnation: entry.incarnation, by });
    if (by === this.self.id) turn.toTell.add(entry);
    else if (this.#prng.chance(CHECKERS / this.nodeCount)) turn.toProbe.add(entry);
  }

  /** What `entry` has to hear of itself with every datagram, so that it can refute. */
  accusationOf(entry: Entry): Uint8Array | undefined {
    if (entry.liveness === "alive" || entry.incarnation === 0) return undefined;
    const isDown = entry.liveness === "down";
    const incarnation = isDown ? entry.downIncarnation : entry.incarnation;
    const kind = isDown ? "down" : "suspect";
    return encodeUpdate({ kind, id: entry.id, incarnation, by: this.self.id });
  }

  /** Convicts the suspects whose time is over. */
  convictOverdue(turn: Turn): void {
    for (const entry of this.table.suspects)
      if (entry.suspicion !== undefined && entry.suspicion.deadlineMs <= turn.nowMs)
        this.#convict(entry, turn);
  }

  /** The transport talks with a process that says it is this incarnation of `entry`. */
  markAlive(entry: Entry, incarnation: number, turn: Turn): void {
    entry.confirmedGeneration = Math.max(entry.confirmedGeneration, generationOf(incarnation));
    if (incarnation > entry.incarnation) {
      // Its record follows by gossip; a process that has just started is still finding out what it missed.
      const isNew = generationOf(incarnation) !== entry.generation;
      const phase = isNew ? "syncing" : entry.record.phase;
      this.#accept(entry, { ...entry.record, phase, incarnation, version: 0 }, turn);
      entry.isBehind = true;
    } else if (incarnation === entry.incarnation && entry.liveness === "suspect") {
      this.#setLiveness(entry, "alive", turn);
    } else if (incarnation === entry.incarnation && entry.liveness === "down") {
      turn.toTell.add(entry); // it has to refute: hints were kept for it
    }
  }

  /** Told once in a while, whoever provokes it. */
  doubt(
    kind: Doubt["kind"],
    about: Pick<MemberRecord, "id" | "peerAddress" | "incarnation">,
    turn: Turn,
  ): void {
    const { id, peerAddress: address, incarnation } = about;
    const key = `${kind} ${id}`;
    const saidMs = this.#doubtsMs.get(key) ?? -Infinity;
    if (turn.nowMs - saidMs < DOUBT_INTERVALS * this.#intervalMs) return;
    if (this.#doubtsMs.size >= DOUBTS_REMEMBERED_MAX) this.#doubtsMs.clear();
    this.#doubtsMs.set(key, turn.nowMs);
    turn.doubts.push({ kind, id, address, incarnation });
  }

  #name({ id, name, zone, weight, peerAddress }: NamedMember, turn: Turn): void {
    const isKnown = id === this.self.id || this.table.get(id) !== undefined;
    if (isKnown || this.strangers.hasLeft(id)) return;
    const { layoutVersion, layoutHash, bucketsHash } = this.self;
    const expected = { layoutVersion, layoutHash, bucketsHash, phase: "syncing" } as const;
    const unheard = { id, name, zone, weight, peerAddress, clientAddress: "", ...expected };
    const record = { ...unheard, incarnation: 0, version: 0 };
    const entry = new Entry({ record, liveness: "suspect" }, this.heartbeatMs);
    entry.suspicion = this.#newSuspicion(entry, this.self.id, turn.nowMs);
    this.table.add(entry);
    turn.changes.push({ id, before: undefined, after: entry.member });
    const heard = this.strangers.take(id);
    if (heard !== undefined) this.hearRecord(heard, true, turn);
  }

  #markLeft(entry: Entry, turn: Turn): void {
    this.table.remove(entry);
    this.strangers.markLeft(entry.id);
    this.queue.forget(entry.id);
    turn.changes.push({ id: entry.id, before: entry.member, after: undefined });
  }

  /** Nobody knows better than this process what it is: whatever goes beyond it is surpassed, or comes from a later start (R52). */
  #hearOfSelf(record: MemberRecord, turn: Turn): boolean {
    const { self } = this;
    if (generationOf(record.incarnation) > generationOf(self.incarnation))
      this.doubt("superseded", record, turn);
    else if (isLater(record, self)) this.#refute(record.incarnation, turn);
    else if (isContradiction(record, self)) this.doubt("duplicate", record, turn);
    return false;
  }

  #hearAccusation({ kind, incarnation }: Opinion, turn: Turn): void {
    const { self } = this;
    if (generationOf(incarnation) !== generationOf(self.incarnation)) return;
    if (kind === "down" && incarnation > this.#downUpTo) {
      this.#downUpTo = incarnation;
      turn.wasDeclaredDown = true;
    }
    turn.owesRecord = true;
    if (incarnation >= self.incarnation) this.#refute(incarnation, turn);
  }

  #refute(incarnation: number, turn: Turn): void {
    // A claim at the very end of the generation would push the refutation into the next one: only a liar gets there.
    if ((incarnation + 1) % REFUTATIONS === 0) return;
    this.counters.refutations++;
    this.setSelf({ ...this.self, incarnation: incarnation + 1 }, turn);
    turn.refutedAs = this.self;
  }

  #isFarFuture({ incarnation }: MemberRecord, entry: Entry): boolean {
    const generation = generationOf(incarnation);
    if (generation === entry.generation || generation <= entry.confirmedGeneration) return false;
    return generation > this.wallMs / 1000 + GENERATION_AHEAD_MAX;
  }

  #accept(entry: Entry, record: MemberRecord, turn: Turn): void {
    const before = entry.member;
    const isNewProcess = generationOf(record.incarnation) !== entry.generation;
    const hasRefuted = !isNewProcess && record.incarnation > before.record.incarnation;
    this.table.replace(entry, { record, liveness: before.liveness });
    entry.isBehind = false;
    if (isNewProcess) this.#restart(entry);
    else if (hasRefuted && before.liveness === "down") {
      entry.returnsAtHeartbeat =
        Math.max(0, entry.heartbeat) + RETURN_HEARTBEATS * 2 ** entry.flapCount;
      turn.toTell.add(entry); // it may have refuted a mere suspicion, and must know that hints were kept for it
    }
    const isUp = isNewProcess || (hasRefuted && before.liveness === "suspect");
    if (isUp) this.#enterLiveness(entry, "alive");
    turn.changes.push({ id: entry.id, before, after: entry.member });
  }

  #restart(entry: Entry): void {
    entry.heartbeat = -1;
    entry.returnedMs = -Infinity;
    entry.flapCount = 0;
    entry.phi.reset(this.heartbeatMs);
    this.table.unlink(entry);
  }

  #convict(entry: Entry, turn: Turn): void {
    if (entry.incarnation > 0) this.counters.convictions++;
    entry.downIncarnation = entry.incarnation;
    const isFlap = turn.nowMs - entry.returnedMs < FLAP_INTERVALS * this.#intervalMs;
    entry.flapCount = isFlap ? Math.min(FLAPS_MAX, entry.flapCount + 1) : 0;
    this.#setLiveness(entry, "down", turn);
    this.#spread({ kind: "down", id: entry.id, incarnation: entry.incarnation, by: this.self.id });
  }

  #setLiveness(entry: Entry, liveness: Liveness, turn: Turn): void {
    const before = entry.member;
    this.#enterLiveness(entry, liveness);
    turn.changes.push({ id: entry.id, before, after: entry.member });
  }

  #enterLiveness(entry: Entry, liveness: Liveness): void {
    const wasDown = entry.liveness === "down";
    this.table.replace(entry, { record: entry.record, liveness });
    entry.returnsAtHeartbeat = -1;
    if (liveness !== "suspect") entry.suspicion = undefined;
    if (liveness === "down") this.table.unlink(entry);
    else if (wasDown && entry.heartbeat >= 0) this.table.touch(entry);
  }

  /** Who has said that it is leaving and then falls silent needs no defence. */
  #newSuspicion(entry: Entry, by: NodeId, nowMs: number): Suspicion {
    const isLeaving = entry.record.phase === "leaving" || entry.record.phase === "left";
    const maxMs = isLeaving ? this.#intervalMs : this.suspicionMs * this.#health.factor;
    return new Suspicion(nowMs, maxMs, confirmationsNeeded(this.nodeCount), by);
  }

  /** An opinion about a node that nobody has heard of is nobody else's business. */
  #spread(opinion: Opinion): void {
    if (opinion.incarnation > 0) this.queue.push(opinion.id, encodeUpdate(opinion));
  }
}

/** Two processes that speak under one incarnation. */
function isContradiction(a: MemberRecord, b: MemberRecord): boolean {
  const isSame = a.incarnation === b.incarnation && a.version === b.version;
  return isSame && a.peerAddress !== b.peerAddress && a.version > 0;
}
