/**
 * How the program exits (sysexits.h where it has a word for it). Scripts and service managers match on these: frozen.
 *
 *   0 ok · 1 not found, or a simulated run is broken · 64 usage · 69 unavailable, or a simulation that proves nothing · 71 cannot bind · 73 cannot use the data directory · 74 I/O error
 *   75 temporary, stuck disk · 77 permission · 78 configuration, or input or data that can never be accepted
 */

import type { ErrorCode } from "../base/errors.ts";
import { HutchError } from "../base/errors.ts";

export const EXIT = {
  ok: 0,
  notFound: 1,
  /** Of `hutch sim`. */
  broken: 1,
  usage: 64,
  unavailable: 69,
  bind: 71,
  dataDirectory: 73,
  io: 74,
  temporary: 75,
  permission: 77,
  refused: 78,
} as const;

const EXIT_BY_CODE = {
  usage: EXIT.usage,
  "bad-config": EXIT.refused,
  "node-unreachable": EXIT.unavailable,
  "port-in-use": EXIT.bind,
  "data-dir-in-use": EXIT.dataDirectory,
  "data-dir-unusable": EXIT.dataDirectory,
  "permission-denied": EXIT.permission,
  "data-refused": EXIT.refused,
  "io-error": EXIT.io,
  "disk-stuck": EXIT.temporary,

  "key-not-found": EXIT.notFound,
  "no-such-route": EXIT.notFound,
  "no-such-job": EXIT.notFound,
  "no-such-snapshot": EXIT.notFound,

  "bad-key": EXIT.refused,
  "bad-key-encoding": EXIT.refused,
  "bad-bucket": EXIT.refused,
  "bad-consistency": EXIT.refused,
  "bad-ttl": EXIT.refused,
  "bad-timeout": EXIT.refused,
  "bad-context": EXIT.refused,
  "context-mismatch": EXIT.refused,
  "bad-json": EXIT.refused,
  "unknown-field": EXIT.refused,
  "bad-cursor": EXIT.refused,
  "bad-session": EXIT.refused,
  "bad-property": EXIT.refused,
  "bad-request": EXIT.refused,
  "method-not-allowed": EXIT.refused,
  "not-acceptable": EXIT.refused,
  "unsupported-encoding": EXIT.refused,
  "unsupported-media-type": EXIT.refused,
  "too-many-siblings": EXIT.refused,
  "snapshot-conflict": EXIT.refused,
  "layout-conflict": EXIT.refused,
  "would-underreplicate": EXIT.refused,
  "duplicate-node-id": EXIT.refused,
  "node-alive": EXIT.refused,
  "bucket-not-empty": EXIT.refused,
  "precondition-failed": EXIT.refused,
  "value-too-large": EXIT.refused,
  "key-too-long": EXIT.refused,
  "metadata-too-large": EXIT.refused,
  "idempotency-mismatch": EXIT.refused,
  "not-implemented": EXIT.refused,
  siblings: EXIT.refused,
  "bad-value": EXIT.refused,

  unauthenticated: EXIT.permission,
  forbidden: EXIT.permission,

  "wrong-cluster": EXIT.unavailable,
  unavailable: EXIT.unavailable,
  "absence-unproven": EXIT.unavailable,
  "session-unsatisfied": EXIT.unavailable,
  "shutting-down": EXIT.unavailable,
  "clock-skew": EXIT.unavailable,
  internal: EXIT.unavailable,

  "body-timeout": EXIT.temporary,
  "rate-limited": EXIT.temporary,
  overloaded: EXIT.temporary,
  "write-indeterminate": EXIT.temporary,
  "read-timeout": EXIT.temporary,

  "data-corrupt": EXIT.io,
  "disk-full": EXIT.io,

  "not-owner": EXIT.io,
  "bad-dot": EXIT.io,
  "suspect-state": EXIT.io,
} as const satisfies Record<ErrorCode, number>;

/** The exit code for anything that was thrown. A defect of the program itself counts as an I/O error: it stopped. */
export function exitCodeOf(thrown: unknown): number {
  return thrown instanceof HutchError ? EXIT_BY_CODE[thrown.code] : EXIT.io;
}
