/**
 * For whom hints were lost: dropped, refused, or unreadable. Such a target has to be repaired before its word counts, so the mark
 * outlives restarts (R26).
 *
 *   key   system key `needs-repair/<node id>`       value   u8 1 | first loss, Unix ms u64
 *
 * In memory each mark counts its losses, so that a repair clears only what had been lost when it began. At most one entry for each node
 * of the cluster.
 */
import { ByteWriter } from "../base/byte-writer.ts";
import { compareBytes, prefixSuccessor, utf8Text } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import { type EntryIterator, WriteBatch } from "../storage/store.ts";
import { type ReplicaStore, systemKey } from "./replica-store.ts";

const KEY_PREFIX = "needs-repair/";
const VERSION = 1;
const RANGE_START = systemKey(KEY_PREFIX);
const RANGE_END = prefixSuccessor(RANGE_START)!; // a system key has bytes below 0xff

export class NeedsRepair {
  private readonly store: ReplicaStore;
  private readonly clock: Clock;
  private readonly logger: Logger;
  /** Losses of each marked target since the start, the mark that was found then counting as one. */
  private readonly losses = new Map<NodeId, number>();
  /** Marks that are in the store or on their way. */
  private readonly written = new Set<NodeId>();
  /** Hints for nobody knows whom were lost: everybody is marked, except who has been repaired since. */
  private isAnybodyMarked = false;
  private readonly repaired = new Set<NodeId>();

  constructor(store: ReplicaStore, clock: Clock, logger: Logger) {
    this.store = store;
    this.clock = clock;
    this.logger = logger;
  }

  load(iterator: EntryIterator): void {
    for (iterator.seek(RANGE_START); iterator.isValid; iterator.next()) {
      const key = iterator.keyBytes.slice(iterator.keyStart, iterator.keyEnd);
      if (compareBytes(key, RANGE_END) >= 0) break;
      const target = utf8Text(key.subarray(RANGE_START.length)) ?? "";
      this.losses.set(target, 1);
      this.written.add(target);
    }
  }

  markAnybody(): void {
    this.isAnybodyMarked = true;
    this.repaired.clear();
  }

  has(target: NodeId): boolean {
    return this.losses.has(target) || (this.isAnybodyMarked && !this.repaired.has(target));
  }

  /** How much has been lost, for `clear`. */
  lossesOf(target: NodeId): number {
    return this.losses.get(target) ?? 0;
  }

  /** Puts the mark into the batch that loses something. Call what it returns if the batch does not come to pass. */
  markIn(batch: WriteBatch, target: NodeId, reason: string): () => void {
    const before = this.lossesOf(target);
    this.losses.set(target, before + 1);
    if (before === 0) this.logger.warn("hints_lost", { target, reason });
    if (this.written.has(target)) return () => undefined;
    batch.put(systemKey(KEY_PREFIX + target), encodeMark(this.clock.wallMs()));
    this.written.add(target);
    return () => void this.written.delete(target);
  }

  /** A loss that changes nothing in the store. A mark that cannot be written is written at the next one. */
  mark(target: NodeId, reason: string): void {
    const batch = new WriteBatch();
    const undo = this.markIn(batch, target, reason);
    if (batch.count > 0) void this.write(batch, undo);
  }

  private async write(batch: WriteBatch, undo: () => void): Promise<void> {
    try {
      await this.store.apply(batch);
    } catch (thrown) {
      undo();
      this.logger.warn("needs_repair_not_written", { reason: messageOf(thrown) });
    }
  }

  /** The target has been repaired. @param losses what `lossesOf` said when that began; later losses keep the mark */
  async clear(target: NodeId, losses: number): Promise<void> {
    if (this.lossesOf(target) !== losses) return;
    if (this.isAnybodyMarked) this.repaired.add(target);
    if (!this.losses.delete(target)) return;
    this.written.delete(target);
    await this.store.apply(new WriteBatch().delete(systemKey(KEY_PREFIX + target)));
  }
}

function encodeMark(nowMs: number): Uint8Array {
  const writer = new ByteWriter(9);
  writer.u8(VERSION);
  writer.u64(nowMs);
  return writer.finish();
}
