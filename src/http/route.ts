/**
 * What a route is. The table of all routes (`routes.ts`) is the one source of the router, of `405`, of the OpenAPI document
 * and of the roles.
 */
import type { Context } from "hono";
import type { z } from "zod";
import type { RestCode } from "../base/errors.ts";
import type { Exchange } from "./exchange.ts";

/** The right that a token must have (FAULTS.md Q2); `none` is open to everybody. */
export type Role = "none" | "read" | "write" | "admin" | "metrics";

export type Method = "GET" | "PUT" | "POST" | "PATCH" | "DELETE";

/** Answers, or throws what becomes a problem document. */
export type Handler = (exchange: Exchange, context: Context) => Response | Promise<Response>;

export interface BodyKind {
  readonly mediaType: string;
  readonly description: string;
  /** For JSON bodies. */
  readonly schema?: z.ZodType;
  /** Whether it may be left out. */
  readonly isOptional?: boolean;
}

export interface Route {
  readonly method: Method;
  /** As OpenAPI writes it. `{key}` takes the rest of the path. */
  readonly path: string;
  readonly role: Role;
  /**
   * Whether tokens that are good for some places only are let in, because the handler looks at what they may touch, or shows nothing of
   * anybody's data. Where it is left out: routes with `{bucket}` in their path, which `key-path.ts` checks.
   */
  readonly checksScopes?: boolean;
  readonly summary: string;
  /** Request headers that REST.md section 2 names, as a schema of an object. */
  readonly headers?: z.ZodObject;
  /** Parameters that are checked before the handler runs. */
  readonly query?: z.ZodObject;
  /** Parameters that the handler reads itself; only shown. */
  readonly parameters?: z.ZodObject;
  readonly body?: BodyKind;
  /** Status and what it means, for answers that are no problem. */
  readonly answers: Readonly<Record<number, string>>;
  /** Problems of this route besides those that every route can have. */
  readonly problems: readonly RestCode[];
  readonly handle: Handler;
}

/**
 * The router's patterns for a path: `/v1/kv/{bucket}/{key}` is `/v1/kv/:bucket/:key{.+}`, and `/v1/kv/:bucket/` for the
 * empty key, which is refused with a better answer than 404.
 */
export function routerPaths(path: string): readonly string[] {
  const pattern = path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    name === "key" ? ":key{.+}" : `:${name}`,
  );
  return path.endsWith("{key}") ? [pattern, pattern.replace(":key{.+}", "")] : [pattern];
}

/** What a raw path must look like to be of this route, with whatever method. */
export function pathPattern(path: string): RegExp {
  const escaped = path.replaceAll(".", "\\.");
  const source = escaped.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    name === "key" ? ".*" : "[^/]+",
  );
  return new RegExp(`^${source}$`);
}
