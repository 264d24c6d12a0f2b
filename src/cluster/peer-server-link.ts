/**
 * One peer's requests, from its link to the handler and back. Replies that are ready in the same turn leave in one batch.
 *
 * Nothing is done or said that nobody waits for: a request whose budget is spent is dropped before its handler runs, its reply after (N1). Bounds:
 * `LINK_WORK_MAX` requests of one link and `NODE_WORK_MAX` of all are in work; `LINK_REPLY_BYTES_MAX` and `NODE_REPLY_BYTES_MAX` of replies wait for
 * a peer that does not read; beyond them the answer is `overloaded`, and who goes on asking without reading loses the link.
 */
import { DecodeError } from "../base/byte-reader.ts";
import { HutchError, messageOf } from "../base/errors.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import { type Link, type LinkEvents, MESSAGE_BYTES_MAX } from "../ports/transport.ts";
import { LinkAge } from "./link-age.ts";
import { failedReply, failedReplyOf } from "./peer-failure.ts";
import { BACKED_UP_BYTES, BATCH_BYTES_MAX, type Flushable, type FlushTurn } from "./peer-flush.ts";
import { FrameQueue } from "./peer-frames.ts";
import type { PeerTimes } from "./peer-link.ts";
import type { PeerHandler, PeerReply, PeerRequest } from "./peer-messages.ts";
import {
  BATCH_HEAD_BYTES,
  beginBatch,
  FrameReader,
  type Hello,
  sealBatch,
  writeReplyFrame,
} from "./peer-protocol.ts";

export const LINK_WORK_MAX = 8192;
export const NODE_WORK_MAX = 65_536;
export const LINK_REPLY_BYTES_MAX = 64 * 1024 * 1024;
const NODE_REPLY_BYTES_MAX = 256 * 1024 * 1024;
/** Of replies that are small because they only say `overloaded`. */
const EXCESS_BYTES_MAX = 1024 * 1024;

const NOT_IMPLEMENTED = failedReply(
  "not-implemented",
  "Cannot answer: this version of hutch does not know the request",
  "no",
);
const ONLY_KNOCKS = failedReply("forbidden", "Cannot answer: not a member, may only knock", "no");
const OVERLOADED = failedReply("overloaded", "Cannot answer: too many requests are in work");

/** For metrics; only grow, except the last two. */
export class ServerCounters {
  requests = 0;
  batches = 0;
  bytesIn = 0;
  bytesOut = 0;
  /** Requests and replies that nobody waited for any more. */
  expired = 0;
  overloaded = 0;
  badFrames = 0;
  refusedLinks = 0;
  /** Of all links, now. */
  inWork = 0;
  replyBytes = 0;
}

export interface ServerLinkContext {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly handler: PeerHandler;
  readonly counters: ServerCounters;
  /** From a request to its answer. */
  readonly times: PeerTimes;
  readonly turn: FlushTurn;
  onInbound(): void;
  onEnded(link: ServerLink): void;
}

export class ServerLink implements LinkEvents, Flushable {
  readonly node: NodeId;
  isDirty = false;
  private readonly link: Link;
  private readonly mayOnlyKnock: boolean;
  private readonly version: number;
  private readonly context: ServerLinkContext;
  private readonly age: LinkAge;
  /** Each reply is owned by the time at which nobody waits for it any more. */
  private readonly replies = new FrameQueue<number>();
  private inWork = 0;
  /** Of this link in `counters.replyBytes`. */
  private accountedBytes = 0;
  private isEnded = false;

  constructor(link: Link, hello: Hello, version: number, context: ServerLinkContext) {
    this.link = link;
    this.node = hello.nodeId;
    this.mayOnlyKnock = hello.purpose === "knock";
    this.version = version;
    this.context = context;
    this.age = new LinkAge(context.clock.monoMs());
  }

  message(bytes: Uint8Array): void {
    const { counters, clock, onInbound } = this.context;
    onInbound();
    counters.bytesIn += bytes.length;
    const arrivedMs = clock.monoMs();
    try {
      const frames = new FrameReader(bytes, this.version);
      // What was under way for long has spent its time there.
      const sentMs = arrivedMs - this.age.ageOf(frames.sentAtMs, arrivedMs);
      while (!this.isEnded && frames.next()) this.take(frames, sentMs);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      counters.badFrames++;
      this.context.logger.warn("peer_bad_frame", { peer: this.node, reason: error.message });
      this.close();
    }
  }

  private take(frames: FrameReader, sentMs: number): void {
    if (frames.isReply) throw new DecodeError("Cannot take message: nothing was asked");
    const { id, budgetMs } = frames;
    const request = frames.readRequest();
    const { counters, clock } = this.context;
    counters.requests++;
    const deadlineMs = sentMs + budgetMs;
    const leftMs = deadlineMs - clock.monoMs();
    if (leftMs <= 0) counters.expired++;
    else if (request === undefined) this.reply(id, deadlineMs, NOT_IMPLEMENTED);
    else if (this.mayOnlyKnock && request.kind !== "knock") this.reply(id, deadlineMs, ONLY_KNOCKS);
    else if (this.isFull()) this.refuse(id, deadlineMs);
    else this.serve(request, id, deadlineMs, leftMs);
  }

  private isFull(): boolean {
    const { counters } = this.context;
    return (
      this.inWork >= LINK_WORK_MAX ||
      counters.inWork >= NODE_WORK_MAX ||
      this.accountedBytes >= LINK_REPLY_BYTES_MAX ||
      counters.replyBytes >= NODE_REPLY_BYTES_MAX
    );
  }

  private refuse(id: number, deadlineMs: number): void {
    this.context.counters.overloaded++;
    this.reply(id, deadlineMs, OVERLOADED);
    if (this.replies.bytes > LINK_REPLY_BYTES_MAX + EXCESS_BYTES_MAX) this.close();
  }

  private serve(request: PeerRequest, id: number, deadlineMs: number, leftMs: number): void {
    this.inWork++;
    this.context.counters.inWork++;
    let reply: PeerReply | Promise<PeerReply>;
    try {
      reply = this.context.handler.handle(request, this.node, leftMs);
    } catch (error) {
      reply = this.failed(request, error);
    }
    const { times, clock } = this.context;
    if (!(reply instanceof Promise)) {
      times[request.kind].record(clock.monoMs() - (deadlineMs - leftMs));
      return this.finish(id, deadlineMs, reply);
    }
    const finish = (settled: PeerReply): void => {
      times[request.kind].record(clock.monoMs() - (deadlineMs - leftMs));
      this.finish(id, deadlineMs, settled);
    };
    reply.then(finish, (error: unknown) => finish(this.failed(request, error)));
  }

  private failed({ kind }: PeerRequest, error: unknown): PeerReply {
    if (!(error instanceof HutchError))
      this.context.logger.error("peer_request_failed", { kind, reason: messageOf(error) });
    return failedReplyOf(error);
  }

  private finish(id: number, deadlineMs: number, reply: PeerReply): void {
    this.inWork--;
    this.context.counters.inWork--;
    if (this.isEnded) return;
    // An earlier reply may have filled the room that was there when this request was taken.
    const { counters } = this.context;
    const isCrowded =
      this.accountedBytes >= LINK_REPLY_BYTES_MAX || counters.replyBytes >= NODE_REPLY_BYTES_MAX;
    if (isCrowded) this.refuse(id, deadlineMs);
    else this.reply(id, deadlineMs, reply);
  }

  private reply(id: number, deadlineMs: number, reply: PeerReply): void {
    const { writer } = this.replies;
    const start = writer.length;
    try {
      writeReplyFrame(writer, id, reply);
      if (writer.length - start > MESSAGE_BYTES_MAX - BATCH_HEAD_BYTES)
        throw new HutchError("value-too-large", "Cannot answer: the reply is too long to travel");
    } catch (error) {
      writer.length = start;
      this.context.logger.error("peer_reply_failed", {
        kind: reply.kind,
        reason: messageOf(error),
      });
      writeReplyFrame(writer, id, failedReplyOf(error));
    }
    this.replies.push(deadlineMs, start);
    this.account();
    this.context.turn.add(this);
  }

  private account(): void {
    const { bytes } = this.replies;
    this.context.counters.replyBytes += bytes - this.accountedBytes;
    this.accountedBytes = bytes;
  }

  /** Sends the replies that wait, as much as the link takes. */
  flush(): void {
    const nowMs = this.context.clock.monoMs();
    while (!this.isEnded && this.replies.count > 0) {
      if (this.link.bufferedBytes > BACKED_UP_BYTES) {
        this.context.turn.addLater(this);
        break;
      }
      this.sendBatch(nowMs);
    }
    this.account();
  }

  private sendBatch(nowMs: number): void {
    const { counters } = this.context;
    const batch = beginBatch(Math.min(this.replies.bytes, BATCH_BYTES_MAX), this.version);
    this.replies.moveInto(batch, BATCH_BYTES_MAX, this.replies.count, (deadlineMs) => {
      if (deadlineMs > nowMs) return true;
      counters.expired++;
      return false;
    });
    if (batch.length === BATCH_HEAD_BYTES) return;
    counters.batches++;
    counters.bytesOut += batch.length;
    this.link.send(sealBatch(batch));
  }

  ended(): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.replies.clear();
    this.account();
    this.context.onEnded(this);
  }

  close(): void {
    this.link.close();
    this.ended();
  }
}
