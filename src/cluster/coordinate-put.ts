/**
 * One client's write, from the node that took it to its replicas (DESIGN.md section 4).
 *
 *   who mints?   a write without a context: the first owner in ring order that serves (D3)
 *                with one: this node, if it is a serving owner; else the first
 *                no owner can be reached and the level is sloppy: the first healthy fallback
 *   not us       forward the whole write; there it is coordinated as below, and never forwarded again (R9)
 *   us           read first where the write depends on more than our own copy -> mint -> replicate -> answer at W
 *
 * A forwarded write whose minter dies on the way goes to the next one: two dots of one write hold equal values, which readers see as one (R15).
 * A conditional write does not, because its condition could fail on its own first attempt.
 *
 * Until something has been sent, a failure is 503 and certain; afterwards it is 504 (R5).
 */
import { HutchError } from "../base/errors.ts";
import { seenOf, satisfies, remember } from "../causality/session-token.ts";
import type { SessionTokens } from "../causality/session-token.ts";
import { decodeRecord } from "../causality/record.ts";
import type { NodeId } from "../gossip/member.ts";
import type { AckCounts, WriteRequest } from "../quorum/operation.ts";
import { quorumOf } from "../quorum/parse-consistency.ts";
import type { KeyAddress } from "../ring/partition.ts";
import { WriteBatch } from "../storage/store.ts";
import { overloaded, unavailable, writeIndeterminate } from "./answers.ts";
import type { Bucket } from "./bucket-properties.ts";
import type { CoordinationParts } from "./coordination-parts.ts";
import { ReadOperation } from "./coordinate-get.ts";
import type { FallbackActor } from "./fallback-actor.ts";
import { idempotencyKeyOf } from "./idempotency.ts";
import { encodeState } from "./join-states.ts";
import type { KeyAnswer } from "./key-state.ts";
import { type CoordinatedReply, PeerError } from "./peer-messages.ts";
import type { MintOutcome, MintPlan, Replica } from "./replica.ts";
import { ReplicaSet } from "./replica-set.ts";
import { decodeStored } from "./replica-store.ts";
import { Replication } from "./replication.ts";
import type { TrustedClock } from "./trusted-clock.ts";
import type { ReplicaStore } from "./replica-store.ts";
import { WriteQuorum } from "../quorum/write-quorum.ts";

/** A write is offered to this many minters at most. */
const MINTERS_MAX = 3;
/** A write that was told to wait asks again this often before it goes on; each wait is short or ends with a flush. */
const ADMISSION_WAITS_MAX = 3;

/** A write on its way: what the client asked, where it lives, when it must be answered. */
export interface PendingWrite {
  readonly bucket: Bucket;
  readonly key: Uint8Array;
  readonly address: KeyAddress;
  readonly request: WriteRequest;
  readonly deadlineMonoMs: number;
}

/** What `CoordinatedReply` says, with the state as this node can show it. */
export interface CoordinatedWrite {
  readonly context: string;
  readonly answer: KeyAnswer;
  readonly record: Uint8Array;
  readonly conflictDropped: number;
  readonly nowMs: number;
  readonly acks: AckCounts;
  readonly session: string;
  readonly isReplay: boolean;
}

export interface WriteCoordinationOptions {
  readonly parts: CoordinationParts;
  readonly replica: Replica;
  readonly store: ReplicaStore;
  readonly sessions: SessionTokens;
  readonly fallbackActor: FallbackActor;
  readonly trusted: TrustedClock;
  readonly isDurable: boolean;
  /** Sixteen random bytes. */
  newOperationId(): Uint8Array;
  /** The client's view of a state that another node has minted. */
  answerOf(write: PendingWrite, reply: CoordinatedReply): KeyAnswer;
}

export class WriteCoordination {
  private readonly options: WriteCoordinationOptions;
  private readonly parts: CoordinationParts;

  constructor(options: WriteCoordinationOptions) {
    this.options = options;
    this.parts = options.parts;
  }

  /** A client's write, taken by this node. */
  async write(write: PendingWrite): Promise<CoordinatedWrite> {
    const set = this.replicaSet(write);
    this.refuseHopeless(set, write.request);
    const candidates = this.mintersOf(set, write.request);
    for (let attempt = 0; attempt < candidates.length; attempt++) {
      const node = candidates[attempt]!;
      if (node === set.view.self) return this.coordinateHere(write, set);
      const isLast = attempt + 1 === candidates.length;
      const result = await this.forward(write, set, node, isLast);
      if (result !== undefined) return result;
    }
    throw unavailable("write", 0, write.request.consistency.w);
  }

  /** A write that another node has taken and sent here to be minted. */
  coordinate(write: PendingWrite): Promise<CoordinatedWrite> {
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
    const { parts } = this;
    return new ReplicaSet(parts.view(), parts.peers, address.partition, bucket.properties.n);
  }

  private refuseHopeless(set: ReplicaSet, { consistency }: WriteRequest): void {
    const { all, primary } = set.countPossible(consistency.isSloppy);
    if (all < consistency.w || primary < consistency.pw)
      throw unavailable("write", all, consistency.w);
  }

  private mintersOf(set: ReplicaSet, request: WriteRequest): NodeId[] {
    const { self } = set.view;
    const minters = set.minters();
    if (request.context !== "" && minters.includes(self)) return [self];
    if (minters.length === 0 && request.consistency.isSloppy) minters.push(...set.fallbacks());
    return minters.slice(0, MINTERS_MAX);
  }

  /** `undefined` where the node cannot have minted it, or where trying the next one does no harm. */
  private async forward(
    write: PendingWrite,
    set: ReplicaSet,
    node: NodeId,
    isLast: boolean,
  ): Promise<CoordinatedWrite | undefined> {
    const { request, bucket, key, deadlineMonoMs } = write;
    const { parts, options } = this;
    const leftMs = deadlineMonoMs - parts.clock.monoMs();
    if (leftMs <= 0) throw lateForward(set, node, request);
    const mayRepeat = !isLast && request.condition.kind === "none";
    const timeoutMs = mayRepeat ? Math.min(parts.replicaTimeoutMs, leftMs) : leftMs;
    const message = {
      kind: "coordinate",
      bucket: bucket.name,
      key,
      request: { ...request, timeoutMs: Math.ceil(leftMs) },
      operationId: options.newOperationId(),
    } as const;
    try {
      const reply = await parts.peers.call(node, message, timeoutMs, "client");
      if (reply.kind === "coordinated") return this.fromReply(write, reply);
      if (reply.kind !== "failed") throw new HutchError("internal", "Cannot use the peer's reply");
      if (!isLast && NOT_TAKEN.has(reply.code)) return undefined;
      const { code, message: text, retry, data } = reply;
      throw new HutchError(code, text, { retry, data });
    } catch (thrown) {
      if (!(thrown instanceof PeerError)) throw thrown;
      if (thrown.outcome === "not-sent" && !isLast) return undefined;
      if (thrown.outcome === "not-sent") throw unavailable("write", 0, request.consistency.w);
      if (mayRepeat) return undefined;
      throw lateForward(set, node, request);
    }
  }

  private fromReply(write: PendingWrite, reply: CoordinatedReply): CoordinatedWrite {
    return { ...reply, answer: this.options.answerOf(write, reply) };
  }

  private async coordinateHere(write: PendingWrite, set: ReplicaSet): Promise<CoordinatedWrite> {
    const { request, address, deadlineMonoMs } = write;
    await this.admitted(request, deadlineMonoMs);
    const isOwner = set.isOwner(set.view.self);
    // Where there is only our own copy, nobody else can know more.
    if (set.owners.length > 1) {
      if (request.idempotencyKey !== "") await this.recallElsewhere(write, set);
      if (isOwner && this.mustReadFirst(write)) await this.readFirst(write);
    }
    if (!isOwner) await this.options.fallbackActor.prepare();
    const replication = new Replication(this.parts, set, address, request, deadlineMonoMs);
    return this.mintAndReplicate(write, replication, isOwner);
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
      if (outcome.durable !== undefined) await outcome.durable;
      throw outcome.error;
    }
    record ??= encodeState(outcome.record);
    replication.start(record, outcome.side);
    this.await(outcome, replication);
    await replication.done;
    return this.result(write, outcome, record, replication.quorum.counts(), nowMs);
  }

  private fallbackPlan({ internalKey }: KeyAddress): MintPlan {
    const held = this.parts.hints.read(internalKey);
    return {
      actor: this.options.fallbackActor.take(),
      before: held === undefined ? [] : held.record,
    };
  }

  private await(outcome: MintOutcome, replication: Replication): void {
    const { isDurable } = this.options;
    if (outcome.durable === undefined) replication.storedHere(isDurable);
    else
      outcome.durable.then(
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
    for (let waits = 0; waits < ADMISSION_WAITS_MAX && pause !== undefined; waits++) {
      await this.parts.deadlines.within(pause, deadlineMonoMs, overloaded);
      pause = store.admit(request.kind);
    }
  }

  /**
   * A condition is judged on what a quorum holds (R18), a delete without a context deletes what a quorum read shows (REST.md section 2), and
   * a session's own earlier writes must not become siblings of this one.
   */
  private mustReadFirst({ request, address }: PendingWrite): boolean {
    if (request.condition.kind !== "none") return true;
    if (request.kind === "delete" && request.context === "") return true;
    if (request.session === "") return false;
    const seen = seenOf(this.options.sessions.decode(request.session), address);
    if (seen === undefined) return false;
    const stored = this.options.replica.read(address);
    return !satisfies(stored === undefined ? [] : decodeStored(stored.value), seen);
  }

  /** Joins what a quorum holds with our own copy. A delete goes on with what could be reached, a condition does not. */
  private async readFirst(write: PendingWrite): Promise<void> {
    const { bucket, address, request, deadlineMonoMs } = write;
    const { n, isSloppy } = request.consistency;
    const r = quorumOf(n);
    const consistency = { ...request.consistency, r, pr: isSloppy ? 0 : r, level: "" } as const;
    const { timeoutMs } = request;
    const options = { consistency, deadlineMonoMs, timeoutMs };
    try {
      const { value } = await new ReadOperation(this.parts, bucket, address, options).run();
      if (value !== undefined) this.join(write, value);
    } catch (thrown) {
      if (request.condition.kind !== "none" || !(thrown instanceof HutchError)) throw thrown;
    }
  }

  private join({ bucket, address }: PendingWrite, value: Uint8Array): void {
    const { replica, trusted } = this.options;
    const durable = replica.merge(bucket, address, decodeRecord(value), trusted.nowMs());
    // The write that follows is behind it in the log, so it is durable only after this is.
    durable?.catch(() => undefined);
  }

  /** An earlier attempt may have been minted elsewhere: its memory travels with it, so a quorum knows. */
  private async recallElsewhere(
    { address, request }: PendingWrite,
    set: ReplicaSet,
  ): Promise<void> {
    const { store } = this.options;
    const key = idempotencyKeyOf(address.internalKey, request.idempotencyKey);
    if (store.get(key) !== undefined) return;
    const { self } = set.view;
    const others = set.acting(true).filter(({ node }) => node !== self);
    const message = { kind: "read", internalKey: key, knownDigest: new Uint8Array(0) } as const;
    const { peers, replicaTimeoutMs } = this.parts;
    const found = await firstFound(
      others.map(async ({ node }) => {
        const reply = await peers.call(node, message, replicaTimeoutMs, "replica");
        return reply.kind === "record" && reply.state === "present" ? reply.record : undefined;
      }),
    );
    if (found === undefined || store.get(key) !== undefined) return;
    const durable = store.apply(new WriteBatch().put(key, found));
    durable.catch(() => undefined);
  }
}

/** The first answer that is one, once all that could have brought one have been heard. */
async function firstFound<T>(questions: readonly Promise<T | undefined>[]): Promise<T | undefined> {
  const answers = await Promise.allSettled(questions);
  for (const answer of answers)
    if (answer.status === "fulfilled" && answer.value !== undefined) return answer.value;
  return undefined;
}

/** A minter that says this has not written anything. */
const NOT_TAKEN: ReadonlySet<string> = new Set([
  "unavailable",
  "shutting-down",
  "overloaded",
  "disk-full",
  "clock-skew",
]);

function lateForward(set: ReplicaSet, node: NodeId, request: WriteRequest): HutchError {
  const quorum = new WriteQuorum(request.consistency);
  const name = set.view.nameOf(node);
  quorum.send(name, set.isOwner(node) ? "primary" : "fallback");
  quorum.fail(name, "timeout");
  return writeIndeterminate(quorum, request);
}
