/**
 * The name under which a copy mints (R12): an actor that is never used again once something that was minted under it is gone.
 *
 *   renew     something was let go: minted from now on under another name
 *   taint     a full disk has taken back what others may have been sent and have acknowledged; a later dot of the same name would claim that this copy has it,
 *             and the others would drop it (simulator, seed 42229)
 *   settle    before every mint: a name that is owed is taken first
 *
 * A name is on disk before it is used. Where the disk does not take one it is owed: nothing is minted until it is there, and the node must not stop as if all
 * were well, because its next life would go on under the old name (simulator, seed 70652).
 */
import { HutchError, messageOf } from "../base/errors.ts";
import type { Actor } from "../causality/actor.ts";
import { DiskError } from "../ports/disk.ts";
import type { Logger } from "../ports/logger.ts";

/** Answers the next actor, on disk. `isUnawares` where somebody else had to tell that something is gone. */
export type NextActor = (isUnawares: boolean) => Actor;

export class ReplicaName {
  actor: Actor;
  private isOwed = false;
  private readonly next: NextActor | undefined;
  private readonly logger: Logger;

  /** @param next left out where nobody else knows the name: then it never changes */
  constructor(actor: Actor, next: NextActor | undefined, logger: Logger) {
    this.actor = actor;
    this.next = next;
    this.logger = logger;
  }

  /** Does anybody else know it? */
  get isShared(): boolean {
    return this.next !== undefined;
  }

  /** May the next life of the node go on under it? */
  get mayOutlive(): boolean {
    return !this.isOwed;
  }

  taint(): void {
    this.isOwed = this.isShared;
  }

  renew(): void {
    this.taint();
    try {
      this.settle();
    } catch (thrown) {
      this.logger.warn("name_not_renewed", { reason: messageOf(thrown) });
    }
  }

  /** Throws `disk-full` or `overloaded` where the disk does not take the name that is owed. */
  settle(): void {
    if (this.isOwed) this.take(false);
  }

  /** Somebody else has shown that something is gone. Throws like `settle`. */
  renewUnawares(): void {
    this.taint();
    this.take(true);
  }

  private take(isUnawares: boolean): void {
    if (this.next === undefined) return;
    try {
      this.actor = this.next(isUnawares);
    } catch (thrown) {
      throw nameless(thrown);
    }
    this.isOwed = false;
  }
}

function nameless(cause: unknown): HutchError {
  const isCrowded = cause instanceof DiskError && cause.kind === "too-many-files";
  return new HutchError(
    isCrowded ? "overloaded" : "disk-full",
    "Cannot take the write: this node has to write down a new name for itself first, and cannot",
    { retry: "safe", cause },
  );
}
