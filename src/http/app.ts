/**
 * The REST face as one Hono application: `createApp()` puts the route table on a router and a guard before every handler.
 *
 * No middleware is registered on paths: a route with one handler is dispatched by Hono without a promise, and the hot path
 * stays one call deep. What middleware would do, `serve()` does around every handler. The router is named because the
 * default one falls back to a slower kind for paths that this one cannot do.
 */
import { Hono, type Context } from "hono";
import { RegExpRouter } from "hono/router/reg-exp-router";
import { zValidator } from "@hono/zod-validator";
import { HutchError } from "../base/errors.ts";
import type { Metrics } from "../base/metrics.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { MemoryPressure } from "../ports/memory.ts";
import type { Random } from "../ports/random.ts";
import type { Tracer } from "../ports/tracer.ts";
import { type Access, type AccessRule, accessRuleOf } from "./access.ts";
import type { AdminApi } from "./admin-api.ts";
import { problemAnswer } from "./answers.ts";
import { Audit, type AuditSink, isAct } from "./audit.ts";
import { BodyReader } from "./body-reader.ts";
import {
  Exchange,
  type HttpServer,
  type HttpServices,
  RequestIds,
  pathEndOf,
  pathStartOf,
} from "./exchange.ts";
import { Guard } from "./guard.ts";
import { HotAnswers } from "./hot-answers.ts";
import { HotKeys } from "./hot-keys.ts";
import { HttpCounters } from "./http-counters.ts";
import { deleteKey, getKey, putKey } from "./kv-routes.ts";
import { LiveFeed } from "./live-feed.ts";
import { StreamSlots } from "./ndjson.ts";
import { Cors } from "./cors.ts";
import type { KvApi } from "./kv-api.ts";
import { DEFAULT_HTTP_LIMITS, type HttpLimits } from "./limits.ts";
import { type Handler, type Route, pathPattern, routerPaths } from "./route.ts";
import { ROUTES } from "./routes.ts";
import { measured } from "./request-times.ts";
import { schemaError } from "./schema-error.ts";
import { SlowRequests } from "./slow-requests.ts";

export interface AppOptions {
  readonly kv: KvApi;
  readonly admin: AdminApi;
  readonly random: Random;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Requests with a body get 503 `overloaded` while it says so (row 91). */
  readonly memory?: MemoryPressure;
  /** Those that differ from `DEFAULT_HTTP_LIMITS`. */
  readonly limits?: Partial<HttpLimits>;
  /** Host names without port that requests may come under, besides loopback: the bound host and configured names. */
  readonly hosts?: readonly string[];
  /** Origins whose pages may change things, besides the node's own. */
  readonly origins?: readonly string[];
  /** Where the REST face counts; `admin.metrics()` is expected to print it. */
  readonly metrics?: Metrics;
  /** Who may come in. Where it is left out: everybody, for everything. */
  readonly access?: Access;
  /** Milliseconds from which on a single-key operation is logged; 0 or left out: none is. */
  readonly slowRequestMs?: number;
  /** What stands for a key in logs and traces; left out: nothing that tells keys apart. */
  readonly keyHash?: (bucket: string, key: Uint8Array) => string;
  /** Where it is left out nothing is traced. */
  readonly tracer?: Tracer;
  /** Keeps what was done by administrators, and who was refused, besides the log. */
  readonly auditSink?: AuditSink;
}

/** The server is handed over per request, as Hono's environment. */
export interface AppEnvironment {
  readonly Bindings: HttpServer;
}

export type App = Hono<AppEnvironment>;

/**
 * @example
 * const app = createApp({ kv, admin, random, clock, logger });
 * const response = await app.fetch(new Request("http://localhost/v1/kv/demo/hello"));
 */
export function createApp(options: AppOptions): App {
  const services = servicesOf(options);
  const { hosts = [], origins = [], memory } = options;
  const guard = new Guard({ hosts, origins, memory });
  const app: App = new Hono<AppEnvironment>({ router: new RegExpRouter(), getPath: routingPath });
  const serve = (rule: HandlerRule) => (context: Context) => {
    const exchange = exchangeOf(services, context);
    return measured(exchange, rule.name, () => answerBy(guard, rule, exchange, context));
  };
  for (const route of ROUTES) {
    for (const path of routerPaths(route.path)) {
      app.on(route.method, path, serve(ruleOf(route, services.audit)));
    }
  }
  app.notFound(serve(NO_ROUTE));
  app.onError((error, context) => problemAnswer(exchangeOf(services, context), error));
  const dispatch = app.fetch;
  const answer: App["fetch"] = (request, server, execution) => {
    const answered =
      answerKey(services, guard, request, server) ?? dispatch(request, server, execution);
    return services.admin.isEnding ? lastAnswer(answered) : answered;
  };
  app.fetch = origins.length === 0 ? answer : answerPagesOf(origins, answer);
  return app;
}

function answerPagesOf(origins: readonly string[], answer: App["fetch"]): App["fetch"] {
  const cors = new Cors(origins);
  return (request, server, execution) =>
    cors.around(request, () => answer(request, server, execution));
}

/** A client that is told so does not send its next request into a connection that is about to end. */
async function lastAnswer(answered: Response | Promise<Response>): Promise<Response> {
  const response = await answered;
  response.headers.set("Connection", "close");
  return response;
}

/** What stands before a handler, and the handler. */
interface HandlerRule extends AccessRule {
  /** For the audit. */
  readonly name: string;
  readonly handle: Handler;
}

function ruleOf(route: Route, audit: Audit): HandlerRule {
  const handle = isAct(route) ? audit.around(route.handle) : route.handle;
  const name = `${route.method} ${route.path}`;
  const { query } = route;
  return {
    ...accessRuleOf(route),
    name,
    handle: query === undefined ? handle : afterQuery(query, handle),
  };
}

/** `handle`, where the query follows its schema. Behind the guard and the access rule, so that a stranger is told nothing but that he is one. */
function afterQuery(schema: NonNullable<Route["query"]>, handle: Handler): Handler {
  const validate = queryValidator(schema);
  return async (exchange, context) => {
    let response: Response | undefined;
    const proceed = async (): Promise<void> => {
      response = await handle(exchange, context);
    };
    const refused = await validate(context, proceed);
    // The validator throws what it refuses, or goes on.
    return refused ?? response!;
  };
}

const keyRule = (method: string, role: "read" | "write", handle: Handler): HandlerRule => ({
  name: `${method} /v1/kv/{bucket}/{key}`,
  role,
  checksScopes: true,
  handle,
});

const KEY_RULES: Readonly<Record<string, HandlerRule>> = {
  GET: keyRule("GET", "read", getKey),
  PUT: keyRule("PUT", "write", putKey),
  DELETE: keyRule("DELETE", "write", deleteKey),
};

/**
 * The commonest routes without the router: `/v1/kv/{bucket}/{key}` by hand. They are in the route table all the same, which is where a request
 * comes that this does not take. Saves 0.5 us of 8.
 */
function answerKey(
  services: HttpServices,
  guard: Guard,
  request: Request,
  server: object | undefined,
): Response | Promise<Response> | undefined {
  const rule = KEY_RULES[request.method];
  if (rule === undefined) return undefined;
  const { url } = request;
  // A kept answer is no span.
  const hot =
    services.tracer === undefined ? services.hotAnswers.find(request, url, services) : undefined;
  if (hot !== undefined) {
    services.hotKeys.see(request.method, url);
    return hot;
  }
  const start = pathStartOf(url);
  if (start < 0 || !url.startsWith(KEY_PREFIX, start)) return undefined;
  const keyStart = url.indexOf("/", start + KEY_PREFIX.length) + 1;
  if (keyStart === 0 || keyStart >= pathEndOf(url, start)) return undefined;
  const exchange = new Exchange(services, request, (server ?? NO_SERVER) as Partial<HttpServer>);
  return answerBy(guard, rule, exchange, NO_CONTEXT);
}

const KEY_PREFIX = "/v1/kv/";
const NO_SERVER = {};
/** Handlers of single keys do not look at the framework's context. */
const NO_CONTEXT = {} as Context;

function servicesOf(options: AppOptions): HttpServices {
  const { kv, admin, random, clock, logger } = options;
  const limits = { ...DEFAULT_HTTP_LIMITS, ...options.limits };
  const counters = new HttpCounters(options.metrics);
  const bodies = new BodyReader(clock, limits, counters);
  const requestIds = new RequestIds(random);
  const hotAnswers = new HotAnswers();
  const hotKeys = new HotKeys();
  const { nodeId } = kv;
  const live = new LiveFeed({ nodeId, admin, counters, hotKeys, clock, logger });
  const streams = new StreamSlots();
  const slow = slowRequestsOf(options);
  const audit = new Audit(logger, clock, options.auditSink);
  return {
    access: options.access,
    audit,
    kv,
    admin,
    random,
    clock,
    logger,
    limits,
    bodies,
    counters,
    requestIds,
    hotAnswers,
    hotKeys,
    live,
    streams,
    slow,
    tracer: options.tracer,
  };
}

function slowRequestsOf({
  slowRequestMs = 0,
  keyHash,
  clock,
  logger,
  metrics,
}: AppOptions): SlowRequests {
  const slow = new SlowRequests({ slowRequestMs, clock, logger, keyHash: keyHash ?? (() => "") });
  const help = "Single-key operations that took longer than slow-request";
  metrics?.count("hutch_slow_requests", help, () => slow.count);
  return slow;
}

/** The raw path: routing must not decode what the handlers decode strictly. */
function routingPath(request: Request): string {
  const { url } = request;
  const start = pathStartOf(url);
  return start < 0 ? "/" : url.slice(start, pathEndOf(url, start));
}

function exchangeOf(services: HttpServices, context: Context): Exchange {
  return new Exchange(services, context.req.raw, context.env as Partial<HttpServer> | undefined);
}

/** One request past the guard and the access rule to its handler; what is thrown on the way becomes a problem document. */
function answerBy(
  guard: Guard,
  rule: HandlerRule,
  exchange: Exchange,
  context: Context,
): Response | Promise<Response> {
  try {
    guard.admit(exchange);
    exchange.services.access?.admit(exchange, rule);
    const response = rule.handle(exchange, context);
    if (response instanceof Promise) {
      return response.catch((thrown: unknown) => problemOf(exchange, rule, thrown));
    }
    return response;
  } catch (thrown) {
    return problemOf(exchange, rule, thrown);
  }
}

function problemOf(exchange: Exchange, { name }: HandlerRule, thrown: unknown): Response {
  exchange.services.audit.refused(exchange, name, thrown);
  return problemAnswer(exchange, thrown);
}

function queryValidator(schema: NonNullable<Route["query"]>) {
  return zValidator("query", schema, (result) => {
    if (!result.success) throw schemaError("the query", result.error.issues, "bad-request");
  });
}

const PATHS = ROUTES.map((route) => ({ ...route, pattern: pathPattern(route.path) }));

/** Open to everybody: which routes there are is no secret. */
const NO_ROUTE: HandlerRule = {
  name: "no route",
  role: "none",
  checksScopes: true,
  handle: noSuchRoute,
};

/** 405 where the path is known under other methods, else 404. */
function noSuchRoute(exchange: Exchange): never {
  const { path, request } = exchange;
  const methods = PATHS.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method);
  if (methods.length === 0) {
    throw new HutchError("no-such-route", `Cannot find "${path.slice(0, 64)}": no such route`);
  }
  const allowed = [
    ...new Set(methods.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method]))),
  ];
  throw new HutchError(
    "method-not-allowed",
    `Cannot ${request.method} "${path.slice(0, 64)}": want ${allowed.join(", ")}`,
    { data: { allow: allowed.join(", ") } },
  );
}
