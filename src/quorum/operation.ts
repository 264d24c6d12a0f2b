/**
 * The vocabulary of one client operation: what is asked of a coordinator and what it answers.
 *
 * Shared by the REST face (which knows headers) and the cluster (which knows replicas); neither imports the other.
 * Bytes that come in belong to the callee from then on; bytes that go out may be views on storage and are valid only
 * until the receiver's next `await` (C27): copy or send them at once.
 */
import type { TraceContext } from "../base/trace-context.ts";
import type { Consistency } from "./consistency.ts";

/** `X-Meta-*`: names in lower case without the prefix, in the order given. */
export type Metadata = readonly (readonly [name: string, value: string])[];

/** One value of a key, or one deletion of it. */
export interface Sibling {
  /** `actor.counter` in text form; names this value in `?dot=`. */
  readonly dot: string;
  /** Hybrid logical clock of the write (`causality/hlc.ts`). */
  readonly hlc: number;
  readonly isDeleted: boolean;
  /** Empty when deleted. */
  readonly value: Uint8Array;
  /** "" when none was given. */
  readonly contentType: string;
  /** "" when none was given. */
  readonly contentEncoding: string;
  readonly meta: Metadata;
  /** Unix milliseconds; 0 for never. */
  readonly expiresAtMs: number;
}

/** `r` or `w`: how many of `n` replicas were asked for, answered, were owners, stand in, and have it on disk. */
export interface ReplyCounts {
  readonly n: number;
  readonly ok: number;
  readonly primary: number;
}
export interface AckCounts extends ReplyCounts {
  readonly hinted: number;
  readonly durable: number;
}

/** What is known of a key after a read, or of what a write left behind. */
export interface KeyState {
  /**
   * Distinct values in descending LWW order, equal ones shown once (R15); deletions included when a live value is there too
   * (R17); an expired value appears as deleted. Empty when nothing is stored; all deleted = the key is absent.
   */
  readonly siblings: readonly Sibling[];
  /** True when the key is absent because of a deletion or expiry. */
  readonly isTombstone: boolean;
  /** The opaque causal context covering all of it, base64url; "" when the key was never seen. */
  readonly context: string;
  /** Hash of the full context, without quotes; "" when the key was never seen. */
  readonly etag: string;
  readonly conflictMode: "siblings" | "lww";
  /** Concurrent values that this operation's LWW merge dropped. */
  readonly conflictDropped: number;
}

/** What an operation may wait for: back-pressure of the own storage, other nodes, the own disk. */
export type WaitPhase = "admission" | "forward" | "replicas" | "sync" | "repair";

/** Who asks for an operation and wants to know, when it was slow, what it waited for. */
export interface WaitObserver {
  /** Shorter waits need not be told, ms. */
  readonly tellingMs: number;
  /** @param node whose answer was waited for longest, "" where that is nobody's */
  waited(phase: WaitPhase, durationMs: number, node: string): void;
}

/** What travels with an operation and changes nothing of it. */
interface Observed {
  /** Of the span that asks, where the operation is traced. */
  trace?: TraceContext | undefined;
  waits?: WaitObserver | undefined;
}

export interface ReadRequest extends Observed {
  readonly consistency: Consistency;
  /** Milliseconds that the whole operation may take. */
  readonly timeoutMs: number;
  /** Raw `X-Session` ("new" or a token), or "" for none. */
  readonly session: string;
}

export interface ReadResult extends KeyState {
  readonly replies: ReplyCounts;
  /** New session token, or "" when the request had none. */
  readonly session: string;
  /** "" when the replies were equal. */
  readonly readRepair: "" | "done" | "incomplete";
  /** While `KvApi.isFresh(freshness)`, the same read gives the same answer; -1 for an answer that holds only once. */
  readonly freshness: number;
}

export type Expiry =
  /** The bucket's default TTL, or none. */
  | { readonly kind: "default" }
  | { readonly kind: "after"; readonly ttlMs: number }
  | { readonly kind: "at"; readonly wallMs: number }
  /** The expiry that the value being replaced has. */
  | { readonly kind: "keep" };

/** `*` or a list of ETags without quotes. Never both (the REST face refuses that). */
export type Condition =
  | { readonly kind: "none" }
  | { readonly kind: "if-match"; readonly etags: "*" | readonly string[] }
  | { readonly kind: "if-none-match"; readonly etags: "*" | readonly string[] };

export interface WriteRequest extends Observed {
  readonly kind: "put" | "delete";
  /** Empty for a delete. */
  readonly value: Uint8Array;
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly meta: Metadata;
  readonly expiry: Expiry;
  /** Raw `X-Causal-Context`, or "" for none. */
  readonly context: string;
  readonly condition: Condition;
  /** "" for none. Scope: bucket + key. */
  readonly idempotencyKey: string;
  readonly consistency: Consistency;
  readonly timeoutMs: number;
  readonly session: string;
}

/**
 * `state` is what the minter holds after the write (for `Prefer: return=representation`); `context` covers what the
 * request's context covered plus this write and nothing else (REST.md section 2), so it can be less than `state.context`.
 */
export interface WriteResult {
  readonly context: string;
  readonly state: KeyState;
  readonly acks: AckCounts;
  readonly session: string;
  /** True when an earlier request with the same `Idempotency-Key` did the write and this is its answer. */
  readonly isReplay: boolean;
}

export interface ListRequest {
  readonly prefix: Uint8Array;
  /** Inclusive; empty for none. */
  readonly start: Uint8Array;
  /** Exclusive; empty for none. */
  readonly end: Uint8Array;
  /** 1..10,000 entries of `keys` and `prefixes` together. */
  readonly limit: number;
  /** From the page before, or "". */
  readonly cursor: string;
  /** Empty for none. */
  readonly delimiter: Uint8Array;
  readonly isReverse: boolean;
  /** Fill `state` of each entry. */
  readonly withValues: boolean;
}

export interface ListedKey {
  readonly key: Uint8Array;
  readonly etag: string;
  /** Length of the newest live value. */
  readonly sizeBytes: number;
  readonly expiresAtMs: number;
  readonly siblingCount: number;
  /** Copied, safe to keep; present only with `withValues`. */
  readonly state: KeyState | undefined;
}

export interface ListPage {
  readonly keys: readonly ListedKey[];
  readonly prefixes: readonly Uint8Array[];
  /** "" when complete. */
  readonly cursor: string;
  readonly isPartial: boolean;
}

/** One key with its whole causal state, in JSON, as `export` prints it and `import?mode=merge` takes it. */
export interface ExportedKey {
  readonly key: Uint8Array;
  /** JSON value made by `causality/record-json.ts`; carries entries, dots, HLC, payloads. */
  readonly record: unknown;
}

/** Properties of a bucket, effective values (defaults filled in). */
export interface BucketProperties {
  readonly n: number;
  readonly conflicts: "siblings" | "lww";
  readonly blindPut: "supersede" | "sibling";
  /** Default `X-Consistency`, in its text form. */
  readonly consistency: string;
  readonly strict: boolean;
  /** Default TTL in seconds; 0 for none. */
  readonly ttl: number;
  readonly siblingsMax: number;
  readonly valueBytesMax: number;
}

export const DEFAULT_BUCKET_PROPERTIES: BucketProperties = {
  n: 3,
  conflicts: "siblings",
  blindPut: "supersede",
  consistency: "QUORUM",
  strict: false,
  ttl: 0,
  siblingsMax: 50,
  valueBytesMax: 1024 * 1024,
};
