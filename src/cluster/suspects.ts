/**
 * Protection against resurrection (R27, R42). A state that could undo a collected deletion is taken apart; what is beyond doubt is merged, and the other
 * owners are asked about the rest (`provenance-verdict.ts`):
 *
 *   real         merged
 *   superseded   left: who knows better will tell
 *   doubtful     into a side table, for the operator (`suspect-store.ts`)
 *   open         refused for now; it stays with whoever brought it
 *
 * On the way of a write, a read or a repair this costs one comparison with the floor of the partition. Questions are asked only about values older
 * than a collected deletion that are missing here.
 *
 * `review` is the other side: a state of our own that others would not take is put to the same test, and leaves if nobody can vouch for it. That is how a
 * node that was away too long, or restored from a backup, gets rid of what was deleted meanwhile (R43).
 */
import { HutchError, messageOf } from "../base/errors.ts";
import { isSuspectEntry, newLiveCounters, splitSuspect } from "../causality/provenance.ts";
import { type Record, decodeRecord } from "../causality/record.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { KeyAddress } from "../ring/partition.ts";
import { WriteBatch } from "../storage/store.ts";
import type { Bucket } from "./bucket-properties.ts";
import {
  ACCEPTED,
  type AskedEntry,
  decodeHeldRequest,
  encodeHeldAnswer,
  encodeHeldRequest,
} from "./held-messages.ts";
import { Slots } from "./hint-pace.ts";
import { encodeState } from "./join-states.ts";
import { KeyEvidence, type KeyEvidenceOptions } from "./key-evidence.ts";
import type { MergeGate, MergeOptions, StateSource } from "./merge-gate.ts";
import type { KeyPlace } from "./coordinator.ts";
import { type Verdict, isContinuous, verdictOf } from "./provenance-verdict.ts";
import type { Replica } from "./replica.ts";
import { decodeStored } from "./replica-store.ts";
import { SuspectStore } from "./suspect-store.ts";

/** States under consideration at once, and those that wait; more are refused as `overloaded`. */
const AT_ONCE_MAX = 64;
const WAITING_MAX = 1024;
const SWEEP_EVERY_MS = 3_600_000;

/** What became of a suspect state. */
export type Consideration = "merged" | "superseded" | "quarantined" | "open";

export interface SuspectsOptions extends KeyEvidenceOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  replica(): Replica;
  /** The trusted clock. */
  nowMs(): number;
  /** Throws `bad-request` for what is no internal key. */
  locate(internalKey: Uint8Array): KeyPlace;
}

export class Suspects implements MergeGate {
  /** For the metrics: `hutch_suspect_resurrections` and others. */
  readonly counters = {
    considered: 0,
    resurrections: 0,
    superseded: 0,
    confirmed: 0,
    open: 0,
    withdrawn: 0,
    accepted: 0,
  };
  readonly quarantine: SuspectStore;
  private readonly options: SuspectsOptions;
  private readonly evidence: KeyEvidence;
  private readonly slots = new Slots(AT_ONCE_MAX);
  private underWay = 0;
  private timer: Timer | undefined;

  constructor(options: SuspectsOptions) {
    this.options = options;
    this.evidence = new KeyEvidence(options);
    this.quarantine = new SuspectStore(options.store);
  }

  start(): void {
    this.timer = this.options.clock.after(SWEEP_EVERY_MS, () => {
      this.quarantine
        .sweep(this.options.nowMs())
        .catch((thrown: unknown) =>
          this.options.logger.warn("suspects_not_swept", { reason: messageOf(thrown) }),
        )
        .finally(() => this.timer !== undefined && this.start());
    });
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  isSuspect(partition: number, before: Record, incoming: Record): boolean {
    const floor = this.options.facts.gcFloorOf(partition);
    // Nearly always all of it is newer than anything that was collected.
    if (incoming.every(({ counterMax }) => counterMax > floor)) return false;
    const nowMs = this.options.nowMs();
    return incoming.some((entry) => isSuspectEntry(before, entry, floor, nowMs));
  }

  mayBeCollected(partition: number, counter: number): boolean {
    return counter <= this.options.facts.gcFloorOf(partition);
  }

  async consider(
    bucket: Bucket,
    address: KeyAddress,
    incoming: Record,
    options: MergeOptions,
  ): Promise<void> {
    const outcome = await this.weigh({ bucket, address }, incoming, options);
    if (outcome === "open") throw undecided();
    // A hint has nowhere else to go, and is as safe in the side table.
    if (outcome === "quarantined" && options.source?.purpose !== "handoff")
      throw new HutchError(
        "suspect-state",
        "Cannot merge the state: it may have been deleted, and no owner can vouch for it; it is kept aside for the operator",
      );
  }

  private async weigh(
    place: KeyPlace,
    incoming: Record,
    options: MergeOptions,
  ): Promise<Consideration> {
    // The bytes that came in are somebody else's to use again.
    const own = decodeRecord(encodeState(incoming));
    if (this.underWay >= AT_ONCE_MAX + WAITING_MAX)
      throw new HutchError("overloaded", "Cannot ask about the state: too many are waiting", {
        retry: "safe",
      });
    this.underWay++;
    await this.slots.take();
    try {
      return await this.decide(place, own, options);
    } finally {
      this.slots.giveBack();
      this.underWay--;
    }
  }

  private async decide(
    place: KeyPlace,
    incoming: Record,
    options: MergeOptions,
  ): Promise<Consideration> {
    this.counters.considered++;
    const verdicts = await this.verdictsOn(place, incoming, options);
    const having = (...wanted: Verdict[]): Record =>
      incoming.filter((entry) => wanted.includes(verdicts.get(entry) ?? "real"));
    await this.merge(place, having("real"), options);
    const doubtful = having("doubtful");
    if (having("open").length > 0) {
      this.counters.open++;
      return "open";
    }
    if (doubtful.length > 0) return this.setAside(place, doubtful, options.source);
    if (having("superseded").length === 0) this.counters.confirmed++;
    else this.counters.superseded++;
    return having("real").length > 0 ? "merged" : "superseded";
  }

  /** Of the entries that are suspect; the others are real. */
  private async verdictsOn(
    place: KeyPlace,
    incoming: Record,
    { source, isHealing = false }: MergeOptions,
  ): Promise<ReadonlyMap<Record[number], Verdict>> {
    const { facts, nowMs } = this.options;
    const { partition } = place.address;
    const before = this.evidence.recordOf(place, isHealing);
    const floor = facts.gcFloorOf(partition);
    const { suspect } = splitSuspect(before, incoming, floor, nowMs());
    const open = suspect
      .map((entry) => ({ entry, asked: this.asked(before, entry) }))
      .filter(({ asked }) => !this.isVouchedFor(place, asked, source));
    if (open.length === 0) return new Map();
    const answers = await this.evidence.ask(
      place,
      open.map(({ asked }) => asked),
    );
    const count = this.evidence.ownersOf(place).length;
    return new Map(open.map(({ entry, asked }, i) => [entry, verdictOf(asked, i, answers, count)]));
  }

  private asked(before: Record, entry: Record[number]): AskedEntry {
    const counters = newLiveCounters(before, entry, this.options.nowMs());
    return { actor: entry.actor, counters };
  }

  /** Whoever brings its own state and has had it without a gap. */
  private isVouchedFor(
    place: KeyPlace,
    asked: AskedEntry,
    source: StateSource | undefined,
  ): boolean {
    if (source === undefined || source.purpose === "handoff") return false;
    return (
      isContinuous(source.ownedSince, asked) && this.evidence.holdersOf(place).includes(source.node)
    );
  }

  /** Answers topic `held`. */
  async answer(body: Uint8Array): Promise<Uint8Array> {
    const request = decodeHeldRequest(body);
    const place = this.options.locate(request.internalKey);
    if (request.kind === "ask") return encodeHeldAnswer(this.evidence.here(place, request.entries));
    await this.merge(place, decodeRecord(request.record), { isFromPeer: true });
    await this.quarantine.remove(request.internalKey);
    return ACCEPTED;
  }

  private async merge(place: KeyPlace, record: Record, options: MergeOptions): Promise<void> {
    if (record.length === 0) return;
    const { encoded: _, ...rest } = options;
    const { bucket, address } = place;
    const how = { ...rest, isVerified: true };
    await this.options.replica().merge(bucket, address, record, this.options.nowMs(), how);
  }

  private async setAside(
    { address }: KeyPlace,
    record: Record,
    source: StateSource | undefined,
  ): Promise<Consideration> {
    const { store, self } = this.options;
    const batch = new WriteBatch();
    if (!this.addTo(batch, address, record, source?.node ?? self)) return "open";
    await store.apply(batch);
    return "quarantined";
  }

  private addTo(
    batch: WriteBatch,
    { partition, internalKey }: KeyAddress,
    record: Record,
    broughtBy: NodeId,
  ): boolean {
    const { logger, nowMs } = this.options;
    const entry = { internalKey, sinceMs: nowMs(), broughtBy, record };
    const isAdded = this.quarantine.addTo(batch, entry);
    this.counters.resurrections++;
    logger.warn(isAdded ? "suspect_quarantined" : "suspects_full", { partition, broughtBy });
    return isAdded;
  }

  /**
   * Others would not take what we hold of this key. Values that are at or below any owner's floor, and that nobody can vouch for, go into the side table.
   * Rejects with `unavailable` where too few owners answer.
   */
  async review(internalKey: Uint8Array): Promise<"kept" | "withdrawn"> {
    const { facts, nowMs } = this.options;
    const place = this.options.locate(internalKey);
    const { partition } = place.address;
    const own = this.evidence.recordOf(place);
    const asked = own
      .map((entry) => ({ actor: entry.actor, counters: newLiveCounters([], entry, nowMs()) }))
      .filter(({ counters }) => counters.length > 0);
    const answers = await this.evidence.ask(place, asked);
    // The answers have told of the floors.
    const floor = facts.gcFloorOf(partition);
    const count = this.evidence.ownersOf(place).length;
    const verdicts = new Map(
      asked.map((entry, i) => [entry.actor, verdictOf(entry, i, answers, count)]),
    );
    const now = this.evidence.recordOf(place);
    const inDoubt = now.filter((entry) => isSuspectEntry([], entry, floor, nowMs()));
    if (inDoubt.some(({ actor }) => (verdicts.get(actor) ?? "open") === "open")) throw undecided();
    const leaving = inDoubt.filter(({ actor }) => verdicts.get(actor) === "doubtful");
    if (leaving.length === 0) return "kept";
    await this.withdraw(place, leaving);
    return "withdrawn";
  }

  /** Call it in the turn in which `leaving` was read. */
  private withdraw(place: KeyPlace, leaving: Record): Promise<void> {
    const { store, self } = this.options;
    const { bucket, address } = place;
    const { writer } = this.options.replica();
    const { value } = store.get(address.internalKey)!; // `leaving` is part of it
    const rest = decodeStored(value).filter(
      ({ actor }) => !leaving.some((entry) => entry.actor === actor),
    );
    const batch = new WriteBatch();
    if (!this.addTo(batch, address, leaving, self)) return Promise.reject(undecided());
    if (rest.length === 0) writer.drop(batch, bucket, address, value);
    else writer.put(batch, bucket, address, value, encodeState(rest));
    this.counters.withdrawn++;
    return writer.apply(batch, [place]);
  }

  /** The operator vouches for what is in the side table: it goes to all owners. False where there is no such entry; rejects where no quorum has taken it. */
  async accept(internalKey: Uint8Array): Promise<boolean> {
    const entry = this.quarantine.get(internalKey);
    if (entry === undefined) return false;
    const { self } = this.options;
    const place = this.options.locate(internalKey);
    const record = encodeState(entry.record);
    const body = encodeHeldRequest({ kind: "accept", internalKey, record });
    const owners = this.evidence.ownersOf(place);
    const takers = await Promise.all(
      this.evidence.holdersOf(place).map(async (node) => {
        if (node !== self) return (await this.evidence.call(node, body)) === undefined ? "" : node;
        await this.merge(place, entry.record, {});
        return node;
      }),
    );
    const count = owners.filter((node) => takers.includes(node)).length;
    if (count <= Math.floor(owners.length / 2)) throw undecided();
    await this.quarantine.remove(internalKey);
    this.counters.accepted++;
    return true;
  }
}

function undecided(): HutchError {
  return new HutchError(
    "unavailable",
    "Cannot decide on a state that may have been deleted: too few owners of its key answer",
    { retry: "safe" },
  );
}
