/**
 * The requests of this node to one peer: they wait by priority, leave in batches, and are matched with the replies that come back.
 *
 *   call -> queue (replica | client | repair) -> batch -> in flight -> reply
 *              |                                   |
 *              `- not-sent: the peer cannot have seen it    `- unknown: it may have
 *
 * A request is encoded when it is made: what it refers to need not outlive the call. Bounds: `WAITING_COUNT_MAX` and `WAITING_BYTES_MAX` wait (lower
 * priorities may use a part of that, so that quorums can always finish, N6), `IN_FLIGHT_MAX` are out; at a bound calls fail, `overloaded`.
 *
 * Invariant: a call that is neither settled nor in a queue is in `inFlight`.
 */
import { DecodeError } from "../base/byte-reader.ts";
import { Histogram } from "../base/metrics.ts";
import type { NodeId } from "../gossip/member.ts";
import { SEAL_TAG_BYTES } from "../ports/cipher.ts";
import { MESSAGE_BYTES_MAX } from "../ports/transport.ts";
import { Breaker } from "./peer-breaker.ts";
import { type ConnectionPorts, PeerConnection } from "./peer-connection.ts";
import { BACKED_UP_BYTES, BATCH_BYTES_MAX, type Flushable, type FlushTurn } from "./peer-flush.ts";
import { FrameQueue } from "./peer-frames.ts";
import { PeerLatency } from "./peer-latency.ts";
import { PeerError, type PeerPriority, type PeerReply, type PeerRequest } from "./peer-messages.ts";
import {
  BATCH_HEAD_BYTES,
  beginBatch,
  FrameReader,
  sealBatch,
  setBudget,
  writeRequestFrame,
} from "./peer-protocol.ts";

export const WAITING_COUNT_MAX = 4096;
export const WAITING_BYTES_MAX = 4 * 1024 * 1024;
export const NODE_WAITING_BYTES_MAX = 64 * 1024 * 1024;
/** What a server takes from one link. */
export const IN_FLIGHT_MAX = 8192;
/** A request that was given less time than this says nothing about the peer when it fails. */
const TELLING_TIMEOUT_MS = 100;

/** The part of the bounds that a priority may fill. */
const SHARES = { replica: 1, client: 0.75, repair: 0.5 } as const satisfies Record<
  PeerPriority,
  number
>;

const REPLY_TO = {
  read: "record",
  merge: "stored",
  hint: "stored",
  coordinate: "coordinated",
  "hints-held": "hints-held",
  scan: "scan",
  exchange: "exchange",
  status: "status",
  knock: "knock",
  repair: "repair",
} as const satisfies Record<PeerRequest["kind"], PeerReply["kind"]>;

/** For metrics; only grow, except `waitingBytes`. */
export class PeerCounters {
  requests = 0;
  batches = 0;
  bytesOut = 0;
  bytesIn = 0;
  timeouts = 0;
  /** Requests under way on a link that ended. */
  lost = 0;
  /** Refused for want of room. */
  overloaded = 0;
  /** Refused because the peer is out of reach. */
  unreachable = 0;
  /** Messages that were not of the protocol. */
  badFrames = 0;
  /** Of all links, now. */
  waitingBytes = 0;
}

/** From a request to its reply, or to the end of its time. */
export type PeerTimes = Readonly<Record<PeerRequest["kind"], Histogram>>;

export interface LinkContext extends ConnectionPorts {
  readonly counters: PeerCounters;
  readonly times: PeerTimes;
  readonly turn: FlushTurn;
}

export function newPeerTimes(): PeerTimes {
  const kinds = Object.keys(REPLY_TO) as readonly PeerRequest["kind"][];
  return Object.fromEntries(kinds.map((kind) => [kind, new Histogram()])) as PeerTimes;
}

interface Call {
  readonly id: number;
  readonly wanted: PeerReply["kind"];
  readonly startMs: number;
  readonly deadlineMs: number;
  readonly isProbe: boolean;
  readonly times: Histogram;
  isSettled: boolean;
  readonly resolve: (reply: PeerReply) => void;
  readonly reject: (error: unknown) => void;
}

export class PeerLink implements Flushable {
  isDirty = false;
  readonly latency = new PeerLatency();
  readonly breaker = new Breaker();
  readonly connection: PeerConnection;
  private readonly node: NodeId;
  private readonly context: LinkContext;
  private readonly replica = new FrameQueue<Call>();
  private readonly client = new FrameQueue<Call>();
  private readonly repair = new FrameQueue<Call>();
  /** In order of priority. */
  private readonly queues = [this.replica, this.client, this.repair] as const;
  private readonly inFlight = new Map<number, Call>();
  private lastId = 0;
  /** Of this link in `counters.waitingBytes`. */
  private accountedBytes = 0;
  private lastHeardMs = -1;

  constructor(node: NodeId, context: LinkContext) {
    this.node = node;
    this.context = context;
    this.connection = new PeerConnection(node, context, {
      opened: () => this.flush(),
      failed: () => this.rejectAll("unreachable"),
      message: (bytes) => this.heard(bytes),
      ended: () => this.ended(),
    });
  }

  /** Something waits for its time to run out. */
  get isBusy(): boolean {
    return this.inFlight.size > 0 || this.waitingCount > 0;
  }

  /** False where nothing should wait for this peer now. Asking keeps attempts to connect going. */
  isReachable(nowMs: number): boolean {
    if (this.connection.hasFailed) {
      this.connection.poke(nowMs);
      return false;
    }
    return this.breaker.allows(nowMs);
  }

  call(request: PeerRequest, timeoutMs: number, priority: PeerPriority): Promise<PeerReply> {
    const nowMs = this.context.clock.monoMs();
    if (timeoutMs <= 0) return Promise.reject(this.notSent("timeout"));
    if (this.isFull(SHARES[priority])) return this.refuse("overloaded");
    if (!this.breaker.allows(nowMs) || !this.connection.poke(nowMs))
      return this.refuse("unreachable");
    return new Promise<PeerReply>((resolve, reject) => {
      const call: Call = {
        id: this.lastId + 1,
        wanted: REPLY_TO[request.kind],
        startMs: nowMs,
        deadlineMs: nowMs + timeoutMs,
        isProbe: !this.breaker.isClosed,
        times: this.context.times[request.kind],
        isSettled: false,
        resolve,
        reject,
      };
      this.enqueue(call, request, this[priority]);
    });
  }

  /** @param share the part of the bounds that may be used */
  private isFull(share: number): boolean {
    return (
      this.waitingCount >= WAITING_COUNT_MAX * share ||
      this.waitingBytes >= WAITING_BYTES_MAX * share ||
      this.context.counters.waitingBytes >= NODE_WAITING_BYTES_MAX
    );
  }

  private refuse(reason: "overloaded" | "unreachable"): Promise<never> {
    this.context.counters[reason]++;
    return Promise.reject(this.notSent(reason));
  }

  private notSent(reason: PeerError["reason"]): PeerError {
    return new PeerError("not-sent", reason, this.node);
  }

  private enqueue(call: Call, request: PeerRequest, queue: FrameQueue<Call>): void {
    const { writer } = queue;
    const start = writer.length;
    try {
      writeRequestFrame(writer, call.id, request);
    } catch (error) {
      writer.length = start;
      return call.reject(error);
    }
    if (!this.fits(writer.length - start)) {
      writer.length = start;
      this.context.counters.overloaded++;
      return call.reject(this.notSent("overloaded"));
    }
    this.lastId = call.id;
    queue.push(call, start);
    this.breaker.begin();
    this.account();
    this.context.counters.requests++;
    this.context.turn.add(this);
  }

  /** One message that is larger than the bound passes where nothing else waits. */
  private fits(bytes: number): boolean {
    if (bytes > MESSAGE_BYTES_MAX - BATCH_HEAD_BYTES - SEAL_TAG_BYTES) return false;
    const { waitingBytes } = this.context.counters;
    return (
      (this.waitingCount === 0 || this.accountedBytes + bytes <= WAITING_BYTES_MAX) &&
      (waitingBytes === 0 || waitingBytes + bytes <= NODE_WAITING_BYTES_MAX)
    );
  }

  private get waitingCount(): number {
    return this.replica.count + this.client.count + this.repair.count;
  }

  private get waitingBytes(): number {
    return this.replica.bytes + this.client.bytes + this.repair.bytes;
  }

  private account(): void {
    const bytes = this.waitingBytes;
    this.context.counters.waitingBytes += bytes - this.accountedBytes;
    this.accountedBytes = bytes;
  }

  /** Sends what waits, as much as the link takes. */
  flush(): void {
    const nowMs = this.context.clock.monoMs();
    // What waits goes out on the new link, when that is open.
    if (this.inFlight.size === 0 && this.connection.isWorn) this.connection.renew();
    while (this.connection.isOpen && this.waitingCount > 0 && this.inFlight.size < IN_FLIGHT_MAX) {
      if (this.connection.bufferedBytes > BACKED_UP_BYTES) {
        this.context.turn.addLater(this);
        break;
      }
      this.sendBatch(nowMs);
    }
    this.account();
  }

  private sendBatch(nowMs: number): void {
    const { counters } = this.context;
    const { version } = this.connection;
    const batch = beginBatch(Math.min(this.waitingBytes, BATCH_BYTES_MAX), version);
    for (const queue of this.queues) {
      const room = IN_FLIGHT_MAX - this.inFlight.size;
      queue.moveInto(batch, BATCH_BYTES_MAX, room, (call, writer, start) => {
        if (call.isSettled) return false;
        setBudget(writer, start, call.deadlineMs - nowMs);
        this.inFlight.set(call.id, call);
        return true;
      });
    }
    if (batch.length === BATCH_HEAD_BYTES) return;
    counters.batches++;
    counters.bytesOut += batch.length;
    this.connection.send(sealBatch(batch, nowMs - this.connection.dialedMs));
  }

  private heard(bytes: Uint8Array): void {
    const nowMs = this.context.clock.monoMs();
    this.lastHeardMs = nowMs;
    this.context.counters.bytesIn += bytes.length;
    try {
      const frames = new FrameReader(bytes, this.connection.version);
      while (frames.next()) this.match(frames, nowMs);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.garbled(error);
    }
    if (this.waitingCount > 0) this.context.turn.add(this);
  }

  /** A reply whose call has timed out is passed over; one to nothing that was ever asked is garbage. */
  private match(frames: FrameReader, nowMs: number): void {
    if (!frames.isReply || frames.id > this.lastId)
      throw new DecodeError("Cannot take message: it answers nothing that was asked");
    const call = this.inFlight.get(frames.id);
    if (call === undefined) return;
    const reply = frames.readReply();
    if (reply.kind !== call.wanted && reply.kind !== "failed")
      throw new DecodeError(`Cannot take reply: want ${call.wanted}, got ${reply.kind}`);
    this.inFlight.delete(call.id);
    this.breaker.succeeded();
    call.times.record(nowMs - call.startMs);
    if (reply.kind === "record") this.latency.record(nowMs - call.startMs, nowMs);
    call.isSettled = true;
    call.resolve(reply);
  }

  /** Whoever sends garbage counts as failed, and nothing it sends counts as an answer (row 74). */
  private garbled(error: DecodeError): void {
    this.context.counters.badFrames++;
    this.context.logger.warn("peer_bad_frame", { peer: this.node, reason: error.message });
    this.connection.drop("sent a bad frame");
  }

  /** Ends the calls whose time is up. */
  expire(nowMs: number): void {
    let isSilent = false;
    for (const call of this.inFlight.values()) {
      if (call.deadlineMs > nowMs) continue;
      this.inFlight.delete(call.id);
      if (call.wanted === "record") this.latency.record(nowMs - call.startMs, nowMs);
      this.timedOut(call, "unknown", nowMs);
      isSilent ||= this.lastHeardMs < call.startMs;
    }
    for (const queue of this.queues)
      queue.forEach((call) => {
        if (!call.isSettled && call.deadlineMs <= nowMs) this.timedOut(call, "not-sent", nowMs);
      });
    // A link that said nothing for the whole life of a call may be dead while TCP still waits: the probe gets a new one.
    if (isSilent && !this.breaker.isClosed) this.connection.drop("silent");
    if (this.waitingCount > 0) this.context.turn.add(this);
  }

  private timedOut(call: Call, outcome: PeerError["outcome"], nowMs: number): void {
    const isTelling =
      call.deadlineMs - call.startMs >= TELLING_TIMEOUT_MS && this.connection.isOpen;
    if (isTelling) this.breaker.failed(nowMs);
    else if (call.isProbe) this.breaker.probeAbandoned();
    this.context.counters.timeouts++;
    call.times.record(nowMs - call.startMs);
    this.settleWith(call, new PeerError(outcome, "timeout", this.node));
  }

  private settleWith(call: Call, error: PeerError): void {
    call.isSettled = true;
    call.reject(error);
  }

  /** One link that is lost is one failure, however many calls were on it. */
  private ended(): void {
    if (this.inFlight.size > 0) this.breaker.failed(this.context.clock.monoMs());
    this.rejectAll("unreachable");
  }

  /** @param reason of those that were not sent */
  private rejectAll(reason: "unreachable" | "closed"): void {
    const lost = [...this.inFlight.values()];
    this.inFlight.clear();
    for (const queue of this.queues) {
      queue.forEach((call) => this.abandon(call, "not-sent", reason));
      queue.clear();
    }
    this.account();
    this.context.counters.lost += lost.length;
    for (const call of lost) this.abandon(call, "unknown", reason === "closed" ? "closed" : "lost");
  }

  private abandon(call: Call, outcome: PeerError["outcome"], reason: PeerError["reason"]): void {
    if (call.isSettled) return;
    if (call.isProbe) this.breaker.probeAbandoned();
    this.settleWith(call, new PeerError(outcome, reason, this.node));
  }

  retryNow(): void {
    this.connection.retryNow();
    this.breaker.reset();
  }

  /** Ends the link; the next call opens another. */
  drop(reason: string): void {
    this.connection.drop(reason);
  }

  /** Nothing is asked of this peer any more. */
  close(): void {
    this.rejectAll("closed");
    this.connection.drop("closed");
  }
}
