/** What is wrong with a simulated cluster on purpose, and since when: who may not be blamed, and what was done, for people. */
import type { SimCluster } from "./cluster.ts";

/** It takes nodes so long to hear of deaths and returns, and to bring the missing up to date. */
const NOTICE_MS = 3000;

/** A node was not itself: nobody is blamed for what it answered late then. */
export interface Disturbance {
  readonly index: number;
  readonly fromMs: number;
  untilMs: number;
}

export class Troubles {
  /** What was done, one line each. */
  readonly told: string[] = [];
  /** Nodes that are down, or are not to be touched, because somebody does something to them. */
  readonly held = new Set<number>();
  private readonly cluster: SimCluster;
  private readonly disturbances: Disturbance[] = [];
  /** Cut and bad links. */
  private readonly cuts: Omit<Disturbance, "index">[] = [];

  constructor(cluster: SimCluster) {
    this.cluster = cluster;
  }

  tell(what: string): void {
    this.told.push(`${this.cluster.nowMs.toFixed(1)} ms: ${what}`);
  }

  /** The disturbance may be made shorter or longer by who has it. */
  disturbed(index: number, forMs: number): Disturbance {
    const { nowMs } = this.cluster;
    const disturbance = { index, fromMs: nowMs, untilMs: nowMs + forMs };
    this.disturbances.push(disturbance);
    return disturbance;
  }

  cut(forMs: number): void {
    const { nowMs } = this.cluster;
    this.cuts.push({ fromMs: nowMs, untilMs: nowMs + forMs });
  }

  cutsNow(): number {
    const { nowMs } = this.cluster;
    return this.cuts.filter(({ fromMs, untilMs }) => fromMs <= nowMs && nowMs < untilMs).length;
  }

  /** Was the node not itself at any time between `sinceMs` and now? */
  wasDisturbed(index: number, sinceMs: number): boolean {
    const { nowMs } = this.cluster;
    return this.disturbances.some(
      (own) => own.index === index && own.fromMs <= nowMs && own.untilMs >= sinceMs,
    );
  }

  /** Was anything wrong with any node or link then, or shortly before? */
  wasTrouble(fromMs: number, untilMs: number): boolean {
    return [...this.disturbances, ...this.cuts].some(
      (own) => own.fromMs <= untilMs && own.untilMs + NOTICE_MS >= fromMs,
    );
  }

  /** Starts it again, unless somebody else has, or it has left meanwhile. */
  bringBack(index: number): void {
    const { cluster } = this;
    if (cluster.isUp(index) || cluster.gone.has(index) || this.held.has(index)) return;
    cluster.restart(index);
  }
}
