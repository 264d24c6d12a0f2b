/** What the suites of the network ask of a world. */
import type { Link, LinkEvents, PeerAddress, PeerPorts } from "../../src/ports/transport.ts";

export interface Peer {
  readonly address: PeerAddress;
  readonly ports: PeerPorts;
}

export interface PeerWorld {
  /** A new node that listens; closed by the world after the tests. */
  peer(): Promise<Peer>;
  /** An address where nobody listens. */
  nobody(): Promise<PeerAddress>;
  /** Lets time pass until `isSo`, at most some seconds. */
  until(isSo: () => boolean): Promise<void>;
  settle<T>(promise: Promise<T>): Promise<T>;
  /** Lets `forMs` pass. */
  pass(forMs: number): Promise<void>;
}

/** One end of a link and what it has heard. */
export class Heard {
  readonly messages: Uint8Array[] = [];
  readonly endings: string[] = [];
  /** Calls that must not have happened: messages after the end. */
  late = 0;
  link!: Link;
  /** Called with each message, after it was kept. */
  onMessage: (bytes: Uint8Array, link: Link) => void = () => undefined;

  readonly open = (link: Link): LinkEvents => {
    this.link = link;
    return {
      message: (bytes) => {
        if (this.endings.length > 0) this.late++;
        this.messages.push(bytes);
        this.onMessage(bytes, link);
      },
      ended: (reason) => void this.endings.push(reason),
    };
  };

  texts(): string[] {
    return this.messages.map((bytes) => new TextDecoder().decode(bytes));
  }
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
