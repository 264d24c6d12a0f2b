/**
 * What the headers of a request, or their twins in the query, ask for. Parsed by hand because every request passes here;
 * `header-schema.ts` says the same as a schema and a property test holds the two equal.
 *
 *   header               twin                 header               twin
 *   X-Consistency        consistency          X-TTL                ttl
 *   X-Causal-Context     context              X-Expires-At         expires-at
 *   X-Session            session              X-Meta-<name>        meta-<name>
 *   X-Timeout            timeout              Content-Type         content-type
 *   If-Match             if-match             Content-Encoding     content-encoding
 *   If-None-Match        if-none-match        Idempotency-Key      idempotency-key
 *
 * A header wins over its twin; a twin is then not looked at.
 */
import { EMPTY_BYTES } from "../base/bytes.ts";
import { HutchError } from "../base/errors.ts";
import type { Consistency } from "../quorum/consistency.ts";
import type {
  Condition,
  Expiry,
  Metadata,
  ReadRequest,
  WriteRequest,
} from "../quorum/operation.ts";
import { consistencyFor } from "../quorum/parse-consistency.ts";
import type { Exchange } from "./exchange.ts";
import {
  CURL_DEFAULT_TYPE,
  checkContentEncoding,
  checkContentType,
  checkIdempotencyKey,
  checkMetadata,
  isMetadataName,
  parseCondition,
  parseExpiresAt,
  parseTimeout,
  parseTtl,
  textOfHeader,
} from "./header-values.ts";

const META_PREFIX = "x-meta-";
const META_TWIN_PREFIX = "meta-";
const NO_METADATA: Metadata = [];
const DEFAULT_EXPIRY: Expiry = { kind: "default" };
const NO_CONDITION: Condition = { kind: "none" };
/** Operations that may take longer than this need a longer silence than the server's `idleTimeout` allows. */
const SILENCE_MS = 8000;

/** The options of a read. */
export function readRequestOf(exchange: Exchange, bucket: string): ReadRequest {
  return observed(exchange, {
    consistency: consistencyOf(exchange, bucket),
    timeoutMs: timeoutOf(exchange),
    session: sessionOf(exchange),
  });
}

/** Where the node looks at slow requests, or traces: who wants to know what the operation waits for. */
export function observed<Request extends ReadRequest>(
  exchange: Exchange,
  request: Request,
): Request {
  if (exchange.services.slow.isOn) request.waits = exchange;
  if (exchange.span !== undefined) request.trace = exchange.span.context;
  return request;
}

/** A write whose value, where it has one, is still on its way. */
export type PendingWrite = { -readonly [Member in keyof WriteRequest]: WriteRequest[Member] };

/** Headers that say nothing about a write; what HTTP clients send by themselves. `content-type` is looked at separately. */
const PLAIN_HEADERS: ReadonlySet<string> = new Set([
  "host",
  "user-agent",
  "accept",
  "accept-encoding",
  "accept-language",
  "connection",
  "content-length",
  "content-type",
  "origin",
  "traceparent",
  "tracestate",
]);

/** True where neither query nor header block has an option: one look at each name instead of a question for every option. */
function hasNoOptions(exchange: Exchange): boolean {
  if (exchange.hasQuery) return false;
  let isPlain = true;
  exchange.request.headers.forEach((_, name) => {
    if (!PLAIN_HEADERS.has(name)) isPlain = false;
  });
  return isPlain;
}

/** The options of a write; everything in the header block is checked before the body is read. */
export function writeRequestOf(
  exchange: Exchange,
  bucket: string,
  kind: "put" | "delete",
): PendingWrite {
  return observed(
    exchange,
    hasNoOptions(exchange)
      ? plainWrite(exchange, bucket, kind)
      : writeWithOptions(exchange, bucket, kind),
  );
}

function plainWrite(exchange: Exchange, bucket: string, kind: "put" | "delete"): PendingWrite {
  const { kv, limits } = exchange.services;
  return {
    kind,
    value: EMPTY_BYTES,
    contentType: kind === "put" ? checkContentType(exchange.header("content-type") ?? "") : "",
    contentEncoding: "",
    meta: NO_METADATA,
    expiry: DEFAULT_EXPIRY,
    context: "",
    condition: NO_CONDITION,
    idempotencyKey: "",
    consistency: consistencyFor(undefined, kv.bucket(bucket), kv.effectiveN(bucket)),
    timeoutMs: withSilence(exchange, limits.requestTimeoutMs),
    session: "",
  };
}

function writeWithOptions(
  exchange: Exchange,
  bucket: string,
  kind: "put" | "delete",
): PendingWrite {
  const isPut = kind === "put";
  return {
    kind,
    value: EMPTY_BYTES,
    contentType: isPut ? contentTypeOf(exchange) : "",
    contentEncoding: isPut
      ? checkContentEncoding(exchange.option("content-encoding", "content-encoding") ?? "")
      : "",
    meta: isPut ? metadataOf(exchange) : NO_METADATA,
    expiry: isPut ? expiryOf(exchange) : DEFAULT_EXPIRY,
    context: contextOf(exchange),
    condition: conditionOf(exchange),
    idempotencyKey: idempotencyKeyOf(exchange),
    consistency: consistencyOf(exchange, bucket),
    timeoutMs: timeoutOf(exchange),
    session: sessionOf(exchange),
  };
}

export function consistencyOf(exchange: Exchange, bucket: string): Consistency {
  const { kv } = exchange.services;
  return consistencyFor(
    exchange.option("x-consistency", "consistency", "bad-consistency"),
    kv.bucket(bucket),
    kv.effectiveN(bucket),
  );
}

export function timeoutOf(exchange: Exchange): number {
  const { requestTimeoutMs, requestTimeoutMsMax } = exchange.services.limits;
  const text = exchange.option("x-timeout", "timeout", "bad-timeout");
  const timeoutMs = text === undefined ? requestTimeoutMs : parseTimeout(text, requestTimeoutMsMax);
  return withSilence(exchange, timeoutMs);
}

/** The server must not cut a connection whose operation may still be under way. */
function withSilence(exchange: Exchange, timeoutMs: number): number {
  if (timeoutMs > SILENCE_MS) exchange.allowSilence(Math.ceil(timeoutMs / 1000) + 5);
  return timeoutMs;
}

export function conditionOf(exchange: Exchange): Condition {
  return parseCondition(
    exchange.option("if-match", "if-match"),
    exchange.option("if-none-match", "if-none-match"),
  );
}

/**
 * Refuses level, timeout and session of a request over many keys, which has no single read to refuse them: never a silent
 * default (row 28).
 */
export function checkOptions(exchange: Exchange, bucket: string): void {
  consistencyOf(exchange, bucket);
  timeoutOf(exchange);
  checkSession(exchange);
}

/** The session of the request, "" for none; refused now where it is no token. */
export function checkSession(exchange: Exchange): string {
  const session = sessionOf(exchange);
  if (session !== "") exchange.services.kv.checkSession(session);
  return session;
}

function sessionOf(exchange: Exchange): string {
  return exchange.option("x-session", "session", "bad-session") ?? "";
}

/** The type that `curl -d` sends counts as not given, so the twin holds beside it. */
function contentTypeOf(exchange: Exchange): string {
  const header = exchange.header("content-type");
  const isGiven = header !== null && header !== CURL_DEFAULT_TYPE;
  const twin = !isGiven && exchange.hasQuery ? exchange.query.text("content-type") : undefined;
  return checkContentType(twin ?? header ?? "");
}

function contextOf(exchange: Exchange): string {
  const context = exchange.option("x-causal-context", "context", "bad-context") ?? "";
  const lengthMax = exchange.services.limits.contextBytesMax;
  if (context.length > lengthMax) {
    throw new HutchError(
      "bad-context",
      `Cannot read the causal context: it is ${context.length} bytes long, want at most ${lengthMax}`,
    );
  }
  return context;
}

function expiryOf(exchange: Exchange): Expiry {
  const ttl = exchange.option("x-ttl", "ttl", "bad-ttl");
  const expiresAt = exchange.option("x-expires-at", "expires-at", "bad-ttl");
  if (ttl !== undefined && expiresAt !== undefined) {
    throw new HutchError("bad-ttl", "Cannot use both X-TTL and X-Expires-At: want at most one");
  }
  if (ttl !== undefined) return parseTtl(ttl);
  if (expiresAt === undefined) return DEFAULT_EXPIRY;
  return parseExpiresAt(expiresAt, exchange.services.clock.wallMs());
}

export function idempotencyKeyOf(exchange: Exchange): string {
  const text = exchange.option("idempotency-key", "idempotency-key");
  return text === undefined ? "" : checkIdempotencyKey(text);
}

/** In the order that the header block and the query have; a name that both have is the header's. */
function metadataOf(exchange: Exchange): Metadata {
  let meta: [string, string][] | undefined;
  exchange.request.headers.forEach((value, header) => {
    if (!header.startsWith(META_PREFIX)) return;
    meta ??= [];
    meta.push([header.slice(META_PREFIX.length), textOrRefuse(header, value)]);
  });
  if (exchange.hasQuery) meta = withTwins(exchange, meta);
  if (meta === undefined) return NO_METADATA;
  return checkMetadata(meta, exchange.services.limits.metadataBytesMax);
}

function withTwins(
  exchange: Exchange,
  fromHeaders: [string, string][] | undefined,
): [string, string][] | undefined {
  let meta = fromHeaders;
  for (const parameter of exchange.query.names()) {
    if (!parameter.startsWith(META_TWIN_PREFIX)) continue;
    const name = parameter.slice(META_TWIN_PREFIX.length).toLowerCase();
    // One that cannot be a header's is refused below, with all names.
    if (isMetadataName(name) && exchange.header(META_PREFIX + name) !== null) continue;
    meta ??= [];
    meta.push([name, exchange.query.text(parameter)!]);
  }
  return meta;
}

function textOrRefuse(header: string, value: string): string {
  const text = textOfHeader(value);
  if (text !== undefined) return text;
  throw new HutchError("bad-request", `Cannot use the value of ${header}: want UTF-8`);
}
