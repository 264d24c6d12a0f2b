/**
 * UDP on `Bun.udpSocket`.
 *
 * Linux keeps what ICMP says about an earlier datagram ("nobody listens there") as an error of the socket and fails the *next* send
 * with it, to whomever that goes. Repeating the send takes the error away, so a dead peer costs the others nothing (BUN.md "UDP",
 * row 71); without an `error` handler the same message would end the process.
 */
import { messageOf } from "../base/errors.ts";
import type { DatagramCounters, Datagrams } from "../ports/datagrams.ts";
import { DATAGRAM_BYTES_MAX } from "../ports/datagrams.ts";
import type { Logger } from "../ports/logger.ts";
import type { PeerAddress } from "../ports/transport.ts";
import { formatPeerAddress, PeerAddresses } from "./peer-address.ts";
import type { Resolve } from "./peer-names.ts";

const REPETITIONS_MAX = 2;

type Receive = (bytes: Uint8Array, from: PeerAddress) => void;

export interface DatagramOptions {
  /** Numeric. */
  readonly hostname: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly logger: Logger;
  readonly resolve?: Resolve;
}

export class BunDatagrams implements Datagrams {
  readonly counters: DatagramCounters = { sent: 0, received: 0, failed: 0 };
  private readonly addresses: PeerAddresses;
  private socket: Bun.udp.Socket<"uint8array"> | undefined;
  private receive: Receive = () => undefined;

  private constructor(resolve?: Resolve) {
    this.addresses = new PeerAddresses(resolve);
  }

  /** Rejects with an error of the system (`EADDRINUSE`, `EACCES`) when the port cannot be had. */
  static async bind(options: DatagramOptions): Promise<BunDatagrams> {
    const datagrams = new BunDatagrams(options.resolve);
    datagrams.socket = await Bun.udpSocket({
      hostname: options.hostname,
      port: options.port,
      binaryType: "uint8array",
      socket: {
        data: (_socket, bytes, port, host) => datagrams.received(bytes, host, port),
        error: (_socket, error) => {
          options.logger.debug("datagram_error", { message: messageOf(error) });
        },
      },
    });
    return datagrams;
  }

  get port(): number {
    return this.socket?.port ?? 0;
  }

  send(to: PeerAddress, bytes: Uint8Array): void {
    const target = this.addresses.parse(to);
    const isSent =
      target !== undefined &&
      bytes.length <= DATAGRAM_BYTES_MAX &&
      this.sendOrRepeat(bytes, target.port, target.host);
    if (isSent) this.counters.sent++;
    else this.counters.failed++;
  }

  onReceive(receive: Receive): void {
    this.receive = receive;
  }

  close(): void {
    this.socket?.close();
    this.socket = undefined;
  }

  /** False when the system did not take it; a full send buffer is one reason, and nothing is kept for later then. */
  private sendOrRepeat(bytes: Uint8Array, port: number, host: string): boolean {
    for (let repetition = 0; repetition <= REPETITIONS_MAX; repetition++) {
      try {
        return this.socket?.send(bytes, port, host) ?? false;
      } catch (thrown) {
        // Errors of the operating system carry its name for them.
        if ((thrown as { readonly code?: string }).code !== "ECONNREFUSED") return false;
      }
    }
    return false;
  }

  private received(bytes: Uint8Array, host: string, port: number): void {
    this.counters.received++;
    this.receive(bytes, formatPeerAddress(host, port));
  }
}
