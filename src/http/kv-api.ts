/**
 * What the REST face needs of a node. `node.ts` hands it a coordinator; tests hand it a map.
 *
 * All methods throw `HutchError` with the codes of REST.md section 5. `read` answers synchronously when the data is at hand
 * (no promise on the hot path).
 */
import type {
  BucketProperties,
  ExportedKey,
  ListPage,
  ListRequest,
  ReadRequest,
  ReadResult,
  WriteRequest,
  WriteResult,
} from "../quorum/operation.ts";

export interface KvApi {
  /** As `/v1/cluster/nodes` shows it and `X-Node` says it. */
  readonly nodeId: string;
  /** min(bucket's n, nodes in the layout): what consistency counts are of. While n changes, the number that holds for now (R6). */
  effectiveN(bucket: string): number;

  read(bucket: string, key: Uint8Array, request: ReadRequest): ReadResult | Promise<ReadResult>;
  /** May the answer of an earlier read with that `freshness` be given again? Never true for -1, nor once the node is stopping. */
  isFresh(freshness: number): boolean;
  write(bucket: string, key: Uint8Array, request: WriteRequest): Promise<WriteResult>;
  list(bucket: string, request: ListRequest): Promise<ListPage>;
  /** All keys after `after` (empty: from the start), in byte order, deleted ones included, from one snapshot. */
  export(bucket: string, after: Uint8Array): AsyncIterable<ExportedKey>;
  /** Throws `bad-context` or `context-mismatch` unless `context` is a token of this key. */
  checkContext(bucket: string, key: Uint8Array, context: string): void;
  /** Throws `bad-session` unless `session` is `new` or a token. */
  checkSession(session: string): void;
  /** Merges an exported state (mints nothing); twice is once. Answers how many concurrent values a lww bucket gave up for it. */
  importMerge(bucket: string, exported: ExportedKey): Promise<number>;
  explain(bucket: string, key: Uint8Array): Promise<Explanation>;

  bucketNames(): readonly string[];
  /** Effective properties; any well-formed name works. */
  bucket(bucket: string): BucketProperties;
  /** Replaces (`put`) or changes (`patch`) the explicitly set properties, durably. */
  setBucket(
    bucket: string,
    mode: "put" | "patch",
    properties: Partial<BucketProperties>,
  ): Promise<BucketProperties>;
  /** Forgets the properties; `bucket-not-empty` while a live key is there. */
  deleteBucket(bucket: string): Promise<void>;
}

export interface Explanation {
  readonly partition: number;
  readonly owners: readonly ExplainedReplica[];
  readonly fallbacks: readonly ExplainedReplica[];
  readonly isEqual: boolean;
}

export interface ExplainedReplica {
  readonly node: string;
  readonly role: "primary" | "fallback";
  readonly state: string;
  readonly reachable: boolean;
  readonly dots: readonly string[];
  /** Greatest HLC in text form, "" for none. */
  readonly hlc: string;
  readonly stateHash: string;
  readonly latencyMs: number;
}
