/**
 * What the client throws: `HutchError` with a stable `code`, and three classes for what callers handle differently.
 *
 *   RequestError    a node refused or could not; or nobody answered in time (`status` 0)
 *   SiblingsError   the key has several concurrent values and nobody said how to resolve them
 *   ValueError      a value cannot be encoded, decoded, or is not what the schema wants
 */

import type { ErrorCode, Retry } from "../base/errors.ts";
import { HutchError } from "../base/errors.ts";
import type { Sibling } from "./types.ts";

export interface RequestErrorOptions {
  readonly status?: number;
  readonly requestId?: string;
  readonly retry?: Retry;
  readonly retryAfterMs?: number;
  readonly context?: string;
  readonly etag?: string;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

export class RequestError extends HutchError {
  override readonly name = "RequestError";
  /** HTTP status; 0 where there was no answer. */
  readonly status: number;
  /** The node's log has more under this id; "" where no node answered. */
  readonly requestId: string;
  /** At least so long the node wants to be left alone; 0: it did not say. */
  readonly retryAfterMs: number;
  /** Of what is stored, where the node says it (404, 409, 412); else "". */
  readonly context: string;
  readonly etag: string;

  constructor(code: ErrorCode, detail: string, options: RequestErrorOptions = {}) {
    const { status = 0, retry = "no", data = {}, cause } = options;
    super(code, detail, { retry, data: { status, ...data }, cause });
    this.status = status;
    this.requestId = options.requestId ?? "";
    this.retryAfterMs = options.retryAfterMs ?? 0;
    this.context = options.context ?? "";
    this.etag = options.etag ?? "";
  }

  get detail(): string {
    return this.message;
  }
}

export class SiblingsError<Value = unknown> extends HutchError {
  override readonly name = "SiblingsError";
  readonly key: string;
  readonly siblings: readonly Sibling<Value>[];
  /** A write with it replaces all of them. */
  readonly context: string;

  constructor(key: string, siblings: readonly Sibling<Value>[], context: string) {
    super(
      "siblings",
      `Cannot read "${key}" as one value: it has ${siblings.length} concurrent values; pass "resolve", or write one with their context`,
    );
    this.key = key;
    this.siblings = siblings;
    this.context = context;
  }
}

/** One complaint of a schema. */
export interface ValueIssue {
  readonly message: string;
  /** Where in the value, as `items.0.price`; "" for the value itself. */
  readonly path: string;
}

export class ValueError extends HutchError {
  override readonly name = "ValueError";
  readonly issues: readonly ValueIssue[];

  constructor(message: string, issues: readonly ValueIssue[] = [], cause?: unknown) {
    super("bad-value", message, { cause });
    this.issues = issues;
  }
}
