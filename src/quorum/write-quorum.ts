/**
 * When a write is acknowledged (R3, R5, R46): a pure accumulator of acknowledgements, the twin of `read-quorum.ts`.
 *
 * Reached: w acknowledgements, pw of them from owners, dw with the write on disk. A fallback counts only where the level is sloppy. It also keeps who
 * said what, because a write whose outcome is unknown must name them (REST.md section 5).
 */
import type { Consistency } from "./consistency.ts";
import type { AckCounts } from "./operation.ts";
import type { QuorumState, ReplicaRole } from "./read-quorum.ts";

export type AckResult = "ok" | "timeout" | "failed" | "pending";

/** One line of `acks` in a problem document. */
export interface Ack {
  readonly node: string;
  readonly role: ReplicaRole;
  readonly result: AckResult;
}

export class WriteQuorum implements AckCounts {
  readonly n: number;
  ok = 0;
  primary = 0;
  hinted = 0;
  durable = 0;
  private readonly needed: Consistency;
  private readonly asked: { node: string; role: ReplicaRole; result: AckResult }[] = [];
  private pendingPrimaries = 0;
  private pendingFallbacks = 0;

  constructor(needed: Consistency) {
    this.needed = needed;
    this.n = needed.n;
  }

  /** The write goes to one more replica. */
  send(node: string, role: ReplicaRole): void {
    this.asked.push({ node, role, result: "pending" });
    if (role === "primary") this.pendingPrimaries++;
    else this.pendingFallbacks++;
  }

  acknowledge(node: string, isDurable: boolean): void {
    const role = this.settle(node, "ok");
    if (role === undefined) return;
    if (role === "primary") this.primary++;
    else this.hinted++;
    if (role === "primary" || this.needed.isSloppy) this.ok++;
    if (isDurable) this.durable++;
  }

  /** Shares of owners that are kept for them by a replica that acknowledges in its own name: no further acknowledgements. */
  keepHints(count: number): void {
    this.hinted += count;
  }

  fail(node: string, result: "timeout" | "failed"): void {
    this.settle(node, result);
  }

  /** A second answer of one replica changes nothing. */
  private settle(node: string, result: AckResult): ReplicaRole | undefined {
    const asked = this.asked.find((ack) => ack.node === node && ack.result === "pending");
    if (asked === undefined) return undefined;
    asked.result = result;
    if (asked.role === "primary") this.pendingPrimaries--;
    else this.pendingFallbacks--;
    return asked.role;
  }

  get state(): QuorumState {
    const { w, pw, dw, isSloppy } = this.needed;
    if (this.ok >= w && this.primary >= pw && this.durable >= dw) return "reached";
    const fallbacks = isSloppy ? this.pendingFallbacks : 0;
    const canReach =
      this.ok + this.pendingPrimaries + fallbacks >= w &&
      this.primary + this.pendingPrimaries >= pw &&
      this.durable + this.pendingPrimaries + this.pendingFallbacks >= dw;
    return canReach ? "pending" : "unreachable";
  }

  /** Who was asked and what came of it; what is still pending counts as timed out. */
  acks(): readonly Ack[] {
    return this.asked.map(({ node, role, result }) => ({
      node,
      role,
      result: result === "pending" ? "timeout" : result,
    }));
  }

  /** A copy of the counts as they are now. */
  counts(): AckCounts {
    const { n, ok, primary, hinted, durable } = this;
    return { n, ok, primary, hinted, durable };
  }
}
