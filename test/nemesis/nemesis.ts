/**
 * Carries out a plan on real machines: each fault at its instant, mended after its time.
 *
 * A run in which nothing works proves nothing (FAULTS.md 2.10): at most two of five nodes are away at once, and there is one cut at a time. What is not
 * allowed when its time comes waits for a few seconds, and is then left out and counted as that.
 */
import { count } from "../../src/simulator/nemesis.ts";
import type { LinkShape } from "../support/link-shape.ts";
import type { Machine } from "./machine.ts";
import type { Network } from "./network.ts";
import { type Fault, type FaultKind, type Plan, describeFault, nameOf } from "./plan.ts";

const AWAY_AT_ONCE_MAX = 2;
/** How long a fault waits until others have ended. */
const PATIENCE_MS = 5000;
const PATIENCE_LOOK_MS = 250;
/** A disk that is being filled is filled again so often: the node makes room by itself. */
const FILL_EVERY_MS = 250;

export interface NemesisOptions {
  readonly plan: Plan;
  readonly machines: readonly Machine[];
  readonly network: Network;
  readonly nowMs: () => number;
  /** Hears one line for each thing that is done. */
  readonly tell: (line: string) => void;
}

export class Nemesis {
  /** What was done. */
  readonly counts = new Map<string, number>();
  /** What was left out. */
  readonly leftOut = new Map<string, number>();
  /** What the nemesis itself could not do. */
  readonly failures: string[] = [];
  private readonly options: NemesisOptions;
  private readonly timers: NodeJS.Timeout[] = [];
  private readonly underWay = new Set<Promise<void>>();
  private readonly ending = Promise.withResolvers<void>();
  private isOver = false;
  private cuts = 0;

  constructor(options: NemesisOptions) {
    this.options = options;
  }

  start(): void {
    for (const fault of this.options.plan.faults)
      this.timers.push(setTimeout(() => void this.strike(fault), fault.atMs));
  }

  /** Mends what is broken, at once; nothing breaks any more when this settles. */
  async end(): Promise<void> {
    this.isOver = true;
    for (const timer of this.timers) clearTimeout(timer);
    this.ending.resolve();
    while (this.underWay.size > 0) await Promise.all(this.underWay);
  }

  private async strike(fault: Fault): Promise<void> {
    const untilMs = this.options.nowMs() + PATIENCE_MS;
    while (!this.mayStrike(fault) && !this.isOver && this.options.nowMs() < untilMs)
      await this.wait(PATIENCE_LOOK_MS);
    if (this.isOver) return;
    if (!this.mayStrike(fault)) return count(this.leftOut, fault.kind);
    count(this.counts, fault.kind);
    this.options.tell(describeFault(fault));
    const done = this.act(fault).catch((thrown: unknown) => {
      this.failures.push(`${describeFault(fault)}: ${String(thrown)}`);
    });
    const kept = done.then(() => void this.underWay.delete(kept));
    this.underWay.add(kept);
  }

  private mayStrike({ kind, nodes }: Fault): boolean {
    switch (kind) {
      case "split":
      case "one way":
      case "bridge":
      case "isolate":
        return this.cuts === 0;
      case "loss":
      case "slow link":
      case "bad link":
      case "slow sync":
        return true;
      default:
        return this.mayTakeAway(kind, nodes[0]!);
    }
  }

  private mayTakeAway(kind: FaultKind, index: number): boolean {
    const { machines } = this.options;
    const victim = machines[index]!;
    if (victim.isHeld || !victim.isUp) return false;
    // It is away already: a start is a good time to be killed, or to lose power.
    if (!victim.isReady) return kind === "kill" || kind === "power loss";
    const away = machines.filter(({ isHeld, isReady }) => isHeld || !isReady).length;
    return away < AWAY_AT_ONCE_MAX;
  }

  private act(fault: Fault): Promise<void> {
    switch (fault.kind) {
      case "split":
      case "one way":
      case "bridge":
      case "isolate":
        return this.cut(fault);
      case "loss":
      case "slow link":
      case "bad link":
        return this.disturb(fault);
      case "slow sync":
        return this.slowDown(fault);
      default:
        return this.holding(fault, (machine) => this.strikeMachine(fault, machine));
    }
  }

  private async holding(fault: Fault, act: (machine: Machine) => Promise<void>): Promise<void> {
    const machine = this.options.machines[fault.nodes[0]!]!;
    machine.isHeld = true;
    try {
      await act(machine);
    } finally {
      machine.isHeld = false;
    }
  }

  private strikeMachine(fault: Fault, machine: Machine): Promise<void> {
    switch (fault.kind) {
      case "stop":
        return this.stop(fault, machine);
      case "full disk":
        return this.fillDisk(fault, machine);
      case "power loss":
        return this.losePower(fault, machine);
      case "sync error":
        return this.failSync(machine);
      case "clock":
        machine.clockMs = fault.offsetMs!;
        return this.kill(fault, machine);
      default:
        return this.kill(fault, machine);
    }
  }

  // Machines.

  private async kill({ kind, forMs }: Fault, machine: Machine): Promise<void> {
    await machine.kill();
    await this.wait(forMs);
    machine.start(kind);
  }

  private async stop({ forMs }: Fault, machine: Machine): Promise<void> {
    machine.stop();
    await this.wait(forMs);
    machine.wake();
  }

  private async losePower({ kind, forMs }: Fault, machine: Machine): Promise<void> {
    // Between the cut and the kill the node sees its disk fail, and may end for that.
    machine.mayEnd = true;
    await machine.options.powerLossDisk!.lose({ end: () => machine.kill() });
    await this.wait(forMs);
    machine.mayEnd = false;
    machine.start(kind);
  }

  /** A failed sync makes a node give up its disk and end; it comes back as a process that trusts what it reads. */
  private async failSync(machine: Machine): Promise<void> {
    const { syncFaults } = machine.options;
    machine.mayEnd = true;
    syncFaults!.set({ failNext: 1 });
    for (let tries = 0; tries < SYNC_TRIES && machine.isUp && !this.isOver; tries++)
      await this.wait(SYNC_POLL_MS);
    syncFaults!.set({ failNext: 0 });
    for (let tries = 0; tries < SYNC_TRIES && !machine.isReady; tries++)
      await Bun.sleep(SYNC_POLL_MS);
    machine.mayEnd = false;
  }

  private async slowDown({ nodes, forMs, delayMs = 0 }: Fault): Promise<void> {
    const { syncFaults } = this.options.machines[nodes[0]!]!.options;
    syncFaults!.set({ delayMs });
    await this.wait(forMs);
    syncFaults!.set({ delayMs: 0 });
  }

  private async fillDisk({ forMs, leftBytes = 0 }: Fault, machine: Machine): Promise<void> {
    const disk = machine.options.smallDisk!;
    machine.mayEnd = true;
    for (let ms = 0; ms < forMs && !this.isOver; ms += FILL_EVERY_MS) {
      disk.fill(leftBytes);
      await this.wait(FILL_EVERY_MS);
    }
    disk.free();
    await this.wait(FILL_EVERY_MS);
    machine.mayEnd = false;
  }

  // The network.

  private async cut(fault: Fault): Promise<void> {
    const { network } = this.options;
    const [begin, end] = fault.modes!;
    this.cuts++;
    try {
      for (const [from, to] of cutPairs(fault)) await network.cut(from, to, begin);
      await this.wait(fault.forMs);
    } finally {
      await network.heal(end);
      this.cuts--;
    }
  }

  private async disturb({ nodes, shape, forMs }: Fault): Promise<void> {
    await this.shapeAll(nodes, shape);
    await this.wait(forMs);
    await this.shapeAll(nodes, undefined);
  }

  /** Of two overlapping faults the later one is what a link is like. */
  private async shapeAll(nodes: readonly number[], shape: LinkShape | undefined): Promise<void> {
    const { network } = this.options;
    for (const from of nodes)
      for (const to of nodes) if (from !== to) await network.shape(from, to, shape);
  }

  /** Shorter where the run ends before. */
  private async wait(forMs: number): Promise<void> {
    await Promise.race([Bun.sleep(forMs), this.ending.promise]);
  }
}

const SYNC_POLL_MS = 100;
const SYNC_TRIES = 100;

/** One way each: who no longer arrives where. */
export function cutPairs({ kind, nodes }: Fault): readonly (readonly [number, number])[] {
  const small = nodes.slice(0, nodes.length >> 1);
  const large = nodes.slice(small.length);
  const [first] = nodes;
  const bothWays = (one: readonly number[], other: readonly number[]) =>
    one.flatMap((a) =>
      other.flatMap((b): (readonly [number, number])[] => [
        [a, b],
        [b, a],
      ]),
    );
  switch (kind) {
    case "one way":
      return large.map((to) => [first!, to] as const);
    case "isolate":
      return bothWays([first!], nodes.slice(1));
    case "bridge":
      return bothWays(small, large.slice(1));
    case "split":
      return bothWays(small, large);
    default:
      throw new Error(`"${kind}" of ${nodes.map(nameOf).join(" ")} cuts nothing`);
  }
}
