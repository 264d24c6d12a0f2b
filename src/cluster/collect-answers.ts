/**
 * An owner's part in the collection of deletions (R39): it says whether it holds the very same state, and forgets it when all do.
 *
 * What an answer promises:
 *   equal   the state is on disk, so that no crash can make this owner one that has missed the deletion
 *   gone    nothing is held, and the floor is at or above the deletion, on disk: a state that the deletion had superseded is suspect here (R42)
 *
 * The clock of every owner has a say: a state counts only when it is long enough dead by each of them, so one clock that runs ahead collects nothing (R23,
 * row 95). A hint for the key forbids, because its state would be joined with one that has forgotten.
 */
import { equalBytes } from "../base/bytes.ts";
import { CorruptionError, HutchError } from "../base/errors.ts";
import { mayCollect } from "../causality/retention.ts";
import { stateDigest } from "../kernels/kernels.ts";
import { type StoreRead, WriteBatch } from "../storage/store.ts";
import {
  type CollectItem,
  type CollectRequest,
  type CollectVerdict,
  decodeCollectRequest,
  encodeCollectReply,
} from "./collect-messages.ts";
import type { HintStore } from "./hint-store.ts";
import type { PartitionFacts } from "./partition-facts.ts";
import type { KeyPlace } from "./coordinator.ts";
import type { RecordWriter } from "./record-writer.ts";
import type { ReplicaStore } from "./replica-store.ts";

export interface CollectAnswersOptions {
  readonly store: ReplicaStore;
  readonly hints: Pick<HintStore, "read">;
  readonly facts: PartitionFacts;
  readonly gcDelayMs: number;
  writer(): RecordWriter;
  /** The trusted clock. */
  nowMs(): number;
  /** Of the newest layout that this node knows of. */
  layoutVersion(): number;
  /** Its own copies are complete: it serves (D4). */
  isServing(): boolean;
  /** Is this node an owner of the key in any active layout? */
  isOwner(place: KeyPlace): boolean;
  /** Throws `bad-request` for what is no internal key. */
  locate(internalKey: Uint8Array): KeyPlace;
}

interface PlacedItem extends CollectItem {
  readonly place: KeyPlace;
}

export class CollectAnswers {
  private readonly options: CollectAnswersOptions;

  constructor(options: CollectAnswersOptions) {
    this.options = options;
  }

  /** Answers topic `collect`. */
  async answer(body: Uint8Array): Promise<Uint8Array> {
    return encodeCollectReply(await this.verdicts(decodeCollectRequest(body)));
  }

  /** One for each item, in order; settles when what it says is on disk. */
  async verdicts(request: CollectRequest): Promise<CollectVerdict[]> {
    const { layoutVersion, isServing } = this.options;
    const items = request.items.map((item) => this.placed(item, request.partition));
    // Whoever does not know of the newest layout does not know all owners.
    if (!isServing() || layoutVersion() > request.layoutVersion) return items.map(() => "later");
    return request.step === "compare" ? this.compare(items) : this.drop(request.partition, items);
  }

  private placed(item: CollectItem, partition: number): PlacedItem {
    const place = this.options.locate(item.internalKey);
    if (place.address.partition === partition) return { ...item, place };
    throw new HutchError("bad-request", `Cannot collect: a key is not of partition ${partition}`);
  }

  private async compare(items: readonly PlacedItem[]): Promise<CollectVerdict[]> {
    const { store, facts } = this.options;
    let sequence = 0;
    const verdicts = items.map((item) => {
      const stored = this.read(item);
      const verdict = stored === "damaged" ? "later" : this.compareOne(item, stored);
      if (verdict === "equal" && typeof stored === "object")
        sequence = Math.max(sequence, stored.sequence);
      return verdict;
    });
    if (verdicts.includes("gone")) await facts.saved();
    await store.whenDurable(sequence);
    return verdicts;
  }

  private compareOne(item: PlacedItem, stored: StoreRead | undefined): CollectVerdict {
    const { hints, facts, gcDelayMs, nowMs, isOwner } = this.options;
    if (!isOwner(item.place) || hints.read(item.internalKey) !== undefined) return "later";
    if (stored === undefined) {
      const { partition } = item.place.address;
      return item.newest <= facts.gcFloorOf(partition) ? "gone" : "other";
    }
    if (!equalBytes(stateDigest(stored.value), item.digest)) return "other";
    return mayCollect(stored.value, nowMs() - gcDelayMs) ? "equal" : "later";
  }

  /** All in one batch with the floor; no `await` between reading and dropping. */
  private async drop(partition: number, items: readonly PlacedItem[]): Promise<CollectVerdict[]> {
    const batch = new WriteBatch();
    const writer = this.options.writer();
    let newest = 0;
    const verdicts = items.map((item): CollectVerdict => {
      const stored = this.read(item);
      if (stored === "damaged") return "later";
      if (stored === undefined) return "gone";
      if (!equalBytes(stateDigest(stored.value), item.digest)) return "other";
      writer.drop(batch, item.place.bucket, item.place.address, stored.value);
      newest = Math.max(newest, item.newest);
      return "gone";
    });
    if (batch.count > 0) {
      this.options.facts.raiseIn(batch, partition, newest);
      await writer.apply(
        batch,
        items.map(({ place }) => place),
      );
    }
    return verdicts;
  }

  private read({ internalKey }: CollectItem): StoreRead | undefined | "damaged" {
    try {
      return this.options.store.get(internalKey);
    } catch (thrown) {
      if (thrown instanceof CorruptionError) return "damaged";
      throw thrown;
    }
  }
}
