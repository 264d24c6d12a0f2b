/**
 * Pages of a bucket's keys, and the export of all of them: from the own store where this node is the only one (`bucket-scan.ts`), else from a quorum
 * of every partition's owners (`cluster-scan.ts`). What could not be read is said, never left out in silence (R4, R62).
 *
 * - Byte order; from one snapshot per page in the own store. Deleted and expired keys are skipped, groups that hold nothing live too.
 * - With a delimiter, everything up to its first occurrence behind the prefix is one entry of `prefixes`; the scan then seeks past the group
 *   instead of walking through it.
 * - The loop belongs to others too: after `CHUNK_KEYS` keys a turn is given up. After `SCANNED_KEYS_MAX` the page ends early with a cursor, so a
 *   bucket full of deletions costs many small pages and not one endless request. So it does once the values of a page take `PAGE_VALUE_BYTES_MAX`:
 *   10,000 of them could be more than a node has memory for.
 * - Nothing is answered before it is durable.
 */
import { compareBytes, concatBytes, prefixSuccessor } from "../base/bytes.ts";
import { recordToJson } from "../causality/record-json.ts";
import { decodeSingle } from "../causality/record.ts";
import type { Clock } from "../ports/clock.ts";
import type { ExportedKey, ListPage, ListRequest, ListedKey } from "../quorum/operation.ts";
import type { Bucket } from "./bucket-properties.ts";
import { BucketScan } from "./bucket-scan.ts";
import { ClusterScan } from "./cluster-scan.ts";
import type { ClusterView } from "./cluster-view.ts";
import { CHUNK_KEYS, type KeyRange, type KeyScan } from "./key-scan.ts";
import { type KeyAnswer, answerRecord, answerSingle } from "./key-state.ts";
import { decodeCursor, encodeCursor } from "./list-cursor.ts";
import type { Peers, ScanMessage } from "./peer-messages.ts";
import { type ReplicaStore, asCorruption, decodeStored } from "./replica-store.ts";
import { answerScan } from "./scan-answer.ts";

export const SCANNED_KEYS_MAX = 100_000;
/** As much as a batch may bring. A page takes one key at least. */
export const PAGE_VALUE_BYTES_MAX = 16 * 1024 * 1024;
const GROUPED_KEYS = 256;

export interface ListingOptions {
  readonly store: ReplicaStore;
  readonly clock: Clock;
  readonly partitionCount: number;
  readonly nowMs: () => number;
  /** Who else there is; without both, nobody. */
  readonly view?: (() => ClusterView) | undefined;
  readonly peers?: Peers | undefined;
  /** The client's view of a record of this key. */
  readonly tokenizerOf: (bucket: Bucket, key: Uint8Array) => Parameters<typeof answerSingle>[3];
}

export class Listing {
  private readonly options: ListingOptions;

  constructor(options: ListingOptions) {
    this.options = options;
  }

  async page(bucket: Bucket, request: ListRequest): Promise<ListPage> {
    const range = rangeOf(bucket, request);
    const scan = this.scan(bucket, range, request.isReverse, wantedKeysOf(request));
    try {
      const page = new PageBuilder(bucket, request, scan);
      await this.fill(page, bucket, request, scan);
      await this.options.store.whenDurable(page.sequenceMax);
      return page.finish();
    } catch (thrown) {
      this.options.store.reportDamage(thrown);
      throw thrown;
    } finally {
      scan.close();
    }
  }

  private async fill(
    page: PageBuilder,
    bucket: Bucket,
    request: ListRequest,
    scan: KeyScan,
  ): Promise<void> {
    const nowMs = this.options.nowMs();
    for (let scanned = 1; ; scanned++) {
      if (scanned % CHUNK_KEYS === 0) await this.options.clock.sleep(0);
      const settling = scan.settle();
      if (settling !== undefined) await settling;
      if (!scan.isValid) return;
      if (scanned > SCANNED_KEYS_MAX) return page.stopHere();
      page.see(scan.sequence);
      const answer = this.answerOf(bucket, scan, nowMs, request.withValues);
      if (!answer.isLive) scan.next();
      else if (page.isFull) return page.stopHere();
      else page.add(answer);
    }
  }

  private answerOf(bucket: Bucket, scan: KeyScan, nowMs: number, isCopied: boolean): KeyAnswer {
    const value = isCopied ? scan.value.slice() : scan.value;
    const tokenizer = this.options.tokenizerOf(bucket, scan.key);
    const mode = bucket.properties.conflicts;
    try {
      const single = decodeSingle(value);
      if (single !== undefined) return answerSingle(single, mode, nowMs, tokenizer);
    } catch (thrown) {
      throw asCorruption(thrown);
    }
    return answerRecord(decodeStored(value), mode, nowMs, tokenizer);
  }

  /** Every key after `after`, deleted ones included. What is lost is said at the end, after everything that is there. */
  async *export(bucket: Bucket, after: Uint8Array): AsyncGenerator<ExportedKey> {
    const lower = after.length === 0 ? after : concatBytes(after, ZERO);
    const scan = this.scan(bucket, { lower, upper: undefined }, false, Infinity);
    try {
      for (let scanned = 1; ; scanned++) {
        if (scanned % CHUNK_KEYS === 0) await this.options.clock.sleep(0);
        const settling = scan.settle();
        if (settling !== undefined) await settling;
        if (!scan.isValid) break;
        const exported = { key: scan.key.slice(), record: recordToJson(decodeStored(scan.value)) };
        const durable = this.options.store.whenDurable(scan.sequence);
        if (durable !== undefined) await durable;
        yield exported;
        scan.next();
      }
      if (scan.gap !== undefined) throw scan.gap;
    } catch (thrown) {
      this.options.store.reportDamage(thrown);
      throw thrown;
    } finally {
      scan.close();
    }
  }

  private scan(bucket: Bucket, range: KeyRange, isReverse: boolean, wantedKeys: number): KeyScan {
    const { store, partitionCount, peers } = this.options;
    const view = this.options.view?.();
    if (view === undefined || peers === undefined || isAlone(view))
      return new BucketScan(store, bucket.prefix, partitionCount, range, isReverse);
    const answerOwn = (message: ScanMessage) => answerScan(this.options, message);
    const options = { view, peers, answerOwn, bucket, range, isReverse, wantedKeys };
    return new ClusterScan(options);
  }
}

/** The last one says whether there is more. Groups are jumped over: of what lies behind the first few keys most would be thrown away. */
function wantedKeysOf({ limit, delimiter }: ListRequest): number {
  return delimiter.length === 0 ? limit + 1 : Math.min(limit + 1, GROUPED_KEYS);
}

function isAlone({ layout, self }: ClusterView): boolean {
  return layout.members.length === 1 && layout.members[0]!.id === self;
}

const ZERO = new Uint8Array([0]);

/** Prefix, start, end and cursor as one range. */
function rangeOf(bucket: Bucket, request: ListRequest): KeyRange {
  const { prefix, start, end, cursor, isReverse } = request;
  let lower = greater(prefix, start);
  let upper = smaller(
    prefix.length === 0 ? undefined : prefixSuccessor(prefix),
    end.length === 0 ? undefined : end,
  );
  if (cursor !== "") {
    const bound = decodeCursor(bucket.name, isReverse, cursor);
    if (isReverse) upper = smaller(upper, bound);
    else lower = greater(lower, bound);
  }
  return { lower, upper };
}

function greater(a: Uint8Array, b: Uint8Array): Uint8Array {
  return compareBytes(a, b) < 0 ? b : a;
}

function smaller(a: Uint8Array | undefined, b: Uint8Array | undefined): Uint8Array | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return compareBytes(a, b) < 0 ? a : b;
}

/** Collects one page while the scan moves. */
class PageBuilder {
  sequenceMax = 0;
  private readonly bucket: Bucket;
  private readonly request: ListRequest;
  private readonly scan: KeyScan;
  private readonly keys: ListedKey[] = [];
  private readonly prefixes: Uint8Array[] = [];
  private valueBytes = 0;
  private cursor = "";

  constructor(bucket: Bucket, request: ListRequest, scan: KeyScan) {
    this.bucket = bucket;
    this.request = request;
    this.scan = scan;
  }

  get isFull(): boolean {
    const { keys, prefixes, request } = this;
    return (
      keys.length + prefixes.length >= request.limit || this.valueBytes >= PAGE_VALUE_BYTES_MAX
    );
  }

  /** What is left out of a page says something too: both must be durable. */
  see(sequence: number): void {
    if (sequence > this.sequenceMax) this.sequenceMax = sequence;
  }

  /** The live key under the scan, or the group that it stands for; moves the scan past it. */
  add(answer: KeyAnswer): void {
    const { scan } = this;
    const group = groupOf(scan.key, this.request);
    if (group !== undefined) {
      this.prefixes.push(group);
      scan.skip(group);
      return;
    }
    const { withValues } = this.request;
    if (withValues) for (const { value } of answer.siblings) this.valueBytes += value.length;
    this.keys.push(listedKey(scan.key.slice(), answer, withValues));
    scan.next();
  }

  /** The next page starts with the key under the scan. */
  stopHere(): void {
    const { isReverse } = this.request;
    const bound = isReverse ? concatBytes(this.scan.key, ZERO) : this.scan.key;
    this.cursor = encodeCursor(this.bucket.name, isReverse, bound);
  }

  finish(): ListPage {
    const { keys, prefixes, cursor } = this;
    return { keys, prefixes, cursor, isPartial: this.scan.gap !== undefined };
  }
}

function groupOf(key: Uint8Array, { prefix, delimiter }: ListRequest): Uint8Array | undefined {
  if (delimiter.length === 0) return undefined;
  for (let at = prefix.length; at + delimiter.length <= key.length; at++)
    if (compareBytes(key.subarray(at, at + delimiter.length), delimiter) === 0)
      return key.slice(0, at + delimiter.length);
  return undefined;
}

function listedKey(key: Uint8Array, answer: KeyAnswer, withValues: boolean): ListedKey {
  const newest = answer.newestLive;
  return {
    key,
    etag: answer.etag,
    sizeBytes: newest?.value.length ?? 0,
    expiresAtMs: newest?.expiresAtMs ?? 0,
    siblingCount: answer.siblings.length,
    state: withValues ? answer : undefined,
  };
}
