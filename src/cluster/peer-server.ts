/**
 * Answers other nodes: decides who may connect (N14, R52), and holds what all links share; one link's requests are `peer-server-link.ts`.
 *
 * A hello is checked in this order: its format (400), a common version (426, row 61), cluster name and id (421, row 60), whether another process
 * with this node id is alive (409), room for one more link (503). Whoever only knocks may only knock.
 */
import { DecodeError } from "../base/byte-reader.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type {
  AcceptedLink,
  Link,
  LinkEvents,
  PeerAddress,
  RefusedLink,
  Transport,
} from "../ports/transport.ts";
import type { PeerIdentity } from "./peer-client.ts";
import { FlushTurn } from "./peer-flush.ts";
import { newPeerTimes } from "./peer-link.ts";
import type { PeerHandler } from "./peer-messages.ts";
import { commonVersion, decodeHello, encodeHello, type Hello, VERSIONS } from "./peer-protocol.ts";
import {
  BAD_HELLO,
  DUPLICATE_NODE_ID,
  NOT_NOW,
  objection,
  refusedLink,
  type Refusal,
  uncertified,
} from "./peer-refusal.ts";
import { ServerCounters, ServerLink, type ServerLinkContext } from "./peer-server-link.ts";

/** Of members and of those that knock together; the next one is told to come back. */
export const LINKS_MAX = 4096;

export interface PeerServerOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly handler: PeerHandler;
  identity(): PeerIdentity;
  /** What the layouts call the node; undefined for one that they do not name. */
  nameOf?(node: NodeId): string | undefined;
  /** Is another process alive that has this node id? The incarnation tells them apart (R52). */
  isDuplicate?(node: NodeId, incarnation: number): boolean;
  /** Before each message that comes in: after a pause of this process the node looks at itself first (R53). */
  onInbound?(): void;
  /** As in `PeerClientOptions`. */
  readonly scheduleFlush?: (run: () => void) => void;
}

export class PeerServer {
  readonly counters = new ServerCounters();
  readonly times = newPeerTimes();
  private readonly options: PeerServerOptions;
  private readonly context: ServerLinkContext;
  private readonly links = new Set<ServerLink>();
  private isClosed = false;

  /** Answers from now on. */
  constructor(options: PeerServerOptions) {
    const { clock, logger, handler, transport } = options;
    this.options = options;
    const schedule = options.scheduleFlush ?? ((run) => void clock.after(0, run));
    this.context = {
      clock,
      logger,
      handler,
      counters: this.counters,
      times: this.times,
      turn: new FlushTurn(clock, schedule),
      onInbound: options.onInbound?.bind(options) ?? (() => undefined),
      onEnded: (link) => void this.links.delete(link),
    };
    transport.onConnect((hello, from, certified) => this.accept(hello, from, certified));
  }

  get linkCount(): number {
    return this.links.size;
  }

  private accept(
    bytes: Uint8Array,
    from: PeerAddress,
    certified: readonly string[] | undefined,
  ): AcceptedLink | RefusedLink {
    const hello = readHello(bytes);
    const refusal = hello === undefined ? BAD_HELLO : this.refusalFor(hello, certified);
    if (hello === undefined || refusal !== undefined)
      return this.refuse(refusal ?? BAD_HELLO, hello, from);
    return {
      kind: "accepted",
      hello: encodeHello(this.hello()),
      open: (link) => this.open(link, hello),
    };
  }

  private hello(): Hello {
    return { ...this.options.identity(), versions: VERSIONS, purpose: "member" };
  }

  private refusalFor(theirs: Hello, certified: readonly string[] | undefined): Refusal | undefined {
    if (this.isClosed) return NOT_NOW;
    const { nodeId, incarnation } = theirs;
    const refusal =
      objection(this.hello(), theirs) ?? uncertified(certified, this.options.nameOf?.(nodeId));
    if (refusal !== undefined) return refusal;
    if (this.options.isDuplicate?.(nodeId, incarnation) === true) return DUPLICATE_NODE_ID;
    return this.links.size >= LINKS_MAX ? NOT_NOW : undefined;
  }

  private refuse(refusal: Refusal, hello: Hello | undefined, from: PeerAddress): RefusedLink {
    const { status, code } = refusal;
    this.counters.refusedLinks++;
    // Whoever is refused tries again and again: the counter tells how often, the log that it happens.
    this.options.logger.debug("peer_refused", { from, peer: hello?.nodeId, status, code });
    return refusedLink(refusal);
  }

  private open(link: Link, hello: Hello): LinkEvents {
    // A member has one link here: an earlier one is over, even where nobody has told us.
    if (hello.purpose === "member") this.dropLinksOf(hello.nodeId);
    const version = commonVersion(VERSIONS, hello.versions)!; // there was no objection
    const served = new ServerLink(link, hello, version, this.context);
    this.links.add(served);
    return served;
  }

  /** Ends the links of this node, which has left or is another process now. */
  dropLinksOf(node: NodeId): void {
    for (const link of this.links) if (link.node === node) link.close();
  }

  /** After a pause of this process: whoever asked has given up. */
  dropAllLinks(): void {
    for (const link of this.links) link.close();
  }

  close(): void {
    this.isClosed = true;
    this.context.turn.close();
    this.dropAllLinks();
  }
}

function readHello(bytes: Uint8Array): Hello | undefined {
  try {
    return decodeHello(bytes);
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}
