/** UDP, as far as gossip needs it: small messages that may be lost, doubled or come late. */
import type { PeerAddress } from "./transport.ts";

/** Datagrams above this are never sent (N18). */
export const DATAGRAM_BYTES_MAX = 1400;

export interface DatagramCounters {
  sent: number;
  received: number;
  /** Sends that the system refused, after the repetitions that BUN.md asks for. */
  failed: number;
}

export interface Datagrams {
  readonly counters: Readonly<DatagramCounters>;
  /** Never throws: what cannot be sent is counted and forgotten. At most `DATAGRAM_BYTES_MAX` bytes, which are copied or sent before it returns. */
  send(to: PeerAddress, bytes: Uint8Array): void;
  /** One receiver; `bytes` are valid only during the call. `from` is where the network says it came from: nobody's identity. */
  onReceive(receive: (bytes: Uint8Array, from: PeerAddress) => void): void;
  close(): void;
}
