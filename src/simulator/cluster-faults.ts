/**
 * What goes wrong in one run, drawn before it begins (FAULTS.md 2.8): a list of verbs with instants, one stream for each kind of fault, so that leaving one
 * out does not shift the others. Each seed switches some kinds off, because faults also hide one another.
 */
import { Prng } from "../base/prng.ts";
import type { PathFaults } from "../sim/network-path.ts";
import { WALL_START_MS } from "../sim/clock.ts";
import type { SimCluster } from "./cluster.ts";

export const FAULT_KINDS = [
  "crash",
  "power loss",
  "all crash",
  "pause",
  "partition",
  "one way",
  "bridge",
  "isolate",
  "flap",
  "link",
  "clock step",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  readonly kind: FaultKind;
  readonly atMs: number;
  readonly forMs: number;
  /** Indexes of nodes; the rest is on the other side. */
  readonly nodes: readonly number[];
  /** Of a link fault. */
  readonly paths?: PathFaults;
  /** Of a clock step: how far the clock is from the right time afterwards. */
  readonly offsetMs?: number;
}

export interface PlanOptions {
  readonly nodes: number;
  readonly durationMs: number;
  /** The kinds that may occur. */
  readonly kinds?: readonly FaultKind[];
}

/** A kind is part of a run with this chance. */
const KIND_CHANCE = 0.6;
/** Runs in which all nodes die at once. */
const ALL_CRASH_CHANCE = 0.15;
const FLAP_MS = 1000;
/** Two clocks are never further apart than `drift-max`, 10 s: beyond it merges are refused, by design (R20). */
const CLOCK_OFFSET_MS_MAX = 4800;

export function drawPlan(seed: number | string, options: PlanOptions): readonly Fault[] {
  const prng = new Prng(`cluster-faults/${seed}`);
  const kinds = options.kinds ?? drawKinds(prng.fork("kinds"));
  const drawnMax = prng.fork("down").chance(0.7) ? 1 : 2;
  const minority = (options.nodes - 1) >> 1;
  const drawn = kinds.flatMap((kind) => drawFaults(kind, prng.fork(kind), options));
  const ordered = drawn.toSorted((a, b) => a.atMs - b.atMs);
  return withEnoughLeft(ordered, Math.min(drawnMax, minority), Math.min(2, minority));
}

function drawKinds(prng: Prng): readonly FaultKind[] {
  return FAULT_KINDS.filter((kind) =>
    prng.chance(kind === "all crash" ? ALL_CRASH_CHANCE : KIND_CHANCE),
  );
}

function drawFaults(kind: FaultKind, prng: Prng, { nodes, durationMs }: PlanOptions): Fault[] {
  const count = kind === "all crash" ? 1 : prng.between(1, 3);
  return Array.from({ length: count }, () => {
    const atMs = prng.below(durationMs * 0.85);
    const forMs = prng.between(200, durationMs * 0.35);
    return { kind, atMs, forMs, ...detailsOf(kind, prng, nodes) };
  });
}

function detailsOf(
  kind: FaultKind,
  prng: Prng,
  count: number,
): Pick<Fault, "nodes" | "paths" | "offsetMs"> {
  const shuffled = shuffle(prng, count);
  switch (kind) {
    case "crash":
    case "power loss":
    case "pause":
    case "isolate":
      return { nodes: shuffled.slice(0, 1) };
    case "all crash":
      return { nodes: shuffled };
    case "partition":
      return { nodes: shuffled.slice(0, prng.between(1, Math.max(1, count >> 1))) };
    case "one way":
    case "flap":
      return { nodes: shuffled.slice(0, 2) };
    case "bridge":
      return { nodes: shuffled };
    case "link":
      return { nodes: [], paths: drawPaths(prng) };
    case "clock step":
      return {
        nodes: shuffled.slice(0, 1),
        offsetMs: prng.between(-CLOCK_OFFSET_MS_MAX, CLOCK_OFFSET_MS_MAX),
      };
  }
}

function drawPaths(prng: Prng): PathFaults {
  return {
    lossChance: prng.float() * 0.2,
    duplicateChance: prng.pick([0, 0.1, 0.5]),
    reorderChance: prng.pick([0, 0.1, 0.5]),
    delayMs: prng.pick([0, 0, 5, 50]),
    jitterMs: prng.pick([0, 2, 30]),
    corruptChance: prng.pick([0, 0, 0.02]),
  };
}

function shuffle(prng: Prng, count: number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = prng.below(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

const KILLS: readonly FaultKind[] = ["crash", "power loss"];
const CUTS: readonly FaultKind[] = ["partition", "one way", "bridge", "isolate", "flap"];

/** Leaves out what would leave too few nodes that hear each other: a run in which nothing works proves nothing. */
function withEnoughLeft(
  faults: readonly Fault[],
  downAtOnceMax: number,
  cutsAtOnceMax: number,
): Fault[] {
  const kept: Fault[] = [];
  for (const fault of faults) {
    const current = kept.filter(({ atMs, forMs }) => atMs + forMs > fault.atMs);
    const down = current.filter(({ kind }) => KILLS.includes(kind));
    const cuts = current.filter(({ kind }) => CUTS.includes(kind));
    const isDown = down.some(({ nodes }) => nodes[0] === fault.nodes[0]);
    if (KILLS.includes(fault.kind) && (down.length >= downAtOnceMax || isDown)) continue;
    if (CUTS.includes(fault.kind) && cuts.length >= cutsAtOnceMax) continue;
    kept.push(fault);
  }
  return kept;
}

/** Carries a plan out. Everything it breaks it mends again, except clocks; the run heals what is left at its end. */
export class Nemesis {
  readonly counts = new Map<FaultKind, number>();
  private readonly cluster: SimCluster;
  private readonly prng: Prng;

  constructor(cluster: SimCluster) {
    this.cluster = cluster;
    this.prng = new Prng(`cluster-nemesis/${cluster.seed}`);
  }

  schedule(plan: readonly Fault[]): void {
    for (const fault of plan)
      this.cluster.after(fault.atMs, () => {
        this.counts.set(fault.kind, (this.counts.get(fault.kind) ?? 0) + 1);
        this.begin(fault);
      });
  }

  private begin(fault: Fault): void {
    const { cluster } = this;
    const { network } = cluster.world;
    const { kind, forMs, nodes } = fault;
    const names = nodes.map((node) => cluster.names[node]!);
    const others = cluster.names.filter((name) => !names.includes(name));
    switch (kind) {
      case "crash":
      case "power loss":
      case "all crash":
        for (const node of nodes) this.kill(node, kind, forMs);
        return;
      case "pause":
        if (cluster.isUp(nodes[0]!)) cluster.pause(nodes[0]!, forMs);
        return;
      case "partition":
        return this.later(forMs, network.partition(names, others));
      case "isolate":
        return this.later(forMs, network.isolate(names[0]!, cluster.names));
      case "one way":
        return this.later(forMs, network.block(names[0]!, names[1]!));
      case "bridge":
        return this.later(forMs, network.bridge(names.slice(0, 2), names.slice(3)));
      case "flap":
        return this.flap(names[0]!, names[1]!, cluster.nowMs + forMs);
      case "link":
        network.disturb(fault.paths!);
        return this.later(forMs, () => network.disturb({}));
      case "clock step":
        return this.setClock(nodes[0]!, fault.offsetMs!);
    }
  }

  private setClock(node: number, offsetMs: number): void {
    const { clock } = this.cluster.machines[node]!;
    // The quartz itself is off by milliseconds only.
    const wrongMs = clock.wallMs() - (WALL_START_MS + this.cluster.nowMs);
    clock.step(Math.round(offsetMs - wrongMs));
  }

  private later(forMs: number, heal: () => void): void {
    this.cluster.after(forMs, heal);
  }

  /** One that is down already stays down for its own time. */
  private kill(node: number, kind: FaultKind, forMs: number): void {
    const { cluster } = this;
    if (!cluster.isUp(node)) return;
    if (kind === "power loss" || (kind === "all crash" && this.prng.chance(0.5)))
      cluster.powerLoss(node);
    else cluster.crash(node);
    // Those that died together come back in any order.
    const backMs = kind === "all crash" ? this.prng.between(100, 3000) : forMs;
    cluster.after(backMs, () => cluster.restart(node));
  }

  private flap(a: string, b: string, untilMs: number): void {
    const { cluster } = this;
    if (cluster.nowMs >= untilMs) return;
    const heal = cluster.world.network.partition([a], [b]);
    cluster.after(FLAP_MS / 2, heal);
    cluster.after(FLAP_MS, () => this.flap(a, b, untilMs));
  }
}
