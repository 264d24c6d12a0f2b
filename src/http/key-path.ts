/**
 * Bucket and key out of the raw path, decoded once and strictly.
 *
 *   /v1/kv/{bucket}/{key, slashes and empty segments included}      UTF-8
 *   /v1/kv64/{bucket}/{base64url of the key}                        any bytes
 *
 * The framework's own parameters leave malformed escapes as text, so `%zz` and `%25zz` would be one key; here the first
 * one is refused.
 */
import { fromBase64url, utf8Text } from "../base/bytes.ts";
import { HutchError } from "../base/errors.ts";
import type { Exchange } from "./exchange.ts";
import { percentDecode } from "./percent.ts";

const BUCKET = /^[a-z0-9][a-z0-9._-]{0,62}$/;

export function checkBucket(name: string): string {
  if (!BUCKET.test(name)) {
    throw new HutchError(
      "bad-bucket",
      `Cannot use bucket "${name.slice(0, 64)}": want 1 to 63 of a-z, 0-9, ".", "_" and "-", the first a letter or a digit`,
    );
  }
  return name;
}

/** Throws unless `key` is 1 to `keyBytesMax` bytes. */
export function checkKey(key: Uint8Array, keyBytesMax: number): Uint8Array {
  if (key.length === 0) throw new HutchError("bad-key", "Cannot use the key: it is empty");
  if (key.length > keyBytesMax) {
    throw new HutchError(
      "key-too-long",
      `Cannot use the key: it is ${key.length} bytes long, want at most ${keyBytesMax}`,
    );
  }
  return key;
}

/** Decodes the path segment behind `prefix` (`/v1/kv/`), which is the whole rest of the path up to the next slash. */
export function bucketOf(exchange: Exchange, prefix: string): string {
  const start = exchange.pathStart + prefix.length;
  const slash = exchange.url.indexOf("/", start);
  const end = slash < 0 || slash > exchange.pathEnd ? exchange.pathEnd : slash;
  exchange.bucket = decodeBucket(exchange.url.slice(start, end));
  exchange.grant?.requireBucket(exchange.bucket);
  return exchange.bucket;
}

function decodeBucket(raw: string): string {
  if (!raw.includes("%")) return checkBucket(raw);
  const bytes = percentDecode(raw);
  const name = bytes === undefined ? undefined : utf8Text(bytes);
  return checkBucket(name ?? raw);
}

/** What stands in the path behind the bucket; `bucketOf` must have found a slash there. */
function rawKeyOf(exchange: Exchange, prefix: string): string {
  const start = exchange.url.indexOf("/", exchange.pathStart + prefix.length) + 1;
  if (exchange.url.charAt(exchange.pathEnd) === "#") {
    throw new HutchError("bad-key-encoding", 'Cannot read the key: "#" is not percent-encoded');
  }
  return exchange.url.slice(start, exchange.pathEnd);
}

/** The key of a `/v1/kv/{bucket}/{key}` path. */
export function textKeyOf(exchange: Exchange): Uint8Array {
  const raw = rawKeyOf(exchange, "/v1/kv/");
  const key = percentDecode(raw);
  if (key === undefined || (raw.includes("%") && utf8Text(key) === undefined)) {
    throw new HutchError(
      "bad-key-encoding",
      `Cannot read the key "${raw.slice(0, 64)}": want percent-encoded UTF-8, or any bytes under /v1/kv64`,
    );
  }
  return allowedKey(exchange, key);
}

/** The key of a `/v1/kv64/{bucket}/{base64url}` path. */
export function base64KeyOf(exchange: Exchange): Uint8Array {
  const raw = rawKeyOf(exchange, "/v1/kv64/");
  const key = fromBase64url(raw);
  if (key === undefined) {
    throw new HutchError(
      "bad-key-encoding",
      `Cannot read the key "${raw.slice(0, 64)}": want base64url`,
    );
  }
  return allowedKey(exchange, key);
}

/** Throws unless the token of the request is good for the key; `exchange.bucket` is known already. */
export function allowedKey(exchange: Exchange, key: Uint8Array): Uint8Array {
  exchange.key = key;
  checkKey(key, exchange.services.limits.keyBytesMax);
  exchange.grant?.requirePrefix(exchange.bucket, key);
  return key;
}
