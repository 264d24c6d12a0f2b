/** The small grammars of header and query values: durations, entity tags, metadata, media types. No state. */
import { utf8, utf8Text } from "../base/bytes.ts";
import { HutchError } from "../base/errors.ts";
import type { Condition, Expiry, Metadata } from "../quorum/operation.ts";
import { parseRfc3339 } from "./dates.ts";

/** 10 years of 365 days. */
export const TTL_MS_MAX = 10 * 365 * 86_400_000;
export const TTL_MS_MIN = 1000;
const CONTENT_TYPE_LENGTH_MAX = 256;
const CONTENT_ENCODING_LENGTH_MAX = 64;
export const IDEMPOTENCY_KEY_LENGTH_MAX = 200;
/** What `curl -d` says without being asked; it counts as not given. */
export const CURL_DEFAULT_TYPE = "application/x-www-form-urlencoded";

const UNIT_MS: Readonly<Record<string, number>> = {
  "": 1000,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `60`, `60s`, `5m`, `2h`, `7d` or `keep`. */
export function parseTtl(text: string): Expiry {
  if (text === "keep") return { kind: "keep" };
  const match = /^([0-9]{1,12})([smhd]?)$/.exec(text);
  const ttlMs = match === null ? -1 : Number(match[1]) * UNIT_MS[match[2] ?? ""]!;
  if (ttlMs < TTL_MS_MIN || ttlMs > TTL_MS_MAX) {
    throw new HutchError(
      "bad-ttl",
      `Cannot use TTL "${text.slice(0, 32)}": want 1 s to 10 years as 60, 60s, 5m, 2h or 7d, or keep`,
    );
  }
  return { kind: "after", ttlMs };
}

/** An RFC 3339 instant, 1 s to 10 years from now. */
export function parseExpiresAt(text: string, nowMs: number): Expiry {
  const wallMs = parseRfc3339(text);
  if (wallMs === undefined || wallMs < nowMs + TTL_MS_MIN || wallMs > nowMs + TTL_MS_MAX) {
    throw new HutchError(
      "bad-ttl",
      `Cannot expire at "${text.slice(0, 64)}": want an RFC 3339 instant, 1 s to 10 years from now`,
    );
  }
  return { kind: "at", wallMs };
}

/** `250ms` or `2s`. */
export function parseTimeout(text: string, timeoutMsMax: number): number {
  const match = /^([0-9]{1,9})(ms|s)$/.exec(text);
  const timeoutMs = match === null ? 0 : Number(match[1]) * (match[2] === "s" ? 1000 : 1);
  if (timeoutMs < 1 || timeoutMs > timeoutMsMax) {
    throw new HutchError(
      "bad-timeout",
      `Cannot use timeout "${text.slice(0, 32)}": want 1ms to ${timeoutMsMax}ms as 250ms or 2s`,
    );
  }
  return timeoutMs;
}

const NO_CONDITION: Condition = { kind: "none" };

/** The condition of a request, from its two headers as they are. */
export function parseCondition(
  ifMatch: string | undefined,
  ifNoneMatch: string | undefined,
): Condition {
  if (ifMatch === undefined && ifNoneMatch === undefined) return NO_CONDITION;
  if (ifMatch !== undefined && ifNoneMatch !== undefined) {
    throw new HutchError(
      "bad-request",
      "Cannot use both If-Match and If-None-Match: want at most one of them",
    );
  }
  return ifMatch !== undefined
    ? { kind: "if-match", etags: parseEtags(ifMatch, false) }
    : { kind: "if-none-match", etags: parseEtags(ifNoneMatch!, true) };
}

/** One tag and what follows it; a tag may hold commas. */
const ETAG = /\s*(W\/)?"([\x21\x23-\x7e]*)"\s*(,|$)/y;
/** ETags in one header; they are short, a header is at most 16 KiB. */
const ETAGS_MAX = 64;

/** `*`, or tags without quotes. A weak tag never matches strongly (RFC 9110), so `If-Match` drops it. */
function parseEtags(text: string, isWeakAllowed: boolean): "*" | readonly string[] {
  if (text.trim() === "*") return "*";
  const etags: string[] = [];
  ETAG.lastIndex = 0;
  for (let count = 0; count < ETAGS_MAX; count++) {
    const match = ETAG.exec(text);
    if (match === null) throw badEtag(text);
    if (match[1] === undefined || isWeakAllowed) etags.push(match[2]!);
    if (match[3] === "") return etags;
  }
  throw badEtag(text);
}

function badEtag(text: string): HutchError {
  return new HutchError(
    "bad-request",
    `Cannot read the condition "${text.slice(0, 64)}": want * or quoted ETags`,
  );
}

/** True where `etag` ("" for an absent key) satisfies the condition. */
export function conditionHolds(condition: Condition, etag: string): boolean {
  if (condition.kind === "none") return true;
  const isListed = etag !== "" && (condition.etags === "*" || condition.etags.includes(etag));
  return condition.kind === "if-match" ? isListed : !isListed;
}

/** A header arrives as one character per byte; metadata is text. */
export function textOfHeader(value: string): string | undefined {
  if (isAscii(value)) return value;
  return utf8Text(Uint8Array.from(value, (character) => character.charCodeAt(0)));
}

/** The other way round, for an answer. */
export function headerOfText(text: string): string {
  if (isAscii(text)) return text;
  return Array.from(utf8(text), (byte) => String.fromCharCode(byte)).join("");
}

function isAscii(text: string): boolean {
  return !/[^\x00-\x7f]/.test(text);
}

const META_NAME = /^[a-z0-9!#$%&'*+\-.^_`|~]+$/;

export function isMetadataName(name: string): boolean {
  return META_NAME.test(name);
}

/** Throws unless the names can be header names, the values can be header values, and all fits into `bytesMax`. */
export function checkMetadata(meta: Metadata, bytesMax: number): Metadata {
  let bytes = 0;
  for (const [name, value] of meta) {
    if (!isMetadataName(name)) {
      throw new HutchError(
        "bad-request",
        `Cannot use metadata name "${name.slice(0, 64)}": want a header name`,
      );
    }
    if (/[\x00-\x08\x0a-\x1f\x7f]/.test(value) || value !== value.trim()) {
      throw new HutchError(
        "bad-request",
        `Cannot use the value of metadata "${name}": want no control characters and no space around it`,
      );
    }
    bytes += name.length + utf8(value).length;
  }
  if (bytes > bytesMax) {
    throw new HutchError(
      "metadata-too-large",
      `Cannot store ${bytes} bytes of metadata: want at most ${bytesMax}`,
    );
  }
  return meta;
}

/** Throws unless the media type can be stored and given back as a header; "" is none. */
export function checkContentType(text: string): string {
  if (text === CURL_DEFAULT_TYPE) return "";
  return checkToken(text, "Content-Type", CONTENT_TYPE_LENGTH_MAX);
}

export function checkContentEncoding(text: string): string {
  return checkToken(text, "Content-Encoding", CONTENT_ENCODING_LENGTH_MAX);
}

export function checkIdempotencyKey(text: string): string {
  if (text === "") throw new HutchError("bad-request", "Cannot use Idempotency-Key: it is empty");
  return checkToken(text, "Idempotency-Key", IDEMPOTENCY_KEY_LENGTH_MAX);
}

function checkToken(text: string, header: string, lengthMax: number): string {
  if (text.length > lengthMax || !/^[\x20-\x7e]*$/.test(text)) {
    throw new HutchError(
      "bad-request",
      `Cannot use ${header}: want at most ${lengthMax} printable ASCII characters`,
    );
  }
  return text;
}
