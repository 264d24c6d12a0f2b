/**
 * All keys of one bucket in byte order, although they lie on many nodes: a coverage scatter (R62). Every partition is read from a quorum of its
 * owners (`partition-coverage.ts`), each node gives its records in key order (`scan-source.ts`), and a k-way merge joins what they say of one key.
 *
 * - A key is given only when every source has reached it: so it is the join of a quorum's states, and a key that no source lists is on none of them.
 * - A source that fails or has lost something is stood in for, from where it stopped, by another serving owner of each partition. What nobody can
 *   stand in for is a *gap*, and the reader is told (R4): never silent.
 * - Pages come from different moments: a key shows as it was at some moment during the scan, and one written meanwhile may show or not.
 *
 * Memory: at most two pages a source, all together about `BUFFERED_BYTES_MAX`.
 */
import { compareBytes, equalBytes, prefixSuccessor } from "../base/bytes.ts";
import { HutchError } from "../base/errors.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Bucket } from "./bucket-properties.ts";
import type { ClusterView } from "./cluster-view.ts";
import { joinStates } from "./join-states.ts";
import type { KeyRange, KeyScan } from "./key-scan.ts";
import { type CoveringNode, cover, coverByQuorum } from "./partition-coverage.ts";
import { PeerError, type Peers, type ScanMessage, type ScanReply } from "./peer-messages.ts";
import { PAGE_BYTES_MAX } from "./scan-answer.ts";
import { ScanSource, type SourcePlan, isEmptyRange } from "./scan-source.ts";

const BUFFERED_BYTES_MAX = 32 * 1024 * 1024;
const PAGE_BYTES_MIN = 4096;
/** A source's first page: its share of what is wanted, and this much for luck and for keys that do not show. */
const SPARE_KEYS = 16;
const FIRST_PAGE_KEYS_MAX = 1024;
/** A peer that takes longer is stood in for. */
export const SCAN_TIMEOUT_MS = 2000;

export interface ClusterScanOptions {
  readonly view: ClusterView;
  readonly peers: Peers;
  /** The own store's answer (`answerScan`). */
  readonly answerOwn: (message: ScanMessage) => Promise<ScanReply>;
  readonly bucket: Bucket;
  readonly range: KeyRange;
  readonly isReverse: boolean;
  /** About as many as the reader will take; Infinity for all. */
  readonly wantedKeys: number;
}

export class ClusterScan implements KeyScan {
  key: Uint8Array = NOTHING;
  value: Uint8Array = NOTHING;
  /** Nodes answer with what is durable. */
  readonly sequence = 0;
  isValid = false;
  private readonly options: ClusterScanOptions;
  private readonly plan: SourcePlan;
  /** Those that stand in come behind those that failed. At most one per node and partition. */
  private readonly sources: ScanSource[] = [];
  /** Sources that hold the current key. */
  private holders: ScanSource[] = [];
  private readonly failed = new Set<NodeId>();
  private readonly stoodInFor = new Set<ScanSource>();
  private isSettled = false;
  private hasGap = false;

  constructor(options: ClusterScanOptions) {
    const { view, bucket, isReverse, range } = options;
    this.options = options;
    const ask = (node: NodeId, message: ScanMessage) => this.ask(node, message);
    this.plan = { bucket: bucket.name, isReverse, ask };
    if (isEmptyRange(range)) return;
    const coverage = coverByQuorum(view, view.copiesOf(bucket), (node) =>
      isReachable(node, options),
    );
    this.hasGap = !coverage.partial.isEmpty || !coverage.missing.isEmpty;
    this.addSources(coverage.nodes, range);
  }

  get gap(): HutchError | undefined {
    if (!this.hasGap) return undefined;
    return new HutchError(
      "unavailable",
      "Cannot read all keys: too few owners of some partitions can answer, want a quorum of each",
      { retry: "safe" },
    );
  }

  settle(): Promise<void> | undefined {
    if (this.isSettled) return undefined;
    if (this.sources.some((source) => source.isDry)) return this.fill();
    this.choose();
    return undefined;
  }

  /** Ends because a node fails once at most and a source is stood in for once. */
  private async fill(): Promise<void> {
    for (;;) {
      const dry = this.sources.filter((source) => source.isDry);
      if (dry.length === 0) break;
      await Promise.all(dry.map((source) => source.fill()));
      for (const source of dry) if (source.hasFailed) this.failed.add(source.node);
      for (const source of dry) this.standInFor(source);
    }
    this.choose();
  }

  next(): void {
    for (const source of this.holders) source.advance();
    this.isSettled = false;
  }

  skip(group: Uint8Array): void {
    const behind = this.options.isReverse ? group : prefixSuccessor(group);
    for (const source of this.sources)
      if (behind === undefined) source.end();
      else source.seek(behind);
    this.isSettled = false;
  }

  close(): void {
    for (const source of this.sources) source.end();
    this.isSettled = false;
  }

  /** A source's own pages are in order, so the first of the heads is the first of all. One pass: sources are few, or each gives few keys. */
  private choose(): void {
    this.isSettled = true;
    this.holders.length = 0;
    for (const source of this.sources) {
      if (source.head === undefined) continue;
      const order = this.holders.length === 0 ? -1 : this.order(source, this.holders[0]!);
      if (order < 0) this.holders.length = 0;
      if (order <= 0) this.holders.push(source);
    }
    this.isValid = this.holders.length > 0;
    if (!this.isValid) return;
    this.key = this.holders[0]!.head!.key;
    this.value = this.joined();
  }

  private order(a: ScanSource, b: ScanSource): number {
    const order = compareBytes(a.head!.key, b.head!.key);
    return this.options.isReverse ? -order : order;
  }

  /** Equal states have equal bytes, so copies that agree, nearly all, are not decoded here. */
  private joined(): Uint8Array {
    const first = this.holders[0]!.head!.record;
    let joined = first;
    for (const { head } of this.holders)
      if (!equalBytes(head!.record, joined))
        joined = joinStates(this.options.bucket.properties.conflicts, joined, head!.record);
    return joined;
  }

  /** For what it cannot answer: each of its partitions from one more owner, who has not been asked for it yet. */
  private standInFor(source: ScanSource): void {
    if (source.unanswered === undefined || this.stoodInFor.has(source)) return;
    this.stoodInFor.add(source);
    const { view, bucket } = this.options;
    const coverage = cover(view, {
      n: view.copiesOf(bucket),
      partitions: source.partitions.members(),
      copies: 1,
      mayAsk: (node, partition) => this.mayStandIn(node, partition),
    });
    if (!coverage.missing.isEmpty) this.hasGap = true;
    this.addSources(coverage.nodes, source.unanswered);
  }

  private mayStandIn(node: NodeId, partition: number): boolean {
    if (this.failed.has(node) || !isReachable(node, this.options)) return false;
    return !this.sources.some((source) => source.node === node && source.partitions.has(partition));
  }

  private addSources(nodes: readonly CoveringNode[], range: KeyRange): void {
    const { wantedKeys, view } = this.options;
    const count = this.sources.length + nodes.length;
    const bytesMax = Math.max(PAGE_BYTES_MIN, Math.min(PAGE_BYTES_MAX, budgetBytes(count)));
    for (const covering of nodes) {
      const share = covering.partitions.members().length / view.layout.q;
      const firstKeys = Math.min(FIRST_PAGE_KEYS_MAX, Math.ceil(wantedKeys * share) + SPARE_KEYS);
      const sizes = { firstKeys, bytesMax, wantedKeys };
      this.sources.push(new ScanSource(this.plan, covering, range, sizes));
    }
  }

  /** No answer and a refusal are the same to a scan: somebody else is asked. */
  private async ask(node: NodeId, message: ScanMessage): Promise<ScanReply | undefined> {
    const { view, peers, answerOwn } = this.options;
    try {
      if (node === view.self) return await answerOwn(message);
      const reply = await peers.call(node, message, SCAN_TIMEOUT_MS, "client");
      return reply.kind === "scan" ? reply : undefined;
    } catch (thrown) {
      if (thrown instanceof PeerError || thrown instanceof HutchError) return undefined;
      throw thrown;
    }
  }
}

const NOTHING = new Uint8Array(0);

/** Half for what is read, half for what is under way. */
function budgetBytes(sourceCount: number): number {
  return Math.floor(BUFFERED_BYTES_MAX / (2 * sourceCount));
}

function isReachable(node: NodeId, { view, peers }: ClusterScanOptions): boolean {
  return node === view.self || peers.isReachable(node);
}
