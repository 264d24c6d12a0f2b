/**
 * Errors as answers: problem documents (RFC 9457) with a stable `code`.
 *
 * One table says for every code its status, its title, and whether trying again can help. What was not thrown on purpose
 * is `internal`: logged with the request id, and the client learns nothing but that id (FAULTS.md Q20).
 */
import { base64url, utf8Text } from "../base/bytes.ts";
import {
  type ErrorCode,
  HutchError,
  messageOf,
  REST_CODES,
  type RestCode,
  type Retry,
} from "../base/errors.ts";

interface ProblemKind {
  readonly status: number;
  readonly title: string;
  readonly retry: Retry;
}

const kind = (status: number, title: string, retry: Retry = "no"): ProblemKind => ({
  status,
  title,
  retry,
});

/** REST.md section 5. */
export const PROBLEM_KINDS = {
  "bad-key": kind(400, "Key not allowed"),
  "bad-key-encoding": kind(400, "Key not decodable"),
  "bad-bucket": kind(400, "Bucket name not allowed"),
  "bad-consistency": kind(400, "Consistency not possible"),
  "bad-ttl": kind(400, "Time to live not possible"),
  "bad-timeout": kind(400, "Timeout not possible"),
  "bad-context": kind(400, "Causal context not readable"),
  "context-mismatch": kind(400, "Causal context of another key or cluster"),
  "bad-json": kind(400, "JSON not acceptable"),
  "unknown-field": kind(400, "Unknown field"),
  "bad-cursor": kind(400, "Cursor not readable"),
  "bad-session": kind(400, "Session not readable"),
  "bad-property": kind(400, "Bucket property not possible"),
  "bad-request": kind(400, "Request not possible"),
  unauthenticated: kind(401, "Not authenticated"),
  forbidden: kind(403, "Not allowed"),
  "key-not-found": kind(404, "Key not found"),
  "no-such-route": kind(404, "No such route"),
  "no-such-job": kind(404, "No such job"),
  "no-such-snapshot": kind(404, "No such snapshot"),
  "method-not-allowed": kind(405, "Method not allowed"),
  "not-acceptable": kind(406, "Not available in an acceptable form"),
  "body-timeout": kind(408, "Request body too slow", "safe"),
  "too-many-siblings": kind(409, "Too many siblings"),
  "layout-conflict": kind(409, "Layout changed meanwhile"),
  "would-underreplicate": kind(409, "Too few replicas would remain"),
  "duplicate-node-id": kind(409, "Node id in use"),
  "node-alive": kind(409, "Node is alive"),
  "bucket-not-empty": kind(409, "Bucket not empty"),
  "snapshot-conflict": kind(409, "Snapshot not possible now"),
  "precondition-failed": kind(412, "Precondition failed"),
  "value-too-large": kind(413, "Body too large"),
  "key-too-long": kind(414, "Key too long"),
  "unsupported-encoding": kind(415, "Content encoding not supported"),
  "unsupported-media-type": kind(415, "Content type not supported"),
  "wrong-cluster": kind(421, "Request misdirected"),
  "idempotency-mismatch": kind(422, "Idempotency key used for another request"),
  "rate-limited": kind(429, "Too many requests", "safe"),
  "metadata-too-large": kind(431, "Metadata too large"),
  internal: kind(500, "Internal error"),
  "data-corrupt": kind(500, "Stored data damaged"),
  "not-implemented": kind(501, "Not implemented"),
  unavailable: kind(503, "Not available", "safe"),
  "absence-unproven": kind(503, "Absence not proven", "safe"),
  "session-unsatisfied": kind(503, "Session not satisfied", "safe"),
  overloaded: kind(503, "Overloaded", "safe"),
  "shutting-down": kind(503, "Shutting down", "safe"),
  "clock-skew": kind(503, "Clock skew", "safe"),
  "write-indeterminate": kind(504, "Write outcome unknown", "safe-with-idempotency-key"),
  "read-timeout": kind(504, "Read timed out", "safe"),
  "disk-full": kind(507, "Disk full", "safe"),
} satisfies Record<RestCode, ProblemKind>;

export const PROBLEM_MEDIA_TYPE = "application/problem+json";
/** Seconds; what `Retry-After` says where the error does not. */
const RETRY_AFTER_SECONDS = 1;

/** A problem document; extra members are the data of the error. */
export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly instance: string;
  readonly code: RestCode;
  readonly requestId: string;
  readonly retry: Retry;
  readonly [member: string]: unknown;
}

/** What a problem is about; members that do not apply are "" or undefined. */
export interface ProblemSubject {
  readonly instance: string;
  readonly requestId: string;
  readonly bucket: string;
  readonly key: Uint8Array | undefined;
}

/** The code that a client sees: start-up and process codes are none of its business. */
export function restCodeOf(thrown: unknown): RestCode {
  if (!(thrown instanceof HutchError)) return "internal";
  return isRestCode(thrown.code) ? thrown.code : "internal";
}

function isRestCode(code: ErrorCode): code is RestCode {
  return (REST_CODES as readonly string[]).includes(code);
}

/** The document for anything that was thrown. */
export function problemDocument(thrown: unknown, subject: ProblemSubject): ProblemDocument {
  const code = restCodeOf(thrown);
  const { status, title, retry } = PROBLEM_KINDS[code];
  const isSecret = status === 500;
  const error = thrown instanceof HutchError && !isSecret ? thrown : undefined;
  return {
    ...publicData(error),
    type: `urn:hutch:problem:${code}`,
    title,
    status,
    detail:
      error === undefined ? "The node's log has the cause under this request id" : error.message,
    instance: subject.instance,
    code,
    requestId: subject.requestId,
    ...(subject.bucket === "" ? {} : { bucket: subject.bucket }),
    ...keyMember(subject.key),
    retry: error !== undefined && error.retry !== "no" ? error.retry : retry,
  };
}

/** Data that only steers headers is not shown twice. */
function publicData(error: HutchError | undefined): Record<string, unknown> {
  if (error === undefined) return {};
  const { allow: _allow, tombstone: _tombstone, retryAfterSeconds: _seconds, ...data } = error.data;
  return data;
}

/** `key`, or `keyB64` where it is not UTF-8. */
export function keyMember(key: Uint8Array | undefined): { key?: string; keyB64?: string } {
  if (key === undefined) return {};
  const text = utf8Text(key);
  return text === undefined ? { keyB64: base64url(key) } : { key: text };
}

/**
 * Headers that a problem carries besides the document. The thrower puts into `data`: `etag` and `context` of what is
 * stored (412, 409, 404), `tombstone: true`, `allow` (405), `retryAfterSeconds`.
 */
export function problemHeaders(thrown: unknown, status: number): Record<string, string> {
  const data = thrown instanceof HutchError ? thrown.data : {};
  const headers: Record<string, string> = { "Content-Type": PROBLEM_MEDIA_TYPE };
  if (status === 429 || status === 503) {
    const seconds = data["retryAfterSeconds"];
    headers["Retry-After"] = String(typeof seconds === "number" ? seconds : RETRY_AFTER_SECONDS);
  }
  if (status === 401) headers["WWW-Authenticate"] = 'Bearer realm="hutch"';
  if (typeof data["etag"] === "string" && data["etag"] !== "")
    headers["ETag"] = `"${data["etag"]}"`;
  if (typeof data["context"] === "string" && data["context"] !== "")
    headers["X-Causal-Context"] = data["context"];
  if (data["tombstone"] === true) headers["X-Tombstone"] = "true";
  if (typeof data["allow"] === "string") headers["Allow"] = data["allow"];
  if (status === 412) headers["X-Condition"] = "advisory";
  return headers;
}

/** Fields for the operator's log of an error that the client is told nothing about. */
export function causeFields(thrown: unknown): Record<string, string> {
  const stack = thrown instanceof Error ? (thrown.stack ?? "") : "";
  const code = thrown instanceof HutchError ? thrown.code : "";
  return { message: messageOf(thrown), code, stack };
}
