/**
 * One node's records of some partitions, as a queue that a merge takes from: filled page by page, at most one page ahead.
 *
 *   dry --fill--> entries --advance, seek--> dry --fill--> ... --> ended, or failed: what it had given still stands
 *
 * Pages start small and double, up to 4096 keys and 1 MiB. The next page is under way while one is read, unless the reader has as much as it
 * wants.
 */
import { compareBytes, concatBytes } from "../base/bytes.ts";
import type { NodeId } from "../gossip/member.ts";
import type { KeyRange } from "./key-scan.ts";
import type { CoveringNode } from "./partition-coverage.ts";
import type { PartitionSet } from "./partition-set.ts";
import type { ScanMessage, ScanReply, ScannedEntry } from "./peer-messages.ts";
import { PAGE_KEYS_MAX } from "./scan-answer.ts";

const FIRST_PAGE_BYTES = 256 * 1024;
/** After a jump: enough to find small groups in one page, and little to throw away where they are large. */
const SEEK_PAGE_KEYS = 256;
const ZERO = new Uint8Array([0]);
const NO_BOUND = new Uint8Array(0);

/** What all sources of one scan share. */
export interface SourcePlan {
  readonly bucket: string;
  readonly isReverse: boolean;
  /** `undefined` where the node does not answer. Never rejects for that. */
  readonly ask: (node: NodeId, message: ScanMessage) => Promise<ScanReply | undefined>;
}

/** How much of a source is wanted at a time. */
export interface PageSizes {
  readonly firstKeys: number;
  readonly bytesMax: number;
  /** No page is asked for ahead of need after so many keys. */
  readonly wantedKeys: number;
}

export class ScanSource {
  readonly node: NodeId;
  readonly partitions: PartitionSet;
  /** Does not answer any more. */
  hasFailed = false;
  /** What the node cannot answer for, because it failed or has lost part of it: from where the reader stood when that became known. */
  unanswered: KeyRange | undefined;
  private readonly plan: SourcePlan;
  private readonly sizes: PageSizes;
  /** What has not arrived yet; entries outside of it are passed over. */
  private range: KeyRange;
  private entries: readonly ScannedEntry[] = [];
  private at = 0;
  private hasMore = true;
  private pageKeys: number;
  private pageBytes: number;
  private keysTaken = 0;
  private inFlight: Promise<ScanReply | undefined> | undefined;

  constructor(
    plan: SourcePlan,
    { node, partitions }: CoveringNode,
    range: KeyRange,
    sizes: PageSizes,
  ) {
    this.plan = plan;
    this.node = node;
    this.partitions = partitions;
    this.range = range;
    this.sizes = sizes;
    this.pageKeys = Math.min(sizes.firstKeys, PAGE_KEYS_MAX);
    this.pageBytes = Math.min(sizes.bytesMax, FIRST_PAGE_BYTES);
  }

  /** The entry that is next in order, `undefined` where it is dry or at its end. */
  get head(): ScannedEntry | undefined {
    return this.entries[this.at];
  }

  get isDry(): boolean {
    return this.at >= this.entries.length && this.hasMore;
  }

  /** Ends with a head, at the end, or failed. */
  async fill(): Promise<void> {
    while (this.isDry) {
      this.inFlight ??= this.ask();
      const reply = await this.inFlight;
      this.inFlight = undefined;
      if (reply === undefined) return this.fail();
      this.take(reply);
    }
  }

  private fail(): void {
    this.unanswered ??= this.range;
    this.hasFailed = true;
    this.hasMore = false;
  }

  private take(reply: ScanReply): void {
    const last = reply.entries.at(-1);
    if (last === undefined && reply.hasMore) return this.fail();
    if (reply.isIncomplete) this.unanswered ??= this.range;
    this.entries = reply.entries;
    this.at = 0;
    this.keysTaken += reply.entries.length;
    // Where the reader jumped while the page was under way, the bound is ahead of it, and the page starts too early.
    this.dropPassed();
    this.hasMore = reply.hasMore;
    if (last === undefined) return;
    this.pass(this.plan.isReverse ? last.key : concatBytes(last.key, ZERO));
    const isAhead = this.head !== undefined && this.hasMore;
    if (isAhead && this.keysTaken < this.sizes.wantedKeys) this.inFlight = this.ask();
  }

  private ask(): Promise<ScanReply | undefined> {
    const { bucket, isReverse } = this.plan;
    const message: ScanMessage = {
      kind: "scan",
      bucket,
      partitions: this.partitions.bytes,
      lower: this.range.lower,
      upper: this.range.upper ?? NO_BOUND,
      isReverse,
      keysMax: this.pageKeys,
      bytesMax: this.pageBytes,
    };
    this.pageKeys = Math.min(2 * this.pageKeys, PAGE_KEYS_MAX);
    this.pageBytes = Math.min(2 * this.pageBytes, this.sizes.bytesMax);
    return this.plan.ask(this.node, message);
  }

  advance(): void {
    this.at++;
  }

  /** Past everything on this side of `bound`: the first key from here on, in reverse the key above the next. */
  seek(bound: Uint8Array): void {
    while (this.head !== undefined && !this.isBehind(this.head.key, bound)) this.at++;
    if (!this.isDry) return;
    this.pageKeys = Math.min(SEEK_PAGE_KEYS, this.sizes.firstKeys);
    this.pass(bound);
    if (isEmptyRange(this.range)) this.hasMore = false;
  }

  /** Nothing more is wanted of it. */
  end(): void {
    this.at = this.entries.length;
    this.hasMore = false;
  }

  private isBehind(key: Uint8Array, bound: Uint8Array): boolean {
    const order = compareBytes(key, bound);
    return this.plan.isReverse ? order < 0 : order >= 0;
  }

  private dropPassed(): void {
    const { lower, upper } = this.range;
    const bound = this.plan.isReverse ? upper : lower;
    if (bound === undefined) return;
    while (this.head !== undefined && !this.isBehind(this.head.key, bound)) this.at++;
  }

  /** Moves the bound of what has not arrived, never back. */
  private pass(bound: Uint8Array): void {
    const { lower, upper } = this.range;
    if (!this.plan.isReverse) {
      if (compareBytes(bound, lower) > 0) this.range = { lower: bound, upper };
    } else if (upper === undefined || compareBytes(bound, upper) < 0)
      this.range = { lower, upper: bound };
  }
}

export function isEmptyRange({ lower, upper }: KeyRange): boolean {
  return upper !== undefined && compareBytes(lower, upper) >= 0;
}
