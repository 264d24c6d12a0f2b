/**
 * The exchange of one Merkle tree between two nodes, as seen by the one that drives it: which hashes to ask for next, and in the end which leaves
 * to compare key by key. A value without time or network: it says what is to be done (`step`), its driver does that and tells it what came out.
 *
 *   root ---- equal ----------------------------------------------------------------> done
 *    |  \---- a side has no tree, or one tree is empty -----------------------------> compare everything
 *    v
 *   branches ---> leaves below those that differ ---> pause ---> the same leaves again ---> compare ---> root ...
 *
 * Confirmation (R35): writes on their way make leaves differ for a moment, so only a leaf that differs in both looks, a pause apart, is acted on.
 * Where nearly everything differs (`isBulk`, an empty tree, more leaves than a few rounds could mend) there is nothing to confirm.
 *
 * Bounds (R35): `LEAVES_MAX` leaves in one loop and `LOOPS_MAX` loops; what then still differs is for the next exchange.
 */
import { assert } from "../base/assert.ts";
import { BRANCH_COUNT } from "./merkle-tree.ts";

/** Leaves that one loop compares. */
export const LEAVES_MAX = 64;
export const LOOPS_MAX = 4;

/** How two roots look beside each other. `unknown`: one side has no tree now. */
export type RootAnswer = "equal" | "differs" | "empty-here" | "empty-there" | "unknown";

/** Who has nothing at all. */
export type EmptySide = "here" | "there" | "neither";

/** `undefined`: all leaves. Ascending. */
export type Leaves = readonly number[] | undefined;

export type ExchangeStep =
  /** Compare the roots, then `rootSeen`. */
  | { readonly kind: "root" }
  /** Ask for the hashes of all branches, then `branchesSeen`. */
  | { readonly kind: "branches" }
  /** Ask for the leaves below these branches, then `leavesSeen`. */
  | { readonly kind: "leaves"; readonly branches: readonly number[] }
  /** Let time pass, then `paused`. */
  | { readonly kind: "pause" }
  /** Compare the keys of these leaves and move what is missing, then `compared`. */
  | { readonly kind: "compare"; readonly leaves: Leaves; readonly emptySide: EmptySide }
  | { readonly kind: "done"; readonly outcome: ExchangeOutcome };

/**
 *   equal      the last look at the roots found no difference
 *   settled    all that differed for longer than a moment was compared
 *   limited    more differs than one exchange mends
 *   unknown    a side has no tree, and comparing without one was not asked for
 */
export type ExchangeOutcome = "equal" | "settled" | "limited" | "unknown";

export interface MerkleExchangeOptions {
  readonly leafCount: number;
  /** All differences at once, unconfirmed, and without a tree too where there is none. */
  readonly isBulk: boolean;
}

const ROOT: ExchangeStep = { kind: "root" };
const EMPTY_SIDES = { "empty-here": "here", "empty-there": "there", unknown: "neither" } as const;

export class MerkleExchange {
  private readonly leafCount: number;
  private readonly isBulk: boolean;
  private current: ExchangeStep = ROOT;
  private loop = 0;
  /** Of the first look, while the second is under way. */
  private candidates: readonly number[] | undefined;
  /** What `compare` left out. */
  private isLimited = false;
  /** Leaves that were found to differ, over all loops. */
  leavesDiffering = 0;

  constructor({ leafCount, isBulk }: MerkleExchangeOptions) {
    this.leafCount = leafCount;
    this.isBulk = isBulk;
  }

  get step(): ExchangeStep {
    return this.current;
  }

  rootSeen(answer: RootAnswer): void {
    this.expect("root");
    const wasCompared = this.loop > 0;
    if (answer === "equal") this.end("equal");
    else if (wasCompared && !this.isLimited) this.end("settled");
    else if (this.loop >= LOOPS_MAX) this.end("limited");
    else if (answer === "differs") this.current = { kind: "branches" };
    else if (answer === "unknown" && !this.isBulk) this.end("unknown");
    else this.compareAll(EMPTY_SIDES[answer]);
  }

  /** Hashes are pairs of words, of all branches. */
  branchesSeen(own: Uint32Array, theirs: Uint32Array): void {
    this.expect("branches");
    const branches = differing(own, theirs, 0);
    if (branches.length === 0) this.end("settled");
    else this.current = { kind: "leaves", branches };
  }

  /** The leaves below each of the branches that were asked for, in that order. */
  leavesSeen(own: readonly Uint32Array[], theirs: readonly Uint32Array[]): void {
    const { branches } = this.expect("leaves");
    assert(own.length === branches.length && theirs.length === branches.length, "no branch less");
    const leavesPerBranch = this.leafCount / BRANCH_COUNT;
    const leaves = branches.flatMap((branch, i) =>
      differing(own[i]!, theirs[i]!, branch * leavesPerBranch),
    );
    if (this.candidates !== undefined) this.secondLook(leaves, new Set(this.candidates));
    else this.firstLook(leaves);
  }

  private firstLook(leaves: readonly number[]): void {
    if (leaves.length === 0) return this.end("settled");
    const isMost = 2 * leaves.length > this.leafCount || leaves.length > LEAVES_MAX * LOOPS_MAX;
    if (isMost || this.isBulk) {
      this.leavesDiffering += leaves.length;
      return this.compare(2 * leaves.length > this.leafCount ? undefined : leaves);
    }
    this.candidates = leaves;
    this.current = { kind: "pause" };
  }

  paused(): void {
    this.expect("pause");
    const leavesPerBranch = this.leafCount / BRANCH_COUNT;
    const branches = this.candidates!.map((leaf) => Math.floor(leaf / leavesPerBranch)); // set by firstLook
    this.current = { kind: "leaves", branches: [...new Set(branches)] };
  }

  private secondLook(leaves: readonly number[], candidates: ReadonlySet<number>): void {
    const confirmed = leaves.filter((leaf) => candidates.has(leaf));
    if (confirmed.length === 0) return this.end("settled");
    this.leavesDiffering += Math.min(confirmed.length, LEAVES_MAX);
    this.compare(confirmed.slice(0, LEAVES_MAX));
    this.isLimited = confirmed.length > LEAVES_MAX;
  }

  private compareAll(emptySide: EmptySide): void {
    this.leavesDiffering += this.leafCount;
    this.compare(undefined, emptySide);
  }

  private compare(leaves: Leaves, emptySide: EmptySide = "neither"): void {
    this.isLimited = false;
    this.candidates = undefined;
    this.current = { kind: "compare", leaves, emptySide };
  }

  compared(): void {
    this.expect("compare");
    this.loop++;
    this.current = ROOT;
  }

  private end(outcome: ExchangeOutcome): void {
    this.current = { kind: "done", outcome };
  }

  private expect<Kind extends ExchangeStep["kind"]>(
    kind: Kind,
  ): Extract<ExchangeStep, { kind: Kind }> {
    const { current } = this;
    assert(current.kind === kind, "what is told is what was asked for");
    return current as Extract<ExchangeStep, { kind: Kind }>; // its kind is the one asserted
  }
}

/** Which of these hashes differ, counted from `first`. */
function differing(own: Uint32Array, theirs: Uint32Array, first: number): number[] {
  assert(own.length === theirs.length, "both sides have as many hashes");
  const found: number[] = [];
  for (let at = 0; at < own.length; at += 2)
    if (own[at] !== theirs[at] || own[at + 1] !== theirs[at + 1]) found.push(first + at / 2);
  return found;
}
