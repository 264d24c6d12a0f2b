/**
 * Datagrams that only nodes with the cluster's key can read or make (Q6, Q8).
 *
 *   version u8 = 0x81 | key id u32 | boot u32 | counter u64 | ciphertext | tag 16          fixed widths little-endian; 33 bytes around what is sealed
 *                                    `------ nonce ------'
 *   sealed      seconds u32 (Unix time) | datagram                                         of `gossip/message.ts`
 *   associated  version u8 | key id u32 | cluster name
 *
 * `boot` is drawn at the start of the process; the counter starts at its wall clock in units of 1/1024 ms and grows by one for each datagram. Two
 * starts that draw the same `boot` (one pair in four thousand million) have begun at different times, so that their counters are apart as well:
 * no nonce is used twice with a key, which is all that GCM asks for.
 *
 * What comes in is checked in this order: length and version, key, tag, time (30 s either way), replay window. Whatever fails is counted under its
 * reason and dropped: nothing is kept of it, nothing is said, and there is no answer that could be sent to somebody else. The cheap checks are
 * first; a stranger costs at most one decryption, 2 us.
 */
import { assert } from "../base/assert.ts";
import { readU32 } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { concatBytes, utf8 } from "../base/bytes.ts";
import { Counter, type Metrics } from "../base/metrics.ts";
import { type Cipher, SEAL_NONCE_BYTES, SEAL_TAG_BYTES } from "../ports/cipher.ts";
import type { Clock } from "../ports/clock.ts";
import { type DatagramCounters, DATAGRAM_BYTES_MAX, type Datagrams } from "../ports/datagrams.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import type { PeerAddress } from "../ports/transport.ts";
import type { ClusterKey, KeyRing } from "./key-ring.ts";
import { ReplayWindow } from "./replay-window.ts";

const VERSION = 0x81;
const NONCE_OFFSET = 1 + 4;
const SEALED_OFFSET = NONCE_OFFSET + SEAL_NONCE_BYTES;
const TIME_BYTES = 4;
/** What sealing adds to a datagram. */
export const ENVELOPE_BYTES = SEALED_OFFSET + TIME_BYTES + SEAL_TAG_BYTES;
/** The largest message is about 1,320 bytes (`gossip/message.ts`: 71 + 1,001 + 1 + 12 x 19, less where varints are short). */
export const PLAIN_BYTES_MAX = DATAGRAM_BYTES_MAX - ENVELOPE_BYTES;
export const SECONDS_APART_MAX = 30;
/** Until the newest that a sender may have sealed is too old: it may be 30 s ahead of us, and is taken for 30 s. */
const SILENT_MS = (2 * SECONDS_APART_MAX + 1) * 1000;
const COUNTS_PER_MS = 1024;
/** Datagrams of all nodes together that a key should not seal more than, by custom: 2^32. A node knows of those that it sends and hears. */
const KEY_USES_MAX = 2 ** 32;
const WARN_AT_USES = KEY_USES_MAX / 2;

/** Why a datagram was dropped. */
export const REASONS = [
  "plain",
  "malformed",
  "unknown-key",
  "forged",
  "expired",
  "replayed",
  "too-many-senders",
] as const;
export type RefusalReason = (typeof REASONS)[number];

export interface SealParts {
  readonly cipher: Cipher;
  readonly ring: KeyRing;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly clusterName: string;
}

export class SealedDatagrams implements Datagrams {
  readonly #inner: Datagrams;
  readonly #parts: SealParts;
  readonly #name: Uint8Array;
  readonly #boot: number;
  readonly #window = new ReplayWindow(SILENT_MS);
  #refused = new Map<RefusalReason, Counter>(REASONS.map((reason) => [reason, new Counter()]));
  #counter: number;
  /** Uses of the key that seals now, since it does here. */
  #uses = 0;
  #usedKey: ClusterKey | undefined;

  constructor(inner: Datagrams, parts: SealParts) {
    this.#inner = inner;
    this.#parts = parts;
    this.#name = utf8(parts.clusterName);
    this.#boot = parts.random.u32();
    this.#counter = Math.floor(parts.clock.wallMs()) * COUNTS_PER_MS;
  }

  get counters(): Readonly<DatagramCounters> {
    return this.#inner.counters;
  }

  refusedFor(reason: RefusalReason): number {
    return this.#refused.get(reason)!.value;
  }

  send(to: PeerAddress, bytes: Uint8Array): void {
    assert(bytes.length <= PLAIN_BYTES_MAX, "a datagram has room for its seal");
    this.#inner.send(to, this.#seal(bytes));
  }

  onReceive(receive: (bytes: Uint8Array, from: PeerAddress) => void): void {
    this.#inner.onReceive((sealed, from) => {
      const opened = this.#open(sealed);
      if (typeof opened === "string") this.#refused.get(opened)!.add();
      else receive(opened, from);
    });
  }

  close(): void {
    this.#inner.close();
  }

  defineMetrics(metrics: Metrics): void {
    const help = "Datagrams that were dropped, by why; strangers, damage, wrong keys, wrong clocks";
    const family = metrics.counter("hutch_gossip_datagrams_refused", help, "reason");
    for (const reason of REASONS) {
      const shown = family.of(reason);
      shown.add(this.refusedFor(reason));
      this.#refused.set(reason, shown);
    }
  }

  #seal(bytes: Uint8Array): Uint8Array {
    const { cipher, ring, clock } = this.#parts;
    const key = ring.first;
    this.#countUse(key);
    const head = new ByteWriter(SEALED_OFFSET);
    head.u8(VERSION);
    head.u32(key.id);
    head.u32(this.#boot);
    head.u64(++this.#counter);
    const plain = new ByteWriter(TIME_BYTES + bytes.length);
    plain.u32(Math.floor(clock.wallMs() / 1000) >>> 0);
    plain.raw(bytes);
    const envelope = head.view();
    const nonce = envelope.subarray(NONCE_OFFSET);
    const sealed = cipher.seal(key.datagrams, nonce, this.#associated(envelope), plain.view());
    return concatBytes(envelope, sealed);
  }

  #open(bytes: Uint8Array): Uint8Array | RefusalReason {
    if (bytes[0] !== VERSION) return "plain";
    if (bytes.length < ENVELOPE_BYTES || bytes.length > DATAGRAM_BYTES_MAX) return "malformed";
    const key = this.#parts.ring.find(readU32(bytes, 1));
    if (key === undefined) return "unknown-key";
    const nonce = bytes.subarray(NONCE_OFFSET, SEALED_OFFSET);
    const sealed = bytes.subarray(SEALED_OFFSET);
    const { cipher, clock } = this.#parts;
    const plain = cipher.open(key.datagrams, nonce, this.#associated(bytes), sealed);
    if (plain === undefined) return "forged";
    const apart = readU32(plain, 0) - Math.floor(clock.wallMs() / 1000);
    if (Math.abs(apart) > SECONDS_APART_MAX) return "expired";
    return this.#note(nonce) ?? this.#opened(key, plain);
  }

  /** Only what the key has sealed moves a window. */
  #note(nonce: Uint8Array): RefusalReason | undefined {
    const boot = readU32(nonce, 0);
    const counter = readU32(nonce, 4) + readU32(nonce, 8) * 2 ** 32;
    if (!Number.isSafeInteger(counter)) return "malformed";
    // One of our own, that somebody has turned round.
    if (boot === this.#boot) return "replayed";
    const seen = this.#window.note(boot, counter, this.#parts.clock.monoMs());
    return seen === "new" ? undefined : seen;
  }

  #opened(key: ClusterKey, plain: Uint8Array): Uint8Array {
    this.#countUse(key);
    return plain.subarray(TIME_BYTES);
  }

  /** Version and key as they are in the envelope, and the cluster that both sides have to mean. */
  #associated(envelope: Uint8Array): Uint8Array {
    return concatBytes(envelope.subarray(0, NONCE_OFFSET), this.#name);
  }

  #countUse(key: ClusterKey): void {
    if (key !== this.#parts.ring.first) return;
    if (key !== this.#usedKey) {
      this.#usedKey = key;
      this.#uses = 0;
    }
    if (++this.#uses !== WARN_AT_USES) return;
    this.#parts.logger.warn("cluster_key_worn", { key: key.name, datagrams: this.#uses });
  }
}
