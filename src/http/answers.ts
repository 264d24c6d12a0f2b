/** Answers that every route may give: JSON, nothing, a problem. All carry `X-Request-Id` and `X-Node`. */
import { utf8 } from "../base/bytes.ts";
import { HutchError } from "../base/errors.ts";
import { ClientAborted, contentLengthOf } from "./body-reader.ts";
import type { Exchange } from "./exchange.ts";
import { causeFields, problemDocument, problemHeaders } from "./problem.ts";
import { failOperation } from "./request-times.ts";

/** A header block in the making; names in their own case, each once. */
export type HeaderBlock = Record<string, string>;

/** The two headers of every answer. */
export function baseHeaders(exchange: Exchange): HeaderBlock {
  return { "X-Request-Id": exchange.id, "X-Node": exchange.services.kv.nodeId };
}

/**
 * A body with its length. The length stands there for `HEAD` too, whose body the framework drops.
 */
export function bytesAnswer(
  exchange: Exchange,
  status: number,
  body: Uint8Array | string,
  headers: HeaderBlock,
): Response {
  if (exchange.request.method === "HEAD") {
    headers["Content-Length"] = String(typeof body === "string" ? utf8(body).length : body.length);
    return new Response(null, { status, headers });
  }
  // A view is copied here, before anything can change the bytes under it.
  return new Response(body as Uint8Array<ArrayBuffer> | string, { status, headers });
}

export function jsonAnswer(
  exchange: Exchange,
  body: unknown,
  status = 200,
  headers: HeaderBlock = {},
): Response {
  return bytesAnswer(exchange, status, `${JSON.stringify(body)}\n`, {
    "Content-Type": "application/json",
    "X-Content-Type-Options": "nosniff",
    ...baseHeaders(exchange),
    ...headers,
  });
}

export function emptyAnswer(
  exchange: Exchange,
  status: number,
  headers: HeaderBlock = {},
): Response {
  return new Response(null, { status, headers: { ...baseHeaders(exchange), ...headers } });
}

/** The problem document of anything that was thrown. */
export function problemAnswer(exchange: Exchange, thrown: unknown): Response {
  // Counted where it happened; nobody is left to read an answer.
  if (thrown instanceof ClientAborted) return emptyAnswer(exchange, 400);
  const document = problemDocument(thrown, {
    instance: exchange.path,
    requestId: exchange.id,
    bucket: exchange.bucket,
    key: exchange.key,
  });
  const { logger, counters } = exchange.services;
  counters.problem(document.code);
  failOperation(exchange, document.status, document.code);
  if (document.status === 500) {
    logger.error("request_failed", { requestId: exchange.id, ...causeFields(thrown) });
  }
  const headers: HeaderBlock = {
    ...problemHeaders(thrown, document.status),
    ...baseHeaders(exchange),
    ...headersOfRead(exchange),
  };
  if (leavesBodyUnread(exchange.request, document.status)) headers["Connection"] = "close";
  return bytesAnswer(exchange, document.status, `${JSON.stringify(document)}\n`, headers);
}

/** What every read says of how it was made. A session needs it most of all: a 404 was seen like any other answer (R7). */
const READ_HEADERS = [
  "X-Session",
  "X-Replies",
  "X-Conflict-Mode",
  "X-Effective-N",
  "X-Siblings",
  "X-Conflict-Dropped",
  "X-Read-Repair",
] as const;

/** Of a read that got through and found nothing to show: absent, deleted, another version, another type. */
function headersOfRead({ readHeaders }: Exchange): HeaderBlock {
  const headers: HeaderBlock = {};
  if (readHeaders === undefined) return headers;
  for (const name of READ_HEADERS) {
    const value = readHeaders[name];
    if (value !== undefined) headers[name] = value;
  }
  return headers;
}

/**
 * What is still on its way would be taken for the next request, or have to be read to no end (FAULTS.md Q12). A body that was
 * begun was read to its end, unless it was too slow or too large.
 */
function leavesBodyUnread(request: Request, status: number): boolean {
  if (request.bodyUsed && status !== 408 && status !== 413) return false;
  return contentLengthOf(request) > 0 || request.headers.has("transfer-encoding");
}

export function keyNotFound(
  detail: string,
  data: Readonly<Record<string, unknown>> = {},
): HutchError {
  return new HutchError("key-not-found", detail, { data });
}
