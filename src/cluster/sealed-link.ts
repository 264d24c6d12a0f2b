/**
 * A link on which each message is sealed with a key of its direction (`link-greeting.ts`).
 *
 *   message     ciphertext | tag 16          nonce: how many messages went before in this direction, u64 in 12 bytes
 *
 * Links are ordered and lose nothing, so the nonce does not travel: a message that was left out, repeated, moved or changed does not open, and
 * ends the link. So does the removal of the cluster's key under which it was opened.
 */
import { ByteWriter } from "../base/byte-writer.ts";
import { EMPTY_BYTES } from "../base/bytes.ts";
import { type Cipher, SEAL_NONCE_BYTES } from "../ports/cipher.ts";
import type { Link, LinkEvents } from "../ports/transport.ts";
import type { ClusterKey } from "./key-ring.ts";

/** Messages that may come before the owner has the link; nobody sends any, as the opener speaks first. */
const HELD_MAX = 16;

export interface LinkKeys {
  readonly cipher: Cipher;
  /** Under which the link was opened. */
  readonly clusterKey: ClusterKey;
  readonly outgoing: Uint8Array;
  readonly incoming: Uint8Array;
}

export class SealedLink implements Link {
  readonly #inner: Link;
  readonly #keys: LinkKeys;
  readonly #outNonce = new Counting();
  readonly #inNonce = new Counting();
  #events: LinkEvents | undefined;

  constructor(inner: Link, keys: LinkKeys) {
    this.#inner = inner;
    this.#keys = keys;
  }

  get bufferedBytes(): number {
    return this.#inner.bufferedBytes;
  }

  get isOpen(): boolean {
    return this.#inner.isOpen;
  }

  get isWorn(): boolean {
    return !this.#keys.clusterKey.isFirst;
  }

  get certified(): readonly string[] | undefined {
    return this.#inner.certified;
  }

  /** @returns what the link under it is to tell */
  begin(open: (link: Link) => LinkEvents): LinkEvents {
    this.#events = open(this);
    return {
      message: (bytes) => this.received(bytes),
      ended: (reason) => this.#events?.ended(reason),
    };
  }

  send(message: Uint8Array): void {
    const { cipher, clusterKey, outgoing } = this.#keys;
    if (!this.isOpen) return;
    if (clusterKey.isRemoved) return this.close();
    this.#inner.send(cipher.seal(outgoing, this.#outNonce.next(), EMPTY_BYTES, message));
  }

  received(bytes: Uint8Array): void {
    const { cipher, clusterKey, incoming } = this.#keys;
    if (!this.isOpen) return;
    const message = clusterKey.isRemoved
      ? undefined
      : cipher.open(incoming, this.#inNonce.next(), EMPTY_BYTES, bytes);
    if (message === undefined) this.close();
    else this.#events?.message(message);
  }

  close(): void {
    this.#inner.close();
  }
}

/** 0, 1, 2, ... as nonces. */
class Counting {
  readonly #writer = new ByteWriter(SEAL_NONCE_BYTES);
  #count = 0;

  /** Valid until the next call. */
  next(): Uint8Array {
    const writer = this.#writer;
    writer.reset();
    writer.u32(0);
    writer.u64(this.#count++);
    return writer.view();
  }
}

/** The opener's end of a link, before it is known who answers: keeps what comes in. */
export class UnopenedLink implements LinkEvents {
  readonly #inner: Link;
  #held: Uint8Array[] = [];
  #events: LinkEvents | undefined;
  #endReason: string | undefined;

  constructor(inner: Link) {
    this.#inner = inner;
  }

  message(bytes: Uint8Array): void {
    if (this.#events !== undefined) this.#events.message(bytes);
    else if (this.#held.length < HELD_MAX) this.#held.push(bytes);
    else this.#inner.close();
  }

  ended(reason: string): void {
    this.#endReason = reason;
    this.#events?.ended(reason);
  }

  /** Whoever answers is known: the link is given to its owner, and what has come in meanwhile. */
  open(keys: LinkKeys, open: (link: Link) => LinkEvents): void {
    const events = new SealedLink(this.#inner, keys).begin(open);
    this.#events = events;
    for (const bytes of this.#held) events.message(bytes);
    this.#held = [];
    if (this.#endReason !== undefined) events.ended(this.#endReason);
  }

  close(): void {
    this.#inner.close();
  }
}
