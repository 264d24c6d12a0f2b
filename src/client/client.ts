/**
 * The REST interface as plain calls, for programs that show what they get: the command line. Applications take `HutchClient`, which
 * stands on the same `Transport`.
 *
 * Several addresses are tried in turn: a request goes to the next one only when nobody answered. That is safe for
 * writes too, as each carries an `Idempotency-Key`: when the first node did the write and its answer was lost, the second
 * answers with the first one's result (in a cluster) or does the same write (a node alone has nobody to ask).
 *
 * How a request is sent is handed in, so the client runs in a browser, in a worker and against an application in memory.
 */

import type { ErrorCode } from "../base/errors.ts";
import { HutchError } from "../base/errors.ts";
import type {
  ImportAnswer,
  ListAnswer,
  ListOptions,
  Reading,
  WriteOptions,
  Written,
} from "./messages.ts";
import { readingOf } from "./messages.ts";
import { NodePool } from "./node-pool.ts";
import { isPassing } from "./retry.ts";
import { Transport } from "./transport.ts";
import { webPlatform } from "./web-platform.ts";
import { type Send, type WireRequest, keyPath, problemOf } from "./wire.ts";

export { keyPath };
export type { Send };

export interface ClientOptions {
  /** Base addresses such as `http://127.0.0.1:7001`, tried in turn. At least one. */
  readonly urls: readonly string[];
  readonly send: Send;
  /** A fresh value for each write: at most 64 characters, never used twice. */
  readonly newIdempotencyKey: () => string;
}

export class Client {
  readonly #options: ClientOptions;
  readonly #transport: Transport;

  constructor(options: ClientOptions) {
    const { urls, send, newIdempotencyKey } = options;
    this.#options = options;
    this.#transport = new Transport({
      platform: { ...webPlatform, send, newIdempotencyKey },
      pool: new NodePool(urls, "sticky"),
      retries: urls.length - 1,
      isRetryingProblems: false,
      timeoutMs: 0,
    });
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

  /** The body of a long answer, such as the events of `/v1/admin/live`. */
  async stream(path: string, accept: string): Promise<ReadableStream<Uint8Array>> {
    const response = await this.#succeed({ method: "GET", path, headers: { Accept: accept } });
    if (response.body === null) throw new HutchError("internal", `Cannot read ${path}: no body`);
    return response.body;
  }

  /** Asks the administration to do something, such as `/v1/admin/repair`; its JSON answer. */
  post(path: string, body?: unknown): Promise<unknown> {
    return this.ask("POST", path, body);
  }

  /** The JSON answer to any request that may be sent twice; `undefined` where the answer has no body. */
  async ask(method: "POST" | "PATCH" | "DELETE", path: string, body?: unknown): Promise<unknown> {
    const json = body === undefined ? {} : { body: JSON.stringify(body) };
    const headers = { "Content-Type": body === undefined ? undefined : "application/json" };
    const response = await this.#succeed({ method, path, headers, ...json });
    return response.status === 204 ? undefined : response.json();
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

  async #succeed(request: WireRequest): Promise<Response> {
    const response = await this.#exchange(request);
    if (response.ok) return response;
    throw await problemOf(response);
  }

  /** The answer of the first address that has one, whatever it is. */
  #exchange(request: WireRequest): Promise<Response> {
    const isWrite = request.method !== "GET";
    return this.#transport.run(request, { isWrite }, (response) => response);
  }
}
