/**
 * A client of the REST interface, typed and without dependencies: keys, listing, import, export.
 *
 * Several addresses are tried in turn: a request goes to the next one only when nobody answered. That is safe for
 * writes too, as each carries an `Idempotency-Key`: when the first node did the write and its answer was lost, the second
 * answers with the first one's result (in a cluster) or does the same write (a node alone has nobody to ask).
 *
 * How a request is sent is handed in, so the client runs in a browser, in a worker and against an application in memory.
 */

import { utf8 } from "../base/bytes.ts";
import type { ErrorCode } from "../base/errors.ts";
import { HutchError, PROCESS_CODES, REST_CODES, messageOf } from "../base/errors.ts";
import type {
  ImportAnswer,
  ListAnswer,
  ListOptions,
  Reading,
  WriteOptions,
  Written,
} from "./messages.ts";
import { readingOf } from "./messages.ts";
import { isPassing } from "./retry.ts";

/** The shape of the global `fetch`. */
export type Send = (url: string, request: RequestInit) => Promise<Response>;

export interface ClientOptions {
  /** Base addresses such as `http://127.0.0.1:7001`, tried in turn. At least one. */
  readonly urls: readonly string[];
  readonly send: Send;
  /** A fresh value for each write: at most 64 characters, never used twice. */
  readonly newIdempotencyKey: () => string;
}

type Query = Readonly<Record<string, string | number | Uint8Array | undefined>>;

interface Request {
  readonly method: string;
  readonly path: string;
  readonly query?: Query;
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly body?: Uint8Array | string;
}

const KNOWN_CODES: ReadonlySet<string> = new Set([...REST_CODES, ...PROCESS_CODES]);

export class Client {
  readonly #options: ClientOptions;
  /** The address that answered last; the next request starts there. */
  #current = 0;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  /** The value of a key, its siblings, or that it is absent. */
  async get(bucket: string, key: string, consistency?: string): Promise<Reading> {
    const response = await this.#exchange({
      method: "GET",
      path: keyPath(bucket, key),
      headers: { "X-Consistency": consistency },
    });
    if (response.ok || response.status === 300) return readingOf(response);
    const problem = await problemOf(response);
    if (problem.code !== "key-not-found") throw problem;
    return { kind: "absent", context: response.headers.get("X-Causal-Context") ?? "" };
  }

  /** Writes a value; with `context` it replaces exactly what that covers. */
  async put(
    bucket: string,
    key: string,
    value: Uint8Array,
    options: WriteOptions = {},
  ): Promise<Written> {
    return this.#write("PUT", bucket, key, options, value);
  }

  /** Deletes a key; absent already is fine. */
  async delete(bucket: string, key: string, options: WriteOptions = {}): Promise<Written> {
    return this.#write("DELETE", bucket, key, options);
  }

  /** One page of keys in byte order. */
  async list(bucket: string, options: ListOptions = {}): Promise<ListAnswer> {
    const { withValues, isReverse, ...query } = options;
    const flags = { values: withValues ? 1 : undefined, reverse: isReverse ? 1 : undefined };
    const response = await this.#succeed({
      method: "GET",
      path: `/v1/kv/${bucket}`,
      query: { ...query, ...flags },
    });
    // Our own server made it; the fields are in its contract.
    return (await response.json()) as ListAnswer;
  }

  /**
   * Sends lines of NDJSON. `merge` takes exported lines, `write` lines with `key` and `value`.
   *
   * Throws where lines failed that would not fail a moment later: sending all of them again leaves the same.
   */
  async importLines(bucket: string, lines: string, mode: "merge" | "write"): Promise<ImportAnswer> {
    const response = await this.#succeed({
      method: "POST",
      path: `/v1/import/${bucket}`,
      query: { mode },
      headers: { "Content-Type": "application/x-ndjson" },
      body: lines,
    });
    const answer = (await response.json()) as ImportAnswer;
    const passing = answer.errors.find(({ code }) => isPassing(code));
    if (passing === undefined) return answer;
    throw new HutchError(passing.code as ErrorCode, `line ${passing.line}: ${passing.detail}`, {
      retry: "safe",
    });
  }

  /** All keys after `after` with their whole state, as lines of NDJSON. */
  async export(bucket: string, after?: Uint8Array): Promise<ReadableStream<Uint8Array>> {
    const path = `/v1/export/${bucket}`;
    const response = await this.#succeed({ method: "GET", path, query: { after } });
    if (response.body === null)
      throw new HutchError("internal", `Cannot export bucket "${bucket}": no body`);
    return response.body;
  }

  /** Any other JSON answer of the administration, such as `/v1/cluster`. */
  async json(path: string): Promise<unknown> {
    return (await this.#succeed({ method: "GET", path })).json();
  }

  /** Asks the administration to do something, such as `/v1/admin/repair`; its JSON answer. */
  async post(path: string, body?: unknown): Promise<unknown> {
    const json = body === undefined ? {} : { body: JSON.stringify(body) };
    const headers = { "Content-Type": body === undefined ? undefined : "application/json" };
    return (await this.#succeed({ method: "POST", path, headers, ...json })).json();
  }

  /** The name of the node that answers. */
  async nodeName(): Promise<string> {
    const response = await this.#succeed({ method: "GET", path: "/healthz" });
    return response.headers.get("X-Node") ?? "";
  }

  async #write(
    method: "PUT" | "DELETE",
    bucket: string,
    key: string,
    options: WriteOptions,
    value?: Uint8Array,
  ): Promise<Written> {
    const response = await this.#succeed({
      method,
      path: keyPath(bucket, key),
      headers: {
        "X-Consistency": options.consistency,
        "X-Causal-Context": options.context,
        "X-TTL": options.ttl,
        "Content-Type":
          value === undefined ? undefined : (options.contentType ?? "application/octet-stream"),
        "Idempotency-Key": this.#options.newIdempotencyKey(),
      },
      ...(value === undefined ? {} : { body: value }),
    });
    return {
      context: response.headers.get("X-Causal-Context") ?? "",
      acks: response.headers.get("X-Acks") ?? "",
    };
  }

  async #succeed(request: Request): Promise<Response> {
    const response = await this.#exchange(request);
    if (response.ok) return response;
    throw await problemOf(response);
  }

  /** Sends to the addresses in turn until one answers, whatever it answers. */
  async #exchange(request: Request): Promise<Response> {
    const { urls } = this.#options;
    const failures: string[] = [];
    for (let attempt = 0; attempt < urls.length; attempt++) {
      const index = (this.#current + attempt) % urls.length;
      const url = urls[index]!;
      try {
        const response = await this.#options.send(addressOf(url, request), requestInit(request));
        this.#current = index;
        return checkedAnswer(response, url);
      } catch (error) {
        if (error instanceof HutchError) throw error;
        failures.push(`${url} (${messageOf(error)})`);
      }
    }
    throw new HutchError(
      "node-unreachable",
      `Cannot reach a node: no answer from ${failures.join(", ")}`,
      {
        retry: "safe-with-idempotency-key",
        data: { urls },
      },
    );
  }
}

/** What the HTTP parser under a node answers by itself, without the node's headers. */
const PARSER_STATUSES: readonly number[] = [400, 413, 431];

/** Every answer of a node names the node; anything else is somebody else's server. */
function checkedAnswer(response: Response, url: string): Response {
  if (response.headers.get("X-Node") !== null || PARSER_STATUSES.includes(response.status))
    return response;
  throw new HutchError(
    "node-unreachable",
    `Cannot talk to ${url}: something answers there (status ${response.status}), but it is not a hutch node`,
  );
}

function addressOf(url: string, { path, query = {} }: Request): string {
  const parameters = Object.entries(query)
    .filter(([, value]) => value !== undefined && value !== "")
    .map(([name, value]) => `${name}=${escaped(value!)}`);
  const text = parameters.length === 0 ? "" : `?${parameters.join("&")}`;
  return `${url.replace(/\/+$/, "")}${path}${text}`;
}

/** Keys may be any bytes, and a plus is a plus: not the encoding of forms. */
function escaped(value: string | number | Uint8Array): string {
  if (!(value instanceof Uint8Array)) return encodeURIComponent(value);
  return Array.from(value, (byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
}

function requestInit({ method, headers = {}, body }: Request): RequestInit {
  const given = Object.entries(headers).filter(([, value]) => value !== undefined && value !== "");
  // `given` has no undefined values; the filter shows that to people, not to the type checker.
  const request: RequestInit = { method, headers: given as [string, string][], redirect: "error" };
  // A view of a plain buffer; TypeScript also thinks of shared memory here.
  if (body !== undefined) request.body = body as string | Uint8Array<ArrayBuffer>;
  return request;
}

/**
 * The path of a key: readable where a URL can carry the key as it is, base64url where it cannot (`.` and `..` as
 * segments would be resolved on the way).
 */
export function keyPath(bucket: string, key: string): string {
  const segments = key.split("/");
  if (segments.some((segment) => segment === "." || segment === ".."))
    return `/v1/kv64/${bucket}/${utf8(key).toBase64({ alphabet: "base64url", omitPadding: true })}`;
  return `/v1/kv/${bucket}/${segments.map(encodeURIComponent).join("/")}`;
}

/** The error that a problem document describes. */
async function problemOf(response: Response): Promise<HutchError> {
  const text = await response.text();
  let problem: { code?: unknown; detail?: unknown; retry?: unknown } = {};
  try {
    problem = JSON.parse(text) ?? {};
  } catch {
    // Not a problem document: the HTTP parser underneath, or something between us and the node.
  }
  const isKnown = typeof problem.code === "string" && KNOWN_CODES.has(problem.code);
  const code = isKnown ? (problem.code as ErrorCode) : "internal";
  const detail = typeof problem.detail === "string" ? problem.detail : `status ${response.status}`;
  return new HutchError(code, detail, { data: { status: response.status } });
}
