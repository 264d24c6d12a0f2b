/**
 * A bucket in the shape of a Workers KV namespace, for code that was written for one. Other than there, a read after a write sees it.
 *
 * Not there: `cacheTtl` (nothing is cached) and `type: "stream"`.
 */

import { type Bucket, type HutchClient, bytes } from "hutch/client";

type ValueType = "text" | "json" | "arrayBuffer";

export interface PutOptions {
  readonly expirationTtl?: number;
  /** Seconds since 1970. */
  readonly expiration?: number;
  readonly metadata?: unknown;
}

/** Metadata is JSON there and texts here: it is one text. */
const METADATA = "kv";

export class KvNamespace {
  readonly #bucket: Bucket<Uint8Array>;

  constructor(client: HutchClient, bucket: string) {
    // The last one written is what KV would show.
    const newest = (
      siblings: readonly { readonly hlc: string; readonly value?: Uint8Array | undefined }[],
    ) => siblings.reduce((a, b) => (b.hlc > a.hlc ? b : a)).value;
    this.#bucket = client.bucket(bucket, { codec: bytes(), resolve: newest });
  }

  async get(key: string, type: ValueType = "text"): Promise<unknown> {
    return (await this.getWithMetadata(key, type)).value;
  }

  async getWithMetadata(
    key: string,
    type: ValueType = "text",
  ): Promise<{ value: unknown; metadata: unknown }> {
    const entry = await this.#bucket.getEntry(key);
    if (entry.kind !== "value") return { value: null, metadata: null };
    const metadata = entry.metadata[METADATA];
    return {
      value: valueAs(entry.value, type),
      metadata: metadata === undefined ? null : JSON.parse(metadata),
    };
  }

  async put(key: string, value: string | ArrayBuffer, options: PutOptions = {}): Promise<void> {
    const { expirationTtl: ttl, expiration, metadata } = options;
    const body =
      typeof value === "string" ? new TextEncoder().encode(value) : new Uint8Array(value);
    await this.#bucket.put(key, body, {
      // KV has no contexts: the last write wins.
      context: "",
      ...(ttl !== undefined && { ttl }),
      ...(expiration !== undefined && { expiresAt: new Date(expiration * 1000).toISOString() }),
      ...(metadata !== undefined && { metadata: { [METADATA]: JSON.stringify(metadata) } }),
    });
  }

  async delete(key: string): Promise<void> {
    await this.#bucket.delete(key, { context: "" });
  }

  async list({ prefix = "", limit = 1000, cursor = "" } = {}): Promise<{
    keys: { name: string; expiration?: number }[];
    list_complete: boolean;
    cursor?: string;
  }> {
    const page = await this.#bucket.list({ prefix, limit, cursor });
    const keys = page.keys.map(({ key: name, expiresAt }) =>
      expiresAt === undefined ? { name } : { name, expiration: Date.parse(expiresAt) / 1000 },
    );
    const isComplete = page.cursor === "";
    return { keys, list_complete: isComplete, ...(isComplete ? {} : { cursor: page.cursor }) };
  }
}

function valueAs(value: Uint8Array, type: ValueType): unknown {
  if (type === "arrayBuffer") return value.slice().buffer;
  const text = new TextDecoder().decode(value);
  return type === "json" ? JSON.parse(text) : text;
}
