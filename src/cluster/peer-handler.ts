/**
 * What this node does with what another one asks. Everything that touches keys ends in the replica's three verbs; nothing that arrives here is
 * forwarded again.
 */
import { DecodeError } from "../base/byte-reader.ts";
import { HutchError } from "../base/errors.ts";
import { decodeRecord } from "../causality/record.ts";
import { IDEMPOTENCY_KEY_MARK } from "../causality/retention.ts";
import type { NodeId } from "../gossip/member.ts";
import { equalBytes } from "../base/bytes.ts";
import { stateDigest } from "../kernels/kernels.ts";
import type { Clock } from "../ports/clock.ts";
import { type KeyAddress } from "../ring/partition.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { Coordinator } from "./coordinator.ts";
import type { HintStore } from "./hint-store.ts";
import type { HintedHandoff } from "./hinted-handoff.ts";
import type {
  CoordinateMessage,
  ExchangeMessage,
  HintMessage,
  HintsHeldMessage,
  KnockMessage,
  KnockReply,
  MergeMessage,
  PeerHandler,
  PeerReply,
  PeerRequest,
  ReadMessage,
  RepairAnswerer,
  RepairMessage,
  RepairTopic,
  StatusReply,
} from "./peer-messages.ts";
import type { ReplicaStore } from "./replica-store.ts";
import { answerScan } from "./scan-answer.ts";

const MARK_AT = 2;
const NOTHING = new Uint8Array(0);
/** A write that was told to wait asks again this often before it goes on. */
const ADMISSION_WAITS_MAX = 3;

export interface PeerHandlerOptions {
  readonly coordinator: Coordinator;
  readonly store: ReplicaStore;
  readonly hints: HintStore;
  readonly handoff: HintedHandoff;
  readonly clock: Clock;
  readonly q: number;
  readonly isDurable: boolean;
  view(): ClusterView;
  /** Of the node's last start before its present one; 0 where none was seen. */
  lastGenerationOf(node: NodeId): number;
  /** First-hand news that this node is alive. */
  markAlive(node: NodeId, incarnation: number): void;
  exchange(message: ExchangeMessage, from: NodeId): Promise<Uint8Array>;
  status(): StatusReply;
  knock(message: KnockMessage): KnockReply;
  /** Who answers which topic of `repair`. */
  readonly repairs: Readonly<Partial<Record<RepairTopic, RepairAnswerer>>>;
}

export class NodePeerHandler implements PeerHandler {
  private readonly options: PeerHandlerOptions;

  constructor(options: PeerHandlerOptions) {
    this.options = options;
  }

  handle(request: PeerRequest, from: NodeId, budgetMs: number): PeerReply | Promise<PeerReply> {
    switch (request.kind) {
      case "read":
        return this.read(request);
      case "merge":
        return this.merge(request, from);
      case "hint":
        return this.hint(request);
      case "coordinate":
        return this.coordinate(request, budgetMs);
      case "hints-held":
        return this.hintsHeld(request, from);
      case "scan":
        return answerScan({ ...this.options, partitionCount: this.options.q }, request);
      case "exchange":
        return this.exchange(request, from);
      case "status":
        return this.options.status();
      case "knock":
        return this.options.knock(request);
      case "repair":
        return this.repair(request, from, budgetMs);
    }
  }

  private read({ internalKey, knownDigest }: ReadMessage): PeerReply | Promise<PeerReply> {
    this.options.coordinator.foreground.operations++;
    if (internalKey[MARK_AT] === IDEMPOTENCY_KEY_MARK) return this.readSide(internalKey);
    const { coordinator, view } = this.options;
    const place = this.options.coordinator.locate(internalKey);
    const isOwner = coordinator.isOwner(place.bucket, place.address);
    const { value, durable } = coordinator.readLocal(place.address, !isOwner);
    const { self } = view();
    const isServing = isOwner && view().isServing(self);
    const reply = recordReply(value, knownDigest, isServing);
    return durable === undefined ? reply : durable.then(() => reply);
  }

  /** The memory of an `Idempotency-Key`: bytes as they are. */
  private async readSide(key: Uint8Array): Promise<PeerReply> {
    const { store } = this.options;
    const stored = store.get(key);
    if (stored === undefined) return recordReply(undefined, NOTHING, true);
    const value = stored.value.slice();
    await store.whenDurable(stored.sequence);
    return recordReply(value, NOTHING, true);
  }

  /** @param from who sends it, this node itself where it is not said */
  async merge(message: MergeMessage, from = this.options.view().self): Promise<PeerReply> {
    if (message.purpose === "write") this.options.coordinator.foreground.operations++;
    const { coordinator, isDurable } = this.options;
    const { internalKey, record, purpose, isConditional, side } = message;
    const before = this.options.coordinator.locate(internalKey);
    if (!coordinator.isOwner(before.bucket, before.address)) throw this.notOwner(before.address);
    await this.admitted();
    // From here on there is no await before the merge: properties are those of this moment.
    const { bucket, address } = this.options.coordinator.locate(internalKey);
    const incoming = decoded(record);
    const source = { node: from, purpose, ownedSince: 0 };
    const options = { encoded: record, isConditional, side, isFromPeer: true, source };
    await coordinator.replica.merge(bucket, address, incoming, coordinator.nowMs(), options);
    return { kind: "stored", isDurable };
  }

  private async hint(message: HintMessage): Promise<PeerReply> {
    const { hints, handoff, isDurable, coordinator } = this.options;
    const { target, targetIncarnation, internalKey, record, side } = message;
    this.options.coordinator.locate(internalKey);
    coordinator.replica.witness(decoded(record), coordinator.nowMs(), true);
    await this.admitted();
    if (!handoff.admits(target, targetIncarnation))
      throw new HutchError(
        "unavailable",
        `Cannot keep a hint for node "${target}": it is alive again, want the write sent to it`,
        { retry: "safe" },
      );
    await hints.add(target, internalKey, record, side);
    return { kind: "stored", isDurable };
  }

  /** Back-pressure of our own storage; throws `overloaded` and `disk-full`. */
  private async admitted(): Promise<void> {
    const { store } = this.options;
    for (let waits = 0; waits < ADMISSION_WAITS_MAX; waits++) {
      const pause = store.admit("put");
      if (pause === undefined) return;
      await pause;
    }
  }

  private async coordinate(message: CoordinateMessage, budgetMs: number): Promise<PeerReply> {
    const { bucket, key, request, trace } = message;
    if (trace !== undefined) request.trace = trace;
    const { answer: _, ...reply } = await this.options.coordinator.coordinate(
      bucket,
      key,
      request,
      budgetMs,
    );
    return { kind: "coordinated", ...reply };
  }

  private async hintsHeld(message: HintsHeldMessage, from: NodeId): Promise<PeerReply> {
    const { handoff, hints, markAlive } = this.options;
    markAlive(from, message.incarnation);
    if (message.isRepaired) await hints.clearIncomplete(from);
    return handoff.answerHeld(from, message.incarnation, this.options.lastGenerationOf(from));
  }

  private async exchange(message: ExchangeMessage, from: NodeId): Promise<PeerReply> {
    try {
      return { kind: "exchange", body: await this.options.exchange(message, from) };
    } catch (cause) {
      if (!(cause instanceof DecodeError)) throw cause;
      throw new HutchError("bad-request", cause.message, { cause });
    }
  }

  private async repair(
    { topic, body }: RepairMessage,
    from: NodeId,
    budgetMs: number,
  ): Promise<PeerReply> {
    const answerer = this.options.repairs[topic];
    if (answerer === undefined)
      throw new HutchError("not-implemented", `Cannot answer to ${topic}: want a later version`);
    try {
      return { kind: "repair", body: await answerer(body, from, budgetMs) };
    } catch (cause) {
      if (!(cause instanceof DecodeError)) throw cause;
      throw new HutchError("bad-request", cause.message, { cause });
    }
  }

  private notOwner({ partition }: KeyAddress): HutchError {
    const { version } = this.options.view().layout;
    return new HutchError(
      "not-owner",
      `Cannot store the state: partition ${partition} is not this node's in layout ${version}`,
      { data: { partition, layoutVersion: version } },
    );
  }
}

function recordReply(
  value: Uint8Array | undefined,
  knownDigest: Uint8Array,
  isServing: boolean,
): PeerReply {
  if (value === undefined) return { kind: "record", isServing, state: "absent", record: NOTHING };
  const isKnown = knownDigest.length > 0 && equalBytes(stateDigest(value), knownDigest);
  return isKnown
    ? { kind: "record", isServing, state: "same", record: NOTHING }
    : { kind: "record", isServing, state: "present", record: value };
}

function decoded(record: Uint8Array): ReturnType<typeof decodeRecord> {
  try {
    return decodeRecord(record);
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause;
    throw new HutchError("bad-request", `Cannot read the state: ${cause.message}`, { cause });
  }
}
