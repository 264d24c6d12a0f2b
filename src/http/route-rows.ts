/** Rows that the table of routes has many of. */
import { startWork } from "./admin-routes.ts";
import { notImplemented } from "./cluster-routes.ts";
import type { Method, Route } from "./route.ts";

/** Of every route that takes JSON. */
export const JSON_PROBLEMS = [
  "bad-json",
  "unknown-field",
  "body-timeout",
  "value-too-large",
  "unsupported-media-type",
  "unsupported-encoding",
] as const;

export function view(path: string, summary: string, handle: Route["handle"]): Route {
  const answers = { 200: summary };
  return {
    method: "GET",
    path,
    role: "read",
    summary,
    answers,
    problems: ["not-acceptable"],
    handle,
  };
}

export function work(kind: Parameters<typeof startWork>[0], summary: string): Route {
  return {
    method: "POST",
    path: `/v1/admin/${kind}`,
    role: "admin",
    summary,
    answers: { 202: "started; Location has the job" },
    problems: [],
    handle: startWork(kind),
  };
}

export function reserved(
  method: Method,
  path: string,
  role: Route["role"],
  summary: string,
): Route {
  const problems = ["not-implemented"] as const;
  return {
    method,
    path,
    role,
    summary: `${summary} (later)`,
    answers: {},
    problems,
    handle: notImplemented,
  };
}
