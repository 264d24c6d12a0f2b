/**
 * What this node knows of the trees of one partition: how they stand to the store, and to what is saved of them.
 *
 *   isReady    they were loaded or built once
 *   isTrusted  they are as the store is; false from the moment at which somebody asks for them to be built again
 *   isBehind   what is saved is not what is here
 *   mark       must the next change say in its batch that what is saved is behind?
 *     needed     yes: something may be saved, and nothing says that it is behind
 *     sent       yes, once more: a batch said so, but the disk may still take that batch back
 *     kept       no: it is said for good, or nothing is saved
 */
import { MerkleForest } from "../merkle/merkle-forest.ts";
import type { WriteBatch } from "../storage/store.ts";
import { type SavedForest, isMarkDurable, markIn } from "./merkle-store.ts";
import type { ReplicaStore } from "./replica-store.ts";

type Mark = "needed" | "sent" | "kept";

export class MerklePartition implements SavedForest {
  readonly partition: number;
  forest: MerkleForest;
  isReady = false;
  isTrusted = false;
  isBehind = true;
  /** Unix ms, 0 for never. */
  builtAtMs = 0;
  mark: Mark;
  /** From one build to the next, ms. */
  readonly lifetimeMs: number;

  constructor(partition: number, leafCount: number, lifetimeMs: number, mark: Mark) {
    this.partition = partition;
    this.forest = new MerkleForest(leafCount);
    this.lifetimeMs = lifetimeMs;
    this.mark = mark;
  }

  /** What was saved is as the store is. */
  load({ forest, builtAtMs }: SavedForest): void {
    this.replace(forest, builtAtMs);
    this.isBehind = false;
    this.mark = "needed";
  }

  replace(forest: MerkleForest, builtAtMs: number): void {
    this.forest = forest;
    this.builtAtMs = builtAtMs;
    this.isReady = true;
    this.isTrusted = true;
    this.isBehind = true;
  }

  /** Says in `batch`, where that is needed, that what is saved is behind. */
  markIn(batch: WriteBatch, store: ReplicaStore): void {
    if (this.mark === "kept") return;
    if (this.mark === "sent" && isMarkDurable(store, this.partition)) {
      this.mark = "kept";
      return;
    }
    markIn(batch, this.partition);
    this.mark = "sent";
  }

  get isToBeSaved(): boolean {
    return this.isReady && this.isTrusted && this.isBehind;
  }

  /** A batch that saves it has been applied. */
  saved(): void {
    this.isBehind = false;
    this.mark = "needed";
  }

  /** A wall clock that jumped back makes it due as well. */
  isDue(nowMs: number): boolean {
    return this.isReady && Math.abs(nowMs - this.builtAtMs) > this.lifetimeMs;
  }
}
