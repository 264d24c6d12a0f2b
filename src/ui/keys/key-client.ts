/**
 * What the key views ask of a node (REST.md sections 2 and 3): listings, one key with all its siblings, writes with the
 * context that was read, `explain`.
 *
 * A key is read as an envelope, also where it has one value: so its bytes are data from the first to the last, and nothing of
 * them is ever a document of its own.
 */
import { fromBase64url, utf8 } from "../../base/bytes.ts";
import { ApiProblem, checked, getJson, send } from "../api.ts";
import { type StoredKey, keyOfJson, keyOfPrefix, keyPath, percentBytes } from "./stored-key.ts";

export const LEVELS = ["ONE", "QUORUM", "ALL"] as const;
export type Level = (typeof LEVELS)[number];

/** Rows of a page; what is in the document never exceeds it. */
export const PAGE_KEYS = 100;
/** An answer above this is not read; the value can still be downloaded. */
export const ENVELOPE_BYTES_MAX = 8 * 1024 * 1024;
const SIBLINGS_TYPE = "application/vnd.hutch.siblings+json";

export interface ListedKey {
  readonly key: StoredKey;
  readonly sizeBytes: number;
  /** RFC 3339, or `undefined` for never. */
  readonly expiresAt: string | undefined;
  readonly siblingCount: number;
}

export interface KeyPage {
  readonly keys: readonly ListedKey[];
  readonly folders: readonly StoredKey[];
  /** Empty on the last page. */
  readonly cursor: string;
  readonly isPartial: boolean;
}

export interface Sibling {
  readonly dot: string;
  readonly wallMs: number;
  readonly isDeleted: boolean;
  readonly bytes: Uint8Array;
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly meta: readonly (readonly [name: string, value: string])[];
  readonly expiresAt: string | undefined;
}

export type KeyReading =
  | {
      readonly kind: "found";
      readonly context: string;
      readonly etag: string;
      readonly siblings: readonly Sibling[];
      readonly replies: string;
      readonly node: string;
    }
  | { readonly kind: "absent"; readonly context: string; readonly isDeleted: boolean }
  | { readonly kind: "too-large"; readonly sizeBytes: number };

export interface NewValue {
  readonly bytes: Uint8Array;
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly meta: Sibling["meta"];
  /** As `X-TTL` has it; empty for none. */
  readonly ttl: string;
  /** RFC 3339; empty for none. */
  readonly expiresAt: string;
  /** Of the read that this follows; empty for none. */
  readonly context: string;
}

export interface ExplainedNode {
  readonly node: string;
  readonly role: "primary" | "fallback";
  readonly state: string;
  readonly reachable: boolean;
  readonly dots: readonly string[];
  readonly stateHash: string;
  readonly latencyMs: number;
}

export interface Explanation {
  readonly partition: number;
  readonly owners: readonly ExplainedNode[];
  readonly fallbacks: readonly ExplainedNode[];
  readonly equal: boolean;
}

export async function bucketNames(signal: AbortSignal): Promise<readonly string[]> {
  const { buckets } = await getJson<{ buckets: readonly { name: string }[] }>(
    "/v1/buckets",
    signal,
  );
  return buckets.map(({ name }) => name);
}

export interface PageRequest {
  readonly bucket: string;
  readonly prefix: StoredKey;
  /** Empty for a flat listing. */
  readonly delimiter: string;
  readonly cursor: string;
  readonly level: Level;
}

interface PageJson {
  readonly keys: readonly {
    readonly key?: string;
    readonly keyB64?: string;
    readonly size: number;
    readonly expiresAt: string | null;
    readonly siblings: number;
  }[];
  readonly prefixes: readonly (string | { readonly prefixB64: string })[];
  readonly cursor: string;
  readonly partial: boolean;
}

export async function listKeys(request: PageRequest, signal: AbortSignal): Promise<KeyPage> {
  const query = [`limit=${PAGE_KEYS}`, `consistency=${request.level}`];
  if (request.prefix.bytes.length > 0) query.push(`prefix=${percentBytes(request.prefix.bytes)}`);
  if (request.delimiter !== "") query.push(`delimiter=${encodeURIComponent(request.delimiter)}`);
  if (request.cursor !== "") query.push(`cursor=${encodeURIComponent(request.cursor)}`);
  const path = `/v1/kv/${encodeURIComponent(request.bucket)}?${query.join("&")}`;
  const page = await getJson<PageJson>(path, signal);
  return {
    keys: page.keys.map((listed) => ({
      key: keyOfJson(listed),
      sizeBytes: listed.size,
      expiresAt: listed.expiresAt ?? undefined,
      siblingCount: listed.siblings,
    })),
    folders: page.prefixes.map(keyOfPrefix),
    cursor: page.cursor,
    isPartial: page.partial,
  };
}

interface SiblingJson {
  readonly dot: string;
  readonly hlc: string;
  readonly deleted?: true;
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly meta?: Readonly<Record<string, string>>;
  readonly expiresAt?: string;
  readonly value?: string;
  readonly valueB64?: string;
}

function siblingOf(json: SiblingJson): Sibling {
  return {
    dot: json.dot,
    wallMs: Number.parseInt(json.hlc, 10),
    isDeleted: json.deleted === true,
    bytes:
      json.value === undefined
        ? (fromBase64url(json.valueB64 ?? "") ?? new Uint8Array(0))
        : utf8(json.value),
    contentType: json.contentType ?? "",
    contentEncoding: json.contentEncoding ?? "",
    meta: Object.entries(json.meta ?? {}),
    expiresAt: json.expiresAt,
  };
}

export async function readKey(
  bucket: string,
  key: StoredKey,
  level: Level,
  signal: AbortSignal,
): Promise<KeyReading> {
  const headers = { Accept: SIBLINGS_TYPE, "X-Consistency": level };
  const answer = await send(keyPath(bucket, key), { headers, signal });
  if (answer.status === 404) return absence(answer);
  await checked(answer);
  const sizeBytes = Number(answer.headers.get("content-length") ?? 0);
  if (sizeBytes > ENVELOPE_BYTES_MAX) {
    await answer.body?.cancel();
    return { kind: "too-large", sizeBytes };
  }
  const envelope = (await answer.json()) as { context: string; siblings: readonly SiblingJson[] };
  if (!hasSiblings(envelope)) throw new Error("Cannot read the node's answer: it has no siblings");
  return {
    kind: "found",
    context: envelope.context,
    siblings: envelope.siblings.map(siblingOf),
    etag: answer.headers.get("etag") ?? "",
    replies: answer.headers.get("x-replies") ?? "",
    node: answer.headers.get("x-node") ?? "",
  };
}

/** What is no such answer is of something between the page and the node; a `TypeError` would read as a node that does not answer. */
function hasSiblings(envelope: { readonly siblings?: unknown } | null): boolean {
  const siblings = envelope?.siblings;
  return (
    Array.isArray(siblings) && siblings.every((one) => typeof one === "object" && one !== null)
  );
}

/** The 404 of a deleted key has its context, so that a write can follow. */
async function absence(answer: Response): Promise<KeyReading> {
  const context = answer.headers.get("x-causal-context") ?? "";
  const isDeleted = answer.headers.get("x-tombstone") === "true";
  try {
    await checked(answer);
  } catch (thrown) {
    if (!(thrown instanceof ApiProblem) || thrown.problem.code !== "key-not-found") throw thrown;
  }
  return { kind: "absent", context, isDeleted };
}

/** A header carries one character per byte; metadata is UTF-8. */
export function headerOfText(text: string): string {
  return Array.from(utf8(text), (byte) => String.fromCharCode(byte)).join("");
}

/** Writes and gives `X-Acks`. */
export async function writeKey(
  bucket: string,
  key: StoredKey,
  value: NewValue,
  level: Level,
): Promise<string> {
  const headers = new Headers({ "X-Consistency": level });
  headers.set("Content-Type", value.contentType || "application/octet-stream");
  if (value.contentEncoding !== "") headers.set("Content-Encoding", value.contentEncoding);
  if (value.context !== "") headers.set("X-Causal-Context", value.context);
  if (value.ttl !== "") headers.set("X-TTL", value.ttl);
  else if (value.expiresAt !== "") headers.set("X-Expires-At", value.expiresAt);
  for (const [name, text] of value.meta) headers.set(`X-Meta-${name}`, headerOfText(text));
  const body = value.bytes as Uint8Array<ArrayBuffer>; // nobody here shares memory
  const answer = await checked(await send(keyPath(bucket, key), { method: "PUT", headers, body }));
  return answer.headers.get("x-acks") ?? "";
}

/** Deletes what the context covers and gives `X-Acks`. */
export async function deleteKey(
  bucket: string,
  key: StoredKey,
  context: string,
  level: Level,
): Promise<string> {
  const headers = new Headers({ "X-Consistency": level });
  if (context !== "") headers.set("X-Causal-Context", context);
  const answer = await checked(await send(keyPath(bucket, key), { method: "DELETE", headers }));
  return answer.headers.get("x-acks") ?? "";
}

export async function explainKey(
  bucket: string,
  key: StoredKey,
  signal: AbortSignal,
): Promise<Explanation> {
  return getJson<Explanation>(`${keyPath(bucket, key)}?explain=1`, signal);
}
