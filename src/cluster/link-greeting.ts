/**
 * How two nodes show each other that they have the cluster's key when a link is opened (Q4).
 *
 *   opener    version u8 = 0x81 | key id u32 | Unix ms u64 | nonce 16 | mac 32 | hello
 *   answerer  version u8 = 0x81 | nonce 16 | mac 32 | hello
 *
 *   mac of the opener    HMAC-SHA-256 over "opens"   | cluster name | address of the answerer | key id | Unix ms | nonce | hello
 *   mac of the answerer  HMAC-SHA-256 over "answers" | mac of the opener | nonce | hello
 *   mac of a refusal     HMAC-SHA-256 over "refuses" | mac of the opener | status u16 | reason                       mac 32 | reason, as body of the refusal
 *   session keys         HMAC-SHA-256 over "to answerer" or "to opener", and both macs
 *
 * The hello says who the sender is. The address keeps a greeting from being shown to another node, time stamp and nonce from being shown twice, the
 * first word from being turned round. Both nonces are in the session keys, so whoever repeats what he has heard cannot say a word on the link.
 */
import { ByteReader, DecodeError } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { concatBytes, utf8 } from "../base/bytes.ts";
import { type Cipher, MAC_BYTES } from "../ports/cipher.ts";
import type { ClusterKey } from "./key-ring.ts";

const VERSION = 0x81;
export const NONCE_BYTES = 16;
/** What the longer of the two greetings adds to a hello. */
export const GREETING_BYTES = 1 + 4 + 8 + NONCE_BYTES + MAC_BYTES;

export interface Opening {
  readonly keyId: number;
  readonly sentMs: number;
  readonly nonce: Uint8Array;
  readonly mac: Uint8Array;
  readonly hello: Uint8Array;
}

export interface Answering {
  readonly nonce: Uint8Array;
  readonly mac: Uint8Array;
  readonly hello: Uint8Array;
}

export interface SessionKeys {
  readonly toAnswerer: Uint8Array;
  readonly toOpener: Uint8Array;
}

/** What the mac of an opening says besides what is in it. */
export interface Meant {
  readonly clusterName: string;
  /** Numeric; where the answerer is reached. */
  readonly address: string;
}

/** The macs and keys of links, with one key of the cluster. */
export class LinkGreeter {
  readonly #cipher: Cipher;
  readonly #key: ClusterKey;

  constructor(cipher: Cipher, key: ClusterKey) {
    this.#cipher = cipher;
    this.#key = key;
  }

  macOfOpening({ keyId, sentMs, nonce, hello }: Omit<Opening, "mac">, meant: Meant): Uint8Array {
    const writer = new ByteWriter(256);
    for (const text of ["opens", meant.clusterName, meant.address]) writer.bytes(utf8(text));
    writer.u32(keyId);
    writer.u64(sentMs);
    writer.raw(nonce);
    writer.raw(hello);
    return this.#cipher.mac(this.#key.links, writer.view());
  }

  macOfAnswer(openingMac: Uint8Array, nonce: Uint8Array, hello: Uint8Array): Uint8Array {
    return this.#mac("answers", openingMac, nonce, hello);
  }

  macOfRefusal(openingMac: Uint8Array, status: number, reason: Uint8Array): Uint8Array {
    return this.#mac("refuses", openingMac, Uint8Array.of(status & 0xff, status >> 8), reason);
  }

  sessionKeys(openingMac: Uint8Array, answerMac: Uint8Array): SessionKeys {
    return {
      toAnswerer: this.#mac("to answerer", openingMac, answerMac),
      toOpener: this.#mac("to opener", openingMac, answerMac),
    };
  }

  #mac(word: string, ...parts: readonly Uint8Array[]): Uint8Array {
    const writer = new ByteWriter(256);
    writer.bytes(utf8(word));
    writer.raw(concatBytes(...parts));
    return this.#cipher.mac(this.#key.links, writer.view());
  }
}

export function encodeOpening({ keyId, sentMs, nonce, mac, hello }: Opening): Uint8Array {
  const writer = new ByteWriter(GREETING_BYTES + hello.length);
  writer.u8(VERSION);
  writer.u32(keyId);
  writer.u64(sentMs);
  for (const part of [nonce, mac, hello]) writer.raw(part);
  return writer.finish();
}

/** `undefined` for what is none. Its parts are copies. */
export function decodeOpening(bytes: Uint8Array): Opening | undefined {
  return read(bytes, (reader) => ({
    keyId: reader.u32(),
    sentMs: reader.u64(),
    nonce: reader.raw(NONCE_BYTES).slice(),
    mac: reader.raw(MAC_BYTES).slice(),
    hello: reader.raw(reader.remaining).slice(),
  }));
}

export function encodeAnswering({ nonce, mac, hello }: Answering): Uint8Array {
  return concatBytes(Uint8Array.of(VERSION), nonce, mac, hello);
}

/** `undefined` for what is none. Its parts are copies. */
export function decodeAnswering(bytes: Uint8Array): Answering | undefined {
  return read(bytes, (reader) => ({
    nonce: reader.raw(NONCE_BYTES).slice(),
    mac: reader.raw(MAC_BYTES).slice(),
    hello: reader.raw(reader.remaining).slice(),
  }));
}

function read<T>(bytes: Uint8Array, parts: (reader: ByteReader) => T): T | undefined {
  try {
    const reader = new ByteReader(bytes);
    return reader.u8() === VERSION ? parts(reader) : undefined;
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}
