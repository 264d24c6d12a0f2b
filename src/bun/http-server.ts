/**
 * The client port: `Bun.serve` around the REST face's application (BUN.md "HTTP").
 *
 * What Bun would do on its own is switched off: listening on all interfaces, sharing the port with another process
 * (`reusePort`), error pages for developers, a body limit that answers without a problem document.
 */
import { HutchError, messageOf } from "../base/errors.ts";
import type { Logger } from "../ports/logger.ts";
import type { Certificate } from "./certificate.ts";

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
  /** With it clients connect by TLS 1.2 or later only; Bun refuses what is older. */
  readonly certificate?: Pick<Certificate, "cert" | "key"> | undefined;
}

export interface HttpServer {
  readonly hostname: string;
  readonly port: number;
  /** Requests that are not answered yet. */
  pendingRequests(): number;
  /**
   * From the next connection on. Bun's `reload()` leaves the certificate as it is, so another listener takes the port: requests under way end on
   * the old one, and for well under a millisecond a connection is refused.
   *
   * @throws HutchError where the port is gone
   */
  useCertificate(certificate: Pick<Certificate, "cert" | "key">): void;
  /** Takes no new connections and settles when the requests in flight are answered, at the latest after `graceMs`. */
  stop(graceMs?: number): Promise<void>;
}

const BODY_BYTES_MAX = 2 ** 40;
const IDLE_SECONDS = 10;
const STOP_GRACE_MS = 10_000;

/** @throws HutchError `port-in-use`, `permission-denied`, `bad-config` */
export function startHttpServer(options: HttpServerOptions): HttpServer {
  const { hostname } = options;
  let server = listen(options, options.port, options.certificate);
  // Bun knows the port when `serve` has returned; only Unix sockets have none.
  const port = server.port!;
  return {
    hostname,
    port,
    pendingRequests: () => server.pendingRequests,
    useCertificate: (certificate) => {
      // What goes on there ends by itself: a request is short, and a stream is the dashboard's, which connects again.
      void stop(server, STOP_GRACE_MS);
      server = listen(options, port, certificate);
    },
    stop: (graceMs) => stop(server, graceMs ?? STOP_GRACE_MS),
  };
}

function listen(
  options: HttpServerOptions,
  port: number,
  certificate: HttpServerOptions["certificate"],
): Bun.Server<undefined> {
  const { app, hostname, logger } = options;
  try {
    return Bun.serve({
      hostname,
      port,
      ...(certificate && { tls: { cert: certificate.cert, key: certificate.key } }),
      development: false,
      reusePort: false,
      maxRequestBodySize: options.maxRequestBodySize ?? BODY_BYTES_MAX,
      idleTimeout: options.idleTimeout ?? IDLE_SECONDS,
      fetch: (request, timeouts) => app.fetch(request, timeouts),
      error: (error) => internalProblem(error, logger),
    });
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
