/**
 * A key as the page has it: its bytes, and their text where they are UTF-8.
 *
 * A listing gives `key` or `keyB64`. A URL carries a key as it is, except where a browser would change it: segments `.` and
 * `..` are folded away before a request leaves. Those keys, and the ones that are not UTF-8, go by `/v1/kv64`.
 *
 * What a label shows is exactly one line: control characters and those that turn the direction of writing are spelled out,
 * so that no key looks like another one.
 */
import { base64url, fromBase64url, utf8, utf8Text } from "../../base/bytes.ts";

export interface StoredKey {
  readonly bytes: Uint8Array;
  /** `undefined` where the bytes are not UTF-8. */
  readonly text: string | undefined;
}

export interface NamedInJson {
  readonly key?: string;
  readonly keyB64?: string;
}

export function keyOfText(text: string): StoredKey {
  return { bytes: utf8(text), text };
}

export function keyOfBytes(bytes: Uint8Array): StoredKey {
  return { bytes, text: utf8Text(bytes) };
}

export function keyOfJson({ key, keyB64 }: NamedInJson): StoredKey {
  if (key !== undefined) return keyOfText(key);
  return keyOfBytes(fromBase64url(keyB64 ?? "") ?? new Uint8Array(0));
}

/** A group of a listing is a text, or an object where it is not UTF-8. */
export function keyOfPrefix(prefix: string | { readonly prefixB64: string }): StoredKey {
  return typeof prefix === "string" ? keyOfText(prefix) : keyOfJson({ keyB64: prefix.prefixB64 });
}

const DOT_SEGMENT = /(?:^|\/)\.{1,2}(?:\/|$)/;
/** Not well-formed as UTF-16; `encodeURIComponent` throws for these, and UTF-8 cannot say them. */
const isSpeakable = (text: string): boolean => text.isWellFormed();

export function keyPath(bucket: string, { bytes, text }: StoredKey): string {
  const isPlain = text !== undefined && isSpeakable(text) && !DOT_SEGMENT.test(text);
  if (!isPlain) return `/v1/kv64/${bucket}/${base64url(bytes)}`;
  return `/v1/kv/${bucket}/${text.split("/").map(encodeURIComponent).join("/")}`;
}

/** For a query, where any bytes may stand. */
export function percentBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
}

/** Control characters, line and paragraph separators, zero-width characters, marks of direction, the byte order mark. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
const SPELLED: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

export function visibleText(text: string): string {
  return text.replace(
    UNSEEN,
    (character) => SPELLED[character] ?? `\\u{${character.codePointAt(0)!.toString(16)}}`,
  );
}

/** Bytes that are not UTF-8 in the way of programs: what is ASCII as it is, the rest as `\xff`. */
export function labelOf({ bytes, text }: StoredKey): string {
  if (text !== undefined) return visibleText(text);
  return Array.from(bytes, (byte) =>
    byte >= 0x20 && byte < 0x7f
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, "0")}`,
  ).join("");
}

/** Equal for equal keys only; what a list is keyed by. */
export function identityOf({ bytes }: StoredKey): string {
  return base64url(bytes);
}
