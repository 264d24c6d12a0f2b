/**
 * Carries out the strikes of a plan: each hits the node at which it was triggered, at that very step, and is mended after its time. No more nodes are killed
 * at once than `downAtOnceMax`, and never one that somebody else has taken down: a run in which nothing works proves nothing.
 */
import { Prng } from "../base/prng.ts";
import { WALL_START_MS } from "../sim/clock.ts";
import type { Strike, StrikeKind } from "./elastic-plan.ts";
import type { Happening } from "./happenings.ts";
import type { SimCluster } from "./cluster.ts";

/** Two clocks are never further apart than `drift-max`, 1 s in these runs. */
const CLOCK_OFFSET_MS_MAX = 400;
/** A torn node dies at one of its next calls of the disk. */
const TORN_CALLS_MAX = 40;
const LOOK_EVERY_MS = 50;
/** It takes nodes so long to hear of deaths and returns, and to bring the missing up to date. */
const NOTICE_MS = 3000;

/** A node was not itself: nobody is blamed for what it answered late then. */
export interface Disturbance {
  readonly index: number;
  readonly fromMs: number;
  untilMs: number;
}

export class Strikes {
  readonly counts = new Map<StrikeKind, number>();
  readonly disturbances: Disturbance[] = [];
  /** Cut and bad links. */
  private readonly cuts: Omit<Disturbance, "index">[] = [];
  /** What was done, for people. */
  readonly told: string[] = [];
  /** Nodes that are down, or are not to be touched, because somebody does something to them. */
  readonly held = new Set<number>();
  private readonly downAtOnceMax: number;
  private readonly cluster: SimCluster;
  private readonly waiting: { strike: Strike; left: number }[] = [];
  private isOver = false;

  constructor(cluster: SimCluster, downAtOnceMax: number) {
    this.cluster = cluster;
    this.downAtOnceMax = downAtOnceMax;
  }

  schedule(strikes: readonly Strike[]): void {
    const { cluster } = this;
    for (const strike of strikes)
      if (strike.event === "")
        cluster.after(strike.nth, () => {
          const up = cluster.present.filter((i) => cluster.isStarted(i));
          if (up.length > 0) this.hit(strike, new Prng(strike.seed).pick(up));
        });
      else this.waiting.push({ strike, left: strike.nth });
    cluster.onHappening = (happening) => this.happened(happening);
  }

  /** From now on nothing breaks. */
  end(): void {
    this.isOver = true;
    this.cluster.onHappening = () => {};
  }

  private happened({ index, event }: Happening): void {
    for (const trap of this.waiting) {
      if (trap.strike.event !== event || trap.left <= 0) continue;
      trap.left--;
      // In an event of its own: what is under way at this step has no end.
      if (trap.left === 0) this.cluster.after(0, () => this.hit(trap.strike, index));
    }
  }

  private hit(strike: Strike, index: number): void {
    const { cluster } = this;
    if (this.isOver || this.held.has(index) || !cluster.isUp(index)) return;
    const prng = new Prng(`hit/${strike.seed}`);
    if (KILLS.includes(strike.kind) && !this.mayKill()) return;
    this.counts.set(strike.kind, (this.counts.get(strike.kind) ?? 0) + 1);
    const { world, names } = cluster;
    const name = names[index]!;
    const { nowMs } = cluster;
    this.cuts.push({ fromMs: nowMs, untilMs: nowMs + strike.forMs });
    this.told.push(
      `${cluster.nowMs.toFixed(1)} ${strike.kind} of ${name} at ${strike.nth} ${strike.event}`,
    );
    switch (strike.kind) {
      case "crash":
        cluster.crash(index);
        return this.backLater(index, strike.forMs);
      case "power loss":
        cluster.powerLoss(index);
        return this.backLater(index, strike.forMs);
      case "torn":
        return this.tear(index, prng.between(1, TORN_CALLS_MAX), strike.forMs);
      case "pause":
        this.disturbed(index, strike.forMs);
        return cluster.pause(index, strike.forMs);
      case "isolate":
        return cluster.after(strike.forMs, world.network.isolate(name, names));
      case "one way":
        return cluster.after(strike.forMs, world.network.block(name, this.other(prng, index)));
      case "link":
        world.network.disturb({ lossChance: 0.1, duplicateChance: 0.1, jitterMs: 20 });
        return cluster.after(strike.forMs, () => world.network.disturb({}));
      case "clock":
        return this.setClock(index, prng.between(-CLOCK_OFFSET_MS_MAX, CLOCK_OFFSET_MS_MAX));
    }
  }

  private other(prng: Prng, index: number): string {
    const others = this.cluster.present.filter((i) => i !== index);
    return this.cluster.names[prng.pick(others)]!;
  }

  private mayKill(): boolean {
    const { cluster } = this;
    const down = cluster.present.filter((i) => !cluster.isUp(i) || this.held.has(i)).length;
    return down < Math.min(this.downAtOnceMax, (cluster.present.length - 1) >> 1);
  }

  private tear(index: number, calls: number, forMs: number): void {
    const { cluster } = this;
    this.held.add(index);
    cluster.machines[index]!.disk.crashAtCall(calls);
    const look = (): void => {
      if (cluster.isUp(index)) return cluster.after(LOOK_EVERY_MS, look);
      cluster.powerLoss(index);
      this.held.delete(index);
      this.backLater(index, forMs);
    };
    look();
  }

  private backLater(index: number, forMs: number): void {
    this.disturbed(index, forMs);
    this.cluster.after(forMs, () => this.bringBack(index));
  }

  /** Unless somebody else has, or it has left meanwhile. */
  bringBack(index: number): void {
    const { cluster } = this;
    if (cluster.isUp(index) || cluster.gone.has(index) || this.held.has(index)) return;
    cluster.restart(index);
  }

  /** Was anything wrong with any node or link then, or shortly before? */
  wasTrouble(fromMs: number, untilMs: number): boolean {
    return [...this.disturbances, ...this.cuts].some(
      (own) => own.fromMs <= untilMs && own.untilMs + NOTICE_MS >= fromMs,
    );
  }

  disturbed(index: number, forMs: number): void {
    const { nowMs } = this.cluster;
    this.disturbances.push({ index, fromMs: nowMs, untilMs: nowMs + forMs });
  }

  private setClock(index: number, offsetMs: number): void {
    const { clock } = this.cluster.machines[index]!;
    const wrongMs = clock.wallMs() - (WALL_START_MS + this.cluster.nowMs);
    clock.step(Math.round(offsetMs - wrongMs));
  }
}

const KILLS: readonly StrikeKind[] = ["crash", "power loss", "torn"];
