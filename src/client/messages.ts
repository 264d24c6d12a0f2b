/** What the client is asked and what it answers: the shapes of REST.md as types. */

import { HutchError } from "../base/errors.ts";

export interface WriteOptions {
  /** `ONE`, `QUORUM`, `ALL` or a dictionary such as `w=2`. */
  readonly consistency?: string | undefined;
  /** Token of the read that this write follows. */
  readonly context?: string | undefined;
  /** Seconds, or `60s 5m 2h 7d`, or `keep`. */
  readonly ttl?: string | undefined;
  readonly contentType?: string | undefined;
}

export interface Written {
  readonly context: string;
  /** `n=1, ok=1, primary=1, hinted=0, durable=1`. */
  readonly acks: string;
}

/** One of several concurrent values. */
export interface SiblingAnswer {
  readonly dot: string;
  readonly hlc: string;
  readonly contentType?: string;
  readonly value?: string;
  readonly valueB64?: string;
  readonly deleted?: boolean;
}

export type Reading =
  | { readonly kind: "absent"; readonly context: string }
  | {
      readonly kind: "value";
      readonly value: Uint8Array;
      readonly context: string;
      readonly contentType: string;
      readonly etag: string;
      readonly expiresAt: string;
    }
  | {
      readonly kind: "siblings";
      readonly context: string;
      readonly siblings: readonly SiblingAnswer[];
    };

export interface ListOptions {
  readonly prefix?: string | undefined;
  readonly start?: string | undefined;
  readonly end?: string | undefined;
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
  readonly delimiter?: string | undefined;
  readonly isReverse?: boolean | undefined;
  readonly withValues?: boolean | undefined;
}

export interface ListedKeyAnswer {
  readonly key?: string;
  readonly keyB64?: string;
  readonly etag: string;
  readonly size: number;
  readonly expiresAt?: string | null;
  readonly siblings: unknown;
  readonly value?: string;
  readonly valueB64?: string;
  readonly contentType?: string;
}

export interface ListAnswer {
  readonly keys: readonly ListedKeyAnswer[];
  readonly prefixes?: readonly string[];
  readonly cursor?: string;
  readonly complete: boolean;
  readonly partial: boolean;
}

export interface ImportAnswer {
  readonly imported: number;
  readonly failed: number;
  readonly errors: readonly {
    readonly line: number;
    readonly code: string;
    readonly detail: string;
  }[];
}

/** The reading that a 200 or 300 answer of a key holds. */
export async function readingOf(response: Response): Promise<Reading> {
  const header = (name: string) => response.headers.get(name) ?? "";
  const context = header("X-Causal-Context");
  if (response.status !== 300)
    return {
      kind: "value",
      value: new Uint8Array(await response.arrayBuffer()),
      context,
      contentType: header("Content-Type"),
      etag: header("ETag"),
      expiresAt: header("X-Expires-At"),
    };
  const { siblings } = (await response.json()) as { siblings?: readonly SiblingAnswer[] };
  if (siblings === undefined)
    throw new HutchError("internal", "Cannot read siblings: the answer has none");
  return { kind: "siblings", context, siblings };
}
