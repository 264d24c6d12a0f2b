/**
 * The client port: `Bun.serve` around the REST face's application (BUN.md "HTTP").
 *
 * What Bun would do on its own is switched off: listening on all interfaces, sharing the port with another process
 * (`reusePort`), error pages for developers, a body limit that answers without a problem document.
 */
import { HutchError, messageOf } from "../base/errors.ts";
import type { Logger } from "../ports/logger.ts";

/** A Hono application, as far as a server needs to know it. */
export interface FetchApp {
  fetch(request: Request, server: RequestTimeouts): Response | Promise<Response>;
}

export interface RequestTimeouts {
  timeout(request: Request, seconds: number): void;
}

export interface HttpServerOptions {
  readonly app: FetchApp;
  readonly hostname: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly logger: Logger;
  /**
   * Bodies above this are refused by the parser, without a body in the answer. The routes have their own, lower limits
   * and answer themselves; an import has none.
   */
  readonly maxRequestBodySize?: number;
  /** Seconds that a connection may be silent. */
  readonly idleTimeout?: number;
}

export interface HttpServer {
  readonly hostname: string;
  readonly port: number;
  /** Takes no new connections and settles when the requests in flight are answered, at the latest after `graceMs`. */
  stop(graceMs?: number): Promise<void>;
}

const BODY_BYTES_MAX = 2 ** 40;
const IDLE_SECONDS = 10;
const STOP_GRACE_MS = 10_000;

/** @throws HutchError `port-in-use`, `permission-denied`, `bad-config` */
export function startHttpServer(options: HttpServerOptions): HttpServer {
  const { app, hostname, port, logger } = options;
  try {
    const server = Bun.serve({
      hostname,
      port,
      development: false,
      reusePort: false,
      maxRequestBodySize: options.maxRequestBodySize ?? BODY_BYTES_MAX,
      idleTimeout: options.idleTimeout ?? IDLE_SECONDS,
      fetch: (request, timeouts) => app.fetch(request, timeouts),
      error: (error) => internalProblem(error, logger),
    });
    // Bun knows the port when `serve` has returned; only Unix sockets have none.
    return {
      hostname,
      port: server.port!,
      stop: (graceMs) => stop(server, graceMs ?? STOP_GRACE_MS),
    };
  } catch (thrown) {
    throw listenError(thrown, hostname, port);
  }
}

async function stop(server: Bun.Server<undefined>, graceMs: number): Promise<void> {
  const patience = setTimeout(() => void server.stop(true), graceMs);
  await server.stop();
  clearTimeout(patience);
}

/** The application answers its own errors; what arrives here broke in the middle of a stream or in the application itself. */
function internalProblem(error: Error, logger: Logger): Response {
  logger.error("http_failed", { message: messageOf(error), stack: error.stack ?? "" });
  const problem = {
    type: "urn:hutch:problem:internal",
    title: "Internal error",
    status: 500,
    detail: "The node's log has the cause",
    code: "internal",
    retry: "no",
  };
  const headers = { "Content-Type": "application/problem+json", Connection: "close" };
  return new Response(`${JSON.stringify(problem)}\n`, { status: 500, headers });
}

function listenError(thrown: unknown, hostname: string, port: number): HutchError {
  // Errors of the operating system carry its name for them.
  const systemCode = (thrown as { readonly code?: string }).code;
  const what = `Cannot listen on "${hostname}:${port}"`;
  if (systemCode === "EADDRINUSE") {
    return new HutchError("port-in-use", `${what}: another process has the port`, {
      cause: thrown,
    });
  }
  if (systemCode === "EACCES" || systemCode === "EPERM") {
    return new HutchError("permission-denied", `${what}: not permitted`, { cause: thrown });
  }
  return new HutchError("bad-config", `${what}: ${messageOf(thrown)}`, { cause: thrown });
}
