/**
 * One client's write, from the node that took it to its replicas (DESIGN.md section 4).
 *
 *   who mints?   a write without a context: the first owner in ring order that serves (D3)
 *                with one: this node, if it is a serving owner; else the first
 *                no owner can be reached and the level is sloppy: the first healthy fallback
 *   not us       forward the whole write; there it is coordinated as below, and never forwarded again (R9)
 *   us           read first where the write depends on more than our own copy -> mint -> replicate -> answer at W
 *
 * A minter that surely has not taken the write is passed over, the node itself included. A forwarded write whose minter dies on the way goes to the next one: two dots of one write hold equal values, which readers see as one (R15).
 * A conditional write does not, because its condition could fail on its own first attempt.
 *
 * Until something has been sent, a failure is 503 and certain; afterwards it is 504 (R5).
 */
import { HutchError } from "../base/errors.ts";
import type { ContextTokens } from "../causality/context-token.ts";
import {
  type SessionKey,
  type SessionTokens,
  remember,
  satisfies,
  seenOf,
} from "../causality/session-token.ts";
import { type Record, decodeRecord } from "../causality/record.ts";
import type { NodeId } from "../gossip/member.ts";
import type { AckCounts, WriteRequest } from "../quorum/operation.ts";
import { quorumOf } from "../quorum/parse-consistency.ts";
import { neededOf } from "../quorum/write-quorums.ts";
import type { KeyAddress } from "../ring/partition.ts";
import { WriteBatch } from "../storage/store.ts";
import { overloaded, unavailable } from "./answers.ts";
import type { CoordinationParts } from "./coordination-parts.ts";
import { ReadOperation } from "./coordinate-get.ts";
import type { FallbackActor } from "./fallback-actor.ts";
import { idempotencyKeyOf } from "./idempotency.ts";
import { encodeState } from "./join-states.ts";
import type { KeyAnswer } from "./key-state.ts";
import { WriteForwarding, lateForward } from "./forward-write.ts";
import type { CoordinatedWrite, PendingWrite } from "./pending-write.ts";
import { type CoordinatedReply, PeerError } from "./peer-messages.ts";
import type { MintOutcome, MintPlan, Replica } from "./replica.ts";
import { ReplicaSet } from "./replica-set.ts";
import { decodeStored } from "./replica-store.ts";
import { Replication } from "./replication.ts";
import type { TrustedClock } from "./trusted-clock.ts";
import type { ReplicaStore } from "./replica-store.ts";

/** A write is offered to this many minters at most. */
const MINTERS_MAX = 3;
/** A write that was told to wait asks again this often before it goes on; each wait is short or ends with a flush. */
const ADMISSION_WAITS_MAX = 3;

export interface WriteCoordinationOptions {
  readonly parts: CoordinationParts;
  readonly replica: Replica;
  readonly store: ReplicaStore;
  readonly sessions: SessionTokens;
  readonly tokens: ContextTokens;
  readonly fallbackActor: FallbackActor;
  readonly trusted: TrustedClock;
  readonly isDurable: boolean;
  /** The client's view of a state that another node has minted. */
  answerOf(write: PendingWrite, reply: CoordinatedReply): KeyAnswer;
}

export class WriteCoordination {
  private readonly options: WriteCoordinationOptions;
  private readonly parts: CoordinationParts;
  private readonly forwarding: WriteForwarding;

  constructor(options: WriteCoordinationOptions) {
    this.options = options;
    this.parts = options.parts;
    this.forwarding = new WriteForwarding(options);
  }

  /** A client's write, taken by this node. */
  async write(client: PendingWrite): Promise<CoordinatedWrite> {
    const write = withQuorumOfOwners(client);
    const set = this.replicaSet(write);
    this.refuseHopeless(set, write.request);
    const { request } = write;
    const candidates = this.mintersOf(set, request);
    let refusal: HutchError | undefined;
    let doubt: HutchError | undefined;
    for (const [attempt, node] of candidates.entries()) {
      const isLast = attempt + 1 === candidates.length;
      const leftMs = write.deadlineMonoMs - this.parts.clock.monoMs();
      if (leftMs <= 0) break;
      try {
        if (node === set.view.self) return await this.coordinateHere(write, set);
        return await this.forwarding.forward(write, node, leftMs, isLast);
      } catch (thrown) {
        if (thrown instanceof PeerError) {
          if (thrown.outcome === "not-sent") continue;
          doubt ??= lateForward(set, node, request);
        } else if (isRefusal(thrown)) refusal = thrown;
        else if (doubt === undefined || !isSiblingLimit(thrown)) throw thrown;
        if (doubt !== undefined && request.condition.kind !== "none") break;
      }
    }
    // Once somebody may have taken it, no refusal of somebody else makes the outcome certain (R5).
    throw doubt ?? refusal ?? unavailable("write", 0, request.consistency.w);
  }

  /** A write that another node has taken and sent here to be minted. */
  async coordinate(forwarded: PendingWrite): Promise<CoordinatedWrite> {
    const write = withQuorumOfOwners(forwarded);
    const set = this.replicaSet(write);
    const { self } = set.view;
    const isMinter = set.isOwner(self)
      ? set.view.isServing(self)
      : write.request.consistency.isSloppy && set.minters().length === 0;
    if (!isMinter) throw unavailable("write", 0, write.request.consistency.w);
    this.refuseHopeless(set, write.request);
    return this.coordinateHere(write, set);
  }

  private replicaSet({ address, bucket }: PendingWrite): ReplicaSet {
    const { view, peers } = this.parts;
    const now = view();
    return new ReplicaSet(now, peers, address.partition, now.copiesOf(bucket));
  }

  private refuseHopeless(set: ReplicaSet, { consistency }: WriteRequest): void {
    for (const [at, owners] of set.ownerSets.entries()) {
      const { all, primary } = set.countPossible(consistency.isSloppy, owners);
      const { w, pw } = neededOf(consistency, owners.length, at === 0);
      if (all < w || primary < pw) throw unavailable("write", all, w);
    }
  }

  private mintersOf(set: ReplicaSet, request: WriteRequest): NodeId[] {
    const { self } = set.view;
    let minters = set.minters();
    if (request.context !== "" && minters.includes(self))
      minters = [self, ...minters.filter((node) => node !== self)];
    if (minters.length === 0 && request.consistency.isSloppy) minters.push(...set.fallbacks());
    return minters.slice(0, MINTERS_MAX);
  }

  private async coordinateHere(write: PendingWrite, set: ReplicaSet): Promise<CoordinatedWrite> {
    const { request, address, deadlineMonoMs } = write;
    await this.admitted(request, deadlineMonoMs);
    const isOwner = set.isOwner(set.view.self);
    // Where there is only our own copy, nobody else can know more.
    if (set.holders.length > 1) await this.askFirst(write, set, isOwner);
    if (!isOwner) await this.leaseActor(write);
    // Nothing has been sent yet, and by now the write may be in other hands (N1).
    if (this.parts.clock.monoMs() >= write.mintByMonoMs)
      throw unavailable("write", 0, request.consistency.w);
    const replication = new Replication(this.parts, set, address, request, deadlineMonoMs);
    return this.mintAndReplicate(write, replication, isOwner);
  }

  private async askFirst(write: PendingWrite, set: ReplicaSet, isOwner: boolean): Promise<void> {
    const { request } = write;
    const mustRecall = request.idempotencyKey !== "";
    const mustRead = isOwner && this.mustReadFirst(write);
    if (!mustRecall && !mustRead) return;
    if (mustRecall) await this.recallElsewhere(write, set);
    if (mustRead) await this.readFirst(write);
  }

  /** Whoever waited for the same lease may have used it up, so look again. */
  private async leaseActor(write: PendingWrite): Promise<void> {
    const { fallbackActor } = this.options;
    for (let lease = fallbackActor.prepare(); lease; lease = fallbackActor.prepare())
      await this.inTime(lease, write);
  }

  /** For the disk, before anything is written: a slow one does not keep the client beyond its deadline. */
  private inTime(promise: Promise<void>, { request, deadlineMonoMs }: PendingWrite): Promise<void> {
    const late = (): HutchError => unavailable("write", 0, request.consistency.w);
    return this.parts.deadlines.within(promise, deadlineMonoMs, late);
  }

  private async mintAndReplicate(
    write: PendingWrite,
    replication: Replication,
    isOwner: boolean,
  ): Promise<CoordinatedWrite> {
    const { bucket, address, request } = write;
    const { replica, trusted } = this.options;
    let record: Uint8Array | undefined;
    const plan: MintPlan = {
      ...(isOwner ? {} : this.fallbackPlan(address)),
      addTo: (batch, encoded, side) => {
        record = encoded.slice();
        replication.addOwnHints(batch, record, side);
      },
    };
    const nowMs = trusted.nowMsForWrite();
    const outcome = replica.mint(bucket, address, request, nowMs, plan);
    if (outcome.kind === "refused") {
      if (outcome.durable !== undefined) await this.inTime(outcome.durable, write);
      throw outcome.error;
    }
    record ??= encodeState(outcome.record);
    replication.start(record, outcome.side, outcome.kind === "replayed");
    const durable =
      outcome.kind === "minted"
        ? outcome.durable
        : this.keepAgain(write, replication, isOwner, outcome);
    this.await(durable, replication);
    await replication.done;
    return this.result(write, outcome, record, replication.quorums.counts(), nowMs);
  }

  private fallbackPlan({ internalKey }: KeyAddress): MintPlan {
    const held = this.parts.hints.read(internalKey);
    return {
      actor: this.options.fallbackActor.take(),
      before: held === undefined ? [] : held.record,
    };
  }

  /**
   * The memory of a write may have come here without the write itself, and who was up then may be down now: a replay acknowledges only what is
   * here for certain.
   */
  private async keepAgain(
    { bucket, address, request }: PendingWrite,
    replication: Replication,
    isOwner: boolean,
    { record, durable }: Extract<MintOutcome, { readonly kind: "minted" | "replayed" }>,
  ): Promise<void> {
    const { replica, trusted } = this.options;
    const hints = replication.keepOwnHints();
    if (isOwner) await replica.merge(bucket, address, record, trusted.nowMs());
    else if ((await hints) === 0) throw unavailable("write", 0, request.consistency.w);
    await durable;
  }

  private await(durable: Promise<void> | undefined, replication: Replication): void {
    const { isDurable } = this.options;
    if (durable === undefined) replication.storedHere(isDurable);
    else
      durable.then(
        () => replication.storedHere(isDurable),
        (thrown: unknown) => replication.failedHere(thrown),
      );
    replication.arm();
  }

  private result(
    { address, request }: PendingWrite,
    outcome: Exclude<MintOutcome, { readonly kind: "refused" }>,
    record: Uint8Array,
    acks: AckCounts,
    nowMs: number,
  ): CoordinatedWrite {
    const { sessions } = this.options;
    const session =
      request.session === ""
        ? ""
        : sessions.encode(remember(sessions.decode(request.session), address, outcome.record));
    const { answer, context } = outcome;
    const isReplay = outcome.kind === "replayed";
    const { conflictDropped } = answer;
    return { context, answer, record, conflictDropped, nowMs, acks, session, isReplay };
  }

  /** Back-pressure; nothing has been written when it throws. */
  private async admitted(request: WriteRequest, deadlineMonoMs: number): Promise<void> {
    const { store } = this.options;
    let pause = store.admit(request.kind);
    if (pause === undefined) return;
    const { clock } = this.parts;
    const startedMs = clock.monoMs();
    for (let waits = 0; waits < ADMISSION_WAITS_MAX && pause !== undefined; waits++) {
      await this.parts.deadlines.within(pause, deadlineMonoMs, overloaded);
      pause = store.admit(request.kind);
    }
    request.waits?.waited("admission", clock.monoMs() - startedMs, "");
  }

  /**
   * A condition is judged on what a quorum holds (R18), a delete without a context deletes what a quorum read shows (REST.md section 2), and
   * neither a session's own earlier writes nor what the context names one by one may become siblings of this one.
   */
  private mustReadFirst(write: PendingWrite): boolean {
    const { request, address } = write;
    if (request.condition.kind !== "none") return true;
    if (request.kind === "delete" && request.context === "") return true;
    if (request.session === "" && request.context === "") return false;
    const seen = this.seenBefore(write);
    if (seen.dots.length === 0) return false;
    const stored = this.options.replica.read(address);
    return !satisfies(stored === undefined ? [] : decodeStored(stored.value), seen);
  }

  /** What the write may not be blind to. The vector of a context goes with the write, its single dots have to be here to be replaced. */
  private seenBefore({ request, address }: PendingWrite): SessionKey {
    const { sessions, tokens } = this.options;
    const { hashLow, hashHigh, fingerprint } = address;
    const session =
      request.session === "" ? undefined : seenOf(sessions.decode(request.session), address);
    const context =
      request.context === "" ? undefined : tokens.decode(fingerprint, request.context);
    const dots = [...(session?.dots ?? []), ...(context?.dots ?? [])];
    return { hashLow, hashHigh, dots };
  }

  /** Joins what a quorum holds with our own copy. A delete goes on with what could be reached, a condition does not. */
  private async readFirst(write: PendingWrite): Promise<void> {
    const { bucket, address, request, deadlineMonoMs } = write;
    const { n, isSloppy } = request.consistency;
    const r = quorumOf(n);
    const pr = isSloppy && request.condition.kind === "none" ? 0 : r;
    const consistency = { ...request.consistency, r, pr, level: "" } as const;
    const { timeoutMs, trace, waits } = request;
    const seen = this.seenBefore(write);
    const isSatisfied = (record: Record): boolean => satisfies(record, seen);
    const options = { consistency, deadlineMonoMs, timeoutMs, isSatisfied, trace, waits };
    try {
      const { value } = await new ReadOperation(this.parts, bucket, address, options).run();
      if (value !== undefined) this.join(write, value);
    } catch (thrown) {
      if (request.condition.kind !== "none" || !(thrown instanceof HutchError)) throw thrown;
    }
  }

  private join({ bucket, address }: PendingWrite, value: Uint8Array): void {
    const { replica, trusted } = this.options;
    // What others have of ours tells of ourselves too (R12d).
    const options = { encoded: value, isFromPeer: true };
    const durable = replica.merge(bucket, address, decodeRecord(value), trusted.nowMs(), options);
    // The write that follows is behind it in the log, so it is durable only after this is.
    durable?.catch(() => undefined);
  }

  /** An earlier attempt may have been minted elsewhere: its memory travels with it, so a quorum knows. */
  private async recallElsewhere(
    { address, request, deadlineMonoMs }: PendingWrite,
    set: ReplicaSet,
  ): Promise<void> {
    const { store } = this.options;
    const key = idempotencyKeyOf(address.internalKey, request.idempotencyKey);
    if (store.get(key) !== undefined) return;
    const { self } = set.view;
    const others = set.acting(true).filter(({ node }) => node !== self);
    const { trace } = request;
    const knownDigest = new Uint8Array(0);
    const message = { kind: "read", internalKey: key, knownDigest, trace } as const;
    const { peers, replicaTimeoutMs, clock } = this.parts;
    const timeoutMs = Math.max(1, Math.min(replicaTimeoutMs, deadlineMonoMs - clock.monoMs()));
    const found = await firstFound(
      others.map(async ({ node }) => {
        const reply = await peers.call(node, message, timeoutMs, "replica");
        return reply.kind === "record" && reply.state === "present" ? reply.record : undefined;
      }),
    );
    if (found === undefined || store.get(key) !== undefined) return;
    const durable = store.apply(new WriteBatch().put(key, found));
    durable.catch(() => undefined);
  }
}

/** The first answer that is one; `undefined` when there is none. */
function firstFound<T>(questions: readonly Promise<T | undefined>[]): Promise<T | undefined> {
  return new Promise((resolve) => {
    let open = questions.length;
    const heard = (answer: T | undefined): void => {
      open--;
      if (answer !== undefined || open === 0) resolve(answer);
    };
    if (open === 0) resolve(undefined);
    for (const question of questions) question.then(heard, () => heard(undefined));
  });
}

/** R18: a condition holds only where a quorum of owners says so, whatever the level. */
function withQuorumOfOwners(write: PendingWrite): PendingWrite {
  const { request } = write;
  if (request.condition.kind === "none") return write;
  const { consistency } = request;
  const quorum = quorumOf(consistency.n);
  const w = Math.max(consistency.w, quorum);
  const pw = Math.max(consistency.pw, quorum);
  return { ...write, request: { ...request, consistency: { ...consistency, w, pw } } };
}

/** A minter that says this has not written anything. */
const NOT_TAKEN: ReadonlySet<string> = new Set([
  "unavailable",
  "shutting-down",
  "overloaded",
  "disk-full",
  "clock-skew",
  // Its own copy is damaged; the others are not.
  "data-corrupt",
]);

function isRefusal(thrown: unknown): thrown is HutchError {
  return thrown instanceof HutchError && NOT_TAKEN.has(thrown.code);
}

/** A sibling too many may be the first attempt's own. */
function isSiblingLimit(thrown: unknown): boolean {
  return thrown instanceof HutchError && thrown.code === "too-many-siblings";
}
