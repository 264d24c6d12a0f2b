/**
 * What nodes ask of each other and what they answer, as values; `peer-protocol.ts` turns them into bytes. The verbs of a replica are three:
 * *coordinate* (which may mint), *merge* and *read*; everything else is about the cluster itself.
 *
 * Keys are internal keys (`ring/partition.ts`), so bucket and partition travel with them. Records are encoded states (`causality/record.ts`).
 */
import type { TraceContext } from "../base/trace-context.ts";
import type { ErrorCode, Retry } from "../base/errors.ts";
import type { NodeId } from "../gossip/member.ts";
import type { AckCounts, WriteRequest } from "../quorum/operation.ts";

/** A small entry that is stored beside the record: the memory of an `Idempotency-Key` (`idempotency.ts`). */
export interface SideEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** A part of a client's operation. */
interface Traced {
  /** Where the operation is traced (`peer-trace.ts`). */
  trace?: TraceContext | undefined;
}

/** The key's state at this replica. */
export interface ReadMessage extends Traced {
  readonly kind: "read";
  readonly internalKey: Uint8Array;
  /** `stateDigest` of the record that the asker holds, 16 bytes; an equal state is answered without its bytes (R32). Empty for none. */
  readonly knownDigest: Uint8Array;
}

/** A state to join with this replica's; mints nothing, twice is once (N3). */
export interface MergeMessage extends Traced {
  readonly kind: "merge";
  readonly internalKey: Uint8Array;
  readonly record: Uint8Array;
  /** `handoff`: a delivered hint. `repair`: read repair. */
  readonly purpose: "write" | "repair" | "handoff";
  /** Refuse with `precondition-failed` unless the replica's own state is covered by the record (R18). */
  readonly isConditional: boolean;
  readonly side: SideEntry | undefined;
}

/** A state to keep durably for `target`, which is down (D4, R24). */
export interface HintMessage extends Traced {
  readonly kind: "hint";
  readonly target: NodeId;
  /** The last incarnation of `target` that the sender knows; a receiver that knows a later one alive refuses with `unavailable`. */
  readonly targetIncarnation: number;
  readonly internalKey: Uint8Array;
  readonly record: Uint8Array;
  readonly side: SideEntry | undefined;
}

/** A client's write, to be minted and replicated by the receiver (D3, R9). */
export interface CoordinateMessage extends Traced {
  readonly kind: "coordinate";
  readonly bucket: string;
  readonly key: Uint8Array;
  readonly request: WriteRequest;
}

/** Does the receiver hold hints for the sender, which has just come up? (D4) */
export interface HintsHeldMessage {
  readonly kind: "hints-held";
  /** The sender's present incarnation: the receiver takes it as alive from now on. */
  readonly incarnation: number;
  /** The sender has fetched from the other owners what hints for it were dropped. */
  readonly isRepaired: boolean;
}

/** A page of the records of one bucket, in key order, from the receiver's own store. */
export interface ScanMessage {
  readonly kind: "scan";
  /** "" for all buckets of the partitions; keys are internal keys then. */
  readonly bucket: string;
  /** One bit per partition, least significant first. */
  readonly partitions: Uint8Array;
  /** Inclusive. */
  readonly lower: Uint8Array;
  /** Exclusive; empty for no bound. */
  readonly upper: Uint8Array;
  readonly isReverse: boolean;
  readonly keysMax: number;
  readonly bytesMax: number;
}

/**
 * Full state of gossip, layout or bucket properties, where datagrams are not enough: both sides merge what they get. `propose` asks for a vote on a
 * layout, `join` to be staged into one (`layout-vote.ts`, `layout-join.ts`).
 */
export interface ExchangeMessage {
  readonly kind: "exchange";
  readonly topic: "members" | "layout" | "buckets" | "propose" | "join";
  readonly body: Uint8Array;
}

/** What a node tells of itself for `/v1/cluster/nodes` and `/v1/admin/hints`. */
export interface StatusMessage {
  readonly kind: "status";
}

/** A fresh node asks to be part of a cluster (`formation.ts`). */
export interface KnockMessage {
  readonly kind: "knock";
  readonly body: Uint8Array;
}

/**
 * What replicas say to each other to become equal and stay so.
 *
 *   roots, hashes, compare, store   Merkle exchange (`anti-entropy.ts`)
 *   collect                         collection of tombstones (`tombstone-collector.ts`)
 *   held                            does the receiver have these keys? (R42, `suspects.ts`)
 */
export type RepairTopic = "roots" | "hashes" | "compare" | "store" | "collect" | "held";

/** The body's format belongs to the topic's own file. */
export interface RepairMessage {
  readonly kind: "repair";
  readonly topic: RepairTopic;
  readonly body: Uint8Array;
}

export type PeerRequest =
  | ReadMessage
  | MergeMessage
  | HintMessage
  | CoordinateMessage
  | HintsHeldMessage
  | ScanMessage
  | ExchangeMessage
  | StatusMessage
  | KnockMessage
  | RepairMessage;

export interface RecordReply {
  readonly kind: "record";
  /** The copy's word about an absence counts (R4). */
  readonly isServing: boolean;
  /** `same`: equal to `knownDigest`. */
  readonly state: "absent" | "same" | "present";
  /** Empty unless `present`. */
  readonly record: Uint8Array;
}

export interface StoredReply {
  readonly kind: "stored";
  /** On disk, as opposed to accepted under `fsync=os`. */
  readonly isDurable: boolean;
}

export interface CoordinatedReply {
  readonly kind: "coordinated";
  /** Token of what the writer has seen. */
  readonly context: string;
  /** The minter's state after the write. */
  readonly record: Uint8Array;
  /** Unix ms by which the minter judged expiry. */
  readonly nowMs: number;
  readonly conflictDropped: number;
  readonly acks: AckCounts;
  readonly session: string;
  readonly isReplay: boolean;
}

export interface HintsHeldReply {
  readonly kind: "hints-held";
  readonly count: number;
  /** Some were dropped or never taken: the asker has to repair before it serves. */
  readonly isIncomplete: boolean;
  /** Of the asker's last start before the present one that the answerer has seen; 0 for none. */
  readonly lastGeneration: number;
}

export interface ScannedEntry {
  readonly key: Uint8Array;
  readonly record: Uint8Array;
}

export interface ScanReply {
  readonly kind: "scan";
  readonly entries: readonly ScannedEntry[];
  /** More may follow after the last entry. */
  readonly hasMore: boolean;
  /** Part of the range is lost here. */
  readonly isIncomplete: boolean;
}

export interface ExchangeReply {
  readonly kind: "exchange";
  readonly body: Uint8Array;
}

export interface StatusReply {
  readonly kind: "status";
  readonly keys: number;
  readonly bytes: number;
  /** Data incarnation: the one in dots. */
  readonly dataIncarnation: number;
  readonly hints: readonly {
    readonly target: NodeId;
    readonly count: number;
    readonly bytes: number;
    readonly oldestMs: number;
  }[];
}

export interface KnockReply {
  readonly kind: "knock";
  readonly body: Uint8Array;
}

export interface RepairReply {
  readonly kind: "repair";
  readonly body: Uint8Array;
}

/** Answers one topic of `repair`. Throws `DecodeError` for a body that is none, `HutchError` for what cannot be done now. */
export type RepairAnswerer = (
  body: Uint8Array,
  from: NodeId,
  budgetMs: number,
) => Promise<Uint8Array>;

/** The receiver's `HutchError`. */
export interface FailedReply {
  readonly kind: "failed";
  readonly code: ErrorCode;
  readonly message: string;
  readonly retry: Retry;
  readonly data: Readonly<Record<string, unknown>>;
}

export type PeerReply =
  | RecordReply
  | StoredReply
  | CoordinatedReply
  | HintsHeldReply
  | ScanReply
  | ExchangeReply
  | StatusReply
  | KnockReply
  | RepairReply
  | FailedReply;

/** Who is served first when there is more to do than time (N6): replica work lets quorums finish. */
export type PeerPriority = "replica" | "client" | "repair";

/** What a node does with what it is asked. A thrown `HutchError` becomes a `failed` reply. */
export interface PeerHandler {
  /** `from` has shown the cluster's id. `budgetMs`: after that nobody waits for the answer. */
  handle(request: PeerRequest, from: NodeId, budgetMs: number): PeerReply | Promise<PeerReply>;
}

/**
 * No reply. `not-sent`: the peer cannot have seen the request. `unknown`: it may have, and may yet act on it.
 */
export class PeerError extends Error {
  override readonly name = "PeerError";
  readonly outcome: "not-sent" | "unknown";
  readonly reason: "unreachable" | "overloaded" | "timeout" | "lost" | "closed";

  constructor(
    outcome: "not-sent" | "unknown",
    reason: "unreachable" | "overloaded" | "timeout" | "lost" | "closed",
    node: NodeId,
  ) {
    super(`no reply from ${node}: ${reason}`);
    this.outcome = outcome;
    this.reason = reason;
  }
}

/** Asks other nodes. */
export interface Peers {
  /** Rejects with `PeerError` where there is no reply; a `failed` reply is a reply. */
  call(
    node: NodeId,
    request: PeerRequest,
    timeoutMs: number,
    priority: PeerPriority,
  ): Promise<PeerReply>;
  /** False while the breaker is open or the last attempt to connect failed: nothing should wait for this node now (N9). */
  isReachable(node: NodeId): boolean;
  /** True where the last attempt to connect was refused: the process is not there (R25 allows hints then). */
  isConnectionRefused(node: NodeId): boolean;
  /** 95th percentile of its recent read replies, ms; `undefined` with too few (N5). */
  latencyP95Ms(node: NodeId): number | undefined;
  /** Exponentially weighted mean of its replies, ms; for the order of reads (N10). */
  latencyMeanMs(node: NodeId): number;
}
