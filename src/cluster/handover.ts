/**
 * Gives partitions to their new owners while the ring changes, and lets go of them afterwards (R58 to R60).
 *
 *   run           for each partition that this node holds, and each node that owns it in the newest layout and not yet in the one that reads use:
 *                 push what that node lacks. Every old owner does so, so what arrives is what all of them have, not what one has (R59). First those
 *                 partitions of which this node is the first owner that is up, then the rest: by then others have moved most of it
 *   dropForeign   what lies in partitions that this node owns in no active layout is deleted, in chunks. Until that is done nothing is
 *                 stored there: what was left over must not meet what comes when the partition comes back
 *
 * A push is an exchange of Merkle trees, so one that was interrupted goes on where it was, also after a restart. It begins only when this node keeps no hint
 * for anybody: a hint is data, too, and its target may be about to go.
 */
import { messageOf } from "../base/errors.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import { preferenceList } from "../ring/preference-list.ts";
import { WriteBatch } from "../storage/store.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { KeyRange } from "./key-scan.ts";
import { PartitionScan } from "./partition-scan.ts";
import type { ReplicaStore } from "./replica-store.ts";

/** Pushes at once, each to another node. */
const PUSHES_MAX = 3;
const DROP_KEYS = 512;
const EVERYTHING: KeyRange = { lower: new Uint8Array(0), upper: undefined };

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
  /** The numbers of copies that buckets ask for; each has its own owners. */
  copyCounts(): readonly number[];
  /** Brings `target` to at least what this node has of the partition. Rejects where it cannot be reached. */
  push(partition: number, target: NodeId): Promise<PushResult>;
  /** No hint is kept here for anybody. */
  hasNoHints(): boolean;
  /** All that was missed while away is here. */
  isServing(): boolean;
  /** The partition is not this node's any more. */
  forget(partition: number): void;
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
  private readonly options: HandoverOptions;
  /** Partitions that are being dropped. */
  private readonly leftOver = new Set<number>();
  private isStopped = false;

  constructor(options: HandoverOptions) {
    this.options = options;
  }

  stop(): void {
    this.isStopped = true;
  }

  /** May states of this partition be stored here? Not while what was left over from an earlier time as an owner is being dropped. */
  mayStore(partition: number): boolean {
    return !this.leftOver.has(partition);
  }

  /** True when all is with its new owners. False where it has to be tried again, or is not wanted any more. */
  async run(isWanted: () => boolean): Promise<boolean> {
    const { hasNoHints, isServing } = this.options;
    if (!isServing() || !hasNoHints()) return false;
    const pushes = this.plan();
    this.total = pushes.length;
    this.done = 0;
    this.bytesSent = 0;
    const mayGoOn = (): boolean => isWanted() && !this.isStopped;
    for (const isFirst of [true, false]) {
      const open = pushes.filter((push) => push.isFirst === isFirst);
      if (!(await this.pushAll(open, mayGoOn))) return false;
    }
    return hasNoHints();
  }

  private plan(): Push[] {
    const { view, self, copyCounts } = this.options;
    const now = view();
    const pushes = new Map<string, Push>();
    for (const n of copyCounts())
      for (let partition = 0; partition < now.layout.q; partition++) {
        const holders = now.holders(partition, n);
        if (!holders.includes(self)) continue;
        const reading = now.owners(partition, n);
        const isFirst = reading.find((node) => now.isUp(node)) === self;
        const next = preferenceList(now.layout, partition).slice(0, n);
        for (const target of next)
          if (target !== self && !reading.includes(target))
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
      if (isComplete) this.done++;
      return isComplete;
    } catch (thrown) {
      this.options.logger.info("handover_waits", { partition, target, reason: messageOf(thrown) });
      return false;
    }
  }

  /** Deletes what lies in partitions that are not this node's. To be called while one layout is active. */
  dropForeign(): Promise<void> {
    const { view, self } = this.options;
    const now = view();
    return this.dropAll((n, partition) => !now.holders(partition, n).includes(self));
  }

  /**
   * Deletes what lies in partitions that the newest layout has just made this node's. To be called before that layout is acknowledged: what writers have
   * stored there meanwhile has its quorum among the old owners as well, who hand it over later.
   */
  dropLeftOver(): Promise<void> {
    const { view, self } = this.options;
    const now = view();
    const older = now.layouts.slice(0, -1);
    if (older.length === 0) return Promise.resolve();
    return this.dropAll((n, partition) =>
      older.every((layout) => !preferenceList(layout, partition).slice(0, n).includes(self)),
    );
  }

  private async dropAll(isNotOurs: (n: number, partition: number) => boolean): Promise<void> {
    const { view, copyCounts, forget } = this.options;
    const counts = copyCounts();
    for (let partition = 0; partition < view().layout.q; partition++) {
      const isForeign = counts.every((n) => isNotOurs(n, partition));
      if (!isForeign || this.isStopped || !this.hasData(partition)) continue;
      this.leftOver.add(partition);
      forget(partition);
      await this.drop(partition);
      if (!this.isStopped) this.leftOver.delete(partition);
    }
  }

  private hasData(partition: number): boolean {
    const scan = new PartitionScan(this.options.store, [partition], EVERYTHING, false);
    try {
      return scan.isValid;
    } finally {
      scan.close();
    }
  }

  private async drop(partition: number): Promise<void> {
    const { store, clock, rest } = this.options;
    for (;;) {
      const startMs = clock.monoMs();
      const batch = new WriteBatch();
      const scan = new PartitionScan(store, [partition], EVERYTHING, false);
      try {
        for (; scan.isValid && batch.count < DROP_KEYS; scan.next()) batch.delete(scan.key.slice());
      } finally {
        scan.close();
      }
      if (batch.count === 0 || this.isStopped) return;
      await store.admit("delete");
      await store.apply(batch);
      await rest(clock.monoMs() - startMs, 0);
    }
  }
}
