/**
 * A write on its way to the node that mints it.
 *
 * The minter gets a budget, and mints nothing once it is spent; whoever forwarded the write waits for at least as long before it gives the write to
 * somebody else. So a write is never minted after a second minter has had it, when newer writes may have been acknowledged: at worst it is minted
 * twice before that (docs/decisions/forwarded-writes.md).
 */
import { HutchError } from "../base/errors.ts";
import type { NodeId } from "../gossip/member.ts";
import type { WriteRequest } from "../quorum/operation.ts";
import { WriteQuorum } from "../quorum/write-quorum.ts";
import { writeIndeterminate } from "./answers.ts";
import type { CoordinationParts } from "./coordination-parts.ts";
import type { KeyAnswer } from "./key-state.ts";
import { errorOfReply } from "./peer-failure.ts";
import {
  type CoordinateMessage,
  type CoordinatedReply,
  PeerError,
  type PeerReply,
} from "./peer-messages.ts";
import type { CoordinatedWrite, PendingWrite } from "./pending-write.ts";
import type { ReplicaSet } from "./replica-set.ts";

/** The minter's budget ends this much before we stop waiting: clocks run apart, and a message takes time. */
export const MINT_MARGIN_MS = 50;
const LOOK_MS = 20;
const GONE_TIMEOUT_MS = 100;

export interface WriteForwardingOptions {
  readonly parts: CoordinationParts;
  /** The client's view of a state that another node has minted. */
  answerOf(write: PendingWrite, reply: CoordinatedReply): KeyAnswer;
}

export class WriteForwarding {
  private readonly options: WriteForwardingOptions;

  constructor(options: WriteForwardingOptions) {
    this.options = options;
  }

  /** Rejects with `PeerError` where there is no answer; then the node has not minted it, or will not any more. */
  async forward(
    write: PendingWrite,
    node: NodeId,
    leftMs: number,
    isLast: boolean,
  ): Promise<CoordinatedWrite> {
    const { request, bucket, key } = write;
    const { replicaTimeoutMs, clock } = this.options.parts;
    // Nobody else may be asked after this one, so it has all of the time.
    const isOnly = isLast || request.condition.kind !== "none";
    const message = {
      kind: "coordinate",
      bucket: bucket.name,
      key,
      request: { ...request, timeoutMs: Math.ceil(leftMs) },
      trace: request.trace,
    } as const;
    const timeoutMs = isOnly ? leftMs : Math.min(replicaTimeoutMs, leftMs);
    const startedMs = clock.monoMs();
    const reply = await this.ask(node, message, startedMs + timeoutMs);
    const name = this.options.parts.view().nameOf(node);
    request.waits?.waited("forward", clock.monoMs() - startedMs, name);
    if (reply.kind === "coordinated")
      return { ...reply, answer: this.options.answerOf(write, reply) };
    if (reply.kind === "failed") throw errorOfReply(reply);
    throw new HutchError("internal", "Cannot use the peer's reply");
  }

  /** Waits for room in the queue; after that there is one attempt. */
  private async ask(node: NodeId, message: CoordinateMessage, untilMs: number): Promise<PeerReply> {
    const { peers, clock } = this.options.parts;
    for (;;) {
      const leftMs = untilMs - clock.monoMs();
      try {
        return await peers.call(node, message, Math.max(1, leftMs), "client");
      } catch (thrown) {
        if (!(thrown instanceof PeerError)) throw thrown;
        if (thrown.outcome === "unknown") await this.untilTooLate(node, untilMs);
        if (thrown.reason !== "overloaded" || leftMs <= LOOK_MS) throw thrown;
      }
      await clock.sleep(LOOK_MS);
    }
  }

  /** Settles when the budget is spent, or the process that had it is gone. */
  private async untilTooLate(node: NodeId, tooLateMs: number): Promise<void> {
    const { clock } = this.options.parts;
    while (clock.monoMs() < tooLateMs) {
      if (await this.isGone(node)) return;
      await clock.sleep(LOOK_MS);
    }
  }

  /** Only a new connection shows that nobody is there any more. */
  private async isGone(node: NodeId): Promise<boolean> {
    const { peers } = this.options.parts;
    try {
      await peers.call(node, { kind: "status" }, GONE_TIMEOUT_MS, "client");
      return false;
    } catch (thrown) {
      if (!(thrown instanceof PeerError)) throw thrown;
      return peers.isConnectionRefused(node);
    }
  }
}

export function lateForward(set: ReplicaSet, node: NodeId, request: WriteRequest): HutchError {
  const quorum = new WriteQuorum(request.consistency);
  const name = set.view.nameOf(node);
  quorum.send(name, set.isOwner(node) ? "primary" : "fallback");
  quorum.fail(name, "timeout");
  return writeIndeterminate(quorum, request.consistency.w, request.timeoutMs);
}
