/**
 * What stands before every handler (FAULTS.md Q12, Q18; rows 10, 11, 22, 57). Cheap, because every request passes.
 *
 * 1. A URL that is not absolute had no usable Host: 400.
 * 2. The host must be one that this node answers to: 421. Without this a page of a foreign site could rebind its own name
 *    to a loopback address and talk to us from a browser.
 * 3. A request that changes something and says which page sent it (`Origin`) must come from a page of ours: 403.
 * 4. `GET` and `DELETE` with a chunked body: 400, because nobody means it and parsers disagree about it.
 */
import { HutchError } from "../base/errors.ts";
import type { MemoryPressure } from "../ports/memory.ts";
import type { Exchange } from "./exchange.ts";

/** Hosts under which a wildcard bind is asked for cannot be listed; addresses cannot be rebound, so they may pass. */
const WILDCARD_HOSTS: readonly string[] = ["0.0.0.0", "[::]", "::"];
const ADDRESS = /^(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[[0-9a-f:.]+\])$/;

export interface GuardOptions {
  /** Host names without port, besides the loopback ones: the bound host and configured names. */
  readonly hosts: readonly string[];
  /** Origins such as `https://admin.example`, besides the node's own. */
  readonly origins: readonly string[];
  readonly memory?: MemoryPressure | undefined;
}

export class Guard {
  readonly #hosts: ReadonlySet<string>;
  readonly #origins: ReadonlySet<string>;
  readonly #allowsAddresses: boolean;
  readonly #memory: MemoryPressure | undefined;
  /** What the last URL that was let in had before its path; most often the next one has the same. */
  #lastAllowed = "";

  constructor(options: GuardOptions) {
    this.#hosts = new Set(options.hosts.map(asInUrl));
    this.#origins = new Set(options.origins);
    this.#memory = options.memory;
    this.#allowsAddresses = options.hosts.some((host) => WILDCARD_HOSTS.includes(host));
  }

  /** Throws what keeps the request out. */
  admit(exchange: Exchange): void {
    if (exchange.pathStart < 0) {
      throw new HutchError("bad-request", "Cannot read the request: it has no usable Host header");
    }
    const isKnown =
      exchange.pathStart === this.#lastAllowed.length && exchange.url.startsWith(this.#lastAllowed);
    if (!isKnown) this.#admitHost(exchange.url.slice(0, exchange.pathStart));
    const { method } = exchange.request;
    if (method === "GET" || method === "HEAD") return refuseChunks(exchange);
    this.#admitOrigin(exchange, method);
    if (this.#memory?.isOver === true && method !== "DELETE") throw nearTheEnd();
  }

  #admitHost(origin: string): void {
    const host = hostOf(origin);
    if (!this.#isOurs(host)) {
      throw new HutchError(
        "wrong-cluster",
        `Cannot answer for host "${host.slice(0, 64)}": this node does not have that name`,
      );
    }
    this.#lastAllowed = origin;
  }

  #isOurs(host: string): boolean {
    if (host === "localhost" || host.endsWith(".localhost")) return true;
    if (host === "[::1]" || /^127\.[0-9]+\.[0-9]+\.[0-9]+$/.test(host)) return true;
    return this.#hosts.has(host) || (this.#allowsAddresses && ADDRESS.test(host));
  }

  #admitOrigin(exchange: Exchange, method: string): void {
    if (method === "DELETE") refuseChunks(exchange);
    const origin = exchange.header("origin");
    // `admit` has seen to it that the last allowed one is this request's own.
    if (origin === null || origin === this.#lastAllowed || this.#origins.has(origin)) return;
    throw new HutchError(
      "forbidden",
      `Cannot change anything for a page of "${origin.slice(0, 64)}": want the node's own`,
    );
  }
}

/** As it stands in a URL: IPv6 in brackets and in its one shortest form. */
function asInUrl(host: string): string {
  const bare = host.toLowerCase().replace(/^\[(.*)\]$/, "$1");
  if (!bare.includes(":")) return bare;
  return URL.parse(`http://[${bare}]`)?.hostname ?? bare;
}

/** `http://[::1]:7001` gives `[::1]`. */
function hostOf(origin: string): string {
  const authority = origin.slice(origin.indexOf("//") + 2);
  const port = /:[0-9]*$/.exec(authority);
  return (port === null ? authority : authority.slice(0, port.index)).toLowerCase();
}

function nearTheEnd(): HutchError {
  return new HutchError(
    "overloaded",
    "Cannot take a body: the node is near the end of its memory",
    { retry: "safe" },
  );
}

function refuseChunks(exchange: Exchange): void {
  if (!exchange.request.headers.has("transfer-encoding")) return;
  throw new HutchError(
    "bad-request",
    `Cannot take a chunked body with ${exchange.request.method}: want none`,
  );
}
