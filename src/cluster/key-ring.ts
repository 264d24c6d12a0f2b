/**
 * The keys that the nodes of a cluster share: the first seals, all open.
 *
 * A key is never replaced at once, because the nodes learn of it one after the other. It is *installed* on all (they open with it), then *used* on
 * all (they seal with it), then the old one is *removed* from all: at each moment every node opens what any other seals (as in memberlist).
 *
 *   file    # comments
 *           base64 of 32 bytes      one key per line, at most 3, the first seals
 *
 * A key is named by its *id*, four bytes of an HMAC made with it, which travel in the open and tell nothing of it. What seals datagrams and what opens links are
 * derived from it, so that no byte of one use means anything in the other.
 */
import { hex, utf8 } from "../base/bytes.ts";
import { HutchError } from "../base/errors.ts";
import { readU32 } from "../base/byte-reader.ts";
import { type Cipher, SEAL_KEY_BYTES } from "../ports/cipher.ts";

export const KEYS_MAX = 3;
const FILE_BYTES_MAX = 4096;

export interface ClusterKey {
  /** As on the wire. */
  readonly id: number;
  /** Eight hexadecimal digits, for people. */
  readonly name: string;
  readonly datagrams: Uint8Array;
  readonly links: Uint8Array;
  /** It seals: links that were opened under another one are replaced when they are quiet. */
  isFirst: boolean;
  /** Not in the ring any more: what was opened with it ends. */
  isRemoved: boolean;
}

export class KeyRing {
  readonly #cipher: Cipher;
  #keys: readonly ClusterKey[] = [];

  /** @param secrets 1 to 3, the first seals */
  constructor(cipher: Cipher, secrets: readonly Uint8Array[]) {
    this.#cipher = cipher;
    this.set(secrets);
  }

  /** The one that seals. */
  get first(): ClusterKey {
    return this.#keys[0]!; // `set` takes no empty list
  }

  get names(): readonly string[] {
    return this.#keys.map(({ name }) => name);
  }

  find(id: number): ClusterKey | undefined {
    for (const key of this.#keys) if (key.id === id) return key;
    return undefined;
  }

  /** From now on these; a key that stays goes on as it is. @throws HutchError `bad-config` */
  set(secrets: readonly Uint8Array[]): void {
    if (secrets.length === 0 || secrets.length > KEYS_MAX)
      throw badKeys(`there are ${secrets.length}; want 1 to ${KEYS_MAX}`);
    const made = secrets.map((secret) => deriveKey(this.#cipher, secret));
    const ids = new Set(made.map(({ id }) => id));
    if (ids.size < made.length) throw badKeys("one of them is there twice");
    const keys = made.map((key) => this.find(key.id) ?? key);
    for (const key of this.#keys) key.isRemoved = !ids.has(key.id);
    for (const key of [...this.#keys, ...keys]) key.isFirst = key === keys[0];
    this.#keys = keys;
  }
}

/** What the name of a key is, and what it is used for. */
export function deriveKey(cipher: Cipher, secret: Uint8Array): ClusterKey {
  if (secret.length !== SEAL_KEY_BYTES)
    throw badKeys(`one has ${secret.length} bytes; want ${SEAL_KEY_BYTES}`);
  const derive = (use: string): Uint8Array => cipher.mac(secret, utf8(`hutch ${use}`));
  const idBytes = derive("key id").subarray(0, 4);
  return {
    id: readU32(idBytes, 0),
    name: hex(idBytes),
    datagrams: derive("datagrams 1"),
    links: derive("links 1"),
    isFirst: false,
    isRemoved: false,
  };
}

/** The secrets of a key file, in its order. @throws HutchError `bad-config`; no message holds a byte of a key */
export function parseKeyFile(text: string): Uint8Array[] {
  if (text.length > FILE_BYTES_MAX)
    throw badKeys(`the file is longer than ${FILE_BYTES_MAX} bytes`);
  const lines = text.split("\n").map((line) => line.trim());
  const keyLines = lines.filter((line) => line !== "" && !line.startsWith("#"));
  return keyLines.map((line, index) => {
    const secret = fromBase64(line);
    if (secret?.length === SEAL_KEY_BYTES) return secret;
    throw badKeys(`key ${index + 1} is not the base64 of ${SEAL_KEY_BYTES} bytes`);
  });
}

export function formatKeyFile(secrets: readonly Uint8Array[]): string {
  const lines = secrets.map((secret) => `${secret.toBase64()}\n`);
  return `# Cluster keys of hutch: the first seals, all open; at most ${KEYS_MAX}.\n${lines.join("")}`;
}

function fromBase64(text: string): Uint8Array | undefined {
  try {
    return Uint8Array.fromBase64(text);
  } catch {
    return undefined;
  }
}

function badKeys(what: string): HutchError {
  return new HutchError("bad-config", `Cannot use the cluster keys: ${what}`);
}
