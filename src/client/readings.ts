/** Answers about one key, still in bytes, and how they become entries with values. */

import { utf8 } from "../base/bytes.ts";
import { fromBase64url } from "./base64.ts";
import type { Codec } from "./codecs.ts";
import { RequestError } from "./errors.ts";
import type { AbsentEntry, Entry, Metadata, Sibling, Written } from "./types.ts";
import { problemOf, textOfHeader } from "./wire.ts";

const META_PREFIX = "x-meta-";
const NO_METADATA: Metadata = {};

/** A sibling as the envelope has it; also the shape of values in lists and batches. */
export interface SiblingJson {
  readonly dot?: string;
  readonly hlc?: string;
  readonly contentType?: string;
  readonly meta?: Metadata;
  readonly value?: string;
  readonly valueB64?: string;
  readonly deleted?: boolean;
}

/** An answer whose body has been read. */
export type RawEntry =
  | { readonly kind: "value"; readonly bytes: Uint8Array; readonly headers: Headers }
  | {
      readonly kind: "siblings";
      readonly siblings: readonly SiblingJson[];
      readonly headers: Headers;
    }
  | { readonly kind: "absent"; readonly context: string };

/** Throws what a problem document says, other than that the key is absent. */
export async function readRawEntry(response: Response): Promise<RawEntry> {
  const { headers } = response;
  if (response.status === 200)
    return { kind: "value", bytes: new Uint8Array(await response.arrayBuffer()), headers };
  if (response.status === 300) {
    return { kind: "siblings", siblings: listIn(await response.json(), "siblings", 300), headers };
  }
  const problem = await problemOf(response);
  if (problem.code !== "key-not-found") throw problem;
  return { kind: "absent", context: problem.context };
}

export async function entryOf<Value, Input>(
  raw: RawEntry,
  key: string,
  codec: Codec<Value, Input>,
): Promise<Entry<Value>> {
  if (raw.kind === "absent") return absentEntry(key, raw.context);
  const { headers } = raw;
  const context = headers.get("X-Causal-Context") ?? "";
  const etag = headers.get("ETag") ?? "";
  if (raw.kind === "siblings") {
    const siblings = await siblingsOf(raw.siblings, codec);
    return { kind: "siblings", key, siblings, context, etag };
  }
  return {
    kind: "value",
    key,
    value: await codec.decode(raw.bytes),
    context,
    etag,
    expiresAt: headers.get("X-Expires-At") ?? undefined,
    metadata: metadataOf(headers),
    contentType: headers.get("Content-Type") ?? "",
  };
}

export function absentEntry(key: string, context: string): AbsentEntry {
  return { kind: "absent", key, value: undefined, context };
}

function metadataOf(headers: Headers): Metadata {
  let metadata: Record<string, string> | undefined;
  headers.forEach((value, name) => {
    if (!name.startsWith(META_PREFIX)) return;
    // A null prototype, because names are the caller's: `__proto__` is a name like any other.
    metadata ??= Object.create(null) as Record<string, string>;
    metadata[name.slice(META_PREFIX.length)] = textOfHeader(value);
  });
  return metadata ?? NO_METADATA;
}

export async function siblingsOf<Value, Input>(
  siblings: readonly SiblingJson[],
  codec: Codec<Value, Input>,
  status = 300,
): Promise<Sibling<Value>[]> {
  return Promise.all(
    siblings.map(async (sibling) => ({
      value: sibling.deleted === true ? undefined : await codec.decode(bytesOf(sibling, status)),
      isDeleted: sibling.deleted === true,
      dot: sibling.dot ?? "",
      hlc: sibling.hlc ?? "",
      contentType: sibling.contentType ?? "",
      metadata: sibling.meta ?? NO_METADATA,
    })),
  );
}

export function bytesOf({ value = "", valueB64 }: SiblingJson, status = 200): Uint8Array {
  if (valueB64 !== undefined) return bytesOfBase64url(valueB64, status);
  if (typeof value === "string") return utf8(value);
  throw unreadable("a value is no text", status);
}

export function bytesOfBase64url(text: string, status = 200): Uint8Array {
  try {
    return fromBase64url(text);
  } catch (cause) {
    throw unreadable("something is not base64url", status, cause);
  }
}

/** The list of objects called `name`. */
export function listIn<Item extends object>(json: unknown, name: string, status = 200): Item[] {
  const list = (json as Readonly<Record<string, unknown>> | null)?.[name];
  // What is in the objects is that of REST.md; the answer comes from a node.
  if (isList(list)) return list as Item[];
  throw unreadable(`it has no list of ${name}`, status);
}

export function isList(json: unknown): boolean {
  return Array.isArray(json) && json.every((item) => typeof item === "object" && item !== null);
}

/** Something between us and the node has changed its answer, or it is a server that we do not know. */
export function unreadable(why: string, status = 200, cause?: unknown): RequestError {
  return new RequestError("internal", `Cannot read the node's answer: ${why}`, { status, cause });
}

/** Throws what a problem document says. */
export async function readWritten(response: Response, key: string): Promise<Written> {
  if (!response.ok) throw await problemOf(response);
  const { headers } = response;
  return {
    key,
    context: headers.get("X-Causal-Context") ?? "",
    etag: headers.get("ETag") ?? "",
    acks: headers.get("X-Acks") ?? "",
    siblingCount: Number(headers.get("X-Siblings") ?? 1),
  };
}

export async function readJson(response: Response): Promise<unknown> {
  if (!response.ok) throw await problemOf(response);
  return response.json();
}

/** Throws where a status has a body that is a problem. */
export async function readHead(response: Response): Promise<boolean> {
  if (response.ok || response.status === 300) return true;
  const problem = await problemOf(response);
  if (problem.code === "key-not-found") return false;
  throw problem;
}

/** What a problem inside a batch says. */
export function problemIn(
  problem: Readonly<Record<string, unknown>>,
  status: number,
): RequestError {
  const { code, detail, retry, requestId } = problem;
  const isText = typeof code === "string" && typeof detail === "string";
  // The codes are those of our own server.
  return new RequestError(isText ? (code as RequestError["code"]) : "internal", String(detail), {
    status,
    retry: retry === "safe" || retry === "safe-with-idempotency-key" ? retry : "no",
    requestId: String(requestId ?? ""),
    context: String(problem["context"] ?? ""),
    data: problem,
  });
}
