/**
 * One quorum read, as a state machine that replies drive: nothing here waits in a loop.
 *
 *   ask r replicas (the own copy first, then the quickest) -> merge what they say
 *     a failure, or a reply that does not count       ask the next one
 *     the slowest peer's p95 has passed               ask one more (N5)
 *   enough replies, the session satisfied             replies equal: answer
 *                                                     they differ:   write the merge back until a quorum holds it, then answer (R2)
 *
 * What counts (D4, R3, R4): any state from a serving owner, its absence included; a value, never an absence, from a fallback while the
 * owner it stands for is down; from a syncing owner a value joins the merge and counts for nothing.
 */
import { DecodeError } from "../base/byte-reader.ts";
import { equalBytes } from "../base/bytes.ts";
import { HutchError } from "../base/errors.ts";
import type { TraceContext } from "../base/trace-context.ts";
import { type Record, decodeRecord } from "../causality/record.ts";
import { stateDigest } from "../kernels/kernels.ts";
import type { Consistency } from "../quorum/consistency.ts";
import type { WaitObserver } from "../quorum/operation.ts";
import { quorumOf } from "../quorum/parse-consistency.ts";
import { ReadQuorum } from "../quorum/read-quorum.ts";
import { neededOf } from "../quorum/write-quorums.ts";
import type { KeyAddress } from "../ring/partition.ts";
import { readTimeout, unavailable } from "./answers.ts";
import type { Bucket } from "./bucket-properties.ts";
import type { CoordinationParts } from "./coordination-parts.ts";
import { PeerError, type PeerReply, type RecordReply } from "./peer-messages.ts";
import type { ActingReplica } from "./replica-set.ts";
import { ReplicaSet } from "./replica-set.ts";
import { decodeStored } from "./replica-store.ts";
import { joinStates } from "./join-states.ts";

/** No hedge before this: faster peers only differ by chance. */
const HEDGE_MS_MIN = 5;
const NO_DIGEST = new Uint8Array(0);
export interface ReadOutcome {
  /** The merged state, encoded; `undefined` where nobody has one. The receiver's to keep. */
  readonly value: Uint8Array | undefined;
  readonly replies: ReadQuorum;
  readonly readRepair: "" | "done" | "incomplete";
}

export interface ReadOptions {
  readonly consistency: Consistency;
  readonly deadlineMonoMs: number;
  readonly timeoutMs: number;
  /** Replies are gathered until their merge satisfies it (R7). */
  readonly isSatisfied?: (record: Record) => boolean;
  readonly trace?: TraceContext | undefined;
  readonly waits?: WaitObserver | undefined;
}

interface Reply {
  readonly replica: ActingReplica;
  /** `undefined` for an absence. */
  readonly value: Uint8Array | undefined;
}

export class ReadOperation {
  private readonly parts: CoordinationParts;
  private readonly bucket: Bucket;
  private readonly address: KeyAddress;
  private readonly options: ReadOptions;
  private readonly set: ReplicaSet;
  private readonly candidates: readonly ActingReplica[];
  private readonly quorum: ReadQuorum;
  private readonly replies: Reply[] = [];
  private readonly result = Promise.withResolvers<ReadOutcome>();
  private nextCandidate = 0;
  private outstanding = 0;
  private merged: Uint8Array | undefined;
  private isDifferent = false;
  private hasUnprovenAbsence = false;
  private hasTimeout = false;
  private failure: HutchError | undefined;
  private isDone = false;
  /** Whose reply came last; the read waited for it. */
  private lastHeard = "";
  private cancelAlarm: (() => void) | undefined;

  constructor(parts: CoordinationParts, bucket: Bucket, address: KeyAddress, options: ReadOptions) {
    this.parts = parts;
    this.bucket = bucket;
    this.address = address;
    const view = parts.view();
    this.set = new ReplicaSet(view, parts.peers, address.partition, view.copiesOf(bucket));
    const consistency = neededOf(options.consistency, this.set.owners.length, true);
    this.options = consistency === options.consistency ? options : { ...options, consistency };
    this.candidates = this.inOrder(this.set.acting(consistency.isSloppy));
    const primaries = this.candidates.filter(({ role }) => role === "primary").length;
    const fallbacks = this.candidates.length - primaries;
    this.quorum = new ReadQuorum(consistency, primaries, fallbacks);
  }

  /** The own copy costs nothing, serving owners prove most, the quickest first; who will hardly answer or count comes last. */
  private inOrder(acting: ActingReplica[]): ActingReplica[] {
    if (acting.length < 2) return acting;
    const costs = new Map(acting.map((replica) => [replica, this.costOf(replica)]));
    return acting.sort((a, b) => costs.get(a)! - costs.get(b)!);
  }

  private costOf({ node, role }: ActingReplica): number {
    const { view } = this.set;
    if (!view.isServing(node)) return 3_000_000;
    if (node === view.self) return role === "primary" ? -1 : 1_000_000;
    if (!this.set.isReachable(node)) return 2_000_000;
    return this.parts.peers.latencyMeanMs(node) + (role === "primary" ? 0 : 1_000_000);
  }

  /** Rejects with `unavailable`, `absence-unproven`, `session-unsatisfied`, `read-timeout`, `data-corrupt`. */
  run(): Promise<ReadOutcome> {
    const { r } = this.options.consistency;
    if (this.quorum.state === "unreachable")
      return Promise.reject(unavailable("read", this.candidates.length, r));
    this.parts.hedges.earn();
    for (let asked = 0; asked < r; asked++) this.askNext();
    if (!this.isDone) this.arm();
    return this.result.promise;
  }

  private askNext(): boolean {
    const replica = this.candidates[this.nextCandidate];
    if (replica === undefined) return false;
    this.nextCandidate++;
    this.outstanding++;
    if (replica.node === this.set.view.self) this.readHere(replica);
    else this.readThere(replica);
    return true;
  }

  private readHere(replica: ActingReplica): void {
    let durable: Promise<void> | undefined;
    let value: Uint8Array | undefined;
    try {
      const local = this.parts.readLocal(this.address, replica.role);
      value = local.value;
      durable = local.durable;
    } catch (thrown) {
      this.failed(replica, thrown);
      return;
    }
    const isServing = this.set.view.isServing(replica.node);
    if (durable === undefined) this.replied(replica, value, isServing);
    else
      durable.then(
        () => this.replied(replica, value, isServing),
        (thrown: unknown) => this.failed(replica, thrown),
      );
  }

  private readThere(replica: ActingReplica): void {
    const { parts, options } = this;
    const leftMs = Math.max(1, options.deadlineMonoMs - parts.clock.monoMs());
    const own = this.merged;
    const message = {
      kind: "read",
      internalKey: this.address.internalKey,
      knownDigest: own === undefined ? NO_DIGEST : stateDigest(own),
      trace: options.trace,
    } as const;
    const timeoutMs = Math.min(parts.replicaTimeoutMs, leftMs);
    parts.peers.call(replica.node, message, timeoutMs, "replica").then(
      (reply) => this.answered(replica, reply, own),
      (thrown: unknown) => this.failed(replica, thrown),
    );
  }

  private answered(replica: ActingReplica, reply: PeerReply, own: Uint8Array | undefined): void {
    if (reply.kind !== "record") {
      const error =
        reply.kind === "failed"
          ? new HutchError(reply.code, reply.message, { retry: reply.retry, data: reply.data })
          : new HutchError("internal", `Cannot use a reply of the kind ${reply.kind}`);
      this.failed(replica, error);
      return;
    }
    if (isGarbage(reply, own))
      this.failed(replica, new HutchError("internal", "Cannot use a reply that is no state"));
    else this.replied(replica, valueOf(reply, own), reply.isServing);
  }

  /** `isServing` as the replica says of itself; it knows first. */
  private replied(replica: ActingReplica, value: Uint8Array | undefined, isServing: boolean): void {
    this.outstanding--;
    if (this.isDone) {
      this.late(replica, value);
      return;
    }
    const isCounted = replica.role === "primary" ? isServing : value !== undefined;
    if (!isCounted) {
      this.contributed(replica, value);
      return;
    }
    this.lastHeard = replica.node;
    this.quorum.reply(replica.role);
    this.take({ replica, value });
    this.look();
  }

  /** The answer is out already; copies that lag, this one or those that were heard, are mended all the same (R33). */
  private late(replica: ActingReplica, value: Uint8Array | undefined): void {
    const reply = { replica, value };
    const before = this.merged;
    this.take(reply);
    const { merged } = this;
    if (merged === undefined || isSame(value, before)) return;
    this.repairLater(isSame(merged, before) ? [reply] : this.replies, merged);
  }

  private repairLater(copies: readonly Reply[], state: Uint8Array): void {
    for (const { replica, value } of copies)
      if (replica.role === "primary" && !isSame(value, state))
        this.parts.repairLater(this.bucket, this.address, replica, state);
  }

  /** A reply that joins the merge and counts for nothing. */
  private contributed(replica: ActingReplica, value: Uint8Array | undefined): void {
    this.quorum.fail(replica.role);
    if (value === undefined) this.hasUnprovenAbsence = true;
    else this.take({ replica, value });
    if (this.quorum.state === "pending") this.askNext();
    this.look();
  }

  private failed(replica: ActingReplica, thrown: unknown): void {
    this.outstanding--;
    if (this.isDone) return;
    this.quorum.fail(replica.role);
    // A full queue, and a node that is up and cannot be reached at the moment, are matters of time as well.
    if (thrown instanceof PeerError)
      this.hasTimeout ||=
        thrown.outcome === "unknown" ||
        thrown.reason === "overloaded" ||
        (thrown.reason === "unreachable" && !this.set.isDown(replica.node));
    else if (thrown instanceof HutchError) {
      this.failure ??= thrown;
      this.parts.reportDamage(thrown);
    } else {
      this.reject(thrown);
      return;
    }
    if (this.quorum.state === "pending") this.askNext();
    this.look();
  }

  private take(reply: Reply): void {
    const { value } = reply;
    if (this.replies.length > 0 && !isSame(this.merged, value)) this.isDifferent = true;
    this.replies.push(reply);
    if (value === undefined || isSame(this.merged, value)) return;
    this.merged =
      this.merged === undefined
        ? value
        : joinStates(this.bucket.properties.conflicts, this.merged, value);
  }

  private look(): void {
    if (this.isDone) return;
    const { state } = this.quorum;
    if (state === "reached") this.lookAtSession();
    else if (state === "unreachable" && this.outstanding === 0) this.reject(this.whyNot());
  }

  private lookAtSession(): void {
    const { isSatisfied } = this.options;
    if (isSatisfied !== undefined && !isSatisfied(this.record())) {
      if (!this.askNext() && this.outstanding === 0) this.reject(sessionUnsatisfied());
      return;
    }
    if (this.isDifferent) this.repair();
    else this.finish("");
  }

  private record(): Record {
    return this.merged === undefined ? [] : decodeStored(this.merged);
  }

  private whyNot(): HutchError {
    const { r } = this.options.consistency;
    // With one owner there is no other copy; with several the damaged ones are being mended.
    if (this.failure?.code === "data-corrupt" && this.set.owners.length === 1) return this.failure;
    if (this.hasUnprovenAbsence && this.merged === undefined)
      return new HutchError(
        "absence-unproven",
        "Cannot tell whether the key is absent: too few replicas that have all of the partition answered",
        { retry: "safe" },
      );
    if (this.hasTimeout) return readTimeout(this.options.timeoutMs);
    return unavailable("read", this.quorum.ok, r);
  }

  /** R2: nobody is shown a state that the next reader might not find. */
  private repair(): void {
    const { consistency, deadlineMonoMs } = this.options;
    const value = this.merged!;
    const needed = quorumOf(consistency.n);
    const copies = this.candidates.map((replica) => ({ replica, value: this.heardFrom(replica) }));
    const stale = copies.filter((copy) => !isSame(copy.value, value));
    const holders = copies.length - stale.length;
    this.stopWaiting();
    if (consistency.r < needed || holders >= needed) {
      this.repairLater(stale, value);
      this.resolve(holders >= needed ? "done" : "");
      return;
    }
    this.writeBack(stale, value, needed - holders, deadlineMonoMs);
  }

  private heardFrom({ node }: ActingReplica): Uint8Array | undefined {
    return this.replies.find(({ replica }) => replica.node === node)?.value;
  }

  /** To everybody who acts: a fallback keeps it for its owner, so that a read is not refused while owners are down. */
  private writeBack(
    stale: readonly Reply[],
    value: Uint8Array,
    missing: number,
    deadlineMonoMs: number,
  ): void {
    const startedMonoMs = this.parts.clock.monoMs();
    let stillMissing = missing;
    let left = stale.length;
    let isAnswered = false;
    const answer = (isWritten: boolean): void => {
      if (isAnswered) return;
      isAnswered = true;
      cancel();
      this.options.waits?.waited("repair", this.parts.clock.monoMs() - startedMonoMs, "");
      if (isWritten) this.resolve("done");
      else if (consistencyIsNamed(this.options.consistency)) this.result.reject(incomplete());
      else this.resolve("incomplete");
    };
    const cancel = this.parts.deadlines.alarm(deadlineMonoMs, () => answer(false));
    const settle = (isWritten: boolean): void => {
      left--;
      if (isWritten) stillMissing--;
      if (stillMissing <= 0) answer(true);
      else if (left < stillMissing) answer(false);
    };
    if (left < stillMissing) answer(false);
    for (const { replica } of stale)
      void this.parts.repair(this.bucket, this.address, replica, value).then(settle);
  }

  private finish(readRepair: ""): void {
    this.stopWaiting();
    this.resolve(readRepair);
  }

  private resolve(readRepair: "" | "done" | "incomplete"): void {
    this.result.resolve({ value: this.merged, replies: this.quorum, readRepair });
  }

  private reject(thrown: unknown): void {
    this.stopWaiting();
    this.result.reject(thrown);
  }

  private stopWaiting(): void {
    this.isDone = true;
    this.cancelAlarm?.();
    const { waits, timeoutMs, deadlineMonoMs } = this.options;
    const waitedMs = timeoutMs - (deadlineMonoMs - this.parts.clock.monoMs());
    if (waits === undefined || waitedMs < waits.tellingMs) return;
    const { view } = this.set;
    const node = this.quorum.state === "reached" ? this.lastHeard : this.silentNode();
    waits.waited(node === view.self ? "sync" : "replicas", waitedMs, view.nameOf(node));
  }

  private silentNode(): string {
    const heard = this.replies.map(({ replica }) => replica.node);
    return this.candidates.find(({ node }) => !heard.includes(node))?.node ?? this.lastHeard;
  }

  /** One alarm at a time: for a hedge, where somebody is left to ask, and then for the deadline. */
  private arm(): void {
    const { clock, deadlines } = this.parts;
    const isSomebodyLeft = this.nextCandidate < this.candidates.length && this.outstanding > 0;
    const hedgeMs = isSomebodyLeft ? clock.monoMs() + this.hedgeAfterMs() : Infinity;
    if (hedgeMs < this.options.deadlineMonoMs)
      this.cancelAlarm = deadlines.alarm(hedgeMs, () => this.hedge());
    else this.armDeadline();
  }

  private armDeadline(): void {
    const { deadlineMonoMs, timeoutMs } = this.options;
    this.cancelAlarm = this.parts.deadlines.alarm(deadlineMonoMs, () =>
      this.reject(readTimeout(timeoutMs)),
    );
  }

  /** An asked replica is slower when it takes longer than it nearly always does. */
  private hedgeAfterMs(): number {
    let slowestMs = HEDGE_MS_MIN;
    for (let i = 0; i < this.nextCandidate; i++) {
      const { node } = this.candidates[i]!;
      slowestMs = Math.max(slowestMs, this.parts.peers.latencyP95Ms(node) ?? 0);
    }
    return slowestMs;
  }

  private hedge(): void {
    if (this.isDone) return;
    this.armDeadline();
    if (this.parts.hedges.take()) this.askNext();
  }
}

/** What no replica of ours would say (row 74). */
function isGarbage({ state, record }: RecordReply, own: Uint8Array | undefined): boolean {
  if (state === "same") return own === undefined;
  if (state === "absent") return false;
  try {
    return decodeRecord(record).length === 0;
  } catch (thrown) {
    if (thrown instanceof DecodeError) return true;
    throw thrown;
  }
}

function valueOf(reply: RecordReply, own: Uint8Array | undefined): Uint8Array | undefined {
  if (reply.state === "absent") return undefined;
  return reply.state === "same" ? own : reply.record;
}

function isSame(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === b) return true;
  return a !== undefined && b !== undefined && equalBytes(a, b);
}

function consistencyIsNamed({ level }: Consistency): boolean {
  return level !== "";
}

function incomplete(): HutchError {
  return new HutchError(
    "unavailable",
    "Cannot answer: replicas differ, and what was read could not be written back to a quorum in time",
    { retry: "safe" },
  );
}

export function sessionUnsatisfied(): HutchError {
  return new HutchError(
    "session-unsatisfied",
    "Cannot read: no reachable replica has all that the session has seen of the key",
    { retry: "safe" },
  );
}
