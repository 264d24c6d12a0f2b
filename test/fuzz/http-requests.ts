/**
 * Requests as clients could send them, and the same damaged: any route of the table with its options, in path, query, headers and body.
 *
 * A request is plain data: what a finding prints can be sent again.
 */
import { utf8 } from "../../src/base/bytes.ts";
import type { Prng } from "../../src/base/prng.ts";
import type { Route } from "../../src/http/route.ts";
import { ROUTES } from "../../src/http/routes.ts";
import { mutated } from "./mutate.ts";

export interface PlainRequest {
  readonly method: string;
  /** With its query; one character for each byte. */
  readonly path: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array | undefined;
}

/** Tokens that the node has given out, which only it can make. */
export interface KnownTokens {
  readonly contexts: readonly string[];
  readonly sessions: readonly string[];
  readonly cursors: readonly string[];
  readonly etags: readonly string[];
}

/** Would end the node, which is another test's. */
const ENDING = new Set(["/v1/admin/drain"]);
const SENT = ROUTES.filter(({ path }) => !ENDING.has(path));
const METHODS = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"];
const KEYS = ["a", "b", "c", "deep/er/key", "%C3%A9", "k%00", "x%2Fy", "b64"];
const BUCKETS = ["demo", "plain", "lww"];
const NODES = ["n1", "n2", "nobody"];
const SNAPSHOTS = ["daily", "weekly", "s.tmp", "%2E%2E"];
const FILES = ["icon.svg", "none.js", "index.html"];

const ACTOR = "000000000000000100000001";
const RECORD = {
  v: 1,
  entries: [{ actor: ACTOR, counterMax: 9, values: [{ counter: 9, value: "x" }] }],
};

/** Values of headers and of their twins in the query. */
function optionValues(tokens: KnownTokens): Readonly<Record<string, readonly string[]>> {
  return {
    "x-consistency": ["ONE", "QUORUM", "ALL", "r=1", "w=1, sloppy=?0", "LINEARIZABLE", "r=9"],
    "x-causal-context": tokens.contexts,
    "x-session": ["new", ...tokens.sessions],
    "x-timeout": ["250ms", "2s"],
    "x-ttl": ["60", "5m", "keep"],
    "x-expires-at": ["2030-01-01T00:00:00Z"],
    "if-match": ["*", '"abc"', ...tokens.etags],
    "if-none-match": ["*", '"abc"', ...tokens.etags],
    "content-type": ["text/plain", "application/json", "application/x-ndjson"],
    "content-encoding": ["gzip", "identity"],
    "idempotency-key": ["one", "two"],
    "x-meta-colour": ["red", "caf\u00c3\u00a9"],
    accept: ["application/json", "multipart/mixed", "*/*", "text/html;q=0.5", "text/event-stream"],
    "accept-encoding": ["br", "gzip, br;q=0", "identity"],
    authorization: ["Bearer abc", "Basic YTpi"],
    prefer: ["return=representation"],
    range: ["bytes=0-3"],
    origin: ["http://localhost:7001", "http://evil.example"],
    "content-length": ["3", "0"],
    host: ["localhost:7001", "evil.example"],
    traceparent: ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
  };
}

const QUERIES: readonly string[] = [
  "consistency=ONE",
  "limit=2",
  "prefix=a",
  "start=a&end=z",
  "reverse=1",
  "values=1",
  "delimiter=%2F",
  "explain=1",
  "siblings=1",
  "mode=write",
  "mode=merge",
  "after=a",
  "ttl=60",
  "meta-x=y",
  "key=demo/a",
  "timeout=1s",
  "unknown=1",
];

function bodyFor(route: Route, prng: Prng, tokens: KnownTokens): Uint8Array | undefined {
  if (route.body === undefined) return prng.chance(0.1) ? prng.bytes(5) : undefined;
  if (route.body.mediaType === "application/octet-stream") return prng.bytes(prng.below(40));
  if (route.path === "/v1/batch") return utf8(JSON.stringify({ ops: operations(prng, tokens) }));
  if (route.path.startsWith("/v1/import/")) return utf8(importLines(prng));
  if (route.path === "/v1/buckets/{bucket}") return utf8(JSON.stringify(properties(prng)));
  return utf8(JSON.stringify(prng.pick(LAYOUT_BODIES)));
}

function operations(prng: Prng, { contexts }: KnownTokens): unknown[] {
  return Array.from({ length: prng.below(4) }, () => ({
    op: prng.pick(["get", "put", "delete"]),
    bucket: prng.pick(BUCKETS),
    key: prng.pick(["a", "b"]),
    ...(prng.chance(0.6) && { value: "v" }),
    ...(prng.chance(0.2) && { ttl: 60 }),
    ...(prng.chance(0.2) && { ifMatch: "*" }),
    ...(prng.chance(0.3) && contexts.length > 0 && { context: prng.pick(contexts) }),
  }));
}

function importLines(prng: Prng): string {
  const lines = [
    { key: "imported", record: RECORD },
    { keyB64: "AAEC", record: RECORD },
    { key: "plain", value: "v", contentType: "text/plain", meta: { a: "b" }, ttl: 60 },
    { key: "bytes", valueB64: "AAEC" },
  ];
  return Array.from({ length: prng.below(4) }, () => JSON.stringify(prng.pick(lines))).join("\n");
}

function properties(prng: Prng): object {
  const all = {
    n: 3,
    conflicts: prng.pick(["siblings", "lww"]),
    blindPut: "sibling",
    consistency: "ONE",
    strict: false,
    ttl: 60,
    siblingsMax: 5,
    valueBytesMax: 1024,
  };
  return Object.fromEntries(Object.entries(all).filter(() => prng.chance(0.4)));
}

const LAYOUT_BODIES = [
  {},
  { version: 2 },
  { version: 2, force: true },
  { changes: [{ id: "n1", weight: 3 }] },
  { changes: [{ id: "n2", leave: true }] },
  { with: "n2" },
  { force: true },
  { name: "daily" },
  { name: "weekly" },
];

/** A request that means something, mostly. */
export function drawRequest(prng: Prng, tokens: KnownTokens): PlainRequest {
  const route = prng.pick(SENT);
  const values = optionValues(tokens);
  const names = Object.keys(values).filter((name) => values[name]!.length > 0);
  const headers = Array.from({ length: prng.below(4) }, () => prng.pick(names)).map(
    (name) => [name, prng.pick(values[name]!)] as const,
  );
  const body = bodyFor(route, prng, tokens);
  const type = route.body?.mediaType;
  const isTyped = type !== undefined && type !== "application/octet-stream" && prng.chance(0.9);
  const queries = Array.from({ length: prng.below(3) }, () => prng.pick(QUERIES));
  if (tokens.cursors.length > 0 && prng.chance(0.2))
    queries.push(`cursor=${prng.pick(tokens.cursors)}`);
  return {
    method: prng.chance(0.05) ? prng.pick(METHODS) : route.method,
    path: pathOf(route, prng) + (queries.length > 0 ? `?${queries.join("&")}` : ""),
    headers: isTyped ? [["content-type", type], ...headers] : headers,
    body,
  };
}

function pathOf({ path }: Route, prng: Prng): string {
  const key = path.includes("kv64") ? "YWJj" : prng.pick(KEYS);
  return path
    .replace("{bucket}", prng.pick(BUCKETS))
    .replace("{key}", key)
    .replace("{id}", prng.pick(NODES))
    .replace("{name}", prng.pick(SNAPSHOTS))
    .replace("{file}", prng.pick(FILES));
}

const latin1 = (text: string): Uint8Array => Buffer.from(text, "latin1");
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

/** One part of `request` damaged, with the same part of `other` at hand. */
export function damagedRequest(
  prng: Prng,
  request: PlainRequest,
  other: PlainRequest,
): PlainRequest {
  const damagedText = (text: string, spare: string): string =>
    textOf(mutated(prng, latin1(text), latin1(spare)));
  switch (prng.below(4)) {
    case 0:
      return { ...request, path: `/${damagedText(request.path.slice(1), other.path)}` };
    case 1: {
      const at = prng.below(request.headers.length + 1);
      const spare = other.headers[0]?.[1] ?? "";
      return {
        ...request,
        headers: request.headers.map(([name, value], i) => [
          name,
          i === at ? damagedText(value, spare) : value,
        ]),
      };
    }
    case 2:
      return {
        ...request,
        body: mutated(prng, request.body ?? new Uint8Array(0), other.body ?? new Uint8Array(0)),
      };
    default:
      return { ...request, headers: other.headers, body: request.body ?? other.body };
  }
}

/** `undefined` for what no client library could send either; sockets send that (`raw-sockets`). */
export function webRequestOf({ method, path, headers, body }: PlainRequest): Request | undefined {
  try {
    const hasBody = method !== "GET" && method !== "HEAD" && body !== undefined;
    return new Request(`http://localhost:7001${path}`, {
      method,
      headers: headers.map(([name, value]) => [name, value] as [string, string]),
      body: hasBody ? new Uint8Array(body) : null,
    });
  } catch {
    return undefined;
  }
}

/** The bytes of `request` on a connection. */
export function wireBytesOf({ method, path, headers, body }: PlainRequest): Uint8Array {
  const isHostGiven = headers.some(([name]) => name === "host");
  const lines = [
    `${method} ${path} HTTP/1.1`,
    ...(isHostGiven ? [] : ["host: localhost"]),
    ...headers.map(([name, value]) => `${name}: ${value}`),
    ...(body === undefined ? [] : [`content-length: ${body.length}`]),
    "",
    "",
  ];
  return Buffer.concat([latin1(lines.join("\r\n")), body ?? new Uint8Array(0)]);
}

export function describe({ method, path, headers, body }: PlainRequest): string {
  return JSON.stringify({ method, path, headers, body: body && textOf(body) });
}
