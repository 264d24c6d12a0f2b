/**
 * Takes a client's request and answers for the cluster: any node may be asked anything (DESIGN.md section 4).
 *
 *   read    `client-reads.ts`
 *   write   `coordinate-put.ts`
 *   list    `listing.ts`
 *
 * A node alone is a cluster of one and goes the same ways. Structurally a `KvApi` of the REST face, which this layer does not import.
 */
import { HutchError } from "../base/errors.ts";
import { DecodeError } from "../base/byte-reader.ts";
import { hex } from "../base/bytes.ts";
import { makeActor } from "../causality/actor.ts";
import { ContextTokens } from "../causality/context-token.ts";
import { recordFromJson } from "../causality/record-json.ts";
import { type Record, decodeRecord } from "../causality/record.ts";
import { SessionTokens } from "../causality/session-token.ts";
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
import {
  type KeyAddress,
  addressOf,
  addressOfInternalKey,
  bucketNameOf,
  partitionBitsOf,
} from "../ring/partition.ts";
import { BucketAdmin } from "./bucket-admin.ts";
import { BucketCopies } from "./bucket-copies.ts";
import { type Bucket, Buckets } from "./bucket-properties.ts";
import { ClientReads } from "./client-reads.ts";
import { WriteCoordination } from "./coordinate-put.ts";
import { MINT_MARGIN_MS } from "./forward-write.ts";
import type { CoordinatedWrite, PendingWrite } from "./pending-write.ts";
import type { CoordinationParts, LocalState } from "./coordination-parts.ts";
import type { CoordinatorOptions } from "./coordinator-options.ts";
import { Deadlines } from "./deadlines.ts";
import { explainKey } from "./explain.ts";
import { FallbackActor } from "./fallback-actor.ts";
import type { Explained } from "./answers.ts";
import { HedgeBudget } from "./hedge-budget.ts";
import { importState } from "./import-state.ts";
import { refuseImpossibleWrite } from "./impossible-write.ts";
import { encodeState } from "./join-states.ts";
import { answerRecord } from "./key-state.ts";
import { knownBucket } from "./known-bucket.ts";
import { Listing } from "./listing.ts";
import { LocalReads } from "./local-reads.ts";
import { type Company, nobodyElse } from "./other-nodes.ts";
import { ReadRepair } from "./read-repair.ts";
import { OperationEpochs } from "./operation-epochs.ts";
import { Replica, type ReplicaCounters } from "./replica.ts";
import type { ReplicaStore } from "./replica-store.ts";
import { TrustedClock } from "./trusted-clock.ts";
import { WriteStamps } from "./write-stamps.ts";

export type { CoordinatorOptions };

export interface KeyPlace {
  readonly bucket: Bucket;
  readonly address: KeyAddress;
}

export class Coordinator {
  /** As users see it. */
  readonly nodeId: string;
  readonly replica: Replica;
  readonly buckets: Buckets;
  readonly copies: BucketCopies;
  readonly repairs: ReadRepair;
  readonly writes: WriteCoordination;
  readonly fallbackActor: FallbackActor;
  private readonly options: CoordinatorOptions;
  private readonly store: ReplicaStore;
  private readonly partitionBits: number;
  private readonly trusted: TrustedClock;
  private readonly deadlines: Deadlines;
  private readonly tokens: ContextTokens;
  private readonly sessions: SessionTokens;
  private readonly stamps = new WriteStamps();
  private readonly reads: ClientReads;
  private readonly listing: Listing;
  private readonly bucketAdmin: BucketAdmin;
  private readonly parts: CoordinationParts;
  private isStopping = false;
  /** What clients want of this node, also by way of others; background work makes room for it (R34). */
  readonly foreground = { inFlight: 0, operations: 0 };
  /** Writes under way, by the view that they began with. */
  private readonly underWay = new OperationEpochs();

  /** Reads the node's own entries from the store; throws `CorruptionError` where they cannot be read. */
  constructor(options: CoordinatorOptions) {
    const { store, clock, logger, clusterId, clusterSecret, others } = options;
    this.options = options;
    this.store = store;
    this.nodeId = options.nodeName;
    this.partitionBits = partitionBitsOf(options.q);
    this.trusted = new TrustedClock(clock, logger);
    this.deadlines = new Deadlines(clock);
    this.tokens = new ContextTokens(clusterId, clusterSecret);
    this.sessions = new SessionTokens(clusterId, clusterSecret);
    this.buckets = this.openBuckets();
    this.copies = new BucketCopies(this.buckets, () => this.parts.view());
    this.replica = this.openReplica();
    const { replica, trusted, deadlines, stamps, tokens, sessions } = this;
    const shared = { store, replica, clock, trusted, deadlines, stamps, tokens, sessions };
    const id = hex(options.nodeId);
    const { nodeName, q } = options;
    const company = others ?? nobodyElse({ id, name: nodeName, q, store, clock, logger });
    this.repairs = new ReadRepair({ self: id, replica, trusted, clock, logger, ...company });
    this.parts = this.makeParts(company);
    this.reads = new ClientReads(this.parts, new LocalReads(shared));
    this.fallbackActor = this.openFallbackActor();
    this.writes = this.openWrites();
    this.listing = new Listing({
      store,
      clock,
      partitionCount: options.q,
      view: this.parts.view,
      peers: this.parts.peers,
      nowMs: () => trusted.nowMs(),
      tokenizerOf: (bucket, key) => this.tokenizer(this.address(bucket, key)),
    });
    this.bucketAdmin = new BucketAdmin(this.buckets, this.listing, others, this.parts.view);
  }

  private openBuckets(): Buckets {
    const { store, nodeId, others } = this.options;
    const node = hex(nodeId);
    return new Buckets(
      store,
      () => ({ hlc: this.replica.clock.tick(this.trusted.nowMs()), node }),
      () => {
        this.stamps.allWritten();
        others?.onBucketsChange();
      },
    );
  }

  private openReplica(): Replica {
    const { store, logger, nodeId, incarnation, others, observer, gate, isLost } = this.options;
    const { buckets, tokens, stamps } = this;
    const actor = makeActor(nodeId, incarnation);
    return new Replica({
      store,
      buckets,
      tokens,
      logger,
      actor,
      stamps,
      copiesOf: (bucket) => this.copies.of(bucket),
      ...(observer && { observer }),
      ...(gate && { gate }),
      ...(isLost && { isLost }),
      ...(others && {
        driftMaxMs: others.driftMaxMs,
        onAmnesia: (isUnawares) => others.onAmnesia(isUnawares),
      }),
    });
  }

  private openFallbackActor(): FallbackActor {
    const { store, nodeId } = this.options;
    const { counters } = this.parts.hints;
    const removals = (): number => counters.removed + counters.dropped + counters.takenBack;
    return new FallbackActor(store, nodeId, () => this.trusted.nowMs(), removals);
  }

  private openWrites(): WriteCoordination {
    const { store, isDurable } = this.options;
    const { parts, replica, sessions, trusted } = this;
    return new WriteCoordination({
      parts,
      replica,
      store,
      sessions,
      tokens: this.tokens,
      fallbackActor: this.fallbackActor,
      trusted,
      isDurable,
      answerOf: ({ bucket, address }, { record, nowMs, conflictDropped }) =>
        answerRecord(
          decodeRecord(record),
          bucket.properties.conflicts,
          nowMs,
          this.tokenizer(address),
          conflictDropped,
        ),
    });
  }

  private makeParts(company: Company): CoordinationParts {
    const { clock, logger, store, gcDelayMs, others } = this.options;
    const { view, peers, hints, handoff, replicaTimeoutMs } = company;
    return {
      view,
      peers,
      hints,
      handoff,
      clock,
      logger,
      deadlines: this.deadlines,
      replicaTimeoutMs,
      outlivedMs: gcDelayMs === undefined ? undefined : gcDelayMs - (others?.driftMaxMs ?? 0),
      hedges: new HedgeBudget(),
      readLocal: (address, role) => this.readLocal(address, role === "fallback"),
      reportDamage: (error) => store.reportDamage(error),
      repair: (bucket, address, replica, value) =>
        this.repairs.repair(bucket, address, replica, value),
      repairLater: (bucket, address, replica, value) =>
        this.repairs.repairLater(bucket, address, replica, value),
      nowMs: () => this.trusted.nowMs(),
    };
  }

  /** A fallback knows a key from its hints, and from the time when it may have been an owner. */
  readLocal(address: KeyAddress, isFallback: boolean): LocalState {
    const { store } = this;
    const held = isFallback ? this.parts.hints.read(address.internalKey) : undefined;
    if (held !== undefined)
      return { value: encodeState(held.record), durable: store.whenDurable(held.sequence) };
    const stored = isFallback ? undefined : this.replica.read(address);
    if (stored === undefined) return { value: undefined, durable: undefined };
    return { value: stored.value.slice(), durable: store.whenDurable(stored.sequence) };
  }

  effectiveN(bucketName: string): number {
    const view = this.parts.view();
    return view.effectiveN(view.copiesOf(this.bucketOf(bucketName)));
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
    return this.address(this.bucketOf(bucket), key).partition;
  }

  read(
    bucketName: string,
    key: Uint8Array,
    request: ReadRequest,
  ): ReadResult | Promise<ReadResult> {
    this.refuseStopping();
    this.foreground.operations++;
    const bucket = this.bucketOf(bucketName);
    return this.reads.read(bucket, this.address(bucket, key), request);
  }

  /** Is this node one of the key's owners, in any active layout? */
  isOwner(bucket: Bucket, { partition }: KeyAddress): boolean {
    const view = this.parts.view();
    if (!view.holders(partition, view.copiesOf(bucket)).includes(view.self)) return false;
    return this.options.others?.mayStore(partition, bucket.name) ?? true;
  }

  isFresh(freshness: number): boolean {
    return this.stamps.isFresh(freshness) && !this.isStopping && this.store.failure === undefined;
  }

  async write(bucketName: string, key: Uint8Array, request: WriteRequest): Promise<WriteResult> {
    return this.counted(async () => {
      const { isDurable } = this.options;
      refuseImpossibleWrite(this.bucketOf(bucketName).properties, request, isDurable);
      if (request.session !== "") this.sessions.decode(request.session);
      const write = this.pending(bucketName, key, request, request.timeoutMs);
      return resultOf(await this.writes.write(write));
    });
  }

  /** A write that another node has taken and sent here to be minted. */
  async coordinate(
    bucketName: string,
    key: Uint8Array,
    request: WriteRequest,
    budgetMs: number,
  ): Promise<CoordinatedWrite> {
    return this.counted(() => {
      const { properties } = this.bucketOf(bucketName);
      refuseImpossibleWrite(properties, request, this.options.isDurable);
      const mintWithinMs = Math.max(0, budgetMs - MINT_MARGIN_MS);
      return this.writes.coordinate(this.pending(bucketName, key, request, mintWithinMs));
    });
  }

  private pending(
    bucketName: string,
    key: Uint8Array,
    request: WriteRequest,
    mintWithinMs: number,
  ): PendingWrite {
    const bucket = this.bucketOf(bucketName);
    const address = this.address(bucket, key);
    const nowMs = this.options.clock.monoMs();
    const deadlineMonoMs = nowMs + request.timeoutMs;
    return { bucket, key, address, request, deadlineMonoMs, mintByMonoMs: nowMs + mintWithinMs };
  }

  /** `stop` and `olderWritesEnded` wait for what runs in here. */
  private async counted<T>(work: () => Promise<T>): Promise<T> {
    this.refuseStopping();
    const epoch = this.underWay.enter();
    this.foreground.operations++;
    this.foreground.inFlight++;
    try {
      return await work();
    } finally {
      this.foreground.inFlight--;
      this.underWay.leave(epoch);
    }
  }

  /** Settles when no write is under way that began before this call: none ignores the layouts of the present view (R58). */
  olderWritesEnded(): Promise<void> {
    return this.underWay.olderEnded();
  }

  /** Throws unless `context` is a token of this key. */
  checkContext(bucketName: string, key: Uint8Array, context: string): void {
    this.tokens.decode(this.address(this.bucketOf(bucketName), key).fingerprint, context);
  }

  /** Throws unless `session` is `new` or a token of this cluster. */
  checkSession(session: string): void {
    this.sessions.decode(session);
  }

  list(bucketName: string, request: ListRequest): Promise<ListPage> {
    this.refuseStopping();
    return this.listing.page(this.bucketOf(bucketName), request);
  }

  export(bucketName: string, after: Uint8Array): AsyncIterable<ExportedKey> {
    this.refuseStopping();
    return this.listing.export(this.bucketOf(bucketName), after);
  }

  /** Mints nothing; importing twice changes nothing. Answers how many concurrent values a lww bucket gave up for it. */
  async importMerge(bucketName: string, exported: ExportedKey): Promise<number> {
    return this.counted(() => {
      const bucket = this.bucketOf(bucketName);
      const address = this.address(bucket, exported.key);
      return importState(
        { parts: this.parts, store: this.store, replica: this.replica, trusted: this.trusted },
        { bucket, address, record: recordOf(exported), isDurable: this.options.isDurable },
      );
    });
  }

  async explain(bucketName: string, key: Uint8Array): Promise<Explained> {
    this.refuseStopping();
    const bucket = this.bucketOf(bucketName);
    return explainKey(this.parts, this.address(bucket, key), this.parts.view().copiesOf(bucket));
  }

  bucketNames(): readonly string[] {
    return this.buckets.names();
  }

  bucket(bucketName: string): BucketProperties {
    return this.bucketAdmin.propertiesOf(bucketName);
  }

  async setBucket(
    bucketName: string,
    mode: "put" | "patch",
    properties: Partial<BucketProperties>,
  ): Promise<BucketProperties> {
    this.refuseStopping();
    return this.bucketAdmin.set(bucketName, mode, properties);
  }

  async deleteBucket(bucketName: string): Promise<void> {
    this.refuseStopping();
    await this.bucketAdmin.delete(bucketName);
  }

  /** Refuses what comes from now on and settles when the writes in flight have. */
  async stop(): Promise<void> {
    this.isStopping = true;
    await this.underWay.olderEnded();
    this.deadlines.close();
  }

  private refuseStopping(): void {
    if (this.isStopping)
      throw new HutchError("shutting-down", "Cannot take the request: the node is shutting down", {
        retry: "safe",
      });
    // Nobody who changes the ring waits for what it has under way (R58).
    if (!this.parts.view().isMember)
      throw new HutchError("unavailable", "Cannot take the request: the node is not a member yet", {
        retry: "safe",
      });
  }

  private bucketOf(name: string): Bucket {
    return knownBucket(this.buckets, this.parts.view(), name);
  }

  /** Where an internal key lives. Throws `bad-request` for what is none. */
  locate(internalKey: Uint8Array): KeyPlace {
    const name = bucketNameOf(internalKey);
    const address = addressOfInternalKey(internalKey, this.partitionBits);
    if (name === "" || address === undefined)
      throw new HutchError("bad-request", "Cannot find the key's place: it is no internal key");
    return { bucket: this.buckets.get(name), address };
  }

  private address(bucket: Bucket, key: Uint8Array): KeyAddress {
    return addressOf(bucket.prefix, key, this.partitionBits);
  }

  private tokenizer({ fingerprint }: KeyAddress): { tokens: ContextTokens; fingerprint: number } {
    return { tokens: this.tokens, fingerprint };
  }
}

function resultOf({ context, answer, acks, session, isReplay }: CoordinatedWrite): WriteResult {
  return { context, state: answer, acks, session, isReplay };
}

function recordOf(exported: ExportedKey): Record {
  try {
    return recordFromJson(exported.record);
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause;
    throw new HutchError("bad-request", cause.message, { cause });
  }
}
