/**
 * Gives partitions to their new owners while the ring changes, and lets go of them afterwards (R58 to R60).
 *
 *   run           for each partition that this node holds, and each node that owns it in the newest layout and not yet in the one that reads use (each
 *                 that goes on owning it, where owners become fewer: a quorum of them may have been the others): push what that node lacks. Every old owner does so, so what arrives is what all of them have, not what one has (R59). First those
 *                 partitions of which this node is the first owner that is up, then the rest: by then others have moved most of it
 *   dropForeign   what lies in partitions that this node owns in no active layout is deleted, in chunks, and so are buckets with fewer copies than their
 *                 partition. Until that is done nothing is stored there: what was left over must not meet what comes when it comes back
 *
 * A push is an exchange of Merkle trees, so one that was interrupted goes on where it was, also after a restart. It begins only when this node keeps no hint
 * for anybody: a hint is data, too, and its target may be about to go.
 */
import { EMPTY_BYTES, prefixSuccessor } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import { bucketNameOf, bucketPrefix, internalKeyOf } from "../ring/partition.ts";
import { WriteBatch } from "../storage/store.ts";
import type { BucketCopies } from "./bucket-copies.ts";
import { type ClusterView, ownersIn } from "./cluster-view.ts";
import type { Copies } from "./copies.ts";
import type { KeyRange } from "./key-scan.ts";
import { PartitionScan } from "./partition-scan.ts";
import type { ScannedEntry } from "./peer-messages.ts";
import type { ReplicaStore } from "./replica-store.ts";

/** Pushes at once: most of a push is waiting for a disk elsewhere. */
const PUSHES_MAX = 12;
const DROP_KEYS = 256;
const DROP_BYTES = 1024 * 1024;
const EVERYTHING: KeyRange = { lower: EMPTY_BYTES, upper: undefined };

export interface PushResult {
  readonly isComplete: boolean;
  readonly bytesSent: number;
}

export interface HandoverOptions {
  readonly self: NodeId;
  readonly store: ReplicaStore;
  readonly clock: Clock;
  readonly logger: Logger;
  view(): ClusterView;
  /** How many copies buckets have; each number has its own owners. */
  readonly copies: Pick<BucketCopies, "all" | "copiesOf">;
  /** Brings `target` to at least what this node has of the partition. Rejects where it cannot be reached. */
  push(partition: number, target: NodeId): Promise<PushResult>;
  /** When the newest hint that is kept here was stored, 0 without any. */
  newestHintMs(): number;
  /** None is kept here that was stored up to then. */
  hasNoHints(upToMs: number): boolean;
  /** All that was missed while away is here. */
  isServing(): boolean;
  /** The partition is not this node's any more. */
  forget(partition: number): void;
  /** Something was deleted that may come back: what is minted of it then needs another name (R12a). */
  onDropped(): void;
  /** Deletes some records of a partition that is. */
  dropRecords(records: readonly ScannedEntry[]): Promise<void>;
  /** After a piece of background work. */
  rest(workMs: number, bytes: number): Promise<void>;
}

interface Push {
  readonly partition: number;
  readonly target: NodeId;
  /** This node is the first of its holders that is up. */
  readonly isFirst: boolean;
}

export class Handover {
  /** Of the change that is under way. */
  done = 0;
  total = 0;
  bytesSent = 0;
  /** Of all changes. */
  bytesSentEver = 0;
  private readonly options: HandoverOptions;
  /** What is being dropped: names of partitions, and of buckets in them. */
  private readonly leftOver = new Set<string>();
  private hasDropped = false;
  /** Which hints have to be delivered before a version can be handed over to. */
  private awaited = { version: 0, hintsUpToMs: 0 };
  private isStopped = false;

  constructor(options: HandoverOptions) {
    this.options = options;
  }

  stop(): void {
    this.isStopped = true;
  }

  /** May states of this partition be stored here, of the bucket where it is named? Not while what was left over from an earlier time as an owner is being dropped. */
  mayStore(partition: number, bucket?: string): boolean {
    if (this.leftOver.size === 0) return true;
    return !this.leftOver.has(nameOf(partition)) && !this.leftOver.has(nameOf(partition, bucket));
  }

  /** True when all is with its new owners. False where it has to be tried again, or is not wanted any more. */
  async run(version: number, isWanted: () => boolean): Promise<boolean> {
    if (!this.options.isServing() || !this.areHintsDelivered(version)) return false;
    const pushes = this.plan();
    this.total = pushes.length;
    this.done = 0;
    this.bytesSent = 0;
    const mayGoOn = (): boolean => isWanted() && !this.isStopped;
    for (const isFirst of [true, false]) {
      const open = pushes.filter((push) => push.isFirst === isFirst);
      if (!(await this.pushAll(open, mayGoOn))) return false;
    }
    return this.areHintsDelivered(version);
  }

  /** Those that were kept when this was first asked. Writes that left later ones have their quorum among the new owners, too: all nodes had acknowledged them. */
  private areHintsDelivered(version: number): boolean {
    const { newestHintMs, hasNoHints } = this.options;
    if (this.awaited.version !== version) this.awaited = { version, hintsUpToMs: newestHintMs() };
    return hasNoHints(this.awaited.hintsUpToMs);
  }

  private plan(): Push[] {
    const { view, self, copies } = this.options;
    const now = view();
    const pushes = new Map<string, Push>();
    for (const n of copies.all())
      for (let partition = 0; partition < now.layout.q; partition++) {
        const holders = now.holders(partition, n);
        if (!holders.includes(self)) continue;
        const reading = now.owners(partition, n);
        const isFirst = reading.find((node) => now.isUp(node)) === self;
        const next = now.nextOwners(partition, n);
        const areFewer = next.length < reading.length;
        for (const target of next)
          if (target !== self && (areFewer || !reading.includes(target)))
            pushes.set(`${partition}/${target}`, { partition, target, isFirst });
      }
    return [...pushes.values()];
  }

  private async pushAll(pushes: readonly Push[], mayGoOn: () => boolean): Promise<boolean> {
    let next = 0;
    let isComplete = true;
    const worker = async (): Promise<void> => {
      while (next < pushes.length && mayGoOn() && isComplete)
        if (!(await this.push(pushes[next++]!))) isComplete = false;
    };
    await Promise.all(Array.from({ length: PUSHES_MAX }, worker));
    return isComplete && mayGoOn();
  }

  private async push({ partition, target }: Push): Promise<boolean> {
    try {
      const { isComplete, bytesSent } = await this.options.push(partition, target);
      this.bytesSent += bytesSent;
      this.bytesSentEver += bytesSent;
      if (isComplete) this.done++;
      else this.options.logger.debug("push_incomplete", { partition, target });
      return isComplete;
    } catch (thrown) {
      this.options.logger.info("handover_waits", { partition, target, reason: messageOf(thrown) });
      return false;
    }
  }

  /** Deletes what is not this node's. To be called while one layout is active. */
  dropForeign(): Promise<void> {
    const { view, self } = this.options;
    const now = view();
    return this.dropAll((partition, n) => !now.holders(partition, n).includes(self));
  }

  /**
   * Deletes what lies where layouts that this node has not acknowledged yet make it an owner; there may be several, after a full disk or an absence. To be
   * called before the newest is acknowledged: what writers have stored there meanwhile has its quorum among the old owners as well, who hand it over later.
   *
   * @param acknowledged the version up to which this has been done
   */
  dropLeftOver(acknowledged: number): Promise<void> {
    const { view, self } = this.options;
    const { layouts } = view();
    if (layouts.length === 1) return Promise.resolve();
    const older = layouts.filter(({ version }, at) => at === 0 || version <= acknowledged);
    return this.dropAll((partition, n) =>
      older.every((layout) => !ownersIn(layout, partition, n).includes(self)),
    );
  }

  private async dropAll(isForeign: (partition: number, n: Copies) => boolean): Promise<void> {
    const { view, copies } = this.options;
    for (let partition = 0; partition < view().layout.q && !this.isStopped; partition++) {
      const foreign = copies.all().filter((n) => isForeign(partition, n));
      if (foreign.length === 0) continue;
      if (foreign.length === copies.all().length) await this.dropPartition(partition);
      else await this.dropBuckets(partition, (bucket) => foreign.includes(copies.copiesOf(bucket)));
    }
    if (this.hasDropped) this.options.onDropped();
    this.hasDropped = false;
  }

  private async dropPartition(partition: number): Promise<void> {
    let isForgotten = false;
    await this.dropAs(nameOf(partition), partition, EVERYTHING, (records) => {
      if (!isForgotten) this.options.forget(partition);
      isForgotten = true;
      const batch = new WriteBatch();
      for (const { key } of records) batch.delete(key);
      return this.options.store.apply(batch);
    });
  }

  /** Buckets follow each other in a partition; each is looked at once. */
  private async dropBuckets(
    partition: number,
    isForeign: (bucket: string) => boolean,
  ): Promise<void> {
    const { clock, rest, dropRecords } = this.options;
    let lower = EVERYTHING.lower;
    for (;;) {
      const startMs = clock.monoMs();
      const found = this.nextBucket(partition, lower);
      if (found === undefined || this.isStopped) return;
      const { name, range } = found;
      if (isForeign(name))
        await this.dropAs(nameOf(partition, name), partition, range, dropRecords);
      lower = range.upper;
      await rest(clock.monoMs() - startMs, 0);
    }
  }

  /** The first bucket with a key from `lower` on. */
  private nextBucket(partition: number, lower: Uint8Array): BucketRange | undefined {
    const range = { lower, upper: undefined };
    const scan = new PartitionScan(this.options.store, [partition], range, false);
    try {
      if (!scan.isValid) return undefined;
      const name = bucketNameOf(scan.key);
      const start = internalKeyOf(partition, bucketPrefix(name), EMPTY_BYTES);
      return { name, range: { lower: start, upper: prefixSuccessor(start)! } }; // it ends with 0x00
    } finally {
      scan.close();
    }
  }

  private async dropAs(
    name: string,
    partition: number,
    range: KeyRange,
    drop: (records: readonly ScannedEntry[]) => Promise<void>,
  ): Promise<void> {
    const { store, clock, rest } = this.options;
    this.leftOver.add(name);
    for (let isWhole = false; !isWhole;) {
      await store.admit("delete");
      const startMs = clock.monoMs();
      const page = this.read(partition, range);
      const { records } = page;
      isWhole = page.isWhole;
      // What is left after a stop waits for the next life.
      if (records.length > 0 && this.isStopped) return;
      if (records.length === 0) break;
      this.hasDropped = true;
      const durable = drop(records);
      // The page and its batch; what the disk takes is nobody's time.
      const workMs = clock.monoMs() - startMs;
      await durable;
      await rest(workMs, page.bytes);
    }
    this.leftOver.delete(name);
  }

  /** A page of what is there; whole where nothing is behind it. Nothing is stored there meanwhile. */
  private read(partition: number, range: KeyRange): DropPage {
    const records: ScannedEntry[] = [];
    const scan = new PartitionScan(this.options.store, [partition], range, false);
    try {
      let bytes = 0;
      for (; scan.isValid && records.length < DROP_KEYS && bytes < DROP_BYTES; scan.next()) {
        records.push({ key: scan.key.slice(), record: scan.value.slice() });
        bytes += scan.value.length;
      }
      return { records, bytes, isWhole: !scan.isValid };
    } finally {
      scan.close();
    }
  }
}

interface DropPage {
  readonly records: readonly ScannedEntry[];
  readonly bytes: number;
  readonly isWhole: boolean;
}

interface BucketRange {
  readonly name: string;
  readonly range: { readonly lower: Uint8Array; readonly upper: Uint8Array };
}

function nameOf(partition: number, bucket?: string): string {
  return bucket === undefined ? `${partition}` : `${partition}/${bucket}`;
}
