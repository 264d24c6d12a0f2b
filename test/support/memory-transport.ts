/** Links between transports of one process: messages arrive in a later microtask, in order. Tests cut, hold and inject. */
import type { Clock } from "../../src/ports/clock.ts";
import {
  type AcceptedLink,
  type Link,
  type LinkEvents,
  LinkRefusedError,
  type PeerAddress,
  type RefusedLink,
  type Transport,
} from "../../src/ports/transport.ts";

type Accept = (hello: Uint8Array, from: PeerAddress) => AcceptedLink | RefusedLink;

export class MemoryNetwork {
  readonly clock: Clock;
  readonly listeners = new Map<PeerAddress, Accept>();
  /** Addresses that say nothing to those who call. */
  readonly silent = new Set<PeerAddress>();
  /** Addresses that were called, in order. */
  readonly calls: PeerAddress[] = [];
  /** All links that came about, the end of the caller. */
  readonly links: MemoryLink[] = [];

  constructor(clock: Clock) {
    this.clock = clock;
  }

  transportAt(address: PeerAddress): Transport {
    return new MemoryTransport(this, address);
  }
}

class MemoryTransport implements Transport {
  private readonly network: MemoryNetwork;
  private readonly address: PeerAddress;

  constructor(network: MemoryNetwork, address: PeerAddress) {
    this.network = network;
    this.address = address;
  }

  async connect(
    to: PeerAddress,
    hello: Uint8Array,
    timeoutMs: number,
    open: (link: Link) => LinkEvents,
  ): Promise<Uint8Array> {
    const { network } = this;
    network.calls.push(to);
    if (network.silent.has(to)) await network.clock.sleep(timeoutMs);
    await Promise.resolve();
    const accept = network.listeners.get(to);
    if (network.silent.has(to)) throw new Error("nobody answered");
    if (accept === undefined) throw Object.assign(new Error("connect"), { code: "ECONNREFUSED" });
    const answer = accept(hello.slice(), this.address);
    if (answer.kind === "refused") throw new LinkRefusedError(answer.status, answer.body);
    const ours = new MemoryLink();
    ours.joinTo(new MemoryLink());
    network.links.push(ours);
    ours.other.events = answer.open(ours.other);
    ours.events = open(ours);
    return answer.hello;
  }

  onConnect(accept: Accept): void {
    this.network.listeners.set(this.address, accept);
  }

  async close(): Promise<void> {
    this.network.listeners.delete(this.address);
  }
}

export class MemoryLink implements Link {
  isOpen = true;
  other!: MemoryLink;
  events: LinkEvents | undefined;
  /** Messages that left this end. */
  readonly sent: Uint8Array[] = [];
  private held: Uint8Array[] | undefined;

  joinTo(other: MemoryLink): void {
    this.other = other;
    other.other = this;
  }

  get bufferedBytes(): number {
    return this.held?.reduce((sum, message) => sum + message.length, 0) ?? 0;
  }

  send(message: Uint8Array): void {
    if (!this.isOpen) return;
    this.sent.push(message);
    if (this.held !== undefined) this.held.push(message);
    else queueMicrotask(() => this.deliver(message));
  }

  /** Puts bytes of the test's own on the way. */
  deliver(message: Uint8Array): void {
    if (this.isOpen) this.other.events?.message(message);
  }

  /** From now on the network takes nothing. */
  hold(): void {
    this.held = [];
  }

  release(): void {
    for (const message of this.held ?? []) queueMicrotask(() => this.deliver(message));
    this.held = undefined;
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.other.isOpen = false;
    this.events?.ended("closed");
    this.other.events?.ended("closed");
  }
}
