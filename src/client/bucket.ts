/**
 * A handle on one bucket: its keys as values of one type.
 *
 *   const carts = client.bucket("cart", { codec: json(Cart), resolve: union });
 *   const cart = await carts.get("7");              undefined where it is absent
 *   await carts.put("7", { ...cart, note: "!" });    replaces exactly what was read
 *   await carts.update("7", (now) => ({ ...now, count: (now?.count ?? 0) + 1 }));
 *
 * A handle remembers what it read (`context-memory.ts`). It costs nothing to make: take one for each unit of work where several
 * of them may touch the same key at once, or use `update`, which keeps to what it has read itself.
 */

import { batchBody, batchResults } from "./batch.ts";
import type { Calls } from "./calls.ts";
import type { Codec } from "./codecs.ts";
import { ContextMemory } from "./context-memory.ts";
import { SiblingsError } from "./errors.ts";
import {
  type PageJson,
  listedPage,
  listQuery,
  pagesOf,
  readPage,
  valueOfListed,
} from "./listing.ts";
import {
  type RawEntry,
  absentEntry,
  entryOf,
  readHead,
  readJson,
  readRawEntry,
  readWritten,
} from "./readings.ts";
import type {
  AbsentEntry,
  BatchOperation,
  BatchResult,
  CallOptions,
  Entry,
  ListOptions,
  ListedKey,
  ListedPage,
  PageOptions,
  ReadOptions,
  Resolve,
  SiblingsEntry,
  ValueEntry,
  WriteOptions,
  Written,
} from "./types.ts";
import { type Change, type UpdateOptions, type Updated, updateKey } from "./update.ts";
import { type HeaderFields, headerOfText, keyPath } from "./wire.ts";

export interface BucketOptions<Value, Input = Value> {
  readonly codec: Codec<Value, Input>;
  /** For every read of this handle that finds siblings. */
  readonly resolve?: Resolve<Value, Input> | undefined;
  readonly consistency?: CallOptions["consistency"];
}

export class Bucket<Value, Input = Value> {
  readonly name: string;
  readonly #calls: Calls;
  readonly #options: BucketOptions<Value, Input>;
  readonly #contexts = new ContextMemory();

  constructor(name: string, calls: Calls, options: BucketOptions<Value, Input>) {
    this.name = name;
    this.#calls = calls;
    this.#options = options;
  }

  /**
   * The value, or `undefined` where the key is absent.
   *
   * @throws SiblingsError where there are several values and nothing resolves them
   */
  async get(key: string, options: ReadOptions<Value, Input> = {}): Promise<Value | undefined> {
    const raw = await this.#read(key, options);
    if (raw.kind === "value") {
      // Looking through all headers for metadata is a third of what a read costs here.
      this.#contexts.set(key, raw.headers.get("X-Causal-Context") ?? "");
      return this.#options.codec.decode(raw.bytes);
    }
    const entry = await this.#entry(raw, key, options);
    if (entry.kind === "siblings") throw new SiblingsError(key, entry.siblings, entry.context);
    return entry.value;
  }

  /** The value with all that belongs to it; its siblings where nothing resolves them; or that it is absent. */
  async getEntry(key: string, options: ReadOptions<Value, Input> = {}): Promise<Entry<Value>> {
    return this.#entry(await this.#read(key, options), key, options);
  }

  #read(key: string, options: ReadOptions<Value, Input>): Promise<RawEntry> {
    const request = { method: "GET", path: keyPath(this.name, key) } as const;
    return this.#calls.key(this.name, key, request, this.#levelled(options), readRawEntry);
  }

  async #entry(
    raw: RawEntry,
    key: string,
    options: ReadOptions<Value, Input>,
  ): Promise<Entry<Value>> {
    const entry = await entryOf(raw, key, this.#options.codec);
    this.#contexts.set(key, entry.context);
    const resolve = options.resolve ?? this.#options.resolve;
    return entry.kind === "siblings" && resolve !== undefined
      ? this.#resolve(entry, resolve, options)
      : entry;
  }

  async has(key: string, options: CallOptions = {}): Promise<boolean> {
    const request = { method: "HEAD", path: keyPath(this.name, key) } as const;
    return this.#calls.key(this.name, key, request, this.#levelled(options), readHead);
  }

  /** Writes a value that follows what this handle has read of the key, or what `context` covers. */
  async put(key: string, value: Input, options: WriteOptions = {}): Promise<Written> {
    return this.#write("PUT", key, options, await this.#options.codec.encode(value));
  }

  /** Absent already is fine. */
  delete(key: string, options: WriteOptions = {}): Promise<Written> {
    return this.#write("DELETE", key, options);
  }

  /** Writes a value under a new key, which sorts by time. */
  async add(value: Input, options: WriteOptions = {}): Promise<Written> {
    const body = await this.#options.codec.encode(value);
    const headers = this.#writeHeaders(options, "");
    const request = { method: "POST", path: `/v1/kv/${this.name}`, headers, body } as const;
    return this.#calls.any(request, true, this.#levelled(options), (response) => {
      const location = response.headers.get("Location") ?? "";
      return readWritten(
        response,
        decodeURIComponent(location.slice(`/v1/kv/${this.name}/`.length)),
      );
    });
  }

  /**
   * Reads, changes and writes until nobody came in between: `change` may run several times. What it returns as `undefined` is not
   * written. A write that another node let in at the same time becomes a sibling, never lost; `resolve` merges it at the next read.
   */
  update(
    key: string,
    change: Change<Value, Input>,
    options: UpdateOptions<Value, Input> = {},
  ): Promise<Updated<Value, Input>> {
    return updateKey(this, this.#calls.platform, key, change, options);
  }

  /** One page of keys in byte order. */
  async list(options: PageOptions = {}): Promise<ListedPage> {
    return listedPage(await this.#page(options, false, false));
  }

  /** All keys in byte order. A key that is not UTF-8 comes as base64url: `entries` and `list` tell which those are. */
  async *keys(options: ListOptions = {}): AsyncGenerator<string, void, undefined> {
    for await (const page of this.#pages(options, false))
      for (const { key } of listedPage(page).keys) yield key;
  }

  /** All keys in byte order with their values; siblings that nothing resolves come as such. */
  async *entries(
    options: ListOptions = {},
  ): AsyncGenerator<ListedKey & { readonly entry: Entry<Value> }, void, undefined> {
    for await (const page of this.#pages(options, true)) {
      const { keys } = listedPage(page);
      for (const [index, listed] of keys.entries()) {
        const entry = await valueOfListed(page.keys[index]!, listed, this.#options.codec);
        yield { ...listed, entry };
      }
    }
  }

  /**
   * Up to 1,000 operations in one request; not atomic, in order for each key. Results stand at the places of their operations; one
   * that failed is `{ kind: "failed", error }`. Outside of sessions, and it neither uses nor keeps contexts.
   */
  async batch(
    operations: readonly BatchOperation<Input>[],
    options: CallOptions & { readonly idempotencyKey?: string } = {},
  ): Promise<BatchResult<Value>[]> {
    const { codec } = this.#options;
    const isWrite = operations.some(({ op }) => op !== "get");
    const key = isWrite ? this.#calls.idempotencyKey(options.idempotencyKey) : "";
    const request = {
      method: "POST",
      path: "/v1/batch",
      headers: { "Content-Type": "application/json", "Idempotency-Key": key },
      body: await batchBody(this.name, operations, codec),
    } as const;
    const answer = await this.#calls.any(request, isWrite, this.#levelled(options), readJson);
    return batchResults(answer, operations, codec);
  }

  #levelled<Options extends CallOptions>(options: Options): Options {
    if (options.consistency !== undefined || this.#options.consistency === undefined)
      return options;
    return { ...options, consistency: this.#options.consistency };
  }

  async #write(
    method: "PUT" | "DELETE",
    key: string,
    options: WriteOptions,
    body?: Uint8Array | string,
  ): Promise<Written> {
    const context = options.context ?? this.#contexts.get(key);
    const headers = this.#writeHeaders(options, context, method === "PUT");
    const path = keyPath(this.name, key);
    const request = { method, path, headers, ...(body === undefined ? {} : { body }) };
    const written = await this.#calls.key(
      this.name,
      key,
      request,
      this.#levelled(options),
      (response) => readWritten(response, key),
    );
    this.#contexts.set(key, context === "" ? "" : written.context);
    return written;
  }

  #writeHeaders(options: WriteOptions, context: string, hasValue = true): HeaderFields {
    const condition = { "If-Match": options.ifMatch, "If-None-Match": options.ifNoneMatch };
    const key = this.#calls.idempotencyKey(options.idempotencyKey);
    const common = { "X-Causal-Context": context, "Idempotency-Key": key, ...condition };
    if (!hasValue) return common;
    const headers: Record<string, string | undefined> = {
      ...common,
      "Content-Type": options.contentType ?? this.#options.codec.contentType,
      "X-TTL": options.ttl === undefined ? undefined : String(options.ttl),
      "X-Expires-At": options.expiresAt,
    };
    for (const [name, value] of Object.entries(options.metadata ?? {}))
      headers[`X-Meta-${name}`] = headerOfText(value);
    return headers;
  }

  /** What the caller makes of the siblings, written so that it follows them all where that is wanted. */
  async #resolve(
    { key, siblings, context, etag }: SiblingsEntry<Value>,
    resolve: Resolve<Value, Input>,
    options: ReadOptions<Value, Input>,
  ): Promise<ValueEntry<Value> | AbsentEntry> {
    const { codec } = this.#options;
    const input = await resolve(siblings, key);
    const encoded = input === undefined ? undefined : await codec.encode(input);
    const written =
      options.writeBack === false
        ? { context, etag }
        : await this.#write(
            encoded === undefined ? "DELETE" : "PUT",
            key,
            { ...options, context },
            encoded,
          );
    if (encoded === undefined) return absentEntry(key, written.context);
    const stored = typeof encoded === "string" ? new TextEncoder().encode(encoded) : encoded;
    return {
      kind: "value",
      key,
      value: await codec.decode(stored),
      context: written.context,
      etag: written.etag,
      expiresAt: undefined,
      metadata: {},
      contentType: codec.contentType,
    };
  }

  #page(options: PageOptions, withValues: boolean, isWhole: boolean): Promise<PageJson> {
    const query = listQuery(options, withValues);
    const request = { method: "GET", path: `/v1/kv/${this.name}`, query } as const;
    const read = (response: Response): Promise<PageJson> => readPage(response, isWhole);
    return this.#calls.any(request, false, this.#levelled(options), read);
  }

  #pages(options: ListOptions, withValues: boolean): AsyncGenerator<PageJson, void, undefined> {
    return pagesOf((cursor) => this.#page({ ...options, cursor }, withValues, true));
  }
}
