/** What the owners of a key know of some of its values: asks them, and answers for this node (R42, `held-messages.ts`). */
import { DecodeError } from "../base/byte-reader.ts";
import { CorruptionError } from "../base/errors.ts";
import type { Record } from "../causality/record.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Bucket } from "./bucket-properties.ts";
import type { Copies } from "./copies.ts";
import {
  type AskedEntry,
  type HeldAnswer,
  decodeHeldAnswer,
  encodeHeldRequest,
  knowledgeOf,
} from "./held-messages.ts";
import type { PartitionFacts } from "./partition-facts.ts";
import type { KeyPlace } from "./coordinator.ts";
import { PeerError, type Peers } from "./peer-messages.ts";
import { type ReplicaStore, decodeStored } from "./replica-store.ts";

const CALL_TIMEOUT_MS = 2000;

export interface KeyEvidenceOptions {
  readonly store: ReplicaStore;
  readonly facts: PartitionFacts;
  readonly peers: Peers;
  readonly self: NodeId;
  /** How many copies there are of its keys. */
  copiesOf(bucket: Bucket): Copies;
  /** Owners in the layout that reads use: those whose word counts. */
  ownersOf(partition: number, copies: Copies): readonly NodeId[];
  /** Owners in all active layouts. */
  holdersOf(partition: number, copies: Copies): readonly NodeId[];
  isServing(node: NodeId): boolean;
}

export class KeyEvidence {
  private readonly options: KeyEvidenceOptions;

  constructor(options: KeyEvidenceOptions) {
    this.options = options;
  }

  ownersOf({ bucket, address }: KeyPlace): readonly NodeId[] {
    return this.options.ownersOf(address.partition, this.options.copiesOf(bucket));
  }

  holdersOf({ bucket, address }: KeyPlace): readonly NodeId[] {
    return this.options.holdersOf(address.partition, this.options.copiesOf(bucket));
  }

  /** Of the owners that answer, this node included where it is one. Their floors are learned on the way. */
  async ask(place: KeyPlace, entries: readonly AskedEntry[]): Promise<readonly HeldAnswer[]> {
    const { internalKey, partition } = place.address;
    const body = encodeHeldRequest({ kind: "ask", internalKey, entries });
    const answers = await Promise.all(
      this.ownersOf(place).map((node) => this.askOne(node, place, entries, body)),
    );
    const heard = answers.filter((answer) => answer !== undefined);
    for (const { gcFloor } of heard) this.options.facts.learnFloor(partition, gcFloor);
    return heard;
  }

  private async askOne(
    node: NodeId,
    place: KeyPlace,
    entries: readonly AskedEntry[],
    body: Uint8Array,
  ): Promise<HeldAnswer | undefined> {
    const { self, isServing } = this.options;
    try {
      if (node === self) return this.here(place, entries);
      if (!isServing(node)) return undefined;
      const reply = await this.call(node, body);
      return reply && decodeHeldAnswer(reply, entries.length);
    } catch (thrown) {
      if (thrown instanceof DecodeError || thrown instanceof CorruptionError) return undefined;
      throw thrown;
    }
  }

  /** One question of topic `held`; `undefined` where there is no answer. */
  async call(node: NodeId, body: Uint8Array): Promise<Uint8Array | undefined> {
    const message = { kind: "repair", topic: "held", body } as const;
    try {
      const reply = await this.options.peers.call(node, message, CALL_TIMEOUT_MS, "repair");
      return reply.kind === "repair" ? reply.body : undefined;
    } catch (thrown) {
      if (thrown instanceof PeerError) return undefined;
      throw thrown;
    }
  }

  /** What this node answers. */
  here(place: KeyPlace, entries: readonly AskedEntry[]): HeldAnswer {
    const { facts, self, isServing } = this.options;
    const { partition } = place.address;
    const record = this.recordOf(place);
    return {
      isServing: isServing(self) && this.ownersOf(place).includes(self),
      ownedSince: facts.ownedSinceOf(partition),
      gcFloor: facts.gcFloorOf(partition),
      knowledge: entries.map((entry) => knowledgeOf(record, entry)),
    };
  }

  /**
   * Its values are views, until the next `await`.
   *
   * @param isHealing what is damaged here counts as absent
   */
  recordOf({ address }: KeyPlace, isHealing = false): Record {
    try {
      const stored = this.options.store.get(address.internalKey);
      return stored === undefined ? [] : decodeStored(stored.value);
    } catch (thrown) {
      if (isHealing && thrown instanceof CorruptionError) return [];
      throw thrown;
    }
  }
}
