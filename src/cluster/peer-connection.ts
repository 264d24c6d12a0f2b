/**
 * Our link to one peer: opened when somebody wants it, checked, and opened again after it ended.
 *
 *   idle --poke--> connecting --hello is right--> open
 *     ^                |                           |
 *     +-- backing off -+<--------- ended ----------+        only failed attempts back off
 *
 * After failed attempt n the next one starts no sooner than random(0, min(2 s, 50 ms x 2^n)) later, when somebody asks (full jitter, N4). The other
 * side has to be the node that we meant: addresses are used again by others (R52).
 */
import { DecodeError } from "../base/byte-reader.ts";
import { messageOf } from "../base/errors.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import {
  type Link,
  LinkRefusedError,
  type PeerAddress,
  type Transport,
} from "../ports/transport.ts";
import { commonVersion, decodeHello, encodeHello, type Hello } from "./peer-protocol.ts";
import { BAD_HELLO, objection, readRefusal, type Refusal, uncertified } from "./peer-refusal.ts";

export const CONNECT_TIMEOUT_MS = 1000;
const BACKOFF_MS_MIN = 50;
const BACKOFF_MS_MAX = 2000;
/** 50 ms x 2^6 is above the cap. */
const DOUBLINGS_MAX = 6;

const WRONG_NODE: Refusal = {
  status: 421,
  code: "wrong-node",
  message: "another node answers at this address",
};

export interface ConnectionPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly transport: Transport;
  /** Who we are now; the purpose included. */
  hello(): Hello;
  /** Where the node was last seen, or `undefined`. */
  addressOf(node: NodeId): PeerAddress | undefined;
  /** What the layouts call the node, which its certificate has to name. */
  nameOf?(node: NodeId): string | undefined;
}

/** What the owner hears. */
export interface ConnectionEvents {
  opened(): void;
  /** An attempt failed. */
  failed(): void;
  message(bytes: Uint8Array): void;
  /** An open link is gone. */
  ended(reason: string): void;
}

interface Attempt {
  readonly address: PeerAddress;
  link: Link | undefined;
}

export class PeerConnection {
  /** Whether the last attempt failed; nothing is known before the first. */
  hasFailed = false;
  /** The last attempt was answered by a machine without such a process. */
  isRefused = false;
  /** Why the peer does not want us. */
  refusal: Refusal | undefined;
  /** When the last attempt began. */
  dialedMs = 0;
  private readonly node: NodeId;
  private readonly ports: ConnectionPorts;
  private readonly events: ConnectionEvents;
  /** The one that counts; those that it replaced are closed when they turn up. */
  private attempt: Attempt | undefined;
  private link: Link | undefined;
  private linkVersion = 0;
  private failures = 0;
  private retryAtMs = -1;

  constructor(node: NodeId, ports: ConnectionPorts, events: ConnectionEvents) {
    this.node = node;
    this.ports = ports;
    this.events = events;
  }

  get isOpen(): boolean {
    return this.link !== undefined;
  }

  get version(): number {
    return this.linkVersion;
  }

  get bufferedBytes(): number {
    return this.link?.bufferedBytes ?? 0;
  }

  /** Starts to connect where that is due. False while backing off: there is no hope of a link now. */
  poke(nowMs: number): boolean {
    if (this.attempt !== undefined) return true;
    if (nowMs < this.retryAtMs) return false;
    return this.connect();
  }

  /** The peer is said to be there: what was held against it is forgotten, and a link to an address that is no longer its own ended. */
  retryNow(): void {
    this.failures = 0;
    this.retryAtMs = -1;
    this.hasFailed = false;
    this.isRefused = false;
    const address = this.ports.addressOf(this.node);
    if (this.attempt !== undefined && this.attempt.address !== address) this.drop("has moved");
  }

  /** The link should give way to a new one. */
  get isWorn(): boolean {
    return this.link?.isWorn === true;
  }

  /** Replaces the link, on which nothing is under way; nobody is told that it ended. */
  renew(): void {
    const { attempt } = this;
    this.attempt = undefined;
    this.link = undefined;
    attempt?.link?.close();
    this.connect();
  }

  send(message: Uint8Array): void {
    this.link?.send(message);
  }

  /** Ends the link or the attempt. */
  drop(reason: string): void {
    const { attempt, link } = this;
    this.attempt = undefined;
    this.link = undefined;
    attempt?.link?.close();
    if (link !== undefined) this.events.ended(reason);
    else if (attempt !== undefined) this.events.failed();
  }

  /** False where nobody knows where the peer is. */
  private connect(): boolean {
    const { transport, clock, addressOf, hello } = this.ports;
    const address = addressOf(this.node);
    if (address === undefined) return false;
    const attempt: Attempt = { address, link: undefined };
    this.attempt = attempt;
    this.dialedMs = clock.monoMs();
    transport
      .connect(address, encodeHello(hello()), CONNECT_TIMEOUT_MS, (link) => {
        attempt.link = link;
        return {
          message: (bytes) => this.heard(attempt, bytes),
          ended: (reason) => this.ended(attempt, reason),
        };
      })
      .then(
        (answer) => this.answered(attempt, answer),
        (error: unknown) => this.failed(attempt, error),
      );
    return true;
  }

  private answered(attempt: Attempt, answer: Uint8Array): void {
    const { link } = attempt;
    if (this.attempt !== attempt || link === undefined) return link?.close();
    const wrong =
      this.checkAnswer(answer) ?? uncertified(link.certified, this.ports.nameOf?.(this.node));
    if (wrong !== undefined) return this.refused(attempt, wrong);
    this.hasFailed = false;
    this.isRefused = false;
    this.refusal = undefined;
    this.failures = 0;
    this.link = link;
    this.events.opened();
  }

  private checkAnswer(answer: Uint8Array): Refusal | undefined {
    try {
      const [ours, theirs] = [this.ports.hello(), decodeHello(answer)];
      this.linkVersion = commonVersion(ours.versions, theirs.versions) ?? 0;
      return objection(ours, theirs) ?? (theirs.nodeId === this.node ? undefined : WRONG_NODE);
    } catch (error) {
      if (error instanceof DecodeError) return BAD_HELLO;
      throw error;
    }
  }

  private failed(attempt: Attempt, error: unknown): void {
    if (this.attempt !== attempt) return;
    if (error instanceof LinkRefusedError)
      return this.refused(attempt, readRefusal(error.status, error.body));
    this.isRefused = isConnectionRefused(error);
    this.giveUp(attempt);
  }

  private refused(attempt: Attempt, refusal: Refusal): void {
    const isNews = this.refusal?.status !== refusal.status || this.refusal.code !== refusal.code;
    this.refusal = refusal;
    this.isRefused = false;
    const { status, code } = refusal;
    // A peer that is still starting says so at every start of a cluster: no news for anybody.
    const level = code === "unavailable" ? "debug" : "warn";
    if (isNews) this.ports.logger[level]("peer_link_refused", { peer: this.node, status, code });
    this.giveUp(attempt);
  }

  private giveUp(attempt: Attempt): void {
    const { clock, random } = this.ports;
    const doublings = Math.min(++this.failures, DOUBLINGS_MAX);
    const capMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** doublings);
    this.retryAtMs = clock.monoMs() + (random.u32() / 2 ** 32) * capMs;
    this.hasFailed = true;
    this.attempt = undefined;
    attempt.link?.close();
    this.events.failed();
  }

  private heard(attempt: Attempt, bytes: Uint8Array): void {
    if (this.attempt === attempt) this.events.message(bytes);
  }

  private ended(attempt: Attempt, reason: string): void {
    if (this.attempt !== attempt) return;
    if (this.link === undefined) return this.failed(attempt, new Error(reason));
    this.drop(reason);
  }
}

/** A machine that says that nobody listens there, as opposed to one that says nothing: by error code or, where there is none, by its words. */
export function isConnectionRefused(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ("code" in error && error.code === "ECONNREFUSED") return true;
  return /ECONNREFUSED|connection refused/i.test(messageOf(error));
}
