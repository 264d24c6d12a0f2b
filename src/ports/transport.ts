/**
 * Ordered messages between two nodes. Real: one HTTP/2 stream each way inside one connection (D8). Simulated: a link with delay that partitions cut.
 *
 * A link is opened by the side that wants to ask and carries messages both ways: whole, in order, each once, until it ends. After that nothing is
 * known of messages that were under way. Whoever is at the other end is told by the *hello* that each side sends first.
 */

/** `host:port`, as people write it; `[v6]:port` for IPv6. */
export type PeerAddress = string;

/** A longer message is not sent, and ends the link when it comes in; nothing is allocated for it. */
export const MESSAGE_BYTES_MAX = 80 * 1024 * 1024;
export const HELLO_BYTES_MAX = 4096;

export interface Link {
  /** Bytes accepted by `send` and not yet taken by the network. */
  readonly bufferedBytes: number;
  readonly isOpen: boolean;
  /** Names that the certificate of the other side vouches for; undefined where links have none. */
  readonly certified?: readonly string[] | undefined;
  /** Better replaced by a new link when nothing is under way on it; left out for one that lasts. */
  readonly isWorn?: boolean;
  /** Takes the bytes over: the caller never touches them again. After the end it does nothing. */
  send(message: Uint8Array): void;
  /** Ends the link on both sides; `ended` is called on both, here before `close` returns. */
  close(): void;
}

/** What the owner of one end hears. */
export interface LinkEvents {
  /** The bytes are the receiver's to keep. */
  message(bytes: Uint8Array): void;
  /** Once, last. */
  ended(reason: string): void;
}

/** The other side does not want us (421 wrong cluster, 426 version, 409 duplicate node id, 503 not now). */
export class LinkRefusedError extends Error {
  override readonly name = "LinkRefusedError";
  readonly status: number;
  /** What the other side gave as its reason, as bytes of its protocol. */
  readonly body: Uint8Array;

  constructor(status: number, body: Uint8Array) {
    super(`the peer refused the link with ${status}`);
    this.status = status;
    this.body = body;
  }
}

export interface AcceptedLink {
  readonly kind: "accepted";
  readonly hello: Uint8Array;
  /** Called once, with the open link, before its first message. */
  open(link: Link): LinkEvents;
}

export interface RefusedLink {
  readonly kind: "refused";
  readonly status: number;
  readonly body: Uint8Array;
}

export interface Transport {
  /**
   * Opens a link. `open` is called with it once, before the first message, and before the promise settles with the other side's hello.
   * Rejects with `LinkRefusedError`, or with any other error where nobody could be reached within `timeoutMs`.
   */
  connect(
    to: PeerAddress,
    hello: Uint8Array,
    timeoutMs: number,
    open: (link: Link) => LinkEvents,
  ): Promise<Uint8Array>;
  /** Who answers at our address; before the first call everybody is refused with 503. */
  onConnect(
    accept: (
      hello: Uint8Array,
      from: PeerAddress,
      certified?: readonly string[],
    ) => AcceptedLink | RefusedLink,
  ): void;
  /** Ends all links and listens no more. */
  close(): Promise<void>;
}

/** What a node needs to be one of several; bound to the node's peer address (TCP and UDP, one port) when it is made. */
export interface PeerPorts {
  readonly transport: Transport;
  readonly datagrams: import("./datagrams.ts").Datagrams;
  /** What they count besides, for `/metrics`. */
  readonly defineMetrics?: (metrics: import("../base/metrics.ts").Metrics) => void;
}
