/**
 * Collection of deletions and expired values by all owners together (R23, R39; the two phases are those of Garage's `gc.rs`).
 *
 *   sweep     the first owner of a partition reads it when something in it is due, and finds what has been dead for longer than gc-delay
 *   phase 1   every owner in every active layout: do you hold exactly this? Who does not gets the state and is asked once more
 *   phase 2   every owner drops it if it is still that, in one batch with the floor of its partition; the collector itself comes last
 *
 * Nothing is dropped before all owners have the deletion on disk, so none of them can bring back what it had deleted, and whoever else can is known
 * by its age (R42). An owner that is down, behind, or of another opinion means: later. Nothing is lost by that but room.
 *
 * Where it may break off:
 *   before phase 2          nothing has happened
 *   within phase 2          some owners have dropped it and some have not, the collector among these: the next sweep finds it again, hears `gone`
 *                           from those who did, and ends it. If a repair has given it back to them meanwhile, the sweep begins anew: a deletion that
 *                           comes back is a deletion like any other, and all owners are equal again
 *   the collector is lost   the next first owner does the same
 *
 * Two collectors of one key do no harm. Only the first owner collects, because while it is down nothing can be collected anyway.
 */
import { messageOf } from "../base/errors.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import type { Bucket } from "./bucket-properties.ts";
import type { CollectAnswers } from "./collect-answers.ts";
import { CollectionRound, type RoundParts } from "./collection-round.ts";
import type { CollectionDue } from "./collection-due.ts";
import { type DeadPage, readDead } from "./collection-scan.ts";
import type { Copies } from "./copies.ts";
import type { KeyPlace } from "./coordinator.ts";
import type { Peers } from "./peer-messages.ts";
import type { Rests } from "./repair-pace.ts";
import type { ReplicaStore } from "./replica-store.ts";

const LOOK_MS = 1000;
/** A partition is read at most so often for each gc-delay: what is kept that much longer costs little, reading it all the time would cost much. */
const SWEEPS_PER_DELAY = 24;
const SWEEP_EVERY_MS_MIN = 1000;
const SWEEP_EVERY_MS_MAX = 3_600_000;
const NOTHING = new Uint8Array(0);

export interface TombstoneCollectorOptions {
  readonly store: ReplicaStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly peers: Peers;
  readonly pace: Rests;
  readonly due: CollectionDue;
  readonly answers: CollectAnswers;
  readonly self: NodeId;
  readonly gcDelayMs: number;
  /** The trusted clock. */
  nowMs(): number;
  /** Of the newest layout that this node knows of. */
  layoutVersion(): number;
  /** First owner in the layout that reads use. */
  firstOwnerOf(partition: number): NodeId;
  /** Owners in all active layouts. */
  ownersOf(partition: number, copies: Copies): readonly NodeId[];
  /** How many copies there are of its keys. */
  copiesOf(bucket: Bucket): Copies;
  isServing(node: NodeId): boolean;
  locate(internalKey: Uint8Array): KeyPlace;
}

export interface Collected {
  /** Records that are gone from all their owners. */
  readonly collected: number;
  /** Records that are due and stay for now: an owner was away, behind, or of another opinion. */
  readonly postponed: number;
}

export class TombstoneCollector {
  /** For the metrics. */
  readonly counters = { collected: 0, postponed: 0, sweeps: 0, failedSweeps: 0 };
  private readonly options: TombstoneCollectorOptions;
  private readonly parts: RoundParts;
  private readonly sweepEveryMs: number;
  /** Unix ms before which a partition is not read again. */
  private readonly notBefore: Float64Array;
  private timer: Timer | undefined;
  /** One sweep at a time. */
  private sweeping: Promise<unknown> = Promise.resolve();
  private isStopped = false;

  constructor(options: TombstoneCollectorOptions) {
    this.options = options;
    this.parts = options;
    const everyMs = options.gcDelayMs / SWEEPS_PER_DELAY;
    this.sweepEveryMs = Math.min(SWEEP_EVERY_MS_MAX, Math.max(SWEEP_EVERY_MS_MIN, everyMs));
    this.notBefore = new Float64Array(options.due.partitionCount);
  }

  /** What was left by the last life is looked for one partition after another, spread over the time between two sweeps. */
  start(): void {
    const nowMs = this.options.nowMs();
    for (let partition = 0; partition < this.notBefore.length; partition++)
      this.notBefore[partition] = nowMs + (this.sweepEveryMs * this.options.random.u32()) / 2 ** 32;
    this.lookAgain();
  }

  stop(): void {
    this.isStopped = true;
    this.timer?.cancel();
  }

  /** Collects whatever is due now. */
  run(): Promise<Collected> {
    return this.sweepAll(() => true);
  }

  private lookAgain(): void {
    this.timer = this.options.clock.after(Math.min(LOOK_MS, this.sweepEveryMs), () => {
      const isTime = (partition: number): boolean =>
        this.notBefore[partition]! <= this.options.nowMs();
      void this.sweepAll(isTime).then(() => {
        if (!this.isStopped) this.lookAgain();
      });
    });
  }

  /** Never rejects. */
  private sweepAll(isTime: (partition: number) => boolean): Promise<Collected> {
    const turn = this.sweeping.then(() => this.sweepDue(isTime));
    this.sweeping = turn;
    return turn;
  }

  private async sweepDue(isTime: (partition: number) => boolean): Promise<Collected> {
    const sum = { collected: 0, postponed: 0 };
    for (let partition = 0; partition < this.notBefore.length; partition++) {
      if (this.isStopped) break;
      if (!this.isDue(partition) || !isTime(partition)) continue;
      const { collected, postponed } = await this.trySweep(partition);
      sum.collected += collected;
      sum.postponed += postponed;
    }
    return sum;
  }

  private isDue(partition: number): boolean {
    const { due, nowMs, self, firstOwnerOf, isServing } = this.options;
    return due.at(partition) <= nowMs() && isServing(self) && firstOwnerOf(partition) === self;
  }

  private async trySweep(partition: number): Promise<Collected> {
    const { due, logger, nowMs } = this.options;
    this.notBefore[partition] = nowMs() + this.sweepEveryMs;
    this.counters.sweeps++;
    due.begin(partition);
    try {
      return await this.sweep(partition);
    } catch (thrown) {
      due.note(partition, nowMs());
      this.counters.failedSweeps++;
      if (!this.isStopped)
        logger.warn("collection_failed", { partition, reason: messageOf(thrown) });
      return { collected: 0, postponed: 0 };
    }
  }

  private async sweep(partition: number): Promise<Collected> {
    const { due, nowMs, pace, clock } = this.options;
    const sum = { collected: 0, postponed: 0 };
    let lower: Uint8Array | undefined = NOTHING;
    while (lower !== undefined && !this.isStopped) {
      const startMs = clock.monoMs();
      const page = this.read(partition, lower);
      const workMs = clock.monoMs() - startMs;
      for (const [n, records] of page.byCopies) {
        const collected = await new CollectionRound(this.parts, partition, n).collect(records);
        sum.collected += collected;
        sum.postponed += records.length - collected;
      }
      lower = page.next;
      await pace.rest(workMs, page.bytes);
    }
    // Not finished, or not all of it: there is something to do the next time that it is this partition's turn.
    if (lower !== undefined || sum.postponed > 0) due.note(partition, nowMs());
    this.counters.collected += sum.collected;
    this.counters.postponed += sum.postponed;
    return sum;
  }

  private read(partition: number, lower: Uint8Array): DeadPage {
    const { store, due, gcDelayMs, nowMs, locate, copiesOf } = this.options;
    try {
      return readDead(store, partition, lower, {
        diedBeforeMs: nowMs() - gcDelayMs,
        copiesOf: (internalKey) => copiesOf(locate(internalKey).bucket),
        onLaterDeath: (diedAtMs) => due.noteDeath(partition, diedAtMs),
      });
    } catch (thrown) {
      store.reportDamage(thrown);
      throw thrown;
    }
  }
}
