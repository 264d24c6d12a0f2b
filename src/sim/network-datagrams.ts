/** Datagrams between simulated machines: copies of bytes that take their time, or do not arrive. */
import type { DatagramCounters, Datagrams } from "../ports/datagrams.ts";
import { DATAGRAM_BYTES_MAX } from "../ports/datagrams.ts";
import type { PeerAddress } from "../ports/transport.ts";
import type { SimEndpoint } from "./network.ts";

/** On their way to one socket or in its buffer, which fills while its process is paused; more are dropped. */
const WAITING_MAX = 4096;
/** What a receiver finds that looks at the bytes after its call. */
const POISON = 0xdb;

export class SimDatagrams implements Datagrams {
  readonly counters: DatagramCounters = { sent: 0, received: 0, failed: 0 };
  private readonly endpoint: SimEndpoint;
  private receiver: ((bytes: Uint8Array, from: PeerAddress) => void) | undefined;
  private isClosed = false;
  private waiting = 0;

  constructor(endpoint: SimEndpoint) {
    this.endpoint = endpoint;
  }

  send(to: PeerAddress, bytes: Uint8Array): void {
    const { network, owner, machine } = this.endpoint;
    if (!owner.isAlive) return;
    network.scheduler.noteCall(owner, `datagram to ${to} ${bytes.length}`);
    if (this.isClosed || bytes.length > DATAGRAM_BYTES_MAX) {
      this.counters.failed++;
      return;
    }
    this.counters.sent++;
    const target = network.machineAt(to);
    if (target === undefined) return;
    const path = network.path(machine.name, target);
    const { delaysUs, isCorrupt } = path.datagramFate();
    const copy = bytes.slice();
    if (isCorrupt) path.corrupt(copy);
    const nowUs = network.scheduler.nowUs();
    if (delaysUs.length === 0 || path.isFull(nowUs)) return;
    const transferUs = path.transferUs(nowUs, bytes.length);
    for (const delayUs of delaysUs) this.carry(to, target, copy, transferUs + delayUs);
  }

  onReceive(receive: (bytes: Uint8Array, from: PeerAddress) => void): void {
    this.receiver = receive;
  }

  close(): void {
    this.isClosed = true;
  }

  private carry(to: PeerAddress, target: string, bytes: Uint8Array, delayUs: number): void {
    const { network, machine, address } = this.endpoint;
    if (network.isCut(machine.name, target)) return;
    network.later(delayUs, network.wire, "datagram arrives", () => {
      if (network.isCut(machine.name, target)) return;
      network.endpointAt(to)?.datagrams.arrive(bytes.slice(), address);
    });
  }

  /** In the socket's buffer: the process takes it out when it runs. */
  private arrive(bytes: Uint8Array, from: PeerAddress): void {
    if (this.waiting >= WAITING_MAX) return;
    this.waiting++;
    const { network, owner } = this.endpoint;
    network.later(0, owner, `datagram from ${from} ${bytes.length}`, () => {
      this.waiting--;
      if (this.isClosed || this.receiver === undefined) return;
      this.counters.received++;
      this.receiver(bytes, from);
      bytes.fill(POISON);
    });
  }
}
