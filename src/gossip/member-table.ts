/**
 * The members of the cluster besides this node, and what is remembered of each.
 *
 *   by id        Map
 *   by news      a list through the entries, the one whose heartbeat advanced last in front: its head is worth passing on, its tail is silent
 *   digest       xor over all of hash(id, incarnation, version): equal tables have equal digests, and one change costs one operation
 */
import { assert } from "../base/assert.ts";
import type { Prng } from "../base/prng.ts";
import {
  generationOf,
  type Liveness,
  type Member,
  type MemberRecord,
  type NodeId,
} from "./member.ts";
import { PhiAccrual } from "./phi-accrual.ts";
import { ProbeSchedule } from "./probe-schedule.ts";
import type { Suspicion } from "./suspicion.ts";

/** One other node. Written by `beliefs.ts` only. */
export class Entry {
  readonly id: NodeId;
  /** Immutable; replaced as a whole. Incarnation 0: named by the layout, never heard of. */
  member: Member;
  readonly phi: PhiAccrual;
  /** Set while `suspect`. */
  suspicion: Suspicion | undefined = undefined;
  /** The greatest that was heard in its present generation; -1 for none. */
  heartbeat = -1;
  /** It was down and has refuted: it is up again from this heartbeat on (R53). -1: not so. */
  returnsAtHeartbeat = -1;
  /** When it was up again last, and how often it went down soon after; a new process starts from nothing. */
  returnedMs = -Infinity;
  flapCount = 0;
  /** Its incarnation when it was last convicted. */
  downIncarnation = 0;
  /** The transport has seen a process of this generation (R49). */
  confirmedGeneration = 0;
  /** Its datagrams speak of a later record of itself than the one held here. */
  isBehind = false;
  /** A probe is under way. */
  isProbed = false;
  probedMs = -Infinity;
  staleMs = -Infinity;
  askedMs = -Infinity;
  defendedMs = -Infinity;
  newer: Entry | undefined = undefined;
  older: Entry | undefined = undefined;

  constructor(member: Member, intervalMs: number) {
    this.id = member.record.id;
    this.member = member;
    this.phi = new PhiAccrual(intervalMs);
  }

  get record(): MemberRecord {
    return this.member.record;
  }

  get liveness(): Liveness {
    return this.member.liveness;
  }

  get incarnation(): number {
    return this.member.record.incarnation;
  }

  get generation(): number {
    return generationOf(this.member.record.incarnation);
  }
}

export class MemberTable {
  readonly #byId = new Map<NodeId, Entry>();
  readonly schedule: ProbeSchedule<Entry>;
  readonly suspects = new Set<Entry>();
  readonly downs = new Set<Entry>();
  #newest: Entry | undefined = undefined;
  #oldest: Entry | undefined = undefined;
  #digest = 0;
  /** Members never heard of. */
  unheardCount = 0;

  constructor(prng: Prng) {
    this.schedule = new ProbeSchedule<Entry>(prng);
  }

  /** This node not counted. */
  get size(): number {
    return this.#byId.size;
  }

  get digest(): number {
    return this.#digest;
  }

  /** Whose heartbeat advanced last. */
  get newest(): Entry | undefined {
    return this.#newest;
  }

  /** Who has been silent for longest. */
  get oldest(): Entry | undefined {
    return this.#oldest;
  }

  get(id: NodeId): Entry | undefined {
    return this.#byId.get(id);
  }

  entries(): IterableIterator<Entry> {
    return this.#byId.values();
  }

  add(entry: Entry): void {
    assert(!this.#byId.has(entry.id), "a member is added once");
    this.#byId.set(entry.id, entry);
    this.schedule.add(entry);
    this.#enter(entry);
  }

  remove(entry: Entry): void {
    this.#leave(entry);
    this.unlink(entry);
    this.schedule.remove(entry);
    this.#byId.delete(entry.id);
  }

  replace(entry: Entry, member: Member): void {
    this.#leave(entry);
    entry.member = member;
    this.#enter(entry);
  }

  /** Takes the change of this node's own record into the digest. */
  noteSelf(before: MemberRecord | undefined, after: MemberRecord): void {
    if (before !== undefined) this.#digest = (this.#digest ^ recordHash(before)) >>> 0;
    this.#digest = (this.#digest ^ recordHash(after)) >>> 0;
  }

  /** Its heartbeat has advanced just now. */
  touch(entry: Entry): void {
    if (this.#newest === entry) return;
    this.unlink(entry);
    entry.older = this.#newest;
    if (this.#newest !== undefined) this.#newest.newer = entry;
    this.#newest = entry;
    this.#oldest ??= entry;
  }

  /** Takes it out of the list by news; harmless when it is not in it. */
  unlink(entry: Entry): void {
    const { newer, older } = entry;
    if (newer !== undefined) newer.older = older;
    else if (this.#newest === entry) this.#newest = older;
    if (older !== undefined) older.newer = newer;
    else if (this.#oldest === entry) this.#oldest = newer;
    entry.newer = entry.older = undefined;
  }

  #enter(entry: Entry): void {
    this.#digest = (this.#digest ^ recordHash(entry.record)) >>> 0;
    if (entry.incarnation === 0) this.unheardCount++;
    if (entry.liveness === "suspect") this.suspects.add(entry);
    if (entry.liveness === "down") this.downs.add(entry);
  }

  #leave(entry: Entry): void {
    this.#digest = (this.#digest ^ recordHash(entry.record)) >>> 0;
    if (entry.incarnation === 0) this.unheardCount--;
    if (entry.liveness === "suspect") this.suspects.delete(entry);
    if (entry.liveness === "down") this.downs.delete(entry);
  }
}

/** 0 for a node never heard of: what nobody knows anything about makes no difference. */
function recordHash({ id, incarnation, version }: MemberRecord): number {
  if (incarnation === 0) return 0;
  let hash = 0x811c9dc5;
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (incarnation % 0x100000000), 0x2c1b3c6d);
  hash = Math.imul(hash ^ (hash >>> 15) ^ Math.floor(incarnation / 0x100000000), 0x297a2d39);
  hash = Math.imul(hash ^ (hash >>> 13) ^ version, 0x85ebca6b);
  return (hash ^ (hash >>> 16)) >>> 0;
}
