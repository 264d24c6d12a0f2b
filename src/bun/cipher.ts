/** AES-256-GCM and HMAC-SHA-256 of `node:crypto`: about 2 us for a datagram either way, 6 us for 64 KiB (BUN.md). */
import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual } from "node:crypto";
import { type Cipher, SEAL_TAG_BYTES } from "../ports/cipher.ts";

const ALGORITHM = "aes-256-gcm";

export const bunCipher: Cipher = {
  seal(key, nonce, associated, message) {
    const cipher = createCipheriv(ALGORITHM, key, nonce);
    cipher.setAAD(associated);
    const sealed = new Uint8Array(message.length + SEAL_TAG_BYTES);
    sealed.set(cipher.update(message));
    cipher.final();
    sealed.set(cipher.getAuthTag(), message.length);
    return sealed;
  },

  open(key, nonce, associated, sealed) {
    const length = sealed.length - SEAL_TAG_BYTES;
    if (length < 0) return undefined;
    const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: SEAL_TAG_BYTES });
    decipher.setAAD(associated);
    decipher.setAuthTag(sealed.subarray(length));
    const message = decipher.update(sealed.subarray(0, length));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    return new Uint8Array(message.buffer, message.byteOffset, message.length);
  },

  mac(key, message) {
    return new Uint8Array(createHmac("sha256", key).update(message).digest());
  },

  areEqual(a, b) {
    return a.length === b.length && timingSafeEqual(a, b);
  },
};
