/** The transport of one simulated process: who it connects to, and whom it lets in. */
import { assert } from "../base/assert.ts";
import {
  type AcceptedLink,
  HELLO_BYTES_MAX,
  type LinkEvents,
  type Link,
  LinkRefusedError,
  type PeerAddress,
  type RefusedLink,
  type Transport,
} from "../ports/transport.ts";
import type { SimEndpoint } from "./network.ts";
import { SimLinkEnd } from "./network-link.ts";

type Accept = (hello: Uint8Array, from: PeerAddress) => AcceptedLink | RefusedLink;

export class SimTransport implements Transport {
  private readonly endpoint: SimEndpoint;
  private readonly dials = new Set<Dial>();
  private accept: Accept = () => ({ kind: "refused", status: 503, body: new Uint8Array(0) });
  private isClosed = false;

  constructor(endpoint: SimEndpoint) {
    this.endpoint = endpoint;
  }

  connect(
    to: PeerAddress,
    hello: Uint8Array,
    timeoutMs: number,
    open: (link: Link) => LinkEvents,
  ): Promise<Uint8Array> {
    assert(hello.length <= HELLO_BYTES_MAX, "a hello is short");
    if (this.isClosed) return Promise.reject(new Error("the transport is closed"));
    const { network, owner } = this.endpoint;
    network.scheduler.noteCall(owner, `connect to ${to} ${hello.length}`);
    return new Promise((resolve, reject) => {
      const dial = new Dial(this.endpoint, to, open, (outcome) => {
        this.dials.delete(dial);
        if (outcome instanceof Error) reject(outcome);
        else resolve(outcome);
      });
      this.dials.add(dial);
      dial.start(hello.slice(), timeoutMs);
    });
  }

  onConnect(accept: Accept): void {
    this.accept = accept;
  }

  close(): Promise<void> {
    if (!this.isClosed) {
      this.isClosed = true;
      this.endpoint.network.scheduler.noteCall(this.endpoint.owner, "transport closes");
      for (const dial of this.dials) dial.fail(new Error("the transport is closed"));
      for (const end of this.endpoint.links) end.close();
    }
    return Promise.resolve();
  }

  get isListening(): boolean {
    return !this.isClosed && this.endpoint.owner.isAlive;
  }

  /** In an event of this process: somebody has called. */
  answer(client: SimLinkEnd, hello: Uint8Array, refuse: (error: Error) => void): void {
    if (this.isClosed) return refuse(new Error("connection refused"));
    const answer = this.accept(hello, client.endpoint.address);
    if (answer.kind === "refused") {
      return refuse(new LinkRefusedError(answer.status, answer.body.slice()));
    }
    const end = new SimLinkEnd(
      this.endpoint,
      () => undefined,
      () => undefined,
    );
    SimLinkEnd.join(client, end);
    end.welcome(answer.hello);
    end.begin((link) => answer.open(link));
  }
}

/** One attempt to connect: one round trip, or no answer at all. */
class Dial {
  private readonly endpoint: SimEndpoint;
  private readonly to: PeerAddress;
  private readonly end: SimLinkEnd;
  private readonly settle: (outcome: Uint8Array | Error) => void;
  private isSettled = false;

  constructor(
    endpoint: SimEndpoint,
    to: PeerAddress,
    open: (link: Link) => LinkEvents,
    settle: (outcome: Uint8Array | Error) => void,
  ) {
    this.endpoint = endpoint;
    this.to = to;
    this.settle = settle;
    this.end = new SimLinkEnd(
      endpoint,
      (hello) => {
        this.isSettled = true;
        this.end.begin(open);
        settle(hello);
      },
      (reason) => this.fail(new Error(reason)),
    );
  }

  start(hello: Uint8Array, timeoutMs: number): void {
    const { network, owner, machine } = this.endpoint;
    network.later(Math.ceil(timeoutMs * 1000), owner, "connect times out", () =>
      this.fail(new Error(`Cannot connect to "${this.to}": no answer within ${timeoutMs} ms`)),
    );
    const target = network.machineAt(this.to);
    if (target === undefined) {
      return network.later(0, owner, "connect to nobody", () => this.refuse());
    }
    const delayUs = network.path(machine.name, target).messageDelayUs();
    network.later(delayUs, network.wire, `call arrives at ${this.to}`, () => {
      if (!network.isCut(machine.name, target)) this.ring(target, hello);
    });
  }

  fail(error: Error): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.end.abandon();
    this.settle(error);
  }

  /** The call has arrived at the machine; its system answers where no process does. */
  private ring(target: string, hello: Uint8Array): void {
    const { network } = this.endpoint;
    const refuse = (error: Error): void => this.reply(target, error);
    const callee = network.endpointAt(this.to);
    if (callee === undefined || !callee.transport.isListening) {
      return refuse(new Error("connection refused"));
    }
    network.later(0, callee.owner, `call from ${this.endpoint.address}`, () =>
      callee.transport.answer(this.end, hello, refuse),
    );
  }

  private reply(target: string, error: Error): void {
    const { network, owner, machine } = this.endpoint;
    const delayUs = network.path(target, machine.name).messageDelayUs();
    network.later(delayUs, owner, "call refused", () => {
      if (!network.isCut(target, machine.name)) this.fail(error);
    });
  }

  private refuse(): void {
    this.fail(new Error(`Cannot connect to "${this.to}": connection refused`));
  }
}
