/**
 * Takes a client's request and answers for the cluster. Today the cluster is this node: the preference list of every key is one
 * serving owner, and the quorum accumulators have one reply to wait for.
 *
 *   read    address -> ask replicas -> read quorum -> (session check) -> answer
 *   write   address -> admit -> mint at the owner -> durable -> write quorum -> answer
 *
 * An answer, a refusal included, is given only when what it tells is durable: nobody sees what a power loss could take back. A
 * write whose outcome is unknown at its deadline is 504 `write-indeterminate`, never a failure (R5).
 *
 * Structurally a `KvApi` of the REST face, which this layer does not import.
 */
import { HutchError } from "../base/errors.ts";
import { DecodeError } from "../base/byte-reader.ts";
import { type Actor, makeActor } from "../causality/actor.ts";
import { ContextTokens } from "../causality/context-token.ts";
import { recordFromJson } from "../causality/record-json.ts";
import { type Record, decodeSingle } from "../causality/record.ts";
import {
  type Session,
  SessionTokens,
  remember,
  satisfies,
  seenOf,
} from "../causality/session-token.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type {
  BucketProperties,
  ExportedKey,
  ListPage,
  ListRequest,
  ReadRequest,
  ReadResult,
  WriteRequest,
  WriteResult,
} from "../quorum/operation.ts";
import { ReadQuorum } from "../quorum/read-quorum.ts";
import { WriteQuorum } from "../quorum/write-quorum.ts";
import { type KeyAddress, addressOf, partitionBitsOf } from "../ring/partition.ts";
import { type Bucket, Buckets } from "./bucket-properties.ts";
import { isProvenEmpty } from "./bucket-emptiness.ts";
import { Deadlines } from "./deadlines.ts";
import { explainOwner } from "./explain.ts";
import { refuseImpossibleWrite } from "./impossible-write.ts";
import { type Explained, indeterminate, overloaded, readTimeout, unavailable } from "./answers.ts";
import { type KeyAnswer, answerAbsent, answerRecord, answerSingle } from "./key-state.ts";
import { Listing } from "./listing.ts";
import { type MintOutcome, Replica, type ReplicaCounters } from "./replica.ts";
import { type ReplicaStore, asCorruption, decodeStored } from "./replica-store.ts";
import { TrustedClock } from "./trusted-clock.ts";
import { WriteStamps } from "./write-stamps.ts";

/** Nodes in the layout, until there is a layout. */
const NODE_COUNT = 1;
/** A write that was told to wait asks again this often before it goes on; each wait is short or ends with a flush. */
const ADMISSION_WAITS_MAX = 3;

export interface CoordinatorOptions {
  /** Open, with the retention of `causality/retention.ts`. */
  readonly store: ReplicaStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Eight bytes, random, for ever this node's. */
  readonly nodeId: Uint8Array;
  /** As shown to users and in `X-Node`. */
  readonly nodeName: string;
  /** New whenever the data may have forgotten something (R12). */
  readonly incarnation: number;
  readonly clusterId: Uint8Array;
  /** Sixteen bytes that seal tokens; known to the nodes only. */
  readonly clusterSecret: Uint8Array;
  /** Q, for ever the cluster's. */
  readonly q: number;
  /** Does an acknowledged write survive a power loss (`fsync` is not `os`)? */
  readonly isDurable: boolean;
}

export class Coordinator {
  /** As users see it. */
  readonly nodeId: string;
  readonly replica: Replica;
  private readonly options: CoordinatorOptions;
  private readonly store: ReplicaStore;
  private readonly actor: Actor;
  private readonly partitionBits: number;
  private readonly trusted: TrustedClock;
  private readonly deadlines: Deadlines;
  private readonly buckets: Buckets;
  private readonly tokens: ContextTokens;
  private readonly sessions: SessionTokens;
  private readonly listing: Listing;
  private isStopping = false;
  private readonly stamps = new WriteStamps();
  private writesInFlight = 0;
  private onIdle: (() => void) | undefined;

  /** Reads the node's own entries from the store; throws `CorruptionError` where they cannot be read. */
  constructor(options: CoordinatorOptions) {
    const { store, clock, logger, clusterId, clusterSecret } = options;
    this.options = options;
    this.store = store;
    this.nodeId = options.nodeName;
    this.actor = makeActor(options.nodeId, options.incarnation);
    this.partitionBits = partitionBitsOf(options.q);
    this.trusted = new TrustedClock(clock, logger);
    this.deadlines = new Deadlines(clock);
    this.buckets = new Buckets(store);
    this.tokens = new ContextTokens(clusterId, clusterSecret);
    this.sessions = new SessionTokens(clusterId, clusterSecret);
    const { actor, buckets, tokens } = this;
    this.replica = new Replica({ store, buckets, tokens, logger, actor, stamps: this.stamps });
    this.listing = new Listing({
      store,
      clock,
      partitionCount: options.q,
      nowMs: () => this.trusted.nowMs(),
      tokenizerOf: (bucket, key) => this.tokenizer(this.address(bucket, key)),
    });
  }

  effectiveN(properties: BucketProperties): number {
    return Math.min(properties.n, NODE_COUNT);
  }

  get counters(): Readonly<ReplicaCounters> {
    return this.replica.counters;
  }

  /** Unix ms as writes and expiry see it; for the instants of the retention function. */
  nowMs(): number {
    return this.trusted.nowMs();
  }

  /** Partition of a key, for `/v1/cluster/ring`. */
  partitionOf(bucket: string, key: Uint8Array): number {
    return this.address(this.buckets.get(bucket), key).partition;
  }

  read(
    bucketName: string,
    key: Uint8Array,
    request: ReadRequest,
  ): ReadResult | Promise<ReadResult> {
    this.refuseStopping();
    const bucket = this.buckets.get(bucketName);
    const address = this.address(bucket, key);
    const stored = this.replica.read(address);
    if (stored === undefined) return this.answerRead(bucket, address, request, undefined);
    const durable = this.store.whenDurable(stored.sequence);
    if (durable !== undefined)
      return this.readWhen(durable, bucketName, key, request, stored.value.slice());
    const answer = this.answerRead(bucket, address, request, stored.value);
    if (holdsUntilWritten(answer)) answer.freshness = this.stamps.freshnessOf(address.fingerprint);
    return answer;
  }

  isFresh(freshness: number): boolean {
    return this.stamps.isFresh(freshness) && !this.isStopping && this.store.failure === undefined;
  }

  /** Nobody is shown what a power loss could still take back: what is waited for is `value`; if the disk refuses it, look again. */
  private async readWhen(
    durable: Promise<void>,
    bucketName: string,
    key: Uint8Array,
    request: ReadRequest,
    value: Uint8Array,
  ): Promise<ReadResult> {
    const { timeoutMs } = request;
    const deadline = this.options.clock.monoMs() + timeoutMs;
    try {
      await this.deadlines.within(durable, deadline, () => readTimeout(timeoutMs));
    } catch (thrown) {
      if (!(thrown instanceof HutchError) || thrown.code !== "disk-full") throw thrown;
      return this.read(bucketName, key, request);
    }
    const bucket = this.buckets.get(bucketName);
    return this.answerRead(bucket, this.address(bucket, key), request, value);
  }

  private answerRead(
    bucket: Bucket,
    address: KeyAddress,
    request: ReadRequest,
    value: Uint8Array | undefined,
  ): KeyAnswer {
    const quorum = new ReadQuorum(request.consistency, NODE_COUNT, 0);
    quorum.reply("primary");
    if (quorum.state !== "reached") throw unavailable("read", NODE_COUNT, request.consistency.r);
    const answer = this.answerOf(bucket, address, value);
    answer.replies = quorum;
    if (request.session !== "") answer.session = this.readSession(address, request.session, value);
    return answer;
  }

  private answerOf(bucket: Bucket, address: KeyAddress, value: Uint8Array | undefined): KeyAnswer {
    const mode = bucket.properties.conflicts;
    const tokenizer = this.tokenizer(address);
    if (value === undefined) return answerAbsent(mode, tokenizer);
    try {
      const single = decodeSingle(value);
      if (single !== undefined) {
        const nowMs = single.payload.expiresAtMs === 0 ? 0 : this.trusted.nowMs();
        return answerSingle(single, mode, nowMs, tokenizer);
      }
    } catch (thrown) {
      throw asCorruption(thrown);
    }
    return answerRecord(decodeStored(value), mode, this.trusted.nowMs(), tokenizer);
  }

  /** Checks what the session has seen against what is here (R7), and gives it back with this read added. */
  private readSession(address: KeyAddress, token: string, value: Uint8Array | undefined): string {
    const session = this.sessions.decode(token);
    const record = value === undefined ? [] : decodeStored(value);
    const seen = seenOf(session, address);
    if (seen !== undefined && !satisfies(record, seen))
      throw new HutchError(
        "session-unsatisfied",
        "Cannot read: no reachable replica has all that the session has seen of the key",
        { retry: "safe" },
      );
    return this.sessions.encode(remember(session, address, record));
  }

  async write(bucketName: string, key: Uint8Array, request: WriteRequest): Promise<WriteResult> {
    this.refuseStopping();
    this.writesInFlight++;
    try {
      return await this.writeNow(bucketName, key, request);
    } finally {
      this.writeEnded();
    }
  }

  /** `stop` waits until the last one has. */
  private writeEnded(): void {
    this.writesInFlight--;
    if (this.writesInFlight === 0) this.onIdle?.();
  }

  private async writeNow(
    bucketName: string,
    key: Uint8Array,
    request: WriteRequest,
  ): Promise<WriteResult> {
    const deadline = this.options.clock.monoMs() + request.timeoutMs;
    const { isDurable } = this.options;
    const means = { reachable: NODE_COUNT, isDurable };
    refuseImpossibleWrite(this.buckets.get(bucketName).properties, request, means);
    const session = request.session === "" ? undefined : this.sessions.decode(request.session);
    const pause = this.store.admit(request.kind);
    if (pause !== undefined) await this.admitted(pause, request, deadline);
    // From here to `mint` there is no await: properties, key and clock are those of one moment.
    const bucket = this.buckets.get(bucketName);
    const address = this.address(bucket, key);
    const quorum = new WriteQuorum(request.consistency);
    quorum.send(this.nodeId, "primary");
    const outcome = this.replica.mint(bucket, address, request, this.trusted.nowMsForWrite());
    if (outcome.durable !== undefined) {
      const late = (): HutchError => this.lateError(outcome, quorum, request);
      try {
        await this.deadlines.within(outcome.durable, deadline, late);
      } catch (thrown) {
        throw this.durabilityError(thrown, quorum, request);
      }
    }
    if (outcome.kind === "refused") throw outcome.error;
    quorum.acknowledge(this.nodeId, isDurable);
    return this.writeResult(outcome, quorum, address, session);
  }

  private writeResult(
    outcome: Exclude<MintOutcome, { readonly kind: "refused" }>,
    quorum: WriteQuorum,
    address: KeyAddress,
    session: Session | undefined,
  ): WriteResult {
    const { answer, context, record } = outcome;
    const seen = session && remember(session, address, record);
    return {
      context,
      state: answer,
      acks: quorum.counts(),
      session: seen === undefined ? "" : this.sessions.encode(seen),
      isReplay: outcome.kind === "replayed",
    };
  }

  /** Back-pressure; nothing has been written when it throws. */
  private async admitted(
    first: Promise<void>,
    request: WriteRequest,
    deadline: number,
  ): Promise<void> {
    let pause: Promise<void> | undefined = first;
    for (let waits = 0; waits < ADMISSION_WAITS_MAX && pause !== undefined; waits++) {
      await this.deadlines.within(pause, deadline, overloaded);
      this.refuseStopping();
      pause = this.store.admit(request.kind);
    }
  }

  private lateError(outcome: MintOutcome, quorum: WriteQuorum, request: WriteRequest): HutchError {
    if (outcome.kind !== "minted") return readTimeout(request.timeoutMs);
    return indeterminate(quorum, "timeout", this.nodeId, request);
  }

  private durabilityError(thrown: unknown, quorum: WriteQuorum, request: WriteRequest): unknown {
    const isUnknown = thrown instanceof HutchError && thrown.code === "write-indeterminate";
    if (!isUnknown || "acks" in thrown.data) return thrown;
    return indeterminate(quorum, "failed", this.nodeId, request, thrown);
  }

  /** Throws unless `context` is a token of this key. */
  checkContext(bucketName: string, key: Uint8Array, context: string): void {
    this.tokens.decode(this.address(this.buckets.get(bucketName), key).fingerprint, context);
  }

  /** Throws unless `session` is `new` or a token of this cluster. */
  checkSession(session: string): void {
    this.sessions.decode(session);
  }

  list(bucketName: string, request: ListRequest): Promise<ListPage> {
    this.refuseStopping();
    return this.listing.page(this.buckets.get(bucketName), request);
  }

  export(bucketName: string, after: Uint8Array): AsyncIterable<ExportedKey> {
    this.refuseStopping();
    return this.listing.export(this.buckets.get(bucketName), after);
  }

  /** Mints nothing; importing twice changes nothing. Answers how many concurrent values a lww bucket gave up for it. */
  async importMerge(bucketName: string, exported: ExportedKey): Promise<number> {
    this.refuseStopping();
    this.writesInFlight++;
    try {
      return await this.importNow(bucketName, exported);
    } finally {
      this.writeEnded();
    }
  }

  private async importNow(bucketName: string, exported: ExportedKey): Promise<number> {
    const incoming = recordOf(exported);
    for (let waits = 0; waits < ADMISSION_WAITS_MAX; waits++) {
      const pause = this.store.admit("put");
      if (pause === undefined) break;
      await pause;
      this.refuseStopping();
    }
    const bucket = this.buckets.get(bucketName);
    const address = this.address(bucket, exported.key);
    const { counters } = this.replica;
    const droppedBefore = counters.conflictsDropped;
    const durable = this.replica.merge(bucket, address, incoming, this.trusted.nowMsForWrite());
    // Of this merge alone: it has run by now, and nothing else has.
    const dropped = counters.conflictsDropped - droppedBefore;
    await durable;
    return dropped;
  }

  async explain(bucketName: string, key: Uint8Array): Promise<Explained> {
    this.refuseStopping();
    const startedMs = this.options.clock.monoMs();
    const address = this.address(this.buckets.get(bucketName), key);
    const stored = this.replica.read(address);
    const value = stored?.value.slice();
    if (stored !== undefined) await this.store.whenDurable(stored.sequence);
    const latencyMs = this.options.clock.monoMs() - startedMs;
    const owner = explainOwner(this.nodeId, value, latencyMs);
    return { partition: address.partition, owners: [owner], fallbacks: [], isEqual: true };
  }

  bucketNames(): readonly string[] {
    return this.buckets.names();
  }

  bucket(bucketName: string): BucketProperties {
    return this.buckets.get(bucketName).properties;
  }

  async setBucket(
    bucketName: string,
    mode: "put" | "patch",
    properties: Partial<BucketProperties>,
  ): Promise<BucketProperties> {
    this.refuseStopping();
    try {
      return await this.buckets.set(bucketName, mode, properties);
    } finally {
      this.stamps.allWritten();
    }
  }

  async deleteBucket(bucketName: string): Promise<void> {
    this.refuseStopping();
    const bucket = this.buckets.get(bucketName);
    if (!(await isProvenEmpty(this.listing, bucket)))
      throw new HutchError(
        "bucket-not-empty",
        `Cannot delete bucket "${bucketName}": it holds keys, want them deleted first`,
      );
    await this.buckets.delete(bucketName);
    this.stamps.allWritten();
  }

  /** Refuses what comes from now on and settles when the writes in flight have. */
  async stop(): Promise<void> {
    this.isStopping = true;
    if (this.writesInFlight > 0) await new Promise<void>((resolve) => (this.onIdle = resolve));
    this.deadlines.close();
  }

  private refuseStopping(): void {
    if (this.isStopping)
      throw new HutchError("shutting-down", "Cannot take the request: the node is shutting down", {
        retry: "safe",
      });
  }

  private address(bucket: Bucket, key: Uint8Array): KeyAddress {
    return addressOf(bucket.prefix, key, this.partitionBits);
  }

  private tokenizer({ fingerprint }: KeyAddress): { tokens: ContextTokens; fingerprint: number } {
    return { tokens: this.tokens, fingerprint };
  }
}

/** One live value without an expiry: nothing but a write changes what a read answers. */
function holdsUntilWritten({ siblings, session }: KeyAnswer): boolean {
  const only = siblings.length === 1 ? siblings[0]! : undefined;
  return only !== undefined && !only.isDeleted && only.expiresAtMs === 0 && session === "";
}

function recordOf(exported: ExportedKey): Record {
  try {
    return recordFromJson(exported.record);
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause;
    throw new HutchError("bad-request", cause.message, { cause });
  }
}
