/** The two phases for some records of one partition that have the same owners (`tombstone-collector.ts`). */
import { DecodeError } from "../base/byte-reader.ts";
import { HutchError } from "../base/errors.ts";
import type { NodeId } from "../gossip/member.ts";
import type { CollectAnswers } from "./collect-answers.ts";
import {
  type CollectStep,
  type CollectVerdict,
  decodeCollectReply,
  encodeCollectRequest,
} from "./collect-messages.ts";
import type { DeadRecord } from "./collection-scan.ts";
import { PeerError, type Peers } from "./peer-messages.ts";

const CALL_TIMEOUT_MS = 10_000;
/** States that are sent to one owner at once. */
const SENDS_AT_ONCE_MAX = 32;

export interface RoundParts {
  readonly peers: Peers;
  readonly answers: CollectAnswers;
  readonly self: NodeId;
  layoutVersion(): number;
  ownersOf(partition: number, n: number): readonly NodeId[];
  isServing(node: NodeId): boolean;
}

export class CollectionRound {
  private readonly parts: RoundParts;
  private readonly partition: number;
  private readonly layoutVersion: number;
  private readonly others: readonly NodeId[];
  private readonly isOwner: boolean;

  constructor(parts: RoundParts, partition: number, n: number) {
    this.parts = parts;
    this.partition = partition;
    this.layoutVersion = parts.layoutVersion();
    const owners = parts.ownersOf(partition, n);
    this.others = owners.filter((node) => node !== parts.self);
    this.isOwner = this.others.length < owners.length;
  }

  /** How many are gone from all their owners. */
  async collect(records: readonly DeadRecord[]): Promise<number> {
    const { self, isServing } = this.parts;
    if (!this.isOwner || !this.others.every((node) => isServing(node))) return 0;
    const own = await this.ask(self, "compare", records);
    const candidates = records.filter((_, i) => own[i] === "equal");
    const agreed = await this.keepAgreed(candidates, (node, some) => this.ensure(node, some));
    const dropped = await this.keepAgreed(agreed, (node, some) => this.ask(node, "drop", some));
    const gone = await this.ask(self, "drop", dropped);
    return gone.filter((verdict) => verdict === "gone").length;
  }

  /** Those of which every other owner says `equal` or `gone`. */
  private async keepAgreed(
    records: readonly DeadRecord[],
    ask: (node: NodeId, records: readonly DeadRecord[]) => Promise<readonly CollectVerdict[]>,
  ): Promise<readonly DeadRecord[]> {
    if (records.length === 0) return records;
    const answers = await Promise.all(this.others.map((node) => ask(node, records)));
    return records.filter((_, i) =>
      answers.every((verdicts) => verdicts[i] === "equal" || verdicts[i] === "gone"),
    );
  }

  /** Phase 1 at one owner: what it does not have it gets, once. */
  private async ensure(
    node: NodeId,
    records: readonly DeadRecord[],
  ): Promise<readonly CollectVerdict[]> {
    const verdicts = [...(await this.ask(node, "compare", records))];
    const missing = records.filter((_, i) => verdicts[i] === "other");
    if (missing.length === 0) return verdicts;
    await this.send(node, missing);
    const again = await this.ask(node, "compare", missing);
    let at = 0;
    return verdicts.map((verdict) => (verdict === "other" ? again[at++]! : verdict));
  }

  /** What does not arrive shows in the next answer. */
  private async send(node: NodeId, records: readonly DeadRecord[]): Promise<void> {
    for (let at = 0; at < records.length; at += SENDS_AT_ONCE_MAX)
      await Promise.allSettled(
        records.slice(at, at + SENDS_AT_ONCE_MAX).map(({ internalKey, record }) => {
          const how = { purpose: "repair", isConditional: false, side: undefined } as const;
          const message = { kind: "merge", internalKey, record, ...how } as const;
          return this.parts.peers.call(node, message, CALL_TIMEOUT_MS, "repair");
        }),
      );
  }

  private async ask(
    node: NodeId,
    step: CollectStep,
    items: readonly DeadRecord[],
  ): Promise<readonly CollectVerdict[]> {
    const { partition, layoutVersion } = this;
    const { self, answers } = this.parts;
    if (items.length === 0) return [];
    const request = { step, layoutVersion, partition, items };
    if (node === self) return answers.verdicts(request);
    try {
      return await this.askOther(node, encodeCollectRequest(request), items.length);
    } catch (thrown) {
      const isAnswer =
        thrown instanceof PeerError ||
        thrown instanceof DecodeError ||
        thrown instanceof HutchError;
      if (!isAnswer) throw thrown;
      return items.map(() => "later");
    }
  }

  private async askOther(node: NodeId, body: Uint8Array, count: number): Promise<CollectVerdict[]> {
    const message = { kind: "repair", topic: "collect", body } as const;
    const reply = await this.parts.peers.call(node, message, CALL_TIMEOUT_MS, "repair");
    return reply.kind === "repair"
      ? decodeCollectReply(reply.body, count)
      : Array.from({ length: count }, () => "later" as const);
  }
}
