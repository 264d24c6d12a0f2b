/**
 * The hints of this node: states kept durably for nodes that are down (Dynamo, section 4.6; D4, R24 to R30). The bytes are drawn in
 * `hint-format.ts`; `hinted-handoff.ts` delivers them.
 *
 *   add      joins the state with the hint that is there; in a batch of the caller's, or in one of its own
 *   page     hints for one target in key order, a bounded copy
 *   remove   after the target has it durably, and only what it was given: a hint that grew meanwhile stays
 *   sweep    drops what is older than its time to live, unless it is the only copy here (docs/decisions/old-hints.md)
 *
 * Hints live in the node's one store, so they share its group commit, its checksums and its recovery (C25, D12).
 *
 * Invariants:
 * - A hint counts as held from the moment its batch is made: nobody is told "no hints" while one is on its way to the disk.
 * - Read, join and write of a hint happen in one turn; callers apply the batch before their next `await`.
 * - Whatever is refused or dropped marks its target: it has to be repaired (`hint-needs-repair.ts`).
 */
import { compareBytes } from "../base/bytes.ts";
import { CorruptionError, HutchError } from "../base/errors.ts";
import { type Record, decodeRecord } from "../causality/record.ts";
import { knowsAll, merge } from "../causality/siblings.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import { type LostRange, type StoreRead, VALUE_BYTES_MAX, WriteBatch } from "../storage/store.ts";
import { type HintAccount, HintAccounts } from "./hint-accounts.ts";
import {
  HINTS_END,
  HINTS_START,
  decodeHint,
  encodeHint,
  hintKey,
  hintTargetAt,
  mergeHints,
  storedAtMsOf,
} from "./hint-format.ts";
import { NeedsRepair } from "./hint-needs-repair.ts";
import { type StoredHint, readPage } from "./hint-page.ts";
import type { SideEntry } from "./peer-messages.ts";
import { type ReplicaStore, decodeStored } from "./replica-store.ts";

/** Of all targets together (N8); more is refused. */
export const HINTS_BYTES_MAX = 2 * 1024 * 1024 * 1024;
const SWEEP_HINTS = 512;
/** Between two sweeps of one target's hints, where the first has left some that are too old. */
const SWEEP_AGAIN_MS = 60_000;
const SWEEP_BYTES = 1024 * 1024;

export interface HintOptions {
  /** No new hints for a target whose oldest undelivered one is older, ms. 0: no hints at all. */
  readonly hintWindowMs: number;
  /** Older hints are dropped where this node has what they say itself, ms: it may have been deleted and the deletion forgotten (R27). At least the window. */
  readonly hintTtlMs: number;
  /** Of one target; more is refused. */
  readonly hintBytesMax: number;
}

type HintRefusal = "disabled" | "window" | "bytes" | "total-bytes" | "too-large";

/** What the hints know of a key. Values are views, valid until the reader's next `await`. */
export interface HintedRecord {
  readonly record: Record;
  /** For `whenDurable`. */
  readonly sequence: number;
}

export interface HeldHints {
  readonly count: number;
  readonly bytes: number;
  /** Unix ms at which the oldest was stored, 0 with none; may be too early after some were delivered, never too late. */
  readonly oldestMs: number;
}

/** Plain counts for the metrics. */
export interface HintCounters {
  stored: number;
  refused: number;
  /** Too old, and held here anyway. */
  dropped: number;
  /** Delivered. */
  removed: number;
  takenBack: number;
}

export class HintStore {
  readonly counters: HintCounters = { stored: 0, refused: 0, dropped: 0, removed: 0, takenBack: 0 };
  private readonly store: ReplicaStore;
  private readonly options: HintOptions;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly accounts = new HintAccounts();
  private readonly needsRepair: NeedsRepair;
  /** What takes the accounting of a batch back. */
  private readonly undos = new WeakMap<WriteBatch, (() => void)[]>();

  /** Reads what the last life of the node left (R29). */
  constructor(store: ReplicaStore, options: HintOptions, clock: Clock, logger: Logger) {
    this.store = store;
    this.options = options;
    this.clock = clock;
    this.logger = logger;
    this.needsRepair = new NeedsRepair(store, clock, logger);
    this.load();
  }

  /** At most 2 GiB are read, once. What damage hides is not counted, so that everybody needs repair then. */
  private load(): void {
    const snapshot = this.store.snapshot();
    try {
      if (snapshot.lostRanges.some(touchesHints)) this.needsRepair.markAnybody();
      this.needsRepair.load(snapshot.iterator());
      this.count(snapshot.iterator());
    } catch (thrown) {
      if (!(thrown instanceof CorruptionError)) throw thrown;
      this.store.reportDamage(thrown);
      this.needsRepair.markAnybody();
    } finally {
      snapshot.close();
    }
  }

  private count(iterator: ReturnType<ReturnType<ReplicaStore["snapshot"]>["iterator"]>): void {
    for (iterator.seek(HINTS_START); iterator.isValid; iterator.next()) {
      const { keyBytes, keyStart, keyEnd, valueBytes, valueStart, valueEnd } = iterator;
      if (compareBytes(keyBytes.subarray(keyStart, keyEnd), HINTS_END) >= 0) return;
      const account = this.accounts.of(hintTargetAt(keyBytes, keyStart));
      const bytes = keyEnd - keyStart + valueEnd - valueStart;
      this.accounts.stored(account, 1, bytes, storedAtMsOf(valueBytes, valueStart));
    }
  }

  /**
   * Puts the hint into `batch`, which the caller applies before its next `await`: durable together with whatever else is in it.
   * `takenBack` if that fails. Throws `DecodeError` for a record that is none.
   *
   * @param record encoded
   */
  addTo(
    batch: WriteBatch,
    target: NodeId,
    internalKey: Uint8Array,
    record: Uint8Array,
    side: SideEntry | undefined,
  ): "added" | "refused" {
    decodeRecord(record);
    const nowMs = this.clock.wallMs();
    const incoming = { storedAtMs: nowMs, sides: side === undefined ? [] : [side], record };
    const account = this.accounts.of(target);
    const key = hintKey(target, internalKey);
    const stored = this.readOrLose(target, key);
    const hint = stored === undefined ? incoming : mergeHints(decodeHint(stored.value), incoming);
    const value = encodeHint(hint);
    const count = stored === undefined ? 1 : 0;
    const bytes = value.length + (stored === undefined ? key.length : -stored.value.length);
    const refusal = this.refusalOf(account, bytes, value.length, nowMs);
    if (refusal !== undefined) return this.refuse(target, refusal);
    batch.put(key, value);
    this.counters.stored++;
    this.undoWith(batch, this.accounts.stored(account, count, bytes, hint.storedAtMs));
    return "added";
  }

  /** Damage has taken some: any member may miss something, and what is left is counted anew. Settles when the marks are on disk. */
  async damaged(members: readonly NodeId[]): Promise<void> {
    const batch = new WriteBatch();
    for (const target of members) this.needsRepair.markIn(batch, target, "damaged");
    if (batch.count > 0) await this.store.apply(batch);
    for (const target of this.accounts.targets()) this.accounts.reset(this.accounts.of(target));
    const snapshot = this.store.snapshot();
    try {
      this.count(snapshot.iteratorWithLost());
    } finally {
      snapshot.close();
    }
  }

  private undoWith(batch: WriteBatch, undo: () => void): void {
    const undos = this.undos.get(batch);
    if (undos === undefined) this.undos.set(batch, [undo]);
    else undos.push(undo);
  }

  /**
   * The batch was not applied, or a full disk took it back: its hints are not held. Who forgets to say so leaves a count that is too high
   * until all hints of the target are delivered.
   */
  takenBack(batch: WriteBatch): void {
    const undos = this.undos.get(batch) ?? [];
    for (const undo of undos) undo();
    this.counters.takenBack += undos.length;
    this.undos.delete(batch);
  }

  /** A hint that cannot be read is replaced; what it held is lost. */
  private readOrLose(target: NodeId, key: Uint8Array): StoreRead | undefined {
    try {
      const stored = this.store.get(key);
      if (stored !== undefined) decodeStored(decodeHint(stored.value).record);
      return stored;
    } catch (thrown) {
      if (!(thrown instanceof CorruptionError)) throw thrown;
      this.needsRepair.mark(target, "damaged");
      return undefined;
    }
  }

  private refusalOf(
    account: HintAccount,
    addedBytes: number,
    valueBytes: number,
    nowMs: number,
  ): HintRefusal | undefined {
    const { hintWindowMs, hintTtlMs, hintBytesMax } = this.options;
    if (hintWindowMs === 0) return "disabled";
    if (nowMs - account.oldestMs > Math.min(hintWindowMs, hintTtlMs)) return "window";
    if (valueBytes > VALUE_BYTES_MAX) return "too-large";
    if (account.bytes + addedBytes > hintBytesMax) return "bytes";
    if (this.accounts.totalBytes + addedBytes > HINTS_BYTES_MAX) return "total-bytes";
    return undefined;
  }

  private refuse(target: NodeId, reason: HintRefusal): "refused" {
    this.counters.refused++;
    this.needsRepair.mark(target, reason);
    return "refused";
  }

  /**
   * The hint in a batch of its own. Settles when it is durable, and not before may it count (R24). Rejects with `unavailable` where it is
   * refused, and with what storage rejects with.
   */
  async add(
    target: NodeId,
    internalKey: Uint8Array,
    record: Uint8Array,
    side: SideEntry | undefined,
  ): Promise<void> {
    const batch = new WriteBatch();
    if (this.addTo(batch, target, internalKey, record, side) === "added") return this.apply(batch);
    throw new HutchError(
      "unavailable",
      `Cannot keep a hint for node "${target}": a limit is reached, want a node with room`,
      { retry: "safe" },
    );
  }

  /** A batch with nothing but hints. Settles when it is durable. */
  async apply(batch: WriteBatch): Promise<void> {
    try {
      await this.store.apply(batch);
    } catch (thrown) {
      this.takenBack(batch);
      throw thrown;
    }
  }

  /** The join of what is held of this key, for whomever: what a fallback can say of it. Costs nothing without hints. */
  read(internalKey: Uint8Array): HintedRecord | undefined {
    if (this.accounts.totalCount === 0) return undefined;
    let found: HintedRecord | undefined;
    for (const target of this.accounts.targets()) {
      const stored = this.store.get(hintKey(target, internalKey));
      if (stored !== undefined) found = joined(found, stored);
    }
    return found;
  }

  targets(): readonly NodeId[] {
    return this.accounts.targets();
  }

  heldFor(target: NodeId): HeldHints {
    const { count, bytes, oldestMs } = this.accounts.of(target);
    return { count, bytes, oldestMs: count === 0 ? 0 : oldestMs };
  }

  /** When the newest hint was stored, Unix ms, or a little later; 0 without any. */
  get newestMs(): number {
    return this.accounts.newestMs;
  }

  /** Is any hint there that was stored up to then? Where the accounts cannot tell, the hints are looked at. */
  holdsUpTo(ms: number): boolean {
    return this.accounts
      .targets()
      .some((target) => this.accounts.of(target).oldestMs <= ms && this.finds(target, ms));
  }

  private finds(target: NodeId, upToMs: number): boolean {
    let after: Uint8Array | undefined;
    for (;;) {
      const page = this.page(target, after, SWEEP_HINTS, SWEEP_BYTES);
      if (page.length === 0) return false;
      if (page.some(({ hint }) => hint.storedAtMs <= upToMs)) return true;
      after = page.at(-1)!.internalKey;
    }
  }

  /** Grows with every hint stored for `target`. */
  additionsFor(target: NodeId): number {
    return this.accounts.of(target).additions;
  }

  /** Hints for it were lost since it was last repaired. */
  isIncomplete(target: NodeId): boolean {
    return this.needsRepair.has(target);
  }

  /** To be asked when a repair of `target` begins, for `clearIncomplete` when it ends. */
  lossesOf(target: NodeId): number {
    return this.needsRepair.lossesOf(target);
  }

  /** `target` has been repaired; what was lost since `losses` was asked for keeps the mark. */
  clearIncomplete(target: NodeId, losses = this.lossesOf(target)): Promise<void> {
    return this.needsRepair.clear(target, losses);
  }

  /** Something that was to be kept for `target` was not. */
  markIncomplete(target: NodeId, reason: string): void {
    this.needsRepair.mark(target, reason);
  }

  /** The first hints after key `after`, copied: at most `countMax`, and no more once `bytesMax` are together. */
  page(
    target: NodeId,
    after: Uint8Array | undefined,
    countMax: number,
    bytesMax: number,
  ): readonly StoredHint[] {
    const page = this.readPage(target, after, countMax, bytesMax);
    if (page.length === 0 && after === undefined) this.expectNone(target);
    return page;
  }

  private readPage(
    target: NodeId,
    after: Uint8Array | undefined,
    countMax: number,
    bytesMax: number,
  ): readonly StoredHint[] {
    const snapshot = this.store.snapshot();
    try {
      return readPage(snapshot.iterator(), target, after, countMax, bytesMax);
    } catch (thrown) {
      this.store.reportDamage(thrown);
      if (thrown instanceof CorruptionError) this.needsRepair.mark(target, "damaged");
      throw thrown;
    } finally {
      snapshot.close();
    }
  }

  /** The store has none for `target`: what is counted all the same went with a damaged table. */
  private expectNone(target: NodeId): void {
    const account = this.accounts.of(target);
    if (account.count === 0) return;
    this.accounts.reset(account);
    this.needsRepair.mark(target, "damaged");
  }

  /** `target` has `delivered` durably. Does nothing where the hint is no longer that. */
  async remove(target: NodeId, { internalKey, value }: StoredHint): Promise<void> {
    const key = hintKey(target, internalKey);
    const stored = this.store.get(key);
    if (stored === undefined || compareBytes(stored.value, value) !== 0) return;
    const batch = new WriteBatch().delete(key);
    const account = this.accounts.of(target);
    this.undoWith(batch, this.accounts.removed(account, key.length + value.length));
    this.counters.removed++;
    await this.apply(batch);
  }

  /**
   * Too old (R27), and this node's own copy knows all that it says. What a fallback holds for others it holds nowhere else, and was counted for: dropped, an
   * acknowledged write would be gone (simulator, seed 72587). Whoever is given such a state asks the other owners first (R42).
   */
  isExpired({ internalKey, hint }: StoredHint): boolean {
    return this.isTooOld(hint.storedAtMs) && this.isKnownHere(internalKey, hint.record);
  }

  private isKnownHere(internalKey: Uint8Array, record: Uint8Array): boolean {
    try {
      const own = this.store.get(internalKey);
      return own !== undefined && knowsAll(decodeStored(own.value), decodeStored(record));
    } catch (thrown) {
      if (thrown instanceof CorruptionError) return false;
      throw thrown;
    }
  }

  private isTooOld(storedAtMs: number): boolean {
    return this.clock.wallMs() - storedAtMs > this.options.hintTtlMs;
  }

  /** May something be too old, or a window be closed by a hint that is no longer there? */
  isSweepDue(target: NodeId): boolean {
    const { oldestMs, isOldestExact, sweptMonoMs } = this.accounts.of(target);
    if (this.isTooOld(oldestMs)) return this.clock.monoMs() - sweptMonoMs >= SWEEP_AGAIN_MS;
    return !isOldestExact && this.clock.wallMs() - oldestMs > this.options.hintWindowMs;
  }

  /** Drops what has expired (R27) and finds out which is the oldest that is left. */
  async sweep(target: NodeId): Promise<void> {
    const account = this.accounts.of(target);
    account.sweptMonoMs = this.clock.monoMs();
    const { additions } = account;
    let after: Uint8Array | undefined;
    let oldestMs = Infinity;
    for (;;) {
      const page = this.page(target, after, SWEEP_HINTS, SWEEP_BYTES);
      if (page.length === 0) break;
      const old: StoredHint[] = [];
      for (const stored of page)
        if (this.isExpired(stored)) old.push(stored);
        else oldestMs = Math.min(oldestMs, stored.hint.storedAtMs);
      if (old.length > 0) await this.drop(target, old);
      after = page.at(-1)!.internalKey;
    }
    // A hint that was stored meanwhile may be behind the walk, so the old bound stands until the next one.
    if (account.count === 0 || additions !== account.additions) return;
    account.oldestMs = oldestMs;
    account.isOldestExact = true;
  }

  /** Call it in the turn in which `hints` were read. */
  private drop(target: NodeId, hints: readonly StoredHint[]): Promise<void> {
    const account = this.accounts.of(target);
    const batch = new WriteBatch();
    this.undoWith(batch, this.needsRepair.markIn(batch, target, "too-old"));
    for (const { internalKey, value } of hints) {
      const key = hintKey(target, internalKey);
      batch.delete(key);
      this.undoWith(batch, this.accounts.removed(account, key.length + value.length));
    }
    this.counters.dropped += hints.length;
    this.logger.warn("hints_too_old", { target, count: hints.length });
    return this.apply(batch);
  }
}

function joined(found: HintedRecord | undefined, { value, sequence }: StoreRead): HintedRecord {
  const record = decodeStored(decodeHint(value).record);
  if (found === undefined) return { record, sequence };
  return { record: merge(found.record, record), sequence: Math.max(found.sequence, sequence) };
}

function touchesHints({ start, end }: LostRange): boolean {
  return compareBytes(start, HINTS_END) < 0 && compareBytes(end, HINTS_START) >= 0;
}
