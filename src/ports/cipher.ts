/**
 * What sealing needs of cryptography: AES-256-GCM and HMAC-SHA-256, at once and without a promise. The same in both worlds: bytes in, bytes out.
 */

export const SEAL_KEY_BYTES = 32;
export const SEAL_NONCE_BYTES = 12;
/** What `seal` adds to a message. */
export const SEAL_TAG_BYTES = 16;
export const MAC_BYTES = 32;

export interface Cipher {
  /**
   * The message encrypted, then its tag. A nonce is used once with a key: twice gives both messages away.
   *
   * @param associated is not in the result, and `open` fails with any other
   */
  seal(key: Uint8Array, nonce: Uint8Array, associated: Uint8Array, message: Uint8Array): Uint8Array;
  /** The message, or `undefined` where anything differs from what was sealed. */
  open(
    key: Uint8Array,
    nonce: Uint8Array,
    associated: Uint8Array,
    sealed: Uint8Array,
  ): Uint8Array | undefined;
  /** HMAC-SHA-256. */
  mac(key: Uint8Array, message: Uint8Array): Uint8Array;
  /** In the same time wherever they differ. */
  areEqual(a: Uint8Array, b: Uint8Array): boolean;
}
