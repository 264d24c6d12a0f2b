/** Answers that every route may give: JSON, nothing, a problem. All carry `X-Request-Id` and `X-Node`. */
import { HutchError } from "../base/errors.ts";
import { contentLengthOf } from "./body-reader.ts";
import type { Exchange } from "./exchange.ts";
import { causeFields, problemDocument, problemHeaders } from "./problem.ts";

export type Headers = Record<string, string>;

/** The two headers of every answer. */
export function baseHeaders(exchange: Exchange): Headers {
  return { "X-Request-Id": exchange.id, "X-Node": exchange.services.kv.nodeId };
}

/**
 * A body with its length. The length stands there for `HEAD` too, whose body the framework drops.
 */
export function bytesAnswer(
  exchange: Exchange,
  status: number,
  body: Uint8Array | string,
  headers: Headers,
): Response {
  if (exchange.request.method === "HEAD") {
    headers["Content-Length"] = String(
      typeof body === "string" ? new TextEncoder().encode(body).length : body.length,
    );
    return new Response(null, { status, headers });
  }
  // A view is copied here, before anything can change the bytes under it.
  return new Response(body as Uint8Array<ArrayBuffer> | string, { status, headers });
}

export function jsonAnswer(
  exchange: Exchange,
  body: unknown,
  status = 200,
  headers: Headers = {},
): Response {
  return bytesAnswer(exchange, status, `${JSON.stringify(body)}\n`, {
    "Content-Type": "application/json",
    "X-Content-Type-Options": "nosniff",
    ...baseHeaders(exchange),
    ...headers,
  });
}

export function emptyAnswer(exchange: Exchange, status: number, headers: Headers = {}): Response {
  return new Response(null, { status, headers: { ...baseHeaders(exchange), ...headers } });
}

/** The problem document of anything that was thrown. */
export function problemAnswer(exchange: Exchange, thrown: unknown): Response {
  const document = problemDocument(thrown, {
    instance: exchange.path,
    requestId: exchange.id,
    bucket: exchange.bucket,
    key: exchange.key,
  });
  const { logger, counters } = exchange.services;
  counters.problem(document.code);
  if (document.status === 500) {
    logger.error("request_failed", { requestId: exchange.id, ...causeFields(thrown) });
  }
  const headers: Headers = {
    ...problemHeaders(thrown, document.status),
    ...baseHeaders(exchange),
  };
  if (leavesBodyUnread(exchange.request)) headers["Connection"] = "close";
  return bytesAnswer(exchange, document.status, `${JSON.stringify(document)}\n`, headers);
}

/** What is still on its way would be taken for the next request, or have to be read to no end (FAULTS.md Q12). */
function leavesBodyUnread(request: Request): boolean {
  if (request.headers.has("transfer-encoding")) return true;
  return contentLengthOf(request) > 0 && (!request.bodyUsed || !request.signal.aborted);
}

export function keyNotFound(
  detail: string,
  data: Readonly<Record<string, unknown>> = {},
): HutchError {
  return new HutchError("key-not-found", detail, { data });
}
