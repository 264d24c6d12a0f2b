/**
 * What the address says of the key views: `#/keys/BUCKET?prefix=a%2F&by=%2F&key=a%2Fb`. Whatever is on the page can be linked
 * to, and the browser's own way back works. Keys and prefixes that are not UTF-8 are `key64` and `prefix64`.
 */
import { base64url } from "../../base/bytes.ts";
import type { Place } from "../shell/place.ts";
import { type StoredKey, keyOfJson, keyOfText } from "./stored-key.ts";

export interface KeysPlace {
  readonly bucket: string;
  readonly prefix: StoredKey;
  /** What ends a folder; empty for a flat list. */
  readonly delimiter: string;
  /** The key that is open. */
  readonly key: StoredKey | undefined;
}

/** What a node takes as the name of a bucket; the rest of what people type is not sent. */
export const BUCKET_NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;

export const DELIMITERS = ["/", ":", "-", "."] as const;

export function keysPlaceOf({ rest, query }: Place): KeysPlace {
  return {
    bucket: decoded(rest),
    prefix: namedIn(query, "prefix") ?? keyOfText(""),
    delimiter: query.get("by") ?? "/",
    key: namedIn(query, "key"),
  };
}

/** Somebody may have typed the address. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function namedIn(query: URLSearchParams, name: string): StoredKey | undefined {
  const [text, bytes] = [query.get(name), query.get(`${name}64`)];
  if (text !== null) return keyOfText(text);
  return bytes === null ? undefined : keyOfJson({ keyB64: bytes });
}

export function hashOf({ bucket, prefix, delimiter, key }: KeysPlace): string {
  const query = new URLSearchParams();
  if (prefix.bytes.length > 0) setNamed(query, "prefix", prefix);
  if (delimiter !== "/") query.set("by", delimiter);
  if (key !== undefined) setNamed(query, "key", key);
  const text = query.toString();
  return `#/keys/${encodeURIComponent(bucket)}${text === "" ? "" : `?${text}`}`;
}

function setNamed(query: URLSearchParams, name: string, { bytes, text }: StoredKey): void {
  if (text !== undefined && text.isWellFormed()) query.set(name, text);
  else query.set(`${name}64`, base64url(bytes));
}
