/**
 * Anti-entropy: what makes replicas equal whatever happened to them (Dynamo, section 4.7; R31, R35). It runs all the time for all pairs of owners.
 *
 *   every `intervalMs`, give or take   with each peer that is up: the roots of all trees that both own, hundreds in one message;
 *                                      those that differ are exchanged (`tree-exchange.ts`), `EXCHANGES_MAX` at a time
 *   on request                         the same at once (`runNow`), one partition with one peer (`exchange`), what a peer lacks (`push`),
 *                                      or own partitions from a quorum of their owners (`repairPartitions`, R59)
 *
 * Both nodes of a pair do this, each in its own time, so a difference is found even where one of them never gets to it. A round that is due while
 * the last one is still at work is left out (R35). What is equal costs 15 bytes and a comparison of two numbers.
 */
import { messageOf } from "../base/errors.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Timer } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import { ExchangeCalls, isExpected } from "./exchange-calls.ts";
import { ROOTS_MAX, type TreeId, decodeRootVerdicts, encodeRoots } from "./exchange-codec.ts";
import { ExchangeCursors } from "./exchange-cursors.ts";
import type { KeyRange } from "./key-scan.ts";
import { pooled } from "./pooled.ts";
import { RepairLog, type RepairReport, type RepairRound, type RepairTotals } from "./repair-log.ts";
import {
  CONFIRM_PAUSE_MS,
  type ExchangeOptions,
  type ExchangeResult,
  type TreeExchangeParts,
  exchangeTree,
  noResult,
  rootEntry,
  takeGcFloor,
} from "./tree-exchange.ts";

export const REPAIR_INTERVAL_MS = 10 * 60_000;
/** Exchanges of one round, or of one repair, at the same time: most of an exchange is waiting. */
const EXCHANGES_MAX = 8;
/** The first round of a life comes after at most this part of the interval. */
const FIRST_ROUND_SHARE = 0.1;
/** Rounds come an interval apart, give or take this part, so that nodes do not go in step. */
const JITTER = 0.25;

export interface AntiEntropyOptions extends Omit<TreeExchangeParts, "confirmPauseMs" | "cursors"> {
  readonly random: Random;
  readonly logger: Logger;
  readonly intervalMs?: number;
  readonly confirmPauseMs?: number;
  /** All other nodes that may own something with this one, down or not. */
  others(): readonly NodeId[];
  isUp(node: NodeId): boolean;
  /** Trees that this node and `peer` both own, in any active layout. */
  treesShared(peer: NodeId): readonly TreeId[];
}

export interface RepairOptions {
  /** Of so many other owners that one of them has every acknowledged write (R59); otherwise one owner is enough. */
  readonly quorum: boolean;
  /** This node may have been among those that acknowledged, and has lost it, so it takes one more. Default: true with `heal`, else false. */
  readonly hasForgotten?: boolean;
  /** Lost here: only this range, by its keys, and damage counts as absent. */
  readonly heal?: KeyRange;
  /** Default true: several owners are compared with anyway (R42). */
  readonly isVerified?: boolean;
  readonly signal?: AbortSignal;
  onProgress?(progress: RepairProgress): void;
}

/** Counts of trees; `keysReceived` and `bytesReceived` so far. */
export interface RepairProgress {
  readonly done: number;
  readonly total: number;
  readonly keysReceived: number;
  readonly bytesReceived: number;
}

export class AntiEntropy {
  private readonly options: AntiEntropyOptions;
  private readonly parts: TreeExchangeParts;
  readonly log: RepairLog;
  private readonly ending = new AbortController();
  /** By the name of the pair. */
  private readonly underWay = new Map<string, Promise<ExchangeResult>>();
  private current: RepairRound | undefined;
  /** Asked for while `current` was under way. */
  private next: { readonly round: RepairRound; readonly finished: Promise<void> } | undefined;
  private finished: Promise<void> = Promise.resolve();
  private timer: Timer | undefined;

  constructor(options: AntiEntropyOptions) {
    this.options = options;
    const { confirmPauseMs = CONFIRM_PAUSE_MS } = options;
    this.parts = { ...options, confirmPauseMs, cursors: new ExchangeCursors() };
    this.log = new RepairLog(() => options.clock.wallMs());
  }

  get counters(): Readonly<RepairTotals> {
    return this.log.totals;
  }

  start(): void {
    this.schedule(this.intervalMs * FIRST_ROUND_SHARE * this.chance());
  }

  /** Calls off what is under way; nothing is asked or merged any more when this settles. */
  async stop(): Promise<void> {
    this.timer?.cancel();
    this.ending.abort();
    await this.finished;
    await Promise.allSettled([...this.underWay.values()]);
  }

  private get intervalMs(): number {
    return this.options.intervalMs ?? REPAIR_INTERVAL_MS;
  }

  private chance(): number {
    return this.options.random.u32() / 2 ** 32;
  }

  private schedule(delayMs: number): void {
    this.timer = this.options.clock.after(delayMs, () => {
      this.schedule(this.intervalMs * (1 - JITTER + 2 * JITTER * this.chance()));
      if (this.current === undefined) this.runNow();
      else this.log.totals.roundsSkipped++;
    });
  }

  /** Begins a round, after the one under way where there is one; `finished` never rejects. Asked twice before that, it is one. */
  runNow(): { readonly round: RepairRound; readonly finished: Promise<void> } {
    if (this.next !== undefined) return this.next;
    const startedMs = this.options.clock.wallMs();
    const round = { startedMs, total: 0, done: 0, differing: 0, failed: 0, isFinished: false };
    const finished = this.finished.then(() => this.run(round));
    const run = { round, finished };
    this.finished = finished;
    this.next = run;
    return run;
  }

  private async run(round: RepairRound): Promise<void> {
    this.next = undefined;
    this.current = round;
    try {
      const peers = shuffled(this.options.others(), () => this.chance());
      for (const peer of peers) if (this.options.isUp(peer)) await this.withPeer(peer, round);
      this.log.roundEnded();
    } catch (thrown) {
      this.options.logger.error("repair_round_failed", { reason: messageOf(thrown) });
    } finally {
      round.isFinished = true;
      this.current = undefined;
    }
  }

  private async withPeer(peer: NodeId, round: RepairRound): Promise<void> {
    const trees = this.options
      .treesShared(peer)
      .filter(({ partition }) => this.parts.trees.isReady(partition));
    round.total += trees.length;
    for (let i = 0; i < trees.length && !this.isStopped; i += ROOTS_MAX)
      try {
        const differing = await this.compareRoots(peer, trees.slice(i, i + ROOTS_MAX), round);
        await pooled(EXCHANGES_MAX, differing, (tree) => this.mend(peer, tree, round));
      } catch (thrown) {
        if (!isExpected(thrown)) throw thrown;
        round.failed++;
        return;
      }
  }

  private get isStopped(): boolean {
    return this.ending.signal.aborted;
  }

  /** Those that differ. */
  private async compareRoots(
    peer: NodeId,
    trees: readonly TreeId[],
    round: RepairRound,
  ): Promise<TreeId[]> {
    const result = noResult();
    const calls = new ExchangeCalls(this.parts, peer, result, this.ending.signal);
    const body = encodeRoots(trees.map((tree) => rootEntry(this.parts, tree)));
    const verdicts = decodeRootVerdicts(await calls.ask("roots", body), trees.length);
    this.log.addTraffic(result);
    const differing: TreeId[] = [];
    trees.forEach((tree, i) => {
      const { reply, gcFloor } = verdicts[i]!; // as many as trees
      takeGcFloor(this.parts, tree.partition, gcFloor);
      if (reply === "differs" || reply.startsWith("empty")) return void differing.push(tree);
      round.done++;
      if (reply === "equal") this.log.verified(tree, peer);
    });
    return differing;
  }

  private async mend(peer: NodeId, tree: TreeId, round: RepairRound): Promise<void> {
    const name = pairName(peer, tree);
    // A repair that somebody asked for is at it.
    if (!this.underWay.has(name)) {
      const result = await this.exchangeOne(peer, tree, { direction: "both" });
      if (result.leavesDiffering > 0) round.differing++;
      if (!result.isComplete) round.failed++;
    }
    round.done++;
  }

  private async exchangeOne(
    peer: NodeId,
    tree: TreeId,
    options: ExchangeOptions,
  ): Promise<ExchangeResult> {
    const name = pairName(peer, tree);
    const ending = this.ending.signal;
    const signal =
      options.signal === undefined ? ending : AbortSignal.any([ending, options.signal]);
    const exchange = exchangeTree(this.parts, peer, tree, { ...options, signal });
    this.underWay.set(name, exchange);
    try {
      const result = await exchange;
      this.note(peer, tree, result);
      return result;
    } finally {
      if (this.underWay.get(name) === exchange) this.underWay.delete(name);
    }
  }

  private note(peer: NodeId, tree: TreeId, result: ExchangeResult): void {
    this.log.add(tree, peer, result);
    const { failure, keysSent, keysReceived } = result;
    const { logger } = this.options;
    if (failure !== undefined) logger.debug("exchange_failed", { peer, ...tree, reason: failure });
    else if (keysSent + keysReceived > 0)
      logger.debug("exchanged", { peer, ...tree, keysSent, keysReceived });
  }

  /** One partition with one peer, all trees that both own. Never rejects for what the peer does. */
  async exchange(
    peer: NodeId,
    partition: number,
    options: ExchangeOptions,
  ): Promise<ExchangeResult> {
    const trees = this.options.treesShared(peer).filter((tree) => tree.partition === partition);
    const sum = { ...noResult(), isEqual: true, isComplete: true };
    for (const tree of trees) addTo(sum, await this.exchangeOne(peer, tree, options));
    return sum;
  }

  /** Brings `peer` to hold at least what is here of the tree; complete in the result when it does, on its disk. */
  push(peer: NodeId, tree: TreeId, signal?: AbortSignal): Promise<ExchangeResult> {
    return this.exchangeOne(peer, tree, { direction: "push", isBulk: true, signal });
  }

  /**
   * Brings own partitions up to what their other owners have: all of them that are up.
   *
   * @returns true when for each tree enough of them answered to the end; the caller asks again otherwise, which goes on where this ended
   */
  async repairPartitions(partitions: readonly number[], options: RepairOptions): Promise<boolean> {
    const owners = this.otherOwners(new Set(partitions));
    let done = 0;
    let isComplete = true;
    const received = { keysReceived: 0, bytesReceived: 0 };
    const total = owners.length;
    await pooled(EXCHANGES_MAX, owners, async (tree) => {
      if (!(await this.repairTree(tree, options, received))) isComplete = false;
      done++;
      options.onProgress?.({ done, total, ...received });
    });
    return isComplete && !this.isStopped;
  }

  private async repairTree(
    { tree, others }: SharedTree,
    options: RepairOptions,
    received: { keysReceived: number; bytesReceived: number },
  ): Promise<boolean> {
    const { heal, isVerified = true, signal } = options;
    const how = { direction: "both", isBulk: true, isVerified, heal, signal } as const;
    let complete = 0;
    let heard = 0;
    for (const peer of others) {
      if (!this.options.isUp(peer)) continue;
      const result = await this.exchangeOne(peer, tree, how);
      received.keysReceived += result.keysReceived;
      received.bytesReceived += result.bytesReceived;
      if (result.isComplete) complete++;
      if (result.isComplete || result.isWithLosses) heard++;
    }
    // Where several copies have lost the same, nobody has more than what all of them have told.
    if (heal !== undefined && others.length > 0 && heard === others.length) return true;
    return complete >= witnessesNeeded(others.length, options);
  }

  /** The trees of these partitions with their other owners, down or not. */
  private otherOwners(partitions: ReadonlySet<number>): SharedTree[] {
    const byName = new Map<string, { tree: TreeId; others: NodeId[] }>();
    for (const peer of this.options.others())
      for (const tree of this.options.treesShared(peer)) {
        if (!partitions.has(tree.partition)) continue;
        const name = `${tree.partition}/${tree.n}`;
        const known = byName.get(name);
        if (known === undefined) byName.set(name, { tree, others: [peer] });
        else known.others.push(peer);
      }
    return [...byName.values()];
  }

  report(): RepairReport {
    const running = this.current && { ...this.current };
    return this.log.report(running);
  }
}

/**
 * Of n owners a write has reached n/2 + 1. One that this node missed was acknowledged by that many others, so n/2 of the others meet it; of one that it had and
 * lost only n/2 others tell, so it takes n/2 + 1 to meet it: all, where there are no more.
 */
function witnessesNeeded(
  otherCount: number,
  { quorum, heal, hasForgotten = heal !== undefined }: RepairOptions,
): number {
  if (!quorum) return Math.min(1, otherCount);
  const half = Math.floor((otherCount + 1) / 2);
  return Math.min(otherCount, hasForgotten ? half + 1 : half);
}

interface SharedTree {
  readonly tree: TreeId;
  readonly others: readonly NodeId[];
}

function pairName(peer: NodeId, { partition, n }: TreeId): string {
  return `${peer}/${partition}/${n}`;
}

function addTo(sum: ExchangeResult, one: ExchangeResult): void {
  sum.keysSent += one.keysSent;
  sum.keysReceived += one.keysReceived;
  sum.bytesSent += one.bytesSent;
  sum.bytesReceived += one.bytesReceived;
  sum.leavesDiffering += one.leavesDiffering;
  sum.isEqual &&= one.isEqual;
  sum.isComplete &&= one.isComplete;
  sum.failure ??= one.failure;
}

function shuffled(nodes: readonly NodeId[], chance: () => number): NodeId[] {
  const order = [...nodes];
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(chance() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
