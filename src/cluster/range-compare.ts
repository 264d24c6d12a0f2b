/**
 * Key by key: the driving side of `compare` and `store`, over a range of one tree, page after page in key order. One scan of the range on each side,
 * however many keys differ.
 *
 *   we list the hashes of our entries from the cursor on     at most `HASHES_MAX`, from at most `VISITS_MAX` entries
 *   the peer answers                                       which of them it lacks, what we lack, and how far it got
 *   we send what it lacks, merge what it sent                  whole records, so siblings move together (R35)
 *   the cursor goes to where the peer got                      and, once that is done, is told to whoever may have to go on from there
 *
 * While one page is moved the next one is looked at, no further.
 * A key whose records differ goes both ways; each side merges, and both come to the same. Where the peer holds nothing, `stream` sends everything unasked.
 * What cannot be read, sent or merged is counted and does not stop the rest.
 */
import { EMPTY_BYTES, compareBytes } from "../base/bytes.ts";
import { CorruptionError } from "../base/errors.ts";
import type { Leaves } from "../merkle/merkle-exchange.ts";
import { type ExchangeParts, VISITS_MAX } from "./exchange-answers.ts";
import { type ExchangeCalls, isExpected } from "./exchange-calls.ts";
import {
  type CompareMessage,
  type CompareReply,
  HASHES_MAX,
  type TreeId,
  decodeCompareReply,
  decodeStoreReply,
  encodeCompare,
  encodeStore,
} from "./exchange-codec.ts";
import type { KeyRange } from "./key-scan.ts";
import { mergeMany } from "./merge-many.ts";
import { RecordPage } from "./record-page.ts";
import { Slices } from "./slices.ts";
import { TreeScan } from "./tree-scan.ts";

/** How long the merge of what one answer brought may take. */
const MERGE_MS_MAX = 60_000;

export interface RangeJob {
  readonly tree: TreeId;
  readonly leaves: Leaves;
  readonly range: KeyRange;
  /** `push`: only what the peer lacks. */
  readonly direction: "both" | "push";
  readonly isVerified: boolean;
  readonly isHealing: boolean;
  /** Everything before `cursor` is done. */
  onPage(cursor: Uint8Array): void;
}

/** What came of it. */
export interface RangeTally {
  keysSent: number;
  keysReceived: number;
  /** Records that did not get to where they should be. */
  unsettled: number;
  /** A side has lost part of the range, so its silence says nothing. */
  isIncomplete: boolean;
}

/** Our side of one comparison. */
interface OwnPage {
  readonly keys: readonly Uint8Array[];
  readonly hashes: Uint32Array;
  /** Where the next page begins; empty for the end of the partition. */
  readonly upper: Uint8Array;
  readonly isLast: boolean;
}

export class RangeCompare {
  private readonly parts: ExchangeParts;
  private readonly calls: ExchangeCalls;
  private readonly job: RangeJob;
  private readonly tally: RangeTally;
  private readonly slices: Slices;
  /** What is moved of the page before. */
  private aside: Promise<void> = Promise.resolve();

  constructor(parts: ExchangeParts, calls: ExchangeCalls, job: RangeJob, tally: RangeTally) {
    this.parts = parts;
    this.calls = calls;
    this.job = job;
    this.tally = tally;
    this.slices = new Slices(parts.clock, parts.pace);
  }

  /** Throws where the peer cannot be asked; what was moved until then is moved. */
  compare(): Promise<void> {
    return this.pageByPage((cursor) => this.compareFrom(cursor));
  }

  /** Sends everything in the range: the peer holds nothing of it. Throws likewise. */
  stream(): Promise<void> {
    return this.pageByPage((cursor) => this.streamFrom(cursor));
  }

  /** @param pageFrom answers where the next page begins, `undefined` for the end */
  private async pageByPage(
    pageFrom: (cursor: Uint8Array) => Promise<Uint8Array | undefined>,
  ): Promise<void> {
    let cursor: Uint8Array | undefined = this.job.range.lower;
    try {
      while (cursor !== undefined) cursor = await pageFrom(cursor);
    } finally {
      await Promise.allSettled([this.aside]);
    }
    await this.aside;
  }

  private async compareFrom(cursor: Uint8Array): Promise<Uint8Array | undefined> {
    const page = await this.ownPage(cursor);
    const reply = await this.comparePage(cursor, page);
    const isLast = reply.reached.length === 0 && page.isLast;
    const next = reply.reached.length === 0 ? page.upper : reply.reached;
    await this.goOnBeside(async () => {
      await this.sendLacking(page, reply);
      await this.mergeReceived(reply);
      if (!isLast) this.job.onPage(next);
    });
    return isLast ? undefined : next;
  }

  /** One page may be moved while the next one is looked at: one side's disk, the other's scan. */
  private async goOnBeside(work: () => Promise<void>): Promise<void> {
    await this.aside;
    this.aside = work();
    // Whoever waits for it next hears of it.
    this.aside.catch(() => undefined);
  }

  /** Our entries from `cursor` on. */
  private async ownPage(cursor: Uint8Array): Promise<OwnPage> {
    const keys: Uint8Array[] = [];
    const words: number[] = [];
    const scan = this.openScan(cursor);
    try {
      for (let visits = 0; scan.isValid; scan.next(), visits++) {
        if (visits >= VISITS_MAX || keys.length >= HASHES_MAX) break;
        const rest = this.slices.add(scan.value.length);
        if (rest !== undefined) await rest;
        if (!scan.isWanted) continue;
        keys.push(scan.key.slice());
        words.push(...this.parts.trees.entryHash(scan.key, scan.value));
      }
      const isLast = !scan.isValid;
      const upper = isLast ? (this.job.range.upper ?? EMPTY_BYTES) : scan.key.slice();
      return { keys, hashes: new Uint32Array(words), upper, isLast };
    } catch (thrown) {
      this.parts.store.reportDamage(thrown);
      throw thrown;
    } finally {
      scan.close();
      await this.slices.rest();
    }
  }

  private openScan(lower: Uint8Array): TreeScan {
    const { tree, leaves, range, isHealing } = this.job;
    const scan = new TreeScan(this.parts, tree, leaves, { lower, upper: range.upper });
    // What heals a range knows that it has holes.
    if (scan.isIncomplete && !isHealing) this.tally.isIncomplete = true;
    return scan;
  }

  private async comparePage(lower: Uint8Array, page: OwnPage): Promise<CompareReply> {
    const { tree, leaves, direction } = this.job;
    const { upper, hashes } = page;
    const wantsRecords = direction === "both";
    const message: CompareMessage = { ...tree, wantsRecords, leaves, lower, upper, hashes };
    const reply = decodeCompareReply(
      await this.calls.ask("compare", encodeCompare(message)),
      message,
    );
    if (reply.isIncomplete && wantsRecords) this.tally.isIncomplete = true;
    return reply;
  }

  /** Only as far as the peer has looked. */
  private async sendLacking({ keys }: OwnPage, { lacking, reached }: CompareReply): Promise<void> {
    const slices = new Slices(this.parts.clock, this.parts.pace);
    let page = new RecordPage();
    for (const position of lacking) {
      const key = keys[position]!; // the codec holds positions below the count of hashes
      if (reached.length > 0 && compareBytes(key, reached) >= 0) break;
      const record = this.readOwn(key);
      if (record === undefined) continue;
      if (!page.hasRoomFor(key, record)) {
        await this.sendPage(page);
        page = new RecordPage();
      }
      page.add(key, record);
      const rest = slices.add(record.length);
      if (rest !== undefined) await rest;
    }
    await this.sendPage(page);
  }

  /** A copy; `undefined` for a key that has gone meanwhile, or cannot be read. */
  private readOwn(key: Uint8Array): Uint8Array | undefined {
    try {
      return this.parts.store.get(key)?.value.slice();
    } catch (thrown) {
      if (!(thrown instanceof CorruptionError)) throw thrown;
      this.parts.store.reportDamage(thrown);
      this.tally.unsettled++;
      return undefined;
    }
  }

  private async sendPage({ records }: RecordPage): Promise<void> {
    if (records.length === 0) return;
    const { partition } = this.job.tree;
    const ownedSince = this.parts.ownedSince(partition);
    const body = encodeStore({ partition, ownedSince, records });
    const reply = decodeStoreReply(await this.calls.ask("store", body), records.length);
    this.tally.keysSent += records.length - reply.unsettled.length;
    this.tally.unsettled += reply.unsettled.length;
    for (const position of reply.suspects) await this.refused(records[position]!.key); // below their count
  }

  /** Perhaps it is not to be here either. */
  private async refused(internalKey: Uint8Array): Promise<void> {
    try {
      await this.parts.onRefused?.(internalKey);
    } catch (thrown) {
      // Not decided now; the next exchange meets it again.
      if (!isExpected(thrown)) throw thrown;
    }
  }

  private async mergeReceived({ records, ownedSince }: CompareReply): Promise<void> {
    if (records.length === 0) return;
    const { isVerified, isHealing } = this.job;
    const deadlineMs = this.parts.clock.monoMs() + MERGE_MS_MAX;
    const options = { from: this.calls.peer, ownedSince, deadlineMs, isVerified, isHealing };
    const { changed, unsettled } = await mergeMany(this.parts, records, options);
    this.tally.keysReceived += changed;
    this.tally.unsettled += unsettled.length;
  }

  private async streamFrom(cursor: Uint8Array): Promise<Uint8Array | undefined> {
    const page = new RecordPage();
    const next = await this.fill(page, cursor);
    await this.goOnBeside(async () => {
      await this.sendPage(page);
      if (next !== undefined) this.job.onPage(next);
    });
    return next;
  }

  /** @returns where the next page begins, `undefined` for the end */
  private async fill(page: RecordPage, cursor: Uint8Array): Promise<Uint8Array | undefined> {
    const scan = this.openScan(cursor);
    try {
      for (; scan.isValid; scan.next()) {
        const { key, value } = scan;
        if (scan.isWanted) {
          if (!page.hasRoomFor(key, value)) return key.slice();
          page.add(key.slice(), value.slice());
        }
        const rest = this.slices.add(value.length);
        if (rest !== undefined) await rest;
      }
      return undefined;
    } catch (thrown) {
      this.parts.store.reportDamage(thrown);
      throw thrown;
    } finally {
      scan.close();
    }
  }
}
