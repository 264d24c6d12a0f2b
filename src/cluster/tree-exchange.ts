/**
 * One exchange of one tree with one peer, driven from this side: carries out what `merkle/merkle-exchange.ts` decides. It never rejects for what the
 * peer, the network or a record does: the result says what was moved and whether it is complete.
 *
 * An exchange of everything remembers how far it came, so that the next one with the same life of the peer goes on from there; all others find
 * what is left by the tree itself. Restarting costs what the tree costs, never the data that is equal (R59).
 */
import { EMPTY_BYTES } from "../base/bytes.ts";
import { HutchError, messageOf } from "../base/errors.ts";
import type { NodeId } from "../gossip/member.ts";
import {
  type EmptySide,
  type ExchangeOutcome,
  type Leaves,
  MerkleExchange,
} from "../merkle/merkle-exchange.ts";
import { BRANCH_COUNT } from "../merkle/merkle-tree.ts";
import type { ExchangeParts } from "./exchange-answers.ts";
import { ExchangeCalls, type ExchangeCallsParts, isExpected } from "./exchange-calls.ts";
import {
  type RootEntry,
  type TreeId,
  decodeHashes,
  decodeRootVerdicts,
  encodeHashesMessage,
  encodeRoots,
} from "./exchange-codec.ts";
import type { ExchangeCursors } from "./exchange-cursors.ts";
import type { KeyRange } from "./key-scan.ts";
import { RangeCompare, type RangeJob, type RangeTally } from "./range-compare.ts";

/** Between two looks at the same leaves: longer than a write takes to reach all owners (R35). */
export const CONFIRM_PAUSE_MS = 1000;

export interface ExchangeOptions {
  /** `push`: only what the peer lacks; complete when it holds at least what we do. */
  readonly direction: "both" | "push";
  /** Everything that differs at once, without a second look, and without trees where there are none. */
  readonly isBulk?: boolean;
  /** What comes in needs no check against collected deletions (R42): several owners are compared with anyway, as in R59. */
  readonly isVerified?: boolean;
  /** Mends what is lost here: of this range, by its keys alone. */
  readonly heal?: KeyRange | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ExchangeResult {
  /** Records that the other side had not, and now has. */
  keysSent: number;
  keysReceived: number;
  /** Bodies of messages. */
  bytesSent: number;
  bytesReceived: number;
  leavesDiffering: number;
  /** The roots were equal at the end. */
  isEqual: boolean;
  /** All that differed was moved. */
  isComplete: boolean;
  /** All that is left of it was moved: damage has taken some at either end. */
  isWithLosses: boolean;
  /** Why it ended early. */
  failure: string | undefined;
}

export interface TreeExchangeParts extends ExchangeParts, ExchangeCallsParts {
  readonly confirmPauseMs: number;
  readonly cursors: ExchangeCursors;
  /** As gossip tells it. */
  incarnationOf(peer: NodeId): number;
}

export function noResult(): ExchangeResult {
  return {
    keysSent: 0,
    keysReceived: 0,
    bytesSent: 0,
    bytesReceived: 0,
    leavesDiffering: 0,
    isEqual: false,
    isComplete: false,
    isWithLosses: false,
    failure: undefined,
  };
}

export function exchangeTree(
  parts: TreeExchangeParts,
  peer: NodeId,
  tree: TreeId,
  options: ExchangeOptions,
): Promise<ExchangeResult> {
  return new TreeExchange(parts, peer, tree, options).run();
}

class TreeExchange {
  private readonly parts: TreeExchangeParts;
  private readonly tree: TreeId;
  private readonly options: ExchangeOptions;
  private readonly calls: ExchangeCalls;
  private readonly merkle: MerkleExchange;
  private readonly result = noResult();
  private readonly tally: RangeTally = {
    keysSent: 0,
    keysReceived: 0,
    unsettled: 0,
    isIncomplete: false,
  };

  constructor(parts: TreeExchangeParts, peer: NodeId, tree: TreeId, options: ExchangeOptions) {
    this.parts = parts;
    this.tree = tree;
    this.options = options;
    this.calls = new ExchangeCalls(parts, peer, this.result, options.signal);
    const isBulk = options.isBulk === true;
    this.merkle = new MerkleExchange({ leafCount: parts.trees.leafCount, isBulk });
  }

  async run(): Promise<ExchangeResult> {
    const { result, tally } = this;
    try {
      const outcome = this.options.heal === undefined ? await this.byTree() : await this.byRange();
      const isThrough = outcome === "equal" || outcome === "settled";
      result.isEqual = outcome === "equal";
      const isSettled = isThrough && tally.unsettled === 0;
      result.isComplete = isSettled && !tally.isIncomplete;
      result.isWithLosses = isSettled && tally.isIncomplete;
      if (!isThrough) result.failure = outcome;
    } catch (thrown) {
      if (!isExpected(thrown)) throw thrown;
      result.failure = messageOf(thrown);
    }
    const { keysSent, keysReceived } = tally;
    return Object.assign(result, {
      keysSent,
      keysReceived,
      leavesDiffering: this.merkle.leavesDiffering,
    });
  }

  private async byRange(): Promise<ExchangeOutcome> {
    await this.compare(undefined, "neither");
    return "settled";
  }

  private async byTree(): Promise<ExchangeOutcome> {
    const { merkle } = this;
    for (;;) {
      this.calls.checkWanted();
      const { step } = merkle;
      switch (step.kind) {
        case "root":
          await this.askRoot();
          break;
        case "branches":
          merkle.branchesSeen(...(await this.askBranches()));
          break;
        case "leaves":
          merkle.leavesSeen(...(await this.askLeaves(step.branches)));
          break;
        case "pause":
          await this.calls.pause(this.parts.confirmPauseMs);
          merkle.paused();
          break;
        case "compare":
          await this.compare(step.leaves, step.emptySide);
          merkle.compared();
          break;
        case "done":
          return step.outcome;
      }
    }
  }

  private async askRoot(): Promise<void> {
    const { parts, tree } = this;
    const body = await this.calls.ask("roots", encodeRoots([rootEntry(parts, tree)]));
    const { reply, gcFloor } = decodeRootVerdicts(body, 1)[0]!; // as many as were asked about
    if (reply === "not-held")
      throw new HutchError("not-owner", "Cannot compare: the peer does not hold the partition");
    takeGcFloor(parts, tree.partition, gcFloor);
    this.merkle.rootSeen(reply);
  }

  private async askBranches(): Promise<[Uint32Array, Uint32Array]> {
    const { partition, n } = this.tree;
    const body = await this.askHashes([]);
    // Read when the answer is here: nearer to the moment in which the peer read its own.
    return [this.parts.trees.branches(partition, n), decodeHashes(body, 1, BRANCH_COUNT)[0]!];
  }

  private async askLeaves(branches: readonly number[]): Promise<[Uint32Array[], Uint32Array[]]> {
    const { partition, n } = this.tree;
    const { trees } = this.parts;
    const body = await this.askHashes(branches);
    const theirs = decodeHashes(body, branches.length, trees.leafCount / BRANCH_COUNT);
    return [branches.map((branch) => trees.leaves(partition, n, branch)), theirs];
  }

  private askHashes(branches: readonly number[]): Promise<Uint8Array> {
    return this.calls.ask("hashes", encodeHashesMessage({ ...this.tree, branches }));
  }

  private async compare(leaves: Leaves, emptySide: EmptySide): Promise<void> {
    if (emptySide === "here" && this.options.direction === "push") return;
    const isAll = leaves === undefined && this.options.heal === undefined;
    // To a peer that has nothing goes everything.
    const job = this.job(leaves, isAll && emptySide !== "there");
    const work = new RangeCompare(this.parts, this.calls, job, this.tally);
    if (emptySide === "there") await work.stream();
    else await work.compare();
    if (isAll) this.parts.cursors.forget(this.cursorName);
  }

  private job(leaves: Leaves, isResumable: boolean): RangeJob {
    const { parts, tree, tally, cursorName } = this;
    const { direction, isVerified = false, heal } = this.options;
    const lower = isResumable ? parts.cursors.of(cursorName) : EMPTY_BYTES;
    return {
      tree,
      leaves,
      direction,
      isVerified,
      isHealing: heal !== undefined,
      range: heal ?? { lower, upper: undefined },
      onPage: (cursor) => {
        // What was left behind must be met again.
        const isClean = tally.unsettled === 0 && !tally.isIncomplete;
        if (isClean && leaves === undefined && heal === undefined)
          parts.cursors.set(cursorName, cursor);
        this.calls.checkWanted();
      },
    };
  }

  /** Another life of the peer may have lost what this one has taken. */
  private get cursorName(): string {
    const { peer } = this.calls;
    const { partition, n } = this.tree;
    return `${peer}/${this.parts.incarnationOf(peer)}/${partition}/${n}/${this.options.direction}`;
  }
}

/** Our side of a `roots` message. */
export function rootEntry(parts: ExchangeParts, tree: TreeId): RootEntry {
  const { partition, n } = tree;
  const { trees } = parts;
  const root = trees.isReady(partition) ? trees.root(partition, n) : undefined;
  return { partition, n, root, gcFloor: parts.gcFloor(partition) };
}

/** Owners agree on the highest floor (R42). */
export function takeGcFloor(parts: ExchangeParts, partition: number, floor: number): void {
  if (floor > parts.gcFloor(partition)) parts.raiseGcFloor(partition, floor);
}
