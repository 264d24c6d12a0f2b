/**
 * How many replicas must answer: the `X-Consistency` header and its meaning for one operation (R3, R6).
 *
 *   level word        ONE | QUORUM | ALL, any case
 *   dictionary        r=2, w=2, pr=1, pw=1, dw=1, sloppy=?0      (RFC 9651)
 *
 * Counts are over the effective N = min(bucket's n, nodes in the layout); quorum = floor(N / 2) + 1.
 */

/** Resolved for one operation. Invariants: 1 <= r, w <= n; 0 <= pr <= r; 0 <= pw, dw <= w. */
export interface Consistency {
  /** The effective N that the counts below are of. */
  readonly n: number;
  readonly r: number;
  readonly w: number;
  /** Of them owners, at least. */
  readonly pr: number;
  readonly pw: number;
  /** Of the write acknowledgements, with the write on disk, at least. */
  readonly dw: number;
  /** May a fallback stand in for an owner that is down. */
  readonly isSloppy: boolean;
  /** The named level, or "" for a dictionary. */
  readonly level: "" | "ONE" | "QUORUM" | "ALL";
}
