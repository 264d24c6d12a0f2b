/**
 * When a read has heard enough (R3, R4, R5): a pure accumulator of replies. The coordinator asks replicas and feeds it; it never
 * waits or sends.
 *
 *   pending       more replies are needed and may still come
 *   reached       r replies, pr of them from owners
 *   unreachable   too few replicas are left to get there
 *
 * An absence counts only from an owner that is serving (R4): the coordinator reports any other one as `fail`.
 */
import type { Consistency } from "./consistency.ts";
import type { ReplyCounts } from "./operation.ts";

export type QuorumState = "pending" | "reached" | "unreachable";
export type ReplicaRole = "primary" | "fallback";

export class ReadQuorum implements ReplyCounts {
  readonly n: number;
  ok = 0;
  primary = 0;
  private readonly needed: Consistency;
  private primariesLeft: number;
  private fallbacksLeft: number;

  /** The replicas that are asked, by role. */
  constructor(needed: Consistency, primaries: number, fallbacks: number) {
    this.needed = needed;
    this.n = needed.n;
    this.primariesLeft = primaries;
    this.fallbacksLeft = fallbacks;
  }

  reply(role: ReplicaRole): void {
    this.settle(role);
    this.ok++;
    if (role === "primary") this.primary++;
  }

  fail(role: ReplicaRole): void {
    this.settle(role);
  }

  private settle(role: ReplicaRole): void {
    if (role === "primary") this.primariesLeft--;
    else this.fallbacksLeft--;
  }

  get state(): QuorumState {
    const { r, pr } = this.needed;
    if (this.ok >= r && this.primary >= pr) return "reached";
    const canReach =
      this.ok + this.primariesLeft + this.fallbacksLeft >= r &&
      this.primary + this.primariesLeft >= pr;
    return canReach ? "pending" : "unreachable";
  }
}
