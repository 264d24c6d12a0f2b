/** Parts of sealing on a clock that the test moves, and ends that remember what they were given. */
import { bunCipher } from "../../src/bun/cipher.ts";
import { BunRandom } from "../../src/bun/random.ts";
import { KeyRing } from "../../src/cluster/key-ring.ts";
import {
  REASONS,
  SealedDatagrams,
  type RefusalReason,
  type SealParts,
} from "../../src/cluster/sealed-datagrams.ts";
import type { DatagramCounters, Datagrams } from "../../src/ports/datagrams.ts";
import { quietLogger } from "../ports/bun-peers.ts";
import { ManualClock } from "./manual-clock.ts";

/** A key that is the same in all runs. */
export const keyOf = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);

export function sealParts(
  clock: ManualClock,
  keys: readonly Uint8Array[] = [keyOf(1)],
  clusterName = "hutch",
): SealParts {
  const ring = new KeyRing(bunCipher, keys);
  const random = new BunRandom();
  return { cipher: bunCipher, ring, clock, random, logger: quietLogger, clusterName };
}

/** A socket that keeps what it is told to send. */
export class KeptDatagrams implements Datagrams {
  readonly counters: DatagramCounters = { sent: 0, received: 0, failed: 0 };
  readonly sent: Uint8Array[] = [];
  arrive: (bytes: Uint8Array, from: string) => void = () => undefined;

  send(_to: string, bytes: Uint8Array): void {
    this.sent.push(bytes.slice());
  }

  onReceive(receive: (bytes: Uint8Array, from: string) => void): void {
    this.arrive = receive;
  }

  close(): void {}
}

/** One node's sealed datagrams and what came out of them. */
export class SealedEnd {
  readonly wire = new KeptDatagrams();
  readonly heard: Uint8Array[] = [];
  readonly datagrams: SealedDatagrams;
  readonly parts: SealParts;

  constructor(parts: SealParts) {
    this.parts = parts;
    this.datagrams = new SealedDatagrams(this.wire, parts);
    this.datagrams.onReceive((bytes) => this.heard.push(bytes.slice()));
  }

  /** The datagram on the wire. */
  seal(bytes: Uint8Array): Uint8Array {
    this.datagrams.send("127.0.0.1:1", bytes);
    return this.wire.sent.at(-1)!;
  }

  take(bytes: Uint8Array): void {
    this.wire.arrive(bytes, "127.0.0.1:2");
  }

  /** Reasons that were counted, with how often. */
  get refused(): Partial<Record<RefusalReason, number>> {
    const counts = REASONS.map((reason) => [reason, this.datagrams.refusedFor(reason)] as const);
    return Object.fromEntries(counts.filter(([, count]) => count > 0));
  }
}
