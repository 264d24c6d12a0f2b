/**
 * Looks at what all disks of a simulated cluster know while a run is under way, for `checkers/acknowledged.ts`: as soon as a node is back, before others have
 * mended what it may have forgotten, and now and then besides, because a hint can be gone from one disk before it is on the next.
 */
import type { Holdings } from "../checkers/acknowledged.ts";
import type { SimCluster } from "./cluster.ts";
import { holdingsOf } from "./contents.ts";

const NOTICE_EVERY_MS = 5;
const LOOK_EVERY_MS = 200;
const LOOKS_MAX = 1000;

export class DisksWatch {
  readonly looks: Holdings[] = [];
  private readonly cluster: SimCluster;
  private started: ReadonlySet<number> = new Set();
  private nextMs = 0;
  private isOver = false;

  constructor(cluster: SimCluster) {
    this.cluster = cluster;
  }

  begin(): void {
    if (this.isOver || this.looks.length >= LOOKS_MAX) return;
    this.look();
    this.cluster.after(NOTICE_EVERY_MS, () => this.begin());
  }

  /** Nobody is away any more, and nothing is under way. */
  end(): void {
    this.isOver = true;
  }

  private look(): void {
    const { cluster } = this;
    const started = new Set(cluster.present.filter((index) => cluster.isStarted(index)));
    const isSomebodyBack = [...started].some((index) => !this.started.has(index));
    this.started = started;
    if (!isSomebodyBack && cluster.nowMs < this.nextMs) return;
    this.nextMs = cluster.nowMs + LOOK_EVERY_MS;
    this.looks.push(holdingsOf(cluster));
  }
}
