/** What callers of `HutchClient` hand in and get back. */

import type { HutchError } from "../base/errors.ts";

/** `ONE`, `QUORUM`, `ALL`, or a dictionary such as `r=2, w=2`. */
export type ConsistencyLevel = "ONE" | "QUORUM" | "ALL" | (string & {});

export type Metadata = Readonly<Record<string, string>>;

/** What every call takes. */
export interface CallOptions {
  readonly consistency?: ConsistencyLevel | undefined;
  /** For the whole call with all its attempts and pauses. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One of several concurrent values; `isDeleted` where it is a deletion, which has no value. */
export interface Sibling<Value> {
  readonly value: Value | undefined;
  readonly isDeleted: boolean;
  readonly dot: string;
  /** The hybrid clock when it was written; a later one is the greater text. */
  readonly hlc: string;
  readonly contentType: string;
  readonly metadata: Metadata;
}

/** Merges concurrent values into the one that follows them all; `undefined` deletes the key. */
export type Resolve<Value, Input = Value> = (
  siblings: readonly Sibling<Value>[],
  key: string,
) => Input | undefined | Promise<Input | undefined>;

export interface ReadOptions<Value, Input = Value> extends CallOptions {
  readonly resolve?: Resolve<Value, Input> | undefined;
  /** Whether a resolved value is written, with the context of what it resolves. Default: true. */
  readonly writeBack?: boolean | undefined;
}

export interface WriteOptions extends CallOptions {
  /** Replaces exactly what this covers; "" for a write that follows nothing. Default: what this handle read last of the key. */
  readonly context?: string | undefined;
  /** Seconds, or `60s`, `5m`, `2h`, `7d`, or `keep`. */
  readonly ttl?: number | string | undefined;
  /** RFC 3339. */
  readonly expiresAt?: string | undefined;
  /** At most 4 KiB; names in lower case. */
  readonly metadata?: Metadata | undefined;
  readonly contentType?: string | undefined;
  /** An etag or `*`; advisory under concurrency. */
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
  /** To make a write of your own repeatable across processes. Default: a new one for each call. */
  readonly idempotencyKey?: string | undefined;
}

export interface ValueEntry<Value> {
  readonly kind: "value";
  readonly key: string;
  readonly value: Value;
  readonly context: string;
  readonly etag: string;
  /** RFC 3339; `undefined` for never. */
  readonly expiresAt: string | undefined;
  readonly metadata: Metadata;
  readonly contentType: string;
}

export interface AbsentEntry {
  readonly kind: "absent";
  readonly key: string;
  readonly value: undefined;
  /** Of the deletion, so that a write can follow it; "" where the key never was. */
  readonly context: string;
}

export interface SiblingsEntry<Value> {
  readonly kind: "siblings";
  readonly key: string;
  readonly siblings: readonly Sibling<Value>[];
  readonly context: string;
  readonly etag: string;
}

export type Entry<Value> = ValueEntry<Value> | AbsentEntry | SiblingsEntry<Value>;

/** An acknowledged write. */
export interface Written {
  readonly key: string;
  readonly context: string;
  readonly etag: string;
  /** `n=3, ok=2, primary=2, hinted=0, durable=2`. */
  readonly acks: string;
  /** How many concurrent values the key has now. */
  readonly siblingCount: number;
}

export interface ListOptions extends CallOptions {
  readonly prefix?: string | undefined;
  /** Inclusive. */
  readonly start?: string | undefined;
  /** Exclusive. */
  readonly end?: string | undefined;
  readonly isReverse?: boolean | undefined;
  /** Keys of one page, 1 to 10,000; of the iterators: how many are fetched at a time. */
  readonly limit?: number | undefined;
}

export interface PageOptions extends ListOptions {
  readonly cursor?: string | undefined;
  /** Groups what comes before it into `prefixes`. */
  readonly delimiter?: string | undefined;
}

/** A key in a list. One that is not UTF-8 has its bytes in `keyBytes` and `key` as base64url. */
export interface ListedKey {
  readonly key: string;
  readonly keyBytes: Uint8Array | undefined;
  readonly etag: string;
  readonly sizeBytes: number;
  readonly expiresAt: string | undefined;
  readonly siblingCount: number;
}

export interface ListedPage {
  readonly keys: readonly ListedKey[];
  readonly prefixes: readonly string[];
  /** "" on the last page. */
  readonly cursor: string;
  /** True where a part of the bucket could not be read. */
  readonly isPartial: boolean;
}

export type BatchOperation<Input> =
  | { readonly op: "get"; readonly key: string }
  | {
      readonly op: "put";
      readonly key: string;
      readonly value: Input;
      readonly context?: string;
      /** Seconds. */
      readonly ttl?: number;
      readonly ifMatch?: string;
    }
  | {
      readonly op: "delete";
      readonly key: string;
      readonly context?: string;
      readonly ifMatch?: string;
    };

/** The result of the operation at the same place. */
export type BatchResult<Value> =
  | Entry<Value>
  | {
      readonly kind: "written";
      readonly key: string;
      readonly context: string;
      readonly etag: string;
    }
  | { readonly kind: "failed"; readonly key: string; readonly error: HutchError };
