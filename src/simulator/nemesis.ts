/**
 * Carries out the faults of a plan: each at its instant, again and again, or at the n-th time that something happens, and mends what it broke after its time.
 *
 * A run in which nothing works proves nothing (FAULTS.md 2.10): no more nodes are down at once than the plan allows, and never half of them, but for a
 * fault that is about that; nobody is touched who is down already or whose disk somebody else has taken out. What is not allowed when its time comes is left out.
 */
import { FaultActs } from "./fault-acts.ts";
import type { Happening } from "./happenings.ts";
import type { Fault, Plan } from "./plan.ts";
import type { SimCluster } from "./cluster.ts";
import { statesOf } from "./states.ts";
import { Troubles } from "./troubles.ts";

/** Faults that take a node down; of others that wait for their end in one, too. */
const KILLS: ReadonlySet<Fault["kind"]> = new Set([
  "crash",
  "power loss",
  "torn",
  "stuck disk",
  "sync error",
]);
const CUTS: ReadonlySet<Fault["kind"]> = new Set([
  "partition",
  "one way",
  "bridge",
  "isolate",
  "flap",
]);
const CUTS_AT_ONCE_MAX = 2;

interface Trap {
  readonly fault: Fault;
  readonly on: string;
  left: number;
}

export class Nemesis {
  readonly counts = new Map<string, number>();
  /** `fault x state` */
  readonly coverage = new Map<string, number>();
  readonly troubles: Troubles;
  private readonly cluster: SimCluster;
  private readonly acts: FaultActs;
  private readonly downAtOnceMax: number;
  private readonly traps: Trap[] = [];
  private isOver = false;

  constructor(cluster: SimCluster, { downAtOnceMax }: Pick<Plan, "downAtOnceMax">) {
    this.cluster = cluster;
    this.troubles = new Troubles(cluster);
    this.acts = new FaultActs(cluster, this.troubles);
    this.downAtOnceMax = downAtOnceMax;
  }

  schedule(faults: readonly Fault[]): void {
    for (const fault of faults) this.wait(fault);
    if (this.traps.length > 0) this.cluster.onHappening = (happening) => this.happened(happening);
  }

  /** From now on nothing breaks, and disks work again. */
  end(): void {
    this.isOver = true;
    this.cluster.onHappening = () => {};
    this.acts.end();
  }

  private wait(fault: Fault): void {
    const { when } = fault;
    if ("on" in when) this.traps.push({ fault, on: when.on, left: when.nth });
    else if ("atMs" in when) this.cluster.after(when.atMs, () => this.strike(fault));
    else this.again(fault, when.fromMs, when.everyMs);
  }

  private again(fault: Fault, inMs: number, everyMs: number): void {
    this.cluster.after(inMs, () => {
      if (this.isOver) return;
      this.strike(fault);
      this.again(fault, everyMs, everyMs);
    });
  }

  private happened({ index, event, isDiskCall }: Happening): void {
    for (const trap of this.traps) {
      if (trap.on !== event || trap.left <= 0) continue;
      trap.left--;
      if (trap.left > 0) continue;
      // At the call itself, which has no effect yet; otherwise in an event of its own: what is under way at this step has no end.
      if (isDiskCall) this.strike(trap.fault, index);
      else this.cluster.after(0, () => this.strike(trap.fault, index));
    }
  }

  private strike(fault: Fault, at?: number): void {
    if (this.isOver) return;
    const victims = this.victimsOf(fault, at);
    if (!this.mayStrike(fault, victims)) return;
    const { kind } = fault;
    count(this.counts, kind);
    for (const state of statesOf(this.cluster, this.troubles))
      count(this.coverage, `${kind} x ${state}`);
    const names = victims.map((index) => this.cluster.names[index]!);
    this.troubles.tell(`${kind} ${names.join(" ")}${at === undefined ? "" : reasonOf(fault)}`);
    this.acts.begin(fault, victims);
  }

  /** Indexes into the cluster as it is now, each once; where something has happened, that node first. */
  private victimsOf({ nodes }: Fault, at: number | undefined): number[] {
    const { present } = this.cluster;
    const victims = new Set<number>(at === undefined ? [] : [at]);
    for (const node of nodes) {
      if (victims.size >= nodes.length) break;
      victims.add(present[node % present.length]!);
    }
    return [...victims];
  }

  private mayStrike({ kind }: Fault, victims: readonly number[]): boolean {
    const { cluster, troubles } = this;
    const [first] = victims;
    if (kind === "all crash") return troubles.held.size === 0;
    if (CUTS.has(kind) && troubles.cutsNow() >= this.cutsAtOnceMax()) return false;
    if (CUTS.has(kind) || kind === "link") return true;
    if (first === undefined || troubles.held.has(first) || !cluster.isUp(first)) return false;
    return !KILLS.has(kind) || this.mayKill();
  }

  private cutsAtOnceMax(): number {
    return Math.min(CUTS_AT_ONCE_MAX, this.minority());
  }

  private minority(): number {
    return (this.cluster.present.length - 1) >> 1;
  }

  private mayKill(): boolean {
    const { cluster, troubles } = this;
    const down = cluster.present.filter((i) => !cluster.isUp(i) || troubles.held.has(i)).length;
    return down < Math.min(this.downAtOnceMax, this.minority());
  }
}

function reasonOf({ when }: Fault): string {
  return "on" in when ? ` at ${when.on} ${when.nth}` : "";
}

export function count(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}
