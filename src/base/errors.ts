/**
 * Broken promises: the closed family of errors that `hutch` throws.
 *
 * Every error has a stable `code` (the codes of REST.md section 5 plus the start-up codes below), says
 * whether trying again can help (`retry`), and carries its own data. One table in `http/problem.ts`
 * maps codes to HTTP status, one in `cli/exit-codes.ts` to exit codes.
 *
 * Messages read: attempted action, value in quotes, colon, current state, desired state; no final period.
 */

/** Codes that a client of the REST interface can see. Frozen: clients match on them. */
export const REST_CODES = [
  "bad-key",
  "bad-key-encoding",
  "bad-bucket",
  "bad-consistency",
  "bad-ttl",
  "bad-timeout",
  "bad-context",
  "context-mismatch",
  "bad-json",
  "unknown-field",
  "bad-cursor",
  "bad-session",
  "bad-property",
  "bad-request",
  "unauthenticated",
  "forbidden",
  "key-not-found",
  "no-such-route",
  "no-such-job",
  "no-such-snapshot",
  "method-not-allowed",
  "not-acceptable",
  "unsupported-encoding",
  "unsupported-media-type",
  "body-timeout",
  "too-many-siblings",
  "layout-conflict",
  "would-underreplicate",
  "duplicate-node-id",
  "node-alive",
  "bucket-not-empty",
  "snapshot-conflict",
  "precondition-failed",
  "value-too-large",
  "key-too-long",
  "metadata-too-large",
  "wrong-cluster",
  "idempotency-mismatch",
  "rate-limited",
  "internal",
  "data-corrupt",
  "not-implemented",
  "unavailable",
  "absence-unproven",
  "session-unsatisfied",
  "overloaded",
  "shutting-down",
  "clock-skew",
  "write-indeterminate",
  "read-timeout",
  "disk-full",
] as const;

/** Codes that end a start or stop a running process; each has an exit code (FAULTS.md section 6). */
export const PROCESS_CODES = [
  "usage",
  "bad-config",
  "node-unreachable",
  "port-in-use",
  "data-dir-in-use",
  "data-dir-unusable",
  "permission-denied",
  "data-refused",
  "io-error",
  "disk-stuck",
] as const;

/** Codes that only the client library throws. */
export const CLIENT_CODES = ["siblings", "bad-value"] as const;

/** Codes that only nodes say to each other; `internal` to everybody else. */
export const PEER_CODES = ["not-owner", "bad-dot", "suspect-state"] as const;

export type RestCode = (typeof REST_CODES)[number];
export type ProcessCode = (typeof PROCESS_CODES)[number];
export type ClientCode = (typeof CLIENT_CODES)[number];
export type PeerCode = (typeof PEER_CODES)[number];
export type ErrorCode = RestCode | ProcessCode | ClientCode | PeerCode;

/** `safe`: nothing was done, try again. `safe-with-idempotency-key`: the outcome is unknown. `no`: it cannot work. */
export type Retry = "safe" | "safe-with-idempotency-key" | "no";

export interface HutchErrorOptions {
  readonly retry?: Retry;
  /** Machine-readable facts, shown to the client as members of the problem document. */
  readonly data?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** The base and, for most codes, the only class; a subclass exists only where a caller handles it differently. */
export class HutchError extends Error {
  override readonly name: string = "HutchError";
  readonly code: ErrorCode;
  readonly retry: Retry;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: HutchErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retry = options.retry ?? "no";
    this.data = options.data ?? {};
  }
}

/** Stored bytes do not verify. Never answered as "absent" and never with the bytes themselves (FAULTS.md C13). */
export class CorruptionError extends HutchError {
  override readonly name = "CorruptionError";
  /** File name inside the data directory. */
  readonly file: string;
  /** Byte offset of the damage, or -1 where the file as a whole is wrong. */
  readonly offset: number;

  constructor(message: string, file: string, offset: number, cause?: unknown) {
    super("data-corrupt", message, { data: { file, offset }, cause });
    this.file = file;
    this.offset = offset;
  }
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
