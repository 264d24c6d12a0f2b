/**
 * Asks other nodes: one link per peer, opened by the first call and again after it ended; what goes out on it is `peer-link.ts`.
 *
 * Nothing is tried twice here (N4: retries have one place, and this is below it). Every call ends: with a reply, or with a `PeerError` that says whether
 * the peer can have seen it (N2). One timer looks after all deadlines, `EXPIRE_EVERY_MS` apart, while something waits.
 */
import type { NodeId } from "../gossip/member.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import type { Tracer } from "../ports/tracer.ts";
import type { PeerAddress, Transport } from "../ports/transport.ts";
import { FlushTurn } from "./peer-flush.ts";
import { knock, type KnockAnswer } from "./peer-knock.ts";
import { type LinkContext, newPeerTimes, PeerCounters, PeerLink } from "./peer-link.ts";
import {
  type KnockMessage,
  PeerError,
  type PeerPriority,
  type PeerReply,
  type PeerRequest,
  type Peers,
} from "./peer-messages.ts";
import { type Hello, VERSIONS } from "./peer-protocol.ts";
import type { Refusal } from "./peer-refusal.ts";
import { callTraced, isTraceable } from "./peer-trace.ts";

const EXPIRE_EVERY_MS = 10;

/** Who this node is, as its hellos tell. The cluster id is all zero until there is one. */
export type PeerIdentity = Omit<Hello, "versions" | "purpose">;

export interface PeerClientOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  identity(): PeerIdentity;
  /** Where the node was last seen; `undefined` makes it unreachable. */
  addressOf(node: NodeId): PeerAddress | undefined;
  /** What the layouts call the node. */
  nameOf?(node: NodeId): string | undefined;
  /** Calls back once, when what came up in this turn is complete; later means larger batches. `clock.after(0)` unless given. */
  readonly scheduleFlush?: (run: () => void) => void;
  /** Where it is left out nothing is traced. */
  readonly tracer?: Tracer;
}

export class PeerClient implements Peers {
  readonly counters = new PeerCounters();
  readonly times = newPeerTimes();
  private readonly options: PeerClientOptions;
  private readonly context: LinkContext;
  /** Bounded by the nodes that have an address; `forget` takes out those that left. */
  private readonly links = new Map<NodeId, PeerLink>();
  private timer: Timer | undefined;
  private isClosed = false;

  constructor(options: PeerClientOptions) {
    const { clock, random, logger, transport } = options;
    this.options = options;
    const schedule = options.scheduleFlush ?? ((run) => void clock.after(0, run));
    this.context = {
      clock,
      random,
      logger,
      transport,
      hello: () => ({ ...options.identity(), versions: VERSIONS, purpose: "member" }),
      addressOf: (node) => options.addressOf(node),
      nameOf: (node) => options.nameOf?.(node),
      counters: this.counters,
      times: this.times,
      turn: new FlushTurn(clock, schedule),
    };
  }

  call(
    node: NodeId,
    request: PeerRequest,
    timeoutMs: number,
    priority: PeerPriority,
  ): Promise<PeerReply> {
    const { tracer } = this.options;
    if (tracer === undefined || !isTraceable(request) || request.trace === undefined)
      return this.send(node, request, timeoutMs, priority);
    return callTraced(tracer, request, request.trace, node, (traced) =>
      this.send(node, traced, timeoutMs, priority),
    );
  }

  private send(
    node: NodeId,
    request: PeerRequest,
    timeoutMs: number,
    priority: PeerPriority,
  ): Promise<PeerReply> {
    if (this.isClosed) return Promise.reject(new PeerError("not-sent", "closed", node));
    const link = this.links.get(node) ?? this.addLink(node);
    if (link === undefined) {
      this.counters.unreachable++;
      return Promise.reject(new PeerError("not-sent", "unreachable", node));
    }
    this.timer ??= this.options.clock.after(EXPIRE_EVERY_MS, () => this.expire());
    return link.call(request, timeoutMs, priority);
  }

  private addLink(node: NodeId): PeerLink | undefined {
    if (this.options.addressOf(node) === undefined) return undefined;
    const link = new PeerLink(node, this.context);
    this.links.set(node, link);
    return link;
  }

  private expire(): void {
    this.timer = undefined;
    const nowMs = this.options.clock.monoMs();
    let isBusy = false;
    for (const link of this.links.values()) {
      if (!link.isBusy) continue;
      link.expire(nowMs);
      isBusy ||= link.isBusy;
    }
    if (isBusy && !this.isClosed)
      this.timer ??= this.options.clock.after(EXPIRE_EVERY_MS, () => this.expire());
  }

  isReachable(node: NodeId): boolean {
    const link = this.links.get(node);
    if (link === undefined) return this.options.addressOf(node) !== undefined;
    return link.isReachable(this.options.clock.monoMs());
  }

  isConnectionRefused(node: NodeId): boolean {
    return this.links.get(node)?.connection.isRefused ?? false;
  }

  /** Why the node did not want our last link, if it said so. */
  refusalOf(node: NodeId): Refusal | undefined {
    return this.links.get(node)?.connection.refusal;
  }

  latencyP95Ms(node: NodeId): number | undefined {
    return this.links.get(node)?.latency.p95Ms(this.options.clock.monoMs());
  }

  latencyMeanMs(node: NodeId): number {
    return this.links.get(node)?.latency.meanMs(this.options.clock.monoMs()) ?? 0;
  }

  /** Asks a node that is known by its address only to be let into its cluster, on a link of its own that ends with the answer. */
  knock(address: PeerAddress, message: KnockMessage, timeoutMs: number): Promise<KnockAnswer> {
    const { transport, clock, identity } = this.options;
    const hello: Hello = { ...identity(), versions: VERSIONS, purpose: "knock" };
    return knock({ transport, clock, address, hello, timeoutMs }, message);
  }

  /** The node has come up: nothing that was held against it counts any more. */
  retryNow(node: NodeId): void {
    this.links.get(node)?.retryNow();
  }

  /** The node has left for good. */
  forget(node: NodeId): void {
    this.links.get(node)?.close();
    this.links.delete(node);
  }

  /** After a pause of this process nothing is known of what is under way. */
  dropAllLinks(): void {
    for (const link of this.links.values()) link.drop("this node was paused");
  }

  close(): void {
    this.isClosed = true;
    this.timer?.cancel();
    this.timer = undefined;
    this.context.turn.close();
    for (const link of this.links.values()) link.close();
  }
}
