/**
 * The answering side of a Merkle exchange: the topics `roots`, `hashes`, `compare` and `store` (`exchange-codec.ts`). It keeps nothing between two
 * requests, so an exchange may break off anywhere and go on anywhere. Every request has a bound: `compare` looks at `VISITS_MAX` entries, answers
 * with `RECORD_BYTES_MAX` of records, uses half of the time that the asker waits, and says how far it got.
 *
 * What is told to be here is durable here: the asker may be about to drop its own copy (R60).
 */
import { EMPTY_BYTES } from "../base/bytes.ts";
import { HutchError } from "../base/errors.ts";
import type { NodeId } from "../gossip/member.ts";
import type { RootAnswer } from "../merkle/merkle-exchange.ts";
import type { Buckets } from "./bucket-properties.ts";
import {
  type CompareMessage,
  type CompareReply,
  type RootEntry,
  type RootVerdict,
  type TreeId,
  decodeCompare,
  decodeHashesMessage,
  decodeRoots,
  decodeStore,
  encodeCompareReply,
  encodeHashes,
  encodeRootVerdicts,
  encodeStoreReply,
} from "./exchange-codec.ts";
import type { MerkleIndex } from "./merkle-index.ts";
import { type MergeManyParts, mergeMany } from "./merge-many.ts";
import type { RepairAnswerer } from "./peer-messages.ts";
import { RecordPage } from "./record-page.ts";
import { Slices } from "./slices.ts";
import { TreeScan } from "./tree-scan.ts";

/** Entries that one request looks at. */
export const VISITS_MAX = 65_536;
/** Comparisons in work at once; more are told to come back. */
const COMPARES_MAX = 16;
/** The part of the asker's patience that an answer may take; the rest is for the way. */
const BUDGET_SHARE = 0.5;

/** What exchanges need of the trees. */
export type ExchangeTrees = Pick<
  MerkleIndex,
  "leafCount" | "isReady" | "root" | "branches" | "leaves" | "leafOf" | "entryHash"
>;

/** Both sides of an exchange. */
export interface ExchangeParts extends MergeManyParts {
  readonly buckets: Buckets;
  readonly trees: ExchangeTrees;
  /** The highest HLC of any deletion that was collected in the partition (R42). */
  gcFloor(partition: number): number;
  /** Another owner knows a higher one. */
  raiseGcFloor(partition: number, floor: number): void;
  /** Since when this node has held the partition without a gap, an HLC (R42). */
  ownedSince(partition: number): number;
  /** Another owner would not take our record of this key: it may have been deleted, and nobody vouches for it (R42, R43). */
  onRefused?(internalKey: Uint8Array): Promise<unknown>;
}

export class ExchangeAnswers {
  private readonly parts: ExchangeParts;
  private comparing = 0;

  constructor(parts: ExchangeParts) {
    this.parts = parts;
  }

  /** For `PeerHandlerOptions.repairs`. */
  get answerers(): Readonly<Record<"roots" | "hashes" | "compare" | "store", RepairAnswerer>> {
    return {
      roots: async (body) => this.roots(body),
      hashes: async (body) => this.hashes(body),
      compare: (body, _from, budgetMs) => this.compare(body, budgetMs),
      store: (body, from, budgetMs) => this.store(body, from, budgetMs),
    };
  }

  private roots(body: Uint8Array): Uint8Array {
    return encodeRootVerdicts(decodeRoots(body).map((entry) => this.verdict(entry)));
  }

  private verdict(entry: RootEntry): RootVerdict {
    const { parts } = this;
    const { partition, n, root, gcFloor } = entry;
    if (!parts.isHeld(entry)) return { reply: "not-held", gcFloor: 0 };
    if (gcFloor > parts.gcFloor(partition)) parts.raiseGcFloor(partition, gcFloor);
    const own = parts.trees.isReady(partition) ? parts.trees.root(partition, n) : undefined;
    return { reply: compareRoots(root, own), gcFloor: parts.gcFloor(partition) };
  }

  private hashes(body: Uint8Array): Uint8Array {
    const message = decodeHashesMessage(body);
    this.checkHeld(message);
    const { partition, n, branches } = message;
    const { trees } = this.parts;
    if (!trees.isReady(partition))
      throw new HutchError("unavailable", "Cannot tell hashes: the tree is being built", {
        retry: "safe",
      });
    return branches.length === 0
      ? encodeHashes([trees.branches(partition, n)])
      : encodeHashes(branches.map((branch) => trees.leaves(partition, n, branch)));
  }

  private checkHeld(tree: TreeId): void {
    if (this.parts.isHeld(tree)) return;
    throw new HutchError(
      "not-owner",
      `Cannot compare partition ${tree.partition}: it is not this node's`,
    );
  }

  private async compare(body: Uint8Array, budgetMs: number): Promise<Uint8Array> {
    const message = decodeCompare(body);
    this.checkHeld(message);
    if (this.comparing >= COMPARES_MAX)
      throw new HutchError("overloaded", "Cannot compare now: too many comparisons are under way", {
        retry: "safe",
      });
    this.comparing++;
    try {
      return encodeCompareReply(await this.compareRange(message, budgetMs));
    } catch (thrown) {
      this.parts.store.reportDamage(thrown);
      throw thrown;
    } finally {
      this.comparing--;
    }
  }

  private async compareRange(message: CompareMessage, budgetMs: number): Promise<CompareReply> {
    const { clock, pace } = this.parts;
    const deadlineMs = clock.monoMs() + budgetMs * BUDGET_SHARE;
    const asked = new AskedHashes(message.hashes);
    const page = new RecordPage();
    const slices = new Slices(clock, pace);
    const { lower, upper, leaves } = message;
    const range = { lower, upper: upper.length === 0 ? undefined : upper };
    const scan = new TreeScan(this.parts, message, leaves, range);
    try {
      let sequenceMax = 0;
      for (let visits = 0; scan.isValid; scan.next(), visits++) {
        const isLate = visits > 0 && clock.monoMs() >= deadlineMs;
        if (isLate || visits >= VISITS_MAX || !this.look(scan, asked, page, message)) break;
        if (scan.sequence > sequenceMax) sequenceMax = scan.sequence;
        const rest = slices.add(scan.value.length);
        if (rest !== undefined) await rest;
      }
      const reached = scan.isValid ? scan.key.slice() : EMPTY_BYTES;
      await slices.rest();
      await this.parts.store.whenDurable(sequenceMax);
      const { isIncomplete } = scan;
      const ownedSince = this.parts.ownedSince(message.partition);
      return { isIncomplete, reached, ownedSince, lacking: asked.unmet(), records: page.records };
    } finally {
      scan.close();
    }
  }

  /** False where the entry has no room in the page. */
  private look(
    scan: TreeScan,
    asked: AskedHashes,
    page: RecordPage,
    { wantsRecords }: CompareMessage,
  ): boolean {
    if (!scan.isWanted) return true;
    const { key, value } = scan;
    const [low, high] = this.parts.trees.entryHash(key, value);
    if (asked.meet(low, high) || !wantsRecords) return true;
    if (!page.hasRoomFor(key, value)) return false;
    page.add(key.slice(), value.slice());
    return true;
  }

  private async store(body: Uint8Array, from: NodeId, budgetMs: number): Promise<Uint8Array> {
    const { ownedSince, records } = decodeStore(body);
    const deadlineMs = this.parts.clock.monoMs() + budgetMs * BUDGET_SHARE;
    const options = { from, ownedSince, deadlineMs };
    return encodeStoreReply(await mergeMany(this.parts, records, options));
  }
}

/** In the words of who asks: `theirs` is its own. */
function compareRoots(theirs: Uint32Array | undefined, own: Uint32Array | undefined): RootAnswer {
  if (theirs === undefined || own === undefined) return "unknown";
  if (theirs[0] === own[0] && theirs[1] === own[1]) return "equal";
  if (isZero(theirs)) return "empty-here";
  return isZero(own) ? "empty-there" : "differs";
}

function isZero(root: Uint32Array): boolean {
  return root[0] === 0 && root[1] === 0;
}

/** The asker's entry hashes, and which of them have an equal one here. */
class AskedHashes {
  private readonly hashes: Uint32Array;
  /** Position by the low 53 bits; two hashes that share them make one of them look unmet, which costs a needless record. */
  private readonly positions = new Map<number, number>();
  private readonly isMet: Uint8Array;

  constructor(hashes: Uint32Array) {
    this.hashes = hashes;
    this.isMet = new Uint8Array(hashes.length / 2);
    for (let i = 0; i < this.isMet.length; i++)
      this.positions.set(shortened(hashes[2 * i]!, hashes[2 * i + 1]!), i);
  }

  /** True where the asker has the entry with this hash. */
  meet(low: number, high: number): boolean {
    const position = this.positions.get(shortened(low, high));
    if (position === undefined || this.hashes[2 * position + 1] !== high) return false;
    this.isMet[position] = 1;
    return true;
  }

  unmet(): number[] {
    const positions: number[] = [];
    for (let i = 0; i < this.isMet.length; i++) if (this.isMet[i] === 0) positions.push(i);
    return positions;
  }
}

function shortened(low: number, high: number): number {
  return (high & 0x1fffff) * 2 ** 32 + low;
}
