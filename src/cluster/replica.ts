/**
 * One node's copy of the keys it owns: the three verbs that everything else ends in (D6, D7).
 *
 *   read    the stored record
 *   mint    a client's write gets its dot here, exactly once (R9)
 *   merge   somebody else's state joins ours; mints nothing
 *
 * mint and merge read, decide and apply without an `await` in between. On one event loop that is the key lock: nobody can see or
 * change the key between `store.get` and `store.apply`. Ask `store.admit` before.
 *
 * The counter of a dot is a tick of the node-wide HLC, so it is never used twice while this process lives. Across a restart the
 * clock's ceiling, stored in the batch of a write that passes it, keeps the next life above this one (R11, R20).
 */
import { ByteWriter } from "../base/byte-writer.ts";
import { equalBytes } from "../base/bytes.ts";
import { CorruptionError, HutchError } from "../base/errors.ts";
import type { Actor } from "../causality/actor.ts";
import { counterOf } from "../causality/causal-context.ts";
import type { ContextTokens, DecodedContext } from "../causality/context-token.ts";
import { DRIFT_REJECT_MS, HybridClock } from "../causality/hlc.ts";
import { collapse, maxHlc } from "../causality/lww.ts";
import { type Record, encodeRecord } from "../causality/record.ts";
import { entryOf, merge, valueCount } from "../causality/siblings.ts";
import type { Logger } from "../ports/logger.ts";
import type { WriteRequest } from "../quorum/operation.ts";
import type { KeyAddress } from "../ring/partition.ts";
import { type StoreRead, WriteBatch } from "../storage/store.ts";
import type { Bucket, Buckets } from "./bucket-properties.ts";
import { holds, preconditionFailed } from "./conditions.ts";
import { IDEMPOTENCY_WINDOW_MS, encodeRemembered, idempotencyKeyOf } from "./idempotency.ts";
import { type KeyAnswer, answerRecord } from "./key-state.ts";
import type { MergeGate, MergeOptions } from "./merge-gate.ts";
import type { SideEntry } from "./peer-messages.ts";
import { type NextActor, ReplicaName } from "./replica-name.ts";
import type { WriteStamps } from "./write-stamps.ts";
import { ClockCeiling } from "./clock-ceiling.ts";
import type { Copies } from "./copies.ts";
import { type RecordObserver, RecordWriter } from "./record-writer.ts";
import {
  isCovered,
  notAsExpected,
  ownedRecord,
  recallStored,
  refuseOversized,
  isSuspectState,
  notHealedYet,
} from "./replica-rules.ts";
import { type ReplicaStore, decodeStored } from "./replica-store.ts";
import { type WriteDecision, type WriteSetting, decideWrite } from "./write-decision.ts";

/** Scratch above this size is given back after use. */
const SCRATCH_BYTES_MAX = 1024 * 1024;
/** Siblings of one key that are worth a warning (R14). */
const SIBLINGS_WARN = 10;

/** A mint that is to be replicated, or that this node makes for others. What is left out is as for a node alone. */
export interface MintPlan {
  /** Who mints, where it is not the replica's own actor: a fallback has one of its own (`fallback-actor.ts`). */
  readonly actor?: Actor;
  /** The state to write on, where it is not the replica's own; the new one is not stored under its key then. */
  readonly before?: Record;
  /** Adds to the write's own batch, so that all of it becomes durable together. The bytes are valid only during the call. */
  readonly addTo?: (batch: WriteBatch, encoded: Uint8Array, side: SideEntry | undefined) => void;
}

/** What a merge comes to. */
export interface JoinedState {
  readonly stored: StoreRead | undefined;
  /** `undefined` where the stored state knows everything. A view that the next call overwrites, unless it is `MergeOptions.encoded`. */
  readonly after: Uint8Array | undefined;
}

export type { MergeGate, MergeOptions, StateSource } from "./merge-gate.ts";

const ALONE: MintPlan = {};
const PLAIN_MERGE: MergeOptions = {};

/** What became of a `mint`. Views and all, it may be kept: nothing in it points into storage. */
export type MintOutcome =
  | {
      readonly kind: "minted" | "replayed";
      readonly answer: KeyAnswer;
      /** Token of what the writer has seen. */
      readonly context: string;
      readonly record: Record;
      /** For the other owners: the memory of the request's `Idempotency-Key`. */
      readonly side: SideEntry | undefined;
      /** Settles when the write is durable. */
      readonly durable: Promise<void> | undefined;
    }
  | {
      readonly kind: "refused";
      readonly error: HutchError;
      /** Settles when the state that the refusal speaks of is durable. */
      readonly durable: Promise<void> | undefined;
    };

/** Plain counts for the metrics. */
export interface ReplicaCounters {
  minted: number;
  merged: number;
  replayed: number;
  refused: number;
  conflictsDropped: number;
}

export interface ReplicaOptions {
  readonly store: ReplicaStore;
  readonly buckets: Buckets;
  readonly tokens: ContextTokens;
  readonly logger: Logger;
  readonly actor: Actor;
  readonly stamps: WriteStamps;
  /** How many copies there are of its keys now. */
  copiesOf(bucket: Bucket): Copies;
  /** How far ahead of our clock a state from elsewhere may be (R20). */
  readonly driftMaxMs?: number;
  /** This copy has forgotten something, unawares where somebody else had to tell it. Answers the actor to go on with (R12d). */
  readonly onAmnesia?: NextActor;
  /** Keeps the Merkle trees in step (R37). */
  readonly observer?: RecordObserver;
  /** Knows which absences are those of collected tombstones. */
  readonly gate?: MergeGate;
  /** Is the key among what a damaged disk has lost and is not healed yet? Its copy here counts for nothing then. */
  readonly isLost?: (internalKey: Uint8Array) => boolean;
}

export class Replica {
  readonly clock: HybridClock;
  readonly counters: ReplicaCounters = {
    minted: 0,
    merged: 0,
    replayed: 0,
    refused: 0,
    conflictsDropped: 0,
  };
  private readonly store: ReplicaStore;
  private readonly tokens: ContextTokens;
  private readonly logger: Logger;
  /** Under which it mints. */
  readonly name: ReplicaName;
  private readonly driftMaxMs: number;
  private scratch = new ByteWriter(4096);
  /** For what changes many records at once. */
  readonly writer: RecordWriter;
  private readonly gate: MergeGate | undefined;
  private readonly isLost: ((internalKey: Uint8Array) => boolean) | undefined;
  private readonly ceiling: ClockCeiling;

  constructor(options: ReplicaOptions) {
    this.store = options.store;
    this.tokens = options.tokens;
    this.logger = options.logger;
    this.name = new ReplicaName(options.actor, options.onAmnesia, options.logger);
    this.driftMaxMs = options.driftMaxMs ?? DRIFT_REJECT_MS;
    this.gate = options.gate;
    this.isLost = options.isLost;
    this.ceiling = new ClockCeiling(options.store, options.logger);
    this.clock = new HybridClock(this.ceiling.stored);
    this.writer = new RecordWriter({ ...options, ceiling: this.ceiling, clock: this.clock });
  }

  read({ internalKey }: KeyAddress): StoreRead | undefined {
    if (this.isLost?.(internalKey) === true) throw notHealedYet();
    return this.store.get(internalKey);
  }

  /** Throws `bad-context`, `context-mismatch`, `data-corrupt`, `disk-full` and what else keeps a write from being tried. */
  mint(
    bucket: Bucket,
    address: KeyAddress,
    request: WriteRequest,
    nowMs: number,
    plan: MintPlan = ALONE,
  ): MintOutcome {
    const context =
      request.context === "" ? undefined : this.tokens.decode(address.fingerprint, request.context);
    const retryKey =
      request.idempotencyKey === ""
        ? undefined
        : idempotencyKeyOf(address.internalKey, request.idempotencyKey);
    const replayed = retryKey && this.replay(bucket, address, request, retryKey, nowMs);
    if (replayed !== undefined) return replayed;

    this.name.settle();
    const stored = plan.before === undefined ? this.read(address) : undefined;
    const before = plan.before ?? (stored === undefined ? [] : decodeStored(stored.value));
    const { properties } = bucket;
    if (request.condition.kind !== "none") {
      const current = this.answer(bucket, address, before, nowMs);
      if (!holds(request.condition, current))
        return this.refuse(preconditionFailed(current), stored);
    }
    const setting = this.settingOf(before, bucket, context, nowMs, plan.actor ?? this.name.actor);
    const decision = decideWrite(before, request, setting);
    const count = valueCount(decision.after);
    if (count > properties.siblingsMax && count > valueCount(before))
      return this.refuse(this.tooManySiblings(bucket, address, before, nowMs), stored);
    if (count === SIBLINGS_WARN)
      this.logger.warn("many_siblings", { bucket: bucket.name, siblings: count });
    return this.carryOut(bucket, address, request, decision, setting, retryKey, plan, stored);
  }

  private settingOf(
    before: Record,
    { properties }: Bucket,
    context: DecodedContext | undefined,
    nowMs: number,
    actor: Actor,
  ): WriteSetting {
    const held = entryOf(before, actor)?.counterMax ?? 0;
    const claimed = context === undefined ? 0 : counterOf(context, actor);
    const counter = this.clock.tick(nowMs, Math.max(held, claimed));
    return { properties, context, actor, counter, nowMs };
  }

  private carryOut(
    bucket: Bucket,
    address: KeyAddress,
    request: WriteRequest,
    { after, seen, seenHlc, conflictDropped }: WriteDecision,
    { actor, counter, nowMs }: WriteSetting,
    retryKey: Uint8Array | undefined,
    plan: MintPlan,
    stored: StoreRead | undefined,
  ): MintOutcome {
    const context = this.tokens.encode(address.fingerprint, seen, seenHlc);
    // An answer waits for the disk, so it must not point into storage; the new value is the request's own.
    const record = ownedRecord(after, request.value);
    const answer = this.answer(bucket, address, record, nowMs, conflictDropped);
    const expiresAtMs = nowMs + IDEMPOTENCY_WINDOW_MS;
    const first = { expiresAtMs, actor, counter, conflictDropped, context, record };
    const side = retryKey && { key: retryKey, value: encodeRemembered(request, first) };
    const bytes = this.encode(after);
    refuseOversized(bytes.length, side?.value.length ?? 0, valueCount(after));
    const durable = this.writer.write(bucket, address, stored?.value, bytes, { side, ...plan });
    durable.catch(() => {
      if (plan.actor === undefined) this.name.taint();
    });
    this.counters.minted++;
    this.counters.conflictsDropped += conflictDropped;
    return { kind: "minted", answer, context, record, side, durable };
  }

  private replay(
    bucket: Bucket,
    address: KeyAddress,
    request: WriteRequest,
    key: Uint8Array,
    nowMs: number,
  ): MintOutcome | undefined {
    const stored = this.store.get(key);
    if (stored === undefined) return undefined;
    const first = recallStored(stored.value, request, nowMs);
    if (first === undefined) return undefined;
    if (first instanceof HutchError) return this.refuse(first, stored);
    const record = ownedRecord(first.record, request.value);
    const mintedAtMs = first.expiresAtMs - IDEMPOTENCY_WINDOW_MS;
    const answer = this.answer(bucket, address, record, mintedAtMs, first.conflictDropped);
    this.counters.replayed++;
    const durable = this.store.whenDurable(stored.sequence);
    const side = { key, value: stored.value.slice() };
    return { kind: "replayed", answer, context: first.context, record, side, durable };
  }

  private refuse(error: HutchError, stored: StoreRead | undefined): MintOutcome {
    this.counters.refused++;
    const durable = stored && this.store.whenDurable(stored.sequence);
    return { kind: "refused", error, durable };
  }

  private tooManySiblings(
    bucket: Bucket,
    address: KeyAddress,
    before: Record,
    nowMs: number,
  ): HutchError {
    const { context } = this.answer(bucket, address, before, nowMs);
    const siblings = valueCount(before);
    return new HutchError(
      "too-many-siblings",
      `Cannot add a sibling: the key has ${siblings}, want a write with the context of a read`,
      { data: { siblings, siblingsMax: bucket.properties.siblingsMax, context } },
    );
  }

  /** The state as a client sees it. */
  answer(
    bucket: Bucket,
    address: KeyAddress,
    record: Record,
    nowMs: number,
    dropped = 0,
  ): KeyAnswer {
    const tokenizer = { tokens: this.tokens, fingerprint: address.fingerprint };
    return answerRecord(record, bucket.properties.conflicts, nowMs, tokenizer, dropped);
  }

  /**
   * Joins `incoming` with what is stored. Limits on siblings do not apply: replicas must be able to converge (R14). Throws
   * `clock-skew` for timestamps that are too far ahead (R20). Settles when the result is durable; joining the same state
   * again writes nothing.
   */
  merge(
    bucket: Bucket,
    address: KeyAddress,
    incoming: Record,
    nowMs: number,
    options: MergeOptions = PLAIN_MERGE,
  ): Promise<void> | undefined {
    let joined: JoinedState;
    try {
      joined = this.join(bucket, address, incoming, nowMs, options);
    } catch (thrown) {
      if (this.gate === undefined || !isSuspectState(thrown)) throw thrown;
      return this.gate.consider(bucket, address, incoming, options);
    }
    const { stored, after } = joined;
    if (after === undefined) return this.store.whenDurable(stored!.sequence); // something is stored that is equal
    return this.writer.write(bucket, address, stored?.value, after, { side: options.side });
  }

  /**
   * What `merge` would store, for who stores many at once (`merge-many.ts`): without an `await` before that. Throws as `merge` does, and
   * `suspect-state` where that would ask the other owners.
   */
  join(
    bucket: Bucket,
    address: KeyAddress,
    incoming: Record,
    nowMs: number,
    options: MergeOptions,
  ): JoinedState {
    this.witness(incoming, nowMs, options.isFromPeer === true);
    const stored = this.storedFor(address, options);
    const before = stored === undefined ? [] : decodeStored(stored.value);
    if (options.isFromPeer === true) this.checkOwnDots(address, before, incoming);
    if (options.isVerified !== true) this.checkNotSuspect(address, before, incoming);
    const joined = merge(before, incoming);
    const after = bucket.properties.conflicts === "lww" ? collapse(joined) : joined;
    const isKnown = stored === undefined && after === joined ? options.encoded : undefined;
    const bytes = isKnown ?? this.encode(after);
    if (stored !== undefined && options.side === undefined && equalBytes(bytes, stored.value))
      return { stored, after: undefined };
    if (options.isConditional === true && !isCovered(before, incoming)) throw notAsExpected();
    this.counters.conflictsDropped += valueCount(joined) - valueCount(after);
    this.counters.merged++;
    refuseOversized(bytes.length, options.side?.value.length ?? 0, valueCount(after));
    return { stored, after: bytes };
  }

  /** A copy that is lost here is absent for who brings it back. */
  private storedFor(address: KeyAddress, options: MergeOptions): StoreRead | undefined {
    try {
      if (options.isHealing !== true) return this.read(address);
      return this.store.get(address.internalKey);
    } catch (thrown) {
      if (options.isHealing === true && thrown instanceof CorruptionError) return undefined;
      throw thrown;
    }
  }

  /** Takes note of the timestamps of a state from elsewhere; throws `clock-skew` (R20), and `bad-dot` from a peer (row 64). */
  witness(incoming: Record, nowMs: number, isFromPeer: boolean): void {
    let greatest = maxHlc(incoming);
    for (const { counterMax } of incoming) greatest = Math.max(greatest, counterMax);
    const before = this.clock.last;
    const observation = this.clock.observe(greatest, nowMs, this.driftMaxMs);
    if (observation === "adopted-with-drift") this.logger.warn("clock_drift", { hlc: greatest });
    if (observation === "rejected")
      throw new HutchError(
        "clock-skew",
        `Cannot merge a state from the future: it is more than ${this.driftMaxMs} ms ahead`,
        { retry: "safe" },
      );
    if (isFromPeer) this.checkNotFromFuture(incoming, before);
  }

  private checkNotSuspect({ partition }: KeyAddress, before: Record, incoming: Record): void {
    if (this.gate?.isSuspect(partition, before, incoming) !== true) return;
    throw new HutchError(
      "suspect-state",
      "Cannot merge the state: it is older than deletions that were collected, and the other owners have not been asked about it",
      { retry: "safe" },
    );
  }

  /** Every dot of our actor was given out by this clock; one above it is somebody else's mistake (row 64). */
  private checkNotFromFuture(incoming: Record, lastTick: number): void {
    const own = entryOf(incoming, this.name.actor);
    if (own === undefined || own.counterMax <= lastTick) return;
    this.clock.last = lastTick;
    this.logger.error("own_dot_from_the_future", { counter: own.counterMax });
    throw new HutchError(
      "bad-dot",
      "Cannot merge the state: it has a dot that was never given out",
    );
  }

  /**
   * A dot that we gave out for this key and do not have: this copy has forgotten, and must not mint under this name again (R12d). What was collected was
   * not forgotten: all owners have let go of it together.
   */
  private checkOwnDots({ partition }: KeyAddress, before: Record, incoming: Record): void {
    const theirs = entryOf(incoming, this.name.actor)?.counterMax ?? 0;
    if (!this.name.isShared || theirs <= (entryOf(before, this.name.actor)?.counterMax ?? 0))
      return;
    if (before.length === 0 && this.gate?.mayBeCollected(partition, theirs) === true) return;
    this.logger.error("amnesia_found", { actor: this.name.actor, counter: theirs });
    this.name.renewUnawares();
  }

  /** Damage has taken how far the clock may have gone; settles when it is on disk again. */
  rewriteCeiling(): Promise<void> {
    return this.ceiling.rewrite(this.store, this.clock.last);
  }

  /** Into scratch that the next call overwrites; the store reads it before `apply` returns. */
  private encode(record: Record): Uint8Array {
    if (this.scratch.buffer.length > SCRATCH_BYTES_MAX) this.scratch = new ByteWriter(4096);
    this.scratch.reset();
    encodeRecord(this.scratch, record);
    return this.scratch.view();
  }
}
