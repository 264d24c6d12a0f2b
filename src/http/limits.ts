/**
 * The bounds of the REST face in one table (FAULTS.md Q9, Q10): what a request may weigh, how slow it may be.
 *
 * Per-bucket values (`valueBytesMax`) are lower than or equal to `valueBytesMax` here. What stands above each line happens
 * at the bound.
 */

export interface HttpLimits {
  /** Decoded bytes of a key, 256 by default, up to 1,024; above: 414 `key-too-long`. */
  readonly keyBytesMax: number;
  /** The most that a bucket's `valueBytesMax` may be raised to, in bytes; above: 400 `bad-property`. */
  readonly valueBytesMax: number;
  /** Length of `X-Causal-Context`, in characters; above: 400 `bad-context`. */
  readonly contextBytesMax: number;
  /** Names and values of `X-Meta-*` together; above: 431 `metadata-too-large`. */
  readonly metadataBytesMax: number;
  /** Parameters in a query; above: 400 `bad-request`. */
  readonly queryParametersMax: number;
  /** Operations of one batch; above: 413. */
  readonly batchOperationsMax: number;
  /** Body of one batch; above: 413. */
  readonly batchBytesMax: number;
  /** Values that the reads of one batch answer with; beyond, each read fails alone with 413. */
  readonly batchAnswerBytesMax: number;
  /** Body of every other JSON route; above: 413. */
  readonly jsonBytesMax: number;
  /** One line of an import; above: the line fails, the rest goes on. An exported key carries all its siblings. */
  readonly importLineBytesMax: number;
  /** Operations of one batch or import that are under way at once; above: reading waits. */
  readonly concurrentWritesMax: number;
  /** Errors that an import reports by line; above: they are only counted. */
  readonly importErrorsMax: number;
  /** Time of an operation whose client names none. */
  readonly requestTimeoutMs: number;
  /** The longest `X-Timeout`; above: 400 `bad-timeout`. */
  readonly requestTimeoutMsMax: number;
  /** Average rate that a request body must keep after `bodyGraceMs`; below: 408 `body-timeout`. */
  readonly bodyBytesPerSecondMin: number;
  readonly bodyGraceMs: number;
  /** Bodies of one address that are awaited for more than a second; above: the younger ones get 408 `body-timeout`. */
  readonly slowBodiesPerAddressMax: number;
  /** The same of all addresses together. */
  readonly slowBodiesMax: number;
}

export const DEFAULT_HTTP_LIMITS: HttpLimits = {
  keyBytesMax: 256,
  valueBytesMax: 16 * 1024 * 1024,
  contextBytesMax: 8 * 1024,
  metadataBytesMax: 4 * 1024,
  queryParametersMax: 16,
  batchOperationsMax: 1000,
  batchBytesMax: 16 * 1024 * 1024,
  batchAnswerBytesMax: 64 * 1024 * 1024,
  jsonBytesMax: 1024 * 1024,
  importLineBytesMax: 32 * 1024 * 1024,
  concurrentWritesMax: 64,
  importErrorsMax: 1000,
  requestTimeoutMs: 2000,
  requestTimeoutMsMax: 60_000,
  bodyBytesPerSecondMin: 4096,
  bodyGraceMs: 5000,
  slowBodiesPerAddressMax: 256,
  slowBodiesMax: 2048,
};
