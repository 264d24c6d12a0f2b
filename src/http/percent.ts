/**
 * Percent-encoding, strictly: every `%` is followed by two hex digits or the whole text is refused.
 *
 * Decoding gives bytes, because a key is bytes. Bun hands us URLs in ASCII; anything above in a text that is decoded here
 * (only tests can do that) is taken as its UTF-8.
 */
import { utf8 } from "../base/bytes.ts";

const PERCENT = 0x25;
const PLUS = 0x2b;
const SPACE = 0x20;

/** -1 for what is no hex digit. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/**
 * The bytes that `text` encodes, or `undefined` where an escape is malformed.
 *
 * @param plusIsSpace true in a query, where browsers write a space as `+`
 */
export function percentDecode(text: string, plusIsSpace = false): Uint8Array | undefined {
  if (!text.includes("%") && !(plusIsSpace && text.includes("+"))) return utf8(text);
  const source = utf8(text);
  let length = 0;
  for (let i = 0; i < source.length; i++) {
    let byte = source[i]!;
    if (byte === PERCENT) {
      const high = i + 2 < source.length ? hexDigit(source[i + 1]!) : -1;
      const low = i + 2 < source.length ? hexDigit(source[i + 2]!) : -1;
      if (high < 0 || low < 0) return undefined;
      byte = (high << 4) | low;
      i += 2;
    } else if (plusIsSpace && byte === PLUS) byte = SPACE;
    // In place: what is written never runs ahead of what is read.
    source[length++] = byte;
  }
  return source.subarray(0, length);
}

/** Bytes as a path that decodes to them: unreserved characters and slashes as they are, all else escaped. */
export function percentEncode(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    const character = String.fromCharCode(byte);
    text += /[A-Za-z0-9\-._~/]/.test(character)
      ? character
      : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return text;
}
