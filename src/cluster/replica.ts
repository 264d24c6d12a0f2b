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
import { ByteReader } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { equalBytes } from "../base/bytes.ts";
import { CorruptionError, HutchError } from "../base/errors.ts";
import type { Actor } from "../causality/actor.ts";
import type { ContextTokens, DecodedContext } from "../causality/context-token.ts";
import { DRIFT_REJECT_MS, HybridClock } from "../causality/hlc.ts";
import { collapse, maxHlc } from "../causality/lww.ts";
import { type Record, copyPayload, encodeRecord } from "../causality/record.ts";
import { entryOf, merge, valueCount } from "../causality/siblings.ts";
import type { Logger } from "../ports/logger.ts";
import type { WriteRequest } from "../quorum/operation.ts";
import type { KeyAddress } from "../ring/partition.ts";
import { type StoreRead, VALUE_BYTES_MAX, WriteBatch } from "../storage/store.ts";
import type { Bucket, Buckets } from "./bucket-properties.ts";
import { holds, preconditionFailed } from "./conditions.ts";
import {
  IDEMPOTENCY_WINDOW_MS,
  type RememberedWrite,
  encodeRemembered,
  idempotencyKeyOf,
  recall,
} from "./idempotency.ts";
import { type KeyAnswer, answerRecord } from "./key-state.ts";
import type { WriteStamps } from "./write-stamps.ts";
import { type ReplicaStore, asCorruption, decodeStored, systemKey } from "./replica-store.ts";
import { type WriteDecision, type WriteSetting, decideWrite } from "./write-decision.ts";

const CLOCK_KEY = systemKey("hlc-ceiling");
const CEILING_VERSION = 1;
/** How far the stored ceiling is set ahead: about half a second of ticks. Smaller: more often stored; larger: a restart runs further ahead. */
const CEILING_LEASE = 1_000_000;
/** Scratch above this size is given back after use. */
const SCRATCH_BYTES_MAX = 1024 * 1024;
/** Siblings of one key that are worth a warning (R14). */
const SIBLINGS_WARN = 10;

/** What became of a `mint`. Views and all, it may be kept: nothing in it points into storage. */
export type MintOutcome =
  | {
      readonly kind: "minted" | "replayed";
      readonly answer: KeyAnswer;
      /** Token of what the writer has seen. */
      readonly context: string;
      readonly record: Record;
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
  private readonly buckets: Buckets;
  private readonly tokens: ContextTokens;
  private readonly logger: Logger;
  private readonly actor: Actor;
  private readonly stamps: WriteStamps;
  private scratch = new ByteWriter(4096);
  /** No tick above it is given to a write whose batch does not raise it. */
  private storedCeiling: number;

  constructor(options: ReplicaOptions) {
    this.store = options.store;
    this.buckets = options.buckets;
    this.tokens = options.tokens;
    this.logger = options.logger;
    this.actor = options.actor;
    this.stamps = options.stamps;
    this.storedCeiling = this.readCeiling();
    this.clock = new HybridClock(this.storedCeiling);
  }

  /**
   * Where it is lost with a damaged table the clock starts anew: the node has a new incarnation then (R12), so no dot can
   * come again, and a write is stamped above everything that its key holds in any case (R21).
   */
  private readCeiling(): number {
    try {
      const stored = this.store.get(CLOCK_KEY);
      if (stored === undefined) return 0;
      const reader = new ByteReader(stored.value);
      reader.u8();
      return reader.u64();
    } catch (thrown) {
      const error = asCorruption(thrown);
      if (!(error instanceof CorruptionError)) throw error;
      this.logger.error("clock_ceiling_lost", { reason: error.message });
      return 0;
    }
  }

  read(address: KeyAddress): StoreRead | undefined {
    return this.store.get(address.internalKey);
  }

  /** Throws `bad-context`, `context-mismatch`, `data-corrupt`, `disk-full` and what else keeps a write from being tried. */
  mint(bucket: Bucket, address: KeyAddress, request: WriteRequest, nowMs: number): MintOutcome {
    const context =
      request.context === "" ? undefined : this.tokens.decode(address.fingerprint, request.context);
    const retryKey =
      request.idempotencyKey === ""
        ? undefined
        : idempotencyKeyOf(address.internalKey, request.idempotencyKey);
    const replayed = retryKey && this.replay(bucket, address, request, retryKey, nowMs);
    if (replayed !== undefined) return replayed;

    const stored = this.store.get(address.internalKey);
    const before = stored === undefined ? [] : decodeStored(stored.value);
    const { properties } = bucket;
    if (request.condition.kind !== "none") {
      const current = this.answer(bucket, address, before, nowMs);
      if (!holds(request.condition, current))
        return this.refuse(preconditionFailed(current), stored);
    }
    const setting = this.settingOf(before, bucket, context, nowMs);
    const decision = decideWrite(before, request, setting);
    const count = valueCount(decision.after);
    if (count > properties.siblingsMax && count > valueCount(before))
      return this.refuse(this.tooManySiblings(bucket, address, before, nowMs), stored);
    if (count === SIBLINGS_WARN)
      this.logger.warn("many_siblings", { bucket: bucket.name, siblings: count });
    return this.carryOut(bucket, address, request, decision, setting, retryKey);
  }

  private settingOf(
    before: Record,
    { properties }: Bucket,
    context: DecodedContext | undefined,
    nowMs: number,
  ): WriteSetting {
    const { actor } = this;
    const counter = this.clock.tick(nowMs, entryOf(before, actor)?.counterMax ?? 0);
    return { properties, context, actor, counter, nowMs };
  }

  private carryOut(
    bucket: Bucket,
    address: KeyAddress,
    request: WriteRequest,
    { after, seen, seenHlc, conflictDropped }: WriteDecision,
    { actor, counter, nowMs }: WriteSetting,
    retryKey: Uint8Array | undefined,
  ): MintOutcome {
    const context = this.tokens.encode(address.fingerprint, seen, seenHlc);
    // An answer waits for the disk, so it must not point into storage; the new value is the request's own.
    const record = ownedRecord(after, request.value);
    const answer = this.answer(bucket, address, record, nowMs, conflictDropped);
    const expiresAtMs = nowMs + IDEMPOTENCY_WINDOW_MS;
    const first = { expiresAtMs, actor, counter, conflictDropped, context, record };
    const remembered = retryKey && { key: retryKey, value: encodeRemembered(request, first) };
    const durable = this.apply(bucket, address, after, remembered);
    this.counters.minted++;
    this.counters.conflictsDropped += conflictDropped;
    return { kind: "minted", answer, context, record, durable };
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
    return { kind: "replayed", answer, context: first.context, record, durable };
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
  ): Promise<void> | undefined {
    this.observe(incoming, nowMs);
    const stored = this.store.get(address.internalKey);
    const before = stored === undefined ? [] : decodeStored(stored.value);
    const joined = merge(before, incoming);
    const after = bucket.properties.conflicts === "lww" ? collapse(joined) : joined;
    const bytes = this.encode(after);
    if (stored !== undefined && equalBytes(bytes, stored.value))
      return this.store.whenDurable(stored.sequence);
    this.counters.conflictsDropped += valueCount(joined) - valueCount(after);
    this.counters.merged++;
    return this.apply(bucket, address, after, undefined);
  }

  private observe(incoming: Record, nowMs: number): void {
    let greatest = maxHlc(incoming);
    for (const { counterMax } of incoming) greatest = Math.max(greatest, counterMax);
    const observation = this.clock.observe(greatest, nowMs);
    if (observation === "adopted-with-drift") this.logger.warn("clock_drift", { hlc: greatest });
    if (observation !== "rejected") return;
    throw new HutchError(
      "clock-skew",
      `Cannot merge a state from the future: it is more than ${DRIFT_REJECT_MS} ms ahead`,
      { retry: "safe" },
    );
  }

  private apply(
    bucket: Bucket,
    address: KeyAddress,
    after: Record,
    remembered: { readonly key: Uint8Array; readonly value: Uint8Array } | undefined,
  ): Promise<void> {
    const bytes = this.encode(after);
    refuseOversized(bytes.length, remembered?.value.length ?? 0, valueCount(after));
    const batch = new WriteBatch().put(address.internalKey, bytes);
    if (remembered !== undefined) batch.put(remembered.key, remembered.value);
    if (!bucket.isListed) this.buckets.listIn(batch, bucket);
    const ceilingBefore = this.storedCeiling;
    if (this.clock.last > ceilingBefore) this.raiseCeiling(batch);
    const durable = this.store.apply(batch);
    this.stamps.written(address.fingerprint);
    if (batch.count > 1) this.forgetIfTakenBack(durable, bucket, ceilingBefore);
    if (this.scratch.buffer.length > SCRATCH_BYTES_MAX) this.scratch = new ByteWriter(4096);
    return durable;
  }

  private raiseCeiling(batch: WriteBatch): void {
    const writer = new ByteWriter(9);
    this.storedCeiling = this.clock.last + CEILING_LEASE;
    writer.u8(CEILING_VERSION);
    writer.u64(this.storedCeiling);
    batch.put(CLOCK_KEY, writer.finish());
  }

  /** A full disk takes a batch back; what we believe to be stored must go back with it. Storing it once more is harmless. */
  private forgetIfTakenBack(durable: Promise<void>, bucket: Bucket, ceiling: number): void {
    durable.catch(() => {
      this.storedCeiling = Math.min(this.storedCeiling, ceiling);
      if (!bucket.isListed) this.buckets.forget(bucket);
    });
  }

  /** Into scratch that the next call overwrites; the store reads it before `apply` returns. */
  private encode(record: Record): Uint8Array {
    this.scratch.reset();
    encodeRecord(this.scratch, record);
    return this.scratch.view();
  }
}

/** Damage is thrown, a mismatch is an answer. */
function recallStored(
  bytes: Uint8Array,
  request: WriteRequest,
  nowMs: number,
): RememberedWrite | HutchError | undefined {
  try {
    return recall(bytes, request, nowMs);
  } catch (thrown) {
    if (thrown instanceof HutchError) return thrown;
    throw asCorruption(thrown);
  }
}

/** A record none of whose values points into storage. `own` belongs to us already. */
function ownedRecord(record: Record, own: Uint8Array): Record {
  const isOwned = record.every(({ values }) =>
    values.every(({ payload }) => payload.value === own),
  );
  return isOwned
    ? record
    : record.map((entry) => ({
        ...entry,
        values: entry.values.map(({ counter, payload }) => ({
          counter,
          payload: payload.value === own ? payload : copyPayload(payload),
        })),
      }));
}

/** A record holds all siblings of its key, and storage takes no more than one block of it: nothing has been written yet. */
function refuseOversized(recordBytes: number, rememberedBytes: number, siblings: number): void {
  if (Math.max(recordBytes, rememberedBytes) <= VALUE_BYTES_MAX) return;
  const what = `the key would hold ${siblings} values and ${recordBytes} bytes, want at most ${VALUE_BYTES_MAX}`;
  throw new HutchError(
    siblings > 1 ? "too-many-siblings" : "value-too-large",
    `Cannot store: ${what}`,
    {
      data: { siblings, recordBytes, recordBytesMax: VALUE_BYTES_MAX },
    },
  );
}
