/**
 * One write on its way to its replicas: who gets it, who has it, when that is enough.
 *
 *   plan     owners in any active layout (R58) that are up; for each that is down the next healthy fallback, with a hint; where there is none left, or the request is
 *            strict, a hint of our own in the write's own batch
 *   start    all at once, before our own sync has returned (R12 makes that safe)
 *   done     settles at W, or when W cannot be reached any more, or at the deadline; what is still under way goes on
 *
 * A replica that refuses the connection is down whatever gossip says: its share goes to a fallback at once. One that is only slow gets no
 * hint (R25): it is asked again while its answer is needed, and then its key is noted and sent again later.
 */
import { HutchError } from "../base/errors.ts";
import type { NodeId } from "../gossip/member.ts";
import type { WriteRequest } from "../quorum/operation.ts";
import type { ReplicaRole } from "../quorum/read-quorum.ts";
import { WriteQuorums } from "../quorum/write-quorums.ts";
import type { KeyAddress } from "../ring/partition.ts";
import type { WriteBatch } from "../storage/store.ts";
import { unavailable, writeIndeterminate } from "./answers.ts";
import type { CoordinationParts } from "./coordination-parts.ts";
import { PeerError, type PeerReply, type PeerRequest, type SideEntry } from "./peer-messages.ts";
import type { ReplicaSet } from "./replica-set.ts";

export interface Share {
  readonly node: NodeId;
  /** The owner whose share it is. */
  readonly owner: NodeId;
  readonly role: ReplicaRole;
}

export class Replication {
  readonly quorums: WriteQuorums;
  readonly done: Promise<void>;
  /** The owner whose share this node's own copy is. */
  private standsFor: NodeId;
  /** Owners whose share this node keeps itself, as hints. */
  readonly ownHints: NodeId[] = [];
  private readonly parts: CoordinationParts;
  private readonly set: ReplicaSet;
  private readonly address: KeyAddress;
  private readonly request: WriteRequest;
  private readonly deadlineMonoMs: number;
  private readonly shares: Share[] = [];
  private readonly settled = Promise.withResolvers<void>();
  private record: Uint8Array = NOTHING;
  private side: SideEntry | undefined;
  private isConditional = false;
  private hintsInBatch = 0;
  /** The write's own batch, where hints are in it. */
  private batch: WriteBatch | undefined;
  private isSettled = false;
  private startedMonoMs = 0;
  /** Whose acknowledgement came last; the write waited for it. */
  private lastHeard = "";
  private cancelDeadline: (() => void) | undefined;

  constructor(
    parts: CoordinationParts,
    set: ReplicaSet,
    address: KeyAddress,
    request: WriteRequest,
    deadlineMonoMs: number,
    isStoredHere = true,
  ) {
    this.parts = parts;
    this.set = set;
    this.address = address;
    this.request = request;
    this.deadlineMonoMs = deadlineMonoMs;
    this.quorums = new WriteQuorums(request.consistency, set.ownerSets);
    this.standsFor = set.view.self;
    this.done = this.settled.promise;
    this.plan(isStoredHere);
  }

  private get self(): NodeId {
    return this.set.view.self;
  }

  private plan(isStoredHere: boolean): void {
    const { isSloppy } = this.request.consistency;
    const isOwner = this.set.isOwner(this.self);
    if (isStoredHere && isOwner) this.quorums.send(this.nameOf(this.self), "primary", this.self);
    // A fallback that mints stands for the first owner that is down; its share of the walk is taken.
    let isStanding = isOwner || !isStoredHere;
    for (const owner of this.set.holders) {
      if (owner === this.self) continue;
      if (!this.set.isDown(owner)) this.addShare({ node: owner, owner, role: "primary" });
      else if (!isStanding) {
        isStanding = true;
        this.standsFor = owner;
        this.quorums.send(this.nameOf(this.self), "fallback", owner);
        this.ownHints.push(owner);
      } else if (!isSloppy || !this.addFallback(owner)) this.ownHints.push(owner);
    }
  }

  private addFallback(owner: NodeId): boolean {
    let node = this.set.takeFallback();
    if (node === this.self) node = this.set.takeFallback();
    if (node === undefined) return false;
    this.addShare({ node, owner, role: "fallback" });
    return true;
  }

  private addShare(share: Share): void {
    this.shares.push(share);
    this.quorums.send(this.nameOf(share.node), share.role, share.owner);
  }

  private fail({ node, owner }: Share, result: "timeout" | "failed"): void {
    this.quorums.fail(this.nameOf(node), owner, result);
  }

  private nameOf(node: NodeId): string {
    return this.set.view.nameOf(node);
  }

  /** Puts this node's own hints into the write's batch. */
  addOwnHints(batch: WriteBatch, record: Uint8Array, side: SideEntry | undefined): void {
    const { hints } = this.parts;
    const { internalKey } = this.address;
    if (this.ownHints.length > 0) this.batch = batch;
    for (const owner of this.ownHints)
      if (hints.addTo(batch, owner, internalKey, record, side) === "added") this.hintsInBatch++;
    // A fallback has no other copy: without a hint there would be nothing behind its acknowledgement.
    if (!this.isKeptByOwner && this.hintsInBatch === 0)
      throw unavailable("write", 0, this.request.consistency.w);
  }

  /** The same where this node makes no batch for the write, after `start`. Settles with the number that are on disk. */
  async keepOwnHints(): Promise<number> {
    const kept = await Promise.all(this.ownHints.map((owner) => this.keepHint(owner)));
    return kept.filter((isKept) => isKept).length;
  }

  /** A fallback's own hint is its acknowledgement; an owner's is one more copy on a node that counts already. */
  private get isKeptByOwner(): boolean {
    return this.set.isOwner(this.self);
  }

  /**
   * Sends the minted state to everybody in the plan. `record` is this object's from now on. A replay's condition has held once; what has been
   * written since then does not undo that.
   */
  start(record: Uint8Array, side: SideEntry | undefined, isReplay = false): void {
    this.record = record;
    this.side = side;
    this.startedMonoMs = this.parts.clock.monoMs();
    this.isConditional = this.request.condition.kind !== "none" && !isReplay;
    for (const share of this.shares) this.send(share);
  }

  /** The write is on our own disk. */
  storedHere(isDurable: boolean): void {
    if (this.isKeptByOwner) this.quorums.keepHints(this.hintsInBatch);
    this.lastHeard = this.self;
    this.quorums.acknowledge(this.nameOf(this.self), this.standsFor, isDurable);
    this.look();
  }

  /** Our own disk has refused it; nobody can be told that it worked. */
  failedHere(thrown: unknown): void {
    if (this.batch !== undefined) this.parts.hints.takenBack(this.batch);
    this.quorums.fail(this.nameOf(this.self), this.standsFor, "failed");
    this.look(thrown);
  }

  /** From here on the deadline counts; call after `start`. */
  arm(): void {
    if (this.isSettled) return;
    this.cancelDeadline = this.parts.deadlines.alarm(this.deadlineMonoMs, () =>
      this.giveUp(undefined),
    );
  }

  private send(share: Share): void {
    const leftMs = this.deadlineMonoMs - this.parts.clock.monoMs();
    const timeoutMs = Math.min(this.parts.replicaTimeoutMs, Math.max(1, leftMs));
    this.parts.peers.call(share.node, this.messageFor(share), timeoutMs, "replica").then(
      (reply) => this.answered(share, reply),
      (thrown: unknown) => this.unanswered(share, thrown),
    );
  }

  private messageFor({ node, owner, role }: Share): PeerRequest {
    const { internalKey } = this.address;
    const { record, side, isConditional } = this;
    const { trace } = this.request;
    if (role === "primary" || node === owner)
      return { kind: "merge", internalKey, record, purpose: "write", isConditional, side, trace };
    const targetIncarnation = this.set.view.incarnationOf(owner);
    return { kind: "hint", target: owner, targetIncarnation, internalKey, record, side, trace };
  }

  private answered(share: Share, reply: PeerReply): void {
    if (reply.kind === "stored") {
      this.lastHeard = share.node;
      this.quorums.acknowledge(this.nameOf(share.node), share.owner, reply.isDurable);
      this.look();
      return;
    }
    this.fail(share, "failed");
    const code = reply.kind === "failed" ? reply.code : "internal";
    if (share.role === "fallback" || CANNOT_TAKE.has(code)) this.standIn(share.owner);
    else if (code !== "precondition-failed") this.noteLater(share.owner);
    this.look();
  }

  private unanswered(share: Share, thrown: unknown): void {
    const isTimeout = thrown instanceof PeerError && thrown.reason === "timeout";
    const isSilent = thrown instanceof PeerError && MAY_ANSWER_LATER.has(thrown.reason);
    if (share.role === "primary" && isSilent && this.tryAgainLater(share)) return;
    this.fail(share, isTimeout ? "timeout" : "failed");
    if (share.role === "fallback" || this.isDownNow(share.owner)) this.standIn(share.owner);
    else this.noteLater(share.owner);
    this.look();
  }

  /**
   * An owner that is silent and not known to be down is asked again for as long as its answer is needed: by then it may answer, or be down for the
   * failure detector too, and then somebody may stand in. False where it is no longer needed.
   */
  private tryAgainLater(share: Share): boolean {
    const { clock, deadlines } = this.parts;
    const nextMs = clock.monoMs() + AGAIN_MS;
    if (this.isSettled || nextMs >= this.deadlineMonoMs || this.isDownNow(share.owner))
      return false;
    deadlines.alarm(nextMs, () => this.tryAgain(share));
    return true;
  }

  private tryAgain(share: Share): void {
    if (!this.isSettled && !this.isDownNow(share.owner)) return this.send(share);
    this.fail(share, "timeout");
    if (this.isDownNow(share.owner)) this.standIn(share.owner);
    else this.noteLater(share.owner);
    this.look();
  }

  private isDownNow(owner: NodeId): boolean {
    const { peers, view } = this.parts;
    return !view().isUp(owner) || peers.isConnectionRefused(owner);
  }

  /** The owner turned out to be down after the plan was made. */
  private standIn(owner: NodeId): void {
    if (this.request.consistency.isSloppy && this.addFallback(owner)) {
      this.send(this.shares.at(-1)!);
      return;
    }
    void this.keepHint(owner);
  }

  private async keepHint(owner: NodeId): Promise<boolean> {
    try {
      await this.parts.hints.add(owner, this.address.internalKey, this.record, this.side);
    } catch {
      this.noteLater(owner);
      return false;
    }
    if (this.isKeptByOwner) this.quorums.keepHints(1);
    return true;
  }

  private noteLater(owner: NodeId): void {
    this.parts.handoff.noteUnacknowledged(owner, this.address.internalKey);
  }

  private look(cause?: unknown): void {
    if (this.isSettled) return;
    const { state } = this.quorums;
    if (state === "reached") this.settle();
    else if (state === "unreachable") this.giveUp(cause);
  }

  /** @param node that the write waited for until now */
  private endWaiting(node: NodeId): void {
    this.isSettled = true;
    this.cancelDeadline?.();
    const { waits } = this.request;
    const waitedMs = this.parts.clock.monoMs() - this.startedMonoMs;
    if (waits === undefined || waitedMs < waits.tellingMs) return;
    waits.waited(node === this.self ? "sync" : "replicas", waitedMs, this.nameOf(node));
  }

  private settle(): void {
    this.endWaiting(this.lastHeard);
    this.settled.resolve();
  }

  private giveUp(cause: unknown): void {
    if (this.isSettled) return;
    this.endWaiting(this.shares.find(({ node }) => node !== this.lastHeard)?.node ?? this.self);
    // Nobody else was sent anything: what our own disk says is the whole truth.
    const isCertain = this.shares.length === 0 && isDefinite(cause);
    this.settled.reject(isCertain ? cause : this.outcomeUnknown(cause));
  }

  private outcomeUnknown(cause: unknown): HutchError {
    const { quorum, needed } = this.quorums.reported;
    return writeIndeterminate(quorum, needed.w, this.request.timeoutMs, cause);
  }
}

function isDefinite(cause: unknown): boolean {
  return cause instanceof HutchError && cause.code !== "write-indeterminate";
}

const NOTHING = new Uint8Array(0);
/** `overloaded`: our own queue for it is full, which passes. */
const MAY_ANSWER_LATER: ReadonlySet<string> = new Set(["timeout", "unreachable", "overloaded"]);
/** Before an owner that did not answer is asked again. */
const AGAIN_MS = 100;
/** What a replica says that cannot take the write now and will not soon; somebody else keeps it meanwhile. */
const CANNOT_TAKE: ReadonlySet<string> = new Set(["disk-full", "shutting-down", "not-owner"]);
