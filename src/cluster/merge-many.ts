/**
 * Many states from one node, merged as `replica.merge` would merge each, in a few batches instead of as many (R44): read, join and put, all records of
 * a slice without an `await` in between, then one `apply`. Nothing is overwritten unread.
 *
 *   a record that cannot be merged     does not stop the others; told as unsettled
 *   a suspect (R42)                    merged by itself after the others, which asks the other owners about it; told where it is refused
 *
 * Between slices the store is asked for admission and the pace for time.
 */
import { DecodeError } from "../base/byte-reader.ts";
import { CorruptionError, HutchError } from "../base/errors.ts";
import { decodeRecord } from "../causality/record.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Clock } from "../ports/clock.ts";
import type { KeyAddress } from "../ring/partition.ts";
import { WriteBatch } from "../storage/store.ts";
import type { Bucket } from "./bucket-properties.ts";
import type { Copies } from "./copies.ts";
import type { TreeId } from "./exchange-codec.ts";
import type { ScannedEntry } from "./peer-messages.ts";
import { pooled } from "./pooled.ts";
import type { Rests } from "./repair-pace.ts";
import type { Replica } from "./replica.ts";
import type { ReplicaStore } from "./replica-store.ts";

/** Records and bytes that are merged in one turn of the event loop: about a millisecond. */
const SLICE_RECORDS_MAX = 128;
const SLICE_BYTES_MAX = 256 * 1024;
/** A slice that was told to wait asks again this often before it goes on. */
const ADMISSION_WAITS_MAX = 3;
/** About which the other owners are asked at the same time. */
const SUSPECTS_MAX = 16;

export interface MergeManyParts {
  readonly store: ReplicaStore;
  readonly replica: Replica;
  readonly clock: Clock;
  readonly pace: Rests;
  /** Throws where that is no key. */
  locate(internalKey: Uint8Array): { readonly bucket: Bucket; readonly address: KeyAddress };
  /** Does this node own the tree in an active layout, and may it store something of the bucket? */
  isHeld(tree: TreeId, bucket?: string): boolean;
  /** How many copies there are of its keys. */
  copiesOf(bucket: Bucket): Copies;
  nowMs(): number;
}

export interface MergeManyOptions {
  readonly from: NodeId;
  /** Since when `from` has held the partition without a gap, an HLC (R42). */
  readonly ownedSince: number;
  /** On the clock's `monoMs`; what is not merged by then is unsettled. */
  readonly deadlineMs: number;
  readonly isVerified?: boolean;
  readonly isHealing?: boolean;
}

export interface ManyMerged {
  /** Records that changed something here. */
  readonly changed: number;
  /** Positions of those that are not here now, ascending. */
  readonly unsettled: readonly number[];
  /** Those of them that may undo a deletion, as far as the other owners know (R42). */
  readonly suspects: readonly number[];
}

/** Settles when all that was merged is durable. Throws where the store takes nothing at all. */
export function mergeMany(
  parts: MergeManyParts,
  entries: readonly ScannedEntry[],
  options: MergeManyOptions,
): Promise<ManyMerged> {
  return new ManyMerge(parts, entries, options).run();
}

class ManyMerge {
  private readonly parts: MergeManyParts;
  private readonly entries: readonly ScannedEntry[];
  private readonly options: MergeManyOptions;
  private readonly durables: Promise<void>[] = [];
  private readonly unsettled: number[] = [];
  private readonly suspects: number[] = [];
  private readonly refused: number[] = [];
  private changed = 0;

  constructor(parts: MergeManyParts, entries: readonly ScannedEntry[], options: MergeManyOptions) {
    this.parts = parts;
    this.entries = entries;
    this.options = options;
  }

  async run(): Promise<ManyMerged> {
    const { clock, pace } = this.parts;
    let next = 0;
    while (next < this.entries.length && !this.isLate) {
      await this.admitted();
      const startMs = clock.monoMs();
      const end = this.sliceEnd(next);
      this.mergeSlice(next, end);
      next = end;
      await pace.rest(clock.monoMs() - startMs, 0);
    }
    for (; next < this.entries.length; next++) this.unsettled.push(next);
    await Promise.all(this.durables);
    await pooled(SUSPECTS_MAX, this.suspects, (position) => this.judge(position));
    const { changed, unsettled, refused } = this;
    return { changed, unsettled: ascending(unsettled), suspects: ascending(refused) };
  }

  private get isLate(): boolean {
    return this.parts.clock.monoMs() >= this.options.deadlineMs;
  }

  /** Back-pressure of our own storage; throws `overloaded` and `disk-full`. */
  private async admitted(): Promise<void> {
    for (let waits = 0; waits < ADMISSION_WAITS_MAX; waits++) {
      const pause = this.parts.store.admit("put");
      if (pause === undefined) return;
      await pause;
    }
  }

  private sliceEnd(start: number): number {
    let end = start;
    let bytes = 0;
    while (end < this.entries.length && end - start < SLICE_RECORDS_MAX) {
      bytes += this.entries[end]!.record.length;
      if (bytes > SLICE_BYTES_MAX && end > start) break;
      end++;
    }
    return end;
  }

  /** No `await` in here: between read and apply nobody may come in between (D7). */
  private mergeSlice(start: number, end: number): void {
    const batch = new WriteBatch();
    const changed: { bucket: Bucket; address: KeyAddress }[] = [];
    for (let position = start; position < end; position++)
      try {
        const place = this.join(batch, this.entries[position]!);
        if (place !== undefined) changed.push(place);
      } catch (thrown) {
        this.failed(position, thrown);
      }
    if (changed.length === 0) return;
    this.changed += changed.length;
    this.awaitLater(this.parts.replica.writer.apply(batch, changed));
  }

  /** Waited for with the others; until then nobody listens. */
  private awaitLater(durable: Promise<void> | undefined): void {
    if (durable === undefined) return;
    durable.catch(() => undefined);
    this.durables.push(durable);
  }

  /** `undefined` where the state was here already. */
  private join(
    batch: WriteBatch,
    { key, record }: ScannedEntry,
  ): { bucket: Bucket; address: KeyAddress } | undefined {
    const { replica, store } = this.parts;
    const { bucket, address } = this.parts.locate(key);
    const tree = { partition: address.partition, n: this.parts.copiesOf(bucket) };
    if (!this.parts.isHeld(tree, bucket.name))
      throw new HutchError("not-owner", "Cannot store the state: its key is not this node's");
    const { isVerified = false, isHealing = false } = this.options;
    const options = { encoded: record, isFromPeer: true, isVerified, isHealing };
    const incoming = decodeRecord(record);
    const joined = replica.join(bucket, address, incoming, this.parts.nowMs(), options);
    if (joined.after === undefined) {
      this.awaitLater(store.whenDurable(joined.stored!.sequence)); // nothing to store: something is stored
      return undefined;
    }
    // The scratch of `join` is the next record's.
    const after = joined.after === record ? record : joined.after.slice();
    replica.writer.put(batch, bucket, address, joined.stored?.value, after);
    return { bucket, address };
  }

  private failed(position: number, thrown: unknown): void {
    if (!(thrown instanceof HutchError || thrown instanceof DecodeError)) throw thrown;
    if (thrown instanceof CorruptionError) this.parts.store.reportDamage(thrown);
    (isSuspect(thrown) ? this.suspects : this.unsettled).push(position);
  }

  /** With the other owners' help, so this one waits for each. */
  private async judge(position: number): Promise<void> {
    if (this.isLate) return void this.unsettled.push(position);
    const { replica, locate, nowMs } = this.parts;
    const { key, record } = this.entries[position]!;
    const { from, ownedSince } = this.options;
    const source = { node: from, purpose: "exchange", ownedSince } as const;
    try {
      const { bucket, address } = locate(key);
      const options = { encoded: record, isFromPeer: true, source };
      await replica.merge(bucket, address, decodeRecord(record), nowMs(), options);
      this.changed++;
    } catch (thrown) {
      if (!(thrown instanceof HutchError)) throw thrown;
      this.unsettled.push(position);
      if (isSuspect(thrown)) this.refused.push(position);
    }
  }
}

function isSuspect(thrown: unknown): boolean {
  return thrown instanceof HutchError && thrown.code === "suspect-state";
}

function ascending(positions: readonly number[]): number[] {
  return [...positions].sort((a, b) => a - b);
}
