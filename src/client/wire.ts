/**
 * One request of the REST interface as `fetch` wants it, and one answer as it came: paths, queries, headers, problem
 * documents. No decisions about nodes or repetition; those are in `transport.ts`.
 */

import { utf8 } from "../base/bytes.ts";
import type { ErrorCode, Retry } from "../base/errors.ts";
import { PROCESS_CODES, REST_CODES } from "../base/errors.ts";
import { toBase64url } from "./base64.ts";
import { RequestError } from "./errors.ts";

/** The shape of the global `fetch`. */
export type Send = (url: string, request: RequestInit) => Promise<Response>;

export type Query = Readonly<Record<string, string | number | Uint8Array | undefined>>;
export type HeaderFields = Readonly<Record<string, string | undefined>>;

export interface WireRequest {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: Query;
  readonly headers?: HeaderFields;
  readonly body?: Uint8Array | string;
}

const KNOWN_CODES: ReadonlySet<string> = new Set([...REST_CODES, ...PROCESS_CODES]);
const RETRIES: ReadonlySet<unknown> = new Set(["safe", "safe-with-idempotency-key", "no"]);

/** Nothing in it is escaped. */
const PLAIN_KEY = /^[\w-]+$/;

/** Answers without a problem document: to HEAD, and those of a proxy between us and the node. */
const CODE_OF_STATUS: Readonly<Record<number, readonly [ErrorCode, Retry]>> = {
  401: ["unauthenticated", "no"],
  403: ["forbidden", "no"],
  404: ["key-not-found", "no"],
  412: ["precondition-failed", "no"],
  413: ["value-too-large", "no"],
  429: ["rate-limited", "safe"],
  502: ["unavailable", "safe-with-idempotency-key"],
  503: ["unavailable", "safe-with-idempotency-key"],
  504: ["write-indeterminate", "safe-with-idempotency-key"],
};

/**
 * The path of a key: readable where a URL can carry the key as it is, base64url where it cannot (`.` and `..` as
 * segments would be resolved on the way).
 */
export function keyPath(bucket: string, key: string): string {
  if (PLAIN_KEY.test(key)) return `/v1/kv/${bucket}/${key}`;
  const segments = key.split("/");
  if (segments.some((segment) => segment === "." || segment === ".."))
    return `/v1/kv64/${bucket}/${toBase64url(utf8(key))}`;
  return `/v1/kv/${bucket}/${segments.map(encodeURIComponent).join("/")}`;
}

export function addressOf(url: string, { path, query }: WireRequest): string {
  if (query === undefined) return url + path;
  const parameters = Object.entries(query)
    .filter(([, value]) => value !== undefined && value !== "")
    .map(([name, value]) => `${name}=${escaped(value!)}`);
  return parameters.length === 0 ? url + path : `${url}${path}?${parameters.join("&")}`;
}

/** Keys may be any bytes, and a plus is a plus: not the encoding of forms. */
function escaped(value: string | number | Uint8Array): string {
  if (!(value instanceof Uint8Array)) return encodeURIComponent(value);
  return Array.from(value, (byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
}

/** `redirect` is "manual" because Workers have no "error"; what comes from a redirect has no `X-Node` and is refused. */
export function requestInit(
  { method, headers, body }: WireRequest,
  more: HeaderFields,
  signal: AbortSignal | undefined,
): RequestInit {
  const given: Record<string, string> = {};
  addHeaders(given, headers);
  addHeaders(given, more);
  const request: RequestInit = { method, headers: given, redirect: "manual" };
  // A view of a plain buffer; TypeScript also thinks of shared memory here.
  if (body !== undefined) request.body = body as string | Uint8Array<ArrayBuffer>;
  if (signal !== undefined) request.signal = signal;
  return request;
}

function addHeaders(target: Record<string, string>, headers: HeaderFields | undefined): void {
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined && value !== "") target[name] = value;
  }
}

/** What the HTTP parser under a node, or a proxy before it, answers by itself, without the node's headers. */
const FOREIGN_STATUSES: readonly number[] = [400, 413, 429, 431, 502, 503, 504];

/** Every answer of a node names the node; anything else is somebody else's server. */
export function checkedAnswer(response: Response, url: string): Response {
  if (response.headers.get("X-Node") !== null || FOREIGN_STATUSES.includes(response.status))
    return response;
  throw new RequestError(
    "node-unreachable",
    `Cannot talk to ${url}: something answers there (status ${response.status}), but it is not a hutch node`,
    { status: response.status },
  );
}

/** The error that a problem document describes. */
export async function problemOf(response: Response): Promise<RequestError> {
  const text = await response.text();
  let problem: Record<string, unknown> = {};
  try {
    problem = (JSON.parse(text) as Record<string, unknown> | null) ?? {};
  } catch {
    // Not a problem document: HEAD, the HTTP parser underneath, or something between us and the node.
  }
  const { status, headers } = response;
  const isKnown = typeof problem["code"] === "string" && KNOWN_CODES.has(problem["code"]);
  const [assumed, assumedRetry] = CODE_OF_STATUS[status] ?? ["internal", "no"];
  const isNode = headers.get("X-Node") !== null;
  const code = isKnown
    ? (problem["code"] as ErrorCode)
    : isBodiless(text, isNode, status)
      ? assumed
      : "internal";
  const retry = RETRIES.has(problem["retry"]) ? (problem["retry"] as Retry) : assumedRetry;
  const detail = typeof problem["detail"] === "string" ? problem["detail"] : `status ${status}`;
  return new RequestError(code, detail, {
    status,
    retry,
    requestId: headers.get("X-Request-Id") ?? "",
    retryAfterMs: 1000 * (Number(headers.get("Retry-After")) || 0),
    context: headers.get("X-Causal-Context") ?? "",
    etag: headers.get("ETag") ?? "",
    data: problem,
  });
}

function isBodiless(text: string, isNode: boolean, status: number): boolean {
  return isNode ? text === "" : status === 503 || status === 429;
}

/** Metadata outside of ASCII travels as UTF-8, whose bytes a header shows as characters. */
export function headerOfText(text: string): string {
  if (!/[^\x00-\x7f]/.test(text)) return text;
  return Array.from(utf8(text), (byte) => String.fromCharCode(byte)).join("");
}

export function textOfHeader(value: string): string {
  if (!/[^\x00-\x7f]/.test(value)) return value;
  return new TextDecoder().decode(Uint8Array.from(value, (character) => character.charCodeAt(0)));
}
