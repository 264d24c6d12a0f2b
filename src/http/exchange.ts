/**
 * One request on its way through the REST face: where its path and query are in the URL, its id, and what is known of its
 * subject. And `HttpServices`, what all requests share.
 *
 * Everything that most requests do not need (query, header block) is looked at only when asked for.
 */
import type { WaitObserver, WaitPhase } from "../quorum/operation.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import type { Span, Tracer } from "../ports/tracer.ts";
import type { Access } from "./access.ts";
import type { AdminApi } from "./admin-api.ts";
import type { Audit } from "./audit.ts";
import type { BodyReader } from "./body-reader.ts";
import type { Grant } from "./grant.ts";
import type { HttpCounters, Operation } from "./http-counters.ts";
import type { KvApi } from "./kv-api.ts";
import type { HotAnswers } from "./hot-answers.ts";
import type { HotKeys } from "./hot-keys.ts";
import type { HttpLimits } from "./limits.ts";
import type { LiveFeed } from "./live-feed.ts";
import type { StreamSlots } from "./ndjson.ts";
import { Query } from "./query.ts";
import type { SlowRequests, Waits } from "./slow-requests.ts";

/** What the server beneath offers per request; a test or a simulator has none. */
export interface HttpServer {
  /** Seconds that the connection of `request` may stay silent; 0 for ever. */
  timeout(request: Request, seconds: number): void;
  /** Where the request comes from. */
  requestIP?(request: Request): { readonly address: string } | null;
}

export interface HttpServices {
  readonly kv: KvApi;
  readonly admin: AdminApi;
  readonly random: Random;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: HttpLimits;
  readonly bodies: BodyReader;
  readonly counters: HttpCounters;
  readonly requestIds: RequestIds;
  readonly hotAnswers: HotAnswers;
  readonly hotKeys: HotKeys;
  readonly live: LiveFeed;
  readonly streams: StreamSlots;
  readonly slow: SlowRequests;
  /** Left out where nothing is traced. */
  readonly tracer: Tracer | undefined;
  /** Where it is left out everybody may do everything. */
  readonly access: Access | undefined;
  readonly audit: Audit;
}

/** Ids that are unique in a cluster without a random number per request: 64 random bits per process, then a count. */
export class RequestIds {
  readonly #prefix: string;
  #count = 0;

  constructor(random: Random) {
    this.#prefix = `${random.u32().toString(36)}${random.u32().toString(36)}-`;
  }

  next(): string {
    return this.#prefix + this.#count++;
  }
}

/**
 * Where the path of a URL begins: behind `http://host` or `https://host`; -1 where it is not absolute (HTTP/1.0 without
 * Host, or a Host that is no host).
 */
export function pathStartOf(url: string): number {
  return url.startsWith("http") ? url.indexOf("/", 8) : -1;
}

/** Where the path ends: at the query, at a fragment, or with the URL. */
export function pathEndOf(url: string, pathStart: number): number {
  const query = url.indexOf("?", pathStart);
  const fragment = url.indexOf("#", pathStart);
  if (fragment >= 0 && (query < 0 || fragment < query)) return fragment;
  return query < 0 ? url.length : query;
}

export class Exchange implements WaitObserver {
  readonly services: HttpServices;
  readonly request: Request;
  /** `undefined`, or an object that cannot do it, where there is no server beneath. */
  readonly server: Partial<HttpServer> | undefined;
  readonly id: string;
  readonly url: string;
  readonly pathStart: number;
  readonly pathEnd: number;
  /** Set once they are decoded, for problem documents. */
  bucket = "";
  key: Uint8Array | undefined = undefined;
  /** The header block of a read that got through, for the problem that its answer may still become. */
  readHeaders: Readonly<Record<string, string>> | undefined = undefined;
  /** What the token of the request allows; `undefined` where there is no authentication, or none is asked for. */
  grant: Grant | undefined = undefined;
  /** Of a single-key operation that is under way: what it is and when it began, monotonic; -1 before and after. */
  operation: Operation = "read";
  startMs = -1;
  /** What it waited for, as far as that was long. */
  waits: Waits | undefined = undefined;
  span: Span | undefined = undefined;
  #query: Query | undefined = undefined;

  constructor(services: HttpServices, request: Request, server: Partial<HttpServer> | undefined) {
    this.services = services;
    this.request = request;
    this.server = server;
    this.id = services.requestIds.next();
    this.url = request.url;
    this.pathStart = pathStartOf(this.url);
    this.pathEnd = pathEndOf(this.url, this.pathStart);
  }

  get path(): string {
    return this.pathStart < 0 ? this.url : this.url.slice(this.pathStart, this.pathEnd);
  }

  get hasQuery(): boolean {
    return this.pathEnd < this.url.length;
  }

  get query(): Query {
    if (this.#query === undefined) {
      const raw = this.url.charAt(this.pathEnd) === "?" ? this.url.slice(this.pathEnd + 1) : "";
      this.#query = Query.parse(raw, this.services.limits.queryParametersMax);
    }
    return this.#query;
  }

  header(name: string): string | null {
    return this.request.headers.get(name);
  }

  /** A header, or its twin in the query where the header is not there; `undefined` for neither. */
  option(
    name: string,
    twin: string,
    code: Parameters<Query["text"]>[1] = "bad-request",
  ): string | undefined {
    const header = this.request.headers.get(name);
    if (header !== null) return header;
    return this.hasQuery ? this.query.text(twin, code) : undefined;
  }

  /** "" where no server is beneath. */
  get clientAddress(): string {
    return this.server?.requestIP?.(this.request)?.address ?? "";
  }

  get tellingMs(): number {
    return this.services.slow.tellingMs;
  }

  waited(phase: WaitPhase, durationMs: number, node: string): void {
    this.services.slow.waited(this, phase, durationMs, node);
  }

  /** The answer may take longer, or pause for longer, than the server lets a connection be silent. */
  allowSilence(seconds: number): void {
    this.server?.timeout?.(this.request, seconds);
  }
}
