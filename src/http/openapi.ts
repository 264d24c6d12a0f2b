/** The OpenAPI 3.1 document, made from the route table: what is not routed is not documented, and the other way round. */
import { z } from "zod";
import { PROBLEM_KINDS, PROBLEM_MEDIA_TYPE } from "./problem.ts";
import type { Handler, Route } from "./route.ts";
import { utf8 } from "../base/bytes.ts";
import { baseHeaders, bytesAnswer } from "./answers.ts";

type Json = Record<string, unknown>;

/** Bytes instead of JSON: what such a body is cannot be said in a schema. */
const BINARY = {};

const PROBLEM_SCHEMA = {
  type: "object",
  required: ["type", "title", "status", "detail", "instance", "code", "requestId", "retry"],
  properties: {
    type: { type: "string" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    instance: { type: "string" },
    code: { type: "string", enum: Object.keys(PROBLEM_KINDS) },
    requestId: { type: "string" },
    retry: { type: "string", enum: ["safe", "safe-with-idempotency-key", "no"] },
  },
};

/** Problems that the guard and the server themselves can answer with, on any route. */
const COMMON_PROBLEMS = ["bad-request", "forbidden", "wrong-cluster", "internal"] as const;
/** Of every route that asks for a token. */
const TOKEN_PROBLEMS = ["unauthenticated", "rate-limited"] as const;

/** A route that answers with the document of `routes` and itself. */
export function openApiRoute(routes: readonly Route[]): Route {
  // Everybody may ask for it, and it takes longer to make than anything else that a stranger gets.
  let text: Uint8Array | undefined;
  const handle: Handler = (exchange) => {
    text ??= utf8(`${JSON.stringify(openApiDocument([...routes, route]))}\n`);
    return bytesAnswer(exchange, 200, text, {
      "Content-Type": "application/json",
      "X-Content-Type-Options": "nosniff",
      ...baseHeaders(exchange),
    });
  };
  const route: Route = {
    method: "GET",
    path: "/v1/openapi.json",
    role: "none",
    summary: "This document",
    answers: { 200: "OpenAPI 3.1" },
    problems: [],
    handle,
  };
  return route;
}

export function openApiDocument(routes: readonly Route[]): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = (paths[route.path] ??= {});
    path[route.method.toLowerCase()] = operationOf(route);
    // The framework answers HEAD from GET.
    if (route.method === "GET")
      path["head"] = { ...operationOf(route), summary: `${route.summary}, headers only` };
  }
  return {
    openapi: "3.1.0",
    info: { title: "hutch", version: "1", description: "A leaderless, replicated key-value store" },
    paths,
    components: {
      schemas: { Problem: PROBLEM_SCHEMA },
      securitySchemes: { bearer: { type: "http", scheme: "bearer" } },
    },
  };
}

function operationOf(route: Route): Json {
  return {
    summary: route.summary,
    "x-role": route.role,
    security: route.role === "none" ? [] : [{ bearer: [route.role] }, {}],
    parameters: [
      ...pathParameters(route.path),
      ...parametersOf("query", route.query),
      ...parametersOf("query", route.parameters),
      ...parametersOf("header", route.headers),
    ],
    ...(route.body === undefined ? {} : { requestBody: bodyOf(route.body) }),
    responses: { ...answersOf(route), ...problemsOf(route) },
  };
}

function pathParameters(path: string): Json[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
}

function parametersOf(place: "query" | "header", schema: z.ZodObject | undefined): Json[] {
  if (schema === undefined) return [];
  const { properties = {} } = jsonSchemaOf(schema) as { properties?: Record<string, Json> };
  return Object.entries(properties).map(([name, { description, ...shape }]) => ({
    name,
    in: place,
    required: false,
    ...(description === undefined ? {} : { description }),
    schema: shape,
  }));
}

function jsonSchemaOf(schema: z.ZodType): Json {
  return z.toJSONSchema(schema, { io: "input" }) as Json;
}

function bodyOf({
  mediaType,
  description,
  schema,
  isOptional = false,
}: NonNullable<Route["body"]>): Json {
  const shape = schema === undefined ? BINARY : { schema: jsonSchemaOf(schema) };
  return { description, required: !isOptional, content: { [mediaType]: shape } };
}

function answersOf(route: Route): Json {
  return Object.fromEntries(
    Object.entries(route.answers).map(([status, description]) => [status, { description }]),
  );
}

/** Problems by status; several codes of one status stand in one description. */
function problemsOf(route: Route): Json {
  const codes = new Map<number, string[]>();
  const ofTokens = route.role === "none" ? [] : TOKEN_PROBLEMS;
  for (const code of [...route.problems, ...COMMON_PROBLEMS, ...ofTokens]) {
    const { status } = PROBLEM_KINDS[code];
    codes.set(status, [...(codes.get(status) ?? []), code]);
  }
  const content = { [PROBLEM_MEDIA_TYPE]: { schema: { $ref: "#/components/schemas/Problem" } } };
  return Object.fromEntries(
    [...codes].map(([status, names]) => [status, { description: names.join(", "), content }]),
  );
}
