/**
 * Mends what a damaged disk has lost (C13, R12c): the keys whose truth this store does not know any more are fetched from the other owners, and are
 * its own again.
 *
 *   damage found        at once, before anything else is minted: a new incarnation, and the partitions are held since now
 *   each piece          1 fetch      every key of the piece from enough of the other owners, merged on top of what is lost
 *                       2 settle     older entries that were left in it are candidates: offered like a state from elsewhere (R42), and deleted where
 *                                    they are not taken, or a collected deletion would come undone
 *                       3 healed     the store takes the piece out of what is lost
 *   all pieces done     the trees of the partitions are built again
 *
 * Until 3 nobody is answered from a piece, not even where a newer entry is there already: after the first of two exchanges a copy may still lack a write
 * that was acknowledged with its help. `covers` says so. What the node keeps for itself is written again by whoever keeps it (`OwnKeys`). Of buckets
 * with one copy, and on a node alone, there is nobody to ask: these keys stay lost and are answered with `data-corrupt`.
 *
 * One piece at a time, under the pace of background work; what cannot be healed now is tried again, at growing intervals. A crash begins anew with what
 * is still lost: every step may be done twice.
 */
import { compareBytes } from "../base/bytes.ts";
import { CorruptionError, messageOf } from "../base/errors.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import {
  type Damage,
  type LostRange,
  type Store,
  WriteBatch,
  lostRangeOf,
} from "../storage/store.ts";
import type { KeyRange } from "./key-scan.ts";
import { type LostPiece, partitionsLost, piecesOf } from "./lost-pieces.ts";
import type { Rests } from "./repair-pace.ts";

const RETRY_MS = 1000;
const RETRY_MS_MAX = 60_000;
/** Left entries that are settled in one go: keys, and bytes of their values. */
const LEFT_KEYS_MAX = 128;
const LEFT_BYTES_MAX = 256 * 1024;

export type HealerStore = Pick<
  Store,
  "lostRanges" | "onDamage" | "healed" | "snapshot" | "getOrLost" | "apply" | "reportDamage"
>;

/** Something that the node keeps for itself, in [start, end) of the store. */
export interface OwnKeys {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
  /** May older entries that were left stay? Where not, what `restore` has not written again is deleted. */
  readonly keepsOld: boolean;
  /** Writes it again, from memory or from others, or takes note that it is lost. Settles when that is durable; false: try later. */
  restore(): Promise<boolean>;
}

export interface HealerOptions {
  readonly store: HealerStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly pace: Rests;
  /** Partitions of the cluster. */
  readonly q: number;
  readonly ownKeys: readonly OwnKeys[];
  /** Does this node hold the partition in any active layout? */
  isOwn(partition: number): boolean;
  /** No other node to ask, in any active layout. */
  isAlone(): boolean;
  /** Keys of the partition, in order, of which no other node ever has a copy: those of buckets with n = 1. */
  soleOf(partition: number): readonly KeyRange[];
  /**
   * Merges what the other owners have of the range, with what is lost here counting as absent. True only when so many of N owners were
   * compared with that every write quorum that this node was in has one of them: all N / 2, rounded up.
   */
  fetchRange(partition: number, range: KeyRange): Promise<boolean>;
  /** Merges an older state of our own where it cannot undo a collected deletion (R42). Settles when that is decided and durable. */
  offer(internalKey: Uint8Array, record: Uint8Array): Promise<void>;
  /** Called in the turn in which damage is known: a new incarnation is on disk when this returns, and the partitions are held since now (R12c, R42). */
  forgotten(partitions: readonly number[], ranges: readonly LostRange[]): void;
  /** Healed: the trees of the partition are to be built again. */
  rebuildTree(partition: number): Promise<void>;
}

/** For people. Times are Unix ms, 0 for none. */
export interface HealerReport {
  /** `waiting`: some of it could not be fetched yet. `lost`: there is nobody to ask for what is left. */
  readonly state: "sound" | "healing" | "waiting" | "lost";
  readonly lostRanges: number;
  readonly partitionsLost: readonly number[];
  readonly pieces: number;
  readonly piecesDone: number;
  /** Pieces since the node started. */
  readonly healed: number;
  readonly sinceMs: number;
  readonly reason: string;
}

export class Healer {
  private readonly options: HealerOptions;
  private timer: Timer | undefined;
  private running: Promise<void> | undefined;
  private isStopped = false;
  private retryMs = RETRY_MS;
  private pieces = 0;
  private piecesDone = 0;
  private healedCount = 0;
  private sinceMs = 0;
  private reason = "";
  /** Healed, and the tree not asked for yet. */
  private readonly touched = new Set<number>();

  constructor(options: HealerOptions) {
    this.options = options;
    options.store.onDamage((damage) => this.damaged(damage));
  }

  /** Begins with what an earlier life has lost; whoever composes the node has given it a new incarnation. */
  start(): void {
    if (this.options.store.lostRanges.length === 0) return;
    this.sinceMs = this.options.clock.wallMs();
    this.kick();
  }

  stop(): void {
    this.isStopped = true;
    this.timer?.cancel();
  }

  /** Others are there again, or there are other owners: try now. */
  kick(): void {
    this.retryMs = RETRY_MS;
    this.schedule(0);
  }

  /** True for keys of buckets whose own copy counts for nothing: neither read, nor minted on, nor acknowledged. */
  covers(internalKey: Uint8Array): boolean {
    const { store, isAlone } = this.options;
    if (store.lostRanges.length === 0 || isAlone()) return false;
    return lostRangeOf(store.lostRanges, internalKey, -1) !== undefined;
  }

  get isSound(): boolean {
    return this.options.store.lostRanges.length === 0;
  }

  /** One attempt at all that is lost. Settles when it is over; `isSound` says how it ended. */
  async healNow(): Promise<void> {
    await this.running;
    await this.run();
  }

  report(): HealerReport {
    const { store, q } = this.options;
    const { pieces, piecesDone, healedCount: healed, sinceMs, reason } = this;
    return {
      state: this.state,
      lostRanges: store.lostRanges.length,
      partitionsLost: partitionsLost(store.lostRanges, q),
      pieces,
      piecesDone,
      healed,
      sinceMs,
      reason,
    };
  }

  private get state(): HealerReport["state"] {
    if (this.isSound) return "sound";
    if (this.running !== undefined) return "healing";
    return this.open().every(({ kind }) => kind === "sole") ? "lost" : "waiting";
  }

  private damaged({ file, lostRanges }: Damage): void {
    if (lostRanges.length === 0 || this.isStopped) return;
    const { clock, logger, q, store } = this.options;
    const partitions = partitionsLost(lostRanges, q);
    logger.error("data_lost", {
      file,
      ranges: lostRanges.length,
      partitions: partitions.length,
    });
    if (this.sinceMs === 0) this.sinceMs = clock.wallMs();
    this.options.forgotten(partitions, store.lostRanges);
    this.kick();
  }

  private schedule(delayMs: number): void {
    this.timer?.cancel();
    if (this.isStopped) return;
    this.timer = this.options.clock.after(delayMs, () => void this.run());
  }

  private run(): Promise<void> {
    this.running ??= this.runOnce().finally(() => (this.running = undefined));
    return this.running;
  }

  private async runOnce(): Promise<void> {
    const before = this.options.store.lostRanges;
    try {
      await this.healAll();
    } catch (thrown) {
      this.failed("all", thrown);
    }
    await this.rebuildTrees();
    if (this.isSound) return this.ended();
    const hasChanged = this.options.store.lostRanges !== before;
    this.schedule(hasChanged ? RETRY_MS : this.retryMs);
    this.retryMs = hasChanged ? RETRY_MS : Math.min(this.retryMs * 2, RETRY_MS_MAX);
  }

  private ended(): void {
    if (this.sinceMs > 0) this.options.logger.info("data_healed", { pieces: this.piecesDone });
    this.sinceMs = 0;
    this.reason = "";
    this.retryMs = RETRY_MS;
  }

  /** What is lost now; on a node alone nobody can be asked about anything. */
  private open(): readonly LostPiece[] {
    const { store, q, isAlone, soleOf } = this.options;
    const pieces = piecesOf(store.lostRanges, q, soleOf);
    return isAlone() ? pieces.map((piece) => ({ ...piece, kind: "sole" })) : pieces;
  }

  /** In key order, so that what is still lost stays in one place; settings, which say where keys belong, are at the very start. */
  private async healAll(): Promise<void> {
    const pieces = this.open();
    this.pieces = pieces.length;
    this.piecesDone = 0;
    for (const piece of pieces) {
      if (this.isStopped) return;
      if (piece.kind !== "sole") await this.tryPiece(piece);
    }
  }

  private async tryPiece(piece: LostPiece): Promise<void> {
    const { clock, pace } = this.options;
    const startMs = clock.monoMs();
    try {
      if (!(await this.heal(piece))) return;
      this.piecesDone++;
      this.healedCount++;
      this.touched.add(piece.partition);
    } catch (thrown) {
      if (thrown instanceof CorruptionError) this.options.store.reportDamage(thrown);
      this.failed(piece.kind, thrown);
    }
    // Most of the time was waiting for others, who keep to paces of their own.
    await pace.rest(Math.min(1, clock.monoMs() - startMs), 0);
  }

  private failed(what: string, thrown: unknown): void {
    this.reason = messageOf(thrown);
    this.options.logger.warn("not_healed_yet", { what, reason: this.reason });
  }

  private async heal({ kind, partition, range }: LostPiece): Promise<boolean> {
    const { store, isOwn } = this.options;
    const isDone =
      kind === "own" ? await this.restoreOwn(range) : await this.fetchPiece(partition, range);
    if (!isDone) return false;
    const isOffered = kind === "data" && isOwn(partition);
    await this.settleLeft(range, (key, value) => this.settleOne(key, value, isOffered));
    if (this.isStopped) return false;
    await store.healed([range]);
    return true;
  }

  /** Of a partition that this node does not hold nobody asks it. */
  private async fetchPiece(partition: number, { start, end }: LostRange): Promise<boolean> {
    const { fetchRange, isOwn } = this.options;
    if (!isOwn(partition)) return true;
    if (await fetchRange(partition, { lower: start, upper: end })) return true;
    this.reason = `not enough of the other owners of partition ${partition} could be asked`;
    return false;
  }

  private async restoreOwn(range: LostRange): Promise<boolean> {
    for (const keys of this.options.ownKeys)
      if (meets(keys, range) && !(await keys.restore())) {
        this.reason = "what the node keeps for itself could not be restored yet";
        return false;
      }
    return true;
  }

  /** True where the key must not come back. */
  private async settleOne(
    key: Uint8Array,
    value: Uint8Array,
    isOffered: boolean,
  ): Promise<boolean> {
    const { ownKeys, offer } = this.options;
    if (isOffered) await offer(key, value);
    const keys = ownKeys.find((each) => isIn(each, key));
    if (isBucketKey(key)) return true;
    return keys !== undefined && !keys.keepsOld;
  }

  /** Visits what was left in the range and is still the newest of its key, and deletes of it what `isOver` says. */
  private async settleLeft(
    range: LostRange,
    isOver: (key: Uint8Array, value: Uint8Array) => Promise<boolean>,
  ): Promise<void> {
    for (let from: Uint8Array | undefined = range.start; from !== undefined && !this.isStopped;) {
      const page = this.leftIn({ ...range, start: from });
      for (const { key, value } of page.entries)
        if (await isOver(key, value)) await this.deleteLeft(key);
      from = page.next;
      await this.options.pace.rest(1, page.bytes);
    }
  }

  /** Looked at in the turn in which it is deleted: what was merged meanwhile is newer. */
  private async deleteLeft(key: Uint8Array): Promise<void> {
    const { store } = this.options;
    if (store.getOrLost(key) === "lost") await store.apply(new WriteBatch().delete(key));
  }

  private leftIn(range: LostRange): LeftPage {
    const snapshot = this.options.store.snapshot();
    try {
      return readLeft(snapshot.iteratorWithLost(), range);
    } finally {
      snapshot.close();
    }
  }

  private async rebuildTrees(): Promise<void> {
    const partitions = [...this.touched];
    this.touched.clear();
    for (const partition of partitions)
      try {
        await this.options.rebuildTree(partition);
      } catch (thrown) {
        // The index itself tries again, or the node is about to stop.
        this.options.logger.warn("tree_not_rebuilt", { partition, reason: messageOf(thrown) });
      }
  }
}

interface LeftPage {
  readonly entries: readonly { readonly key: Uint8Array; readonly value: Uint8Array }[];
  readonly bytes: number;
  /** Where to go on; `undefined` at the end of the range. */
  readonly next: Uint8Array | undefined;
}

function readLeft(
  iterator: ReturnType<ReturnType<HealerStore["snapshot"]>["iteratorWithLost"]>,
  range: LostRange,
): LeftPage {
  const entries: { key: Uint8Array; value: Uint8Array }[] = [];
  let bytes = 0;
  for (iterator.seek(range.start); iterator.isValid; iterator.next()) {
    const key = iterator.keyBytes.slice(iterator.keyStart, iterator.keyEnd);
    if (compareBytes(key, range.end) >= 0) break;
    if (entries.length >= LEFT_KEYS_MAX || bytes >= LEFT_BYTES_MAX)
      return { entries, bytes, next: key };
    if (iterator.sequence > range.sequenceMax) continue;
    const value = iterator.valueBytes.slice(iterator.valueStart, iterator.valueEnd);
    entries.push({ key, value });
    bytes += key.length + value.length;
  }
  return { entries, bytes, next: undefined };
}

/** Bucket names begin with a letter or a digit, behind the two bytes of the partition. */
function isBucketKey(key: Uint8Array): boolean {
  return (key[2] ?? 0) >= 0x30;
}

function isIn({ start, end }: OwnKeys, key: Uint8Array): boolean {
  return compareBytes(start, key) <= 0 && compareBytes(key, end) < 0;
}

function meets({ start, end }: OwnKeys, range: LostRange): boolean {
  return compareBytes(range.start, end) < 0 && compareBytes(start, range.end) < 0;
}
