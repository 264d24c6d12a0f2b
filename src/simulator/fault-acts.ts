/** What each kind of fault does to a simulated cluster, and how it ends. */
import { Prng } from "../base/prng.ts";
import { WALL_START_MS } from "../sim/clock.ts";
import type { Heal } from "../sim/network.ts";
import type { SimCluster } from "./cluster.ts";
import { ROOMY_BYTES, SYNC_DELAY_MS } from "./disks.ts";
import type { Fault } from "./plan.ts";
import type { Troubles } from "./troubles.ts";

const FLAP_MS = 1000;
const LOOK_EVERY_MS = 50;
const CALLS_DEFAULT = 10;
const DELAY_MS_DEFAULT = 100;
/** Those that died together come back within this time of each other, in any order. */
const RETURN_MS_MAX = 3000;
/** A full disk takes so many bytes more. */
const ROOM_BYTES = 2048;
/** What is open stays open; hardly anything can be opened. */
const FEW_FILES = 3;

export class FaultActs {
  private readonly cluster: SimCluster;
  private readonly troubles: Troubles;
  private isOver = false;

  constructor(cluster: SimCluster, troubles: Troubles) {
    this.cluster = cluster;
    this.troubles = troubles;
  }

  begin(fault: Fault, victims: readonly number[]): void {
    switch (fault.kind) {
      case "crash":
      case "power loss":
      case "all crash":
      case "torn":
        return this.kill(fault, victims);
      case "pause":
      case "slow node":
        return this.slow(fault, victims[0]!);
      case "slow disk":
      case "stuck disk":
      case "full disk":
      case "sync error":
      case "few descriptors":
        return this.spoilDisk(fault, victims[0]!);
      case "clock step":
      case "clock drift":
        return this.setClock(fault, victims[0]!);
      default:
        return this.cutOff(fault, victims);
    }
  }

  /** All disks work from now on. Those that are stuck stay so until their node is killed, as the plan has it. */
  end(): void {
    this.isOver = true;
    for (const { disk } of this.cluster.machines) {
      disk.faults.clearPlanned();
      disk.faults.quotaBytes = ROOMY_BYTES;
      disk.faults.openFilesMax = Infinity;
      if (disk.faults.syncDelayMs !== "never") disk.faults.syncDelayMs = SYNC_DELAY_MS;
    }
  }

  // Nodes.

  private kill(fault: Fault, victims: readonly number[]) {
    const { cluster } = this;
    const { kind, forMs, calls = CALLS_DEFAULT, chance } = fault;
    if (kind === "all crash") return this.killAll(victims, new Prng(`all/${chance}`));
    const index = victims[0]!;
    if (kind === "torn") {
      cluster.machines[index]!.disk.crashAtCall(calls);
      return this.backWhenDown(fault, index, () => cluster.powerLoss(index));
    }
    if (kind === "crash") cluster.crash(index);
    else cluster.powerLoss(index, fault.isJournaled === true ? "metadata-ordered" : "strict");
    this.backLater(index, forMs);
  }

  private killAll(order: readonly number[], prng: Prng): void {
    const { cluster } = this;
    const others = cluster.present.filter((i) => !order.includes(i));
    for (const index of [...order, ...others]) {
      if (!cluster.isUp(index)) continue;
      if (prng.chance(0.5)) cluster.crash(index);
      else cluster.powerLoss(index);
      this.backLater(index, prng.between(100, RETURN_MS_MAX));
    }
  }

  private backLater(index: number, forMs: number): void {
    this.troubles.disturbed(index, forMs);
    this.cluster.after(forMs, () => this.troubles.bringBack(index));
  }

  /** It goes down by itself soon; until then nobody else touches it. */
  private backWhenDown({ kind, forMs }: Fault, index: number, whenDown: () => void): void {
    const { cluster, troubles } = this;
    troubles.held.add(index);
    const disturbance = troubles.disturbed(index, Infinity);
    const look = (): void => {
      const isDue = !cluster.isUp(index);
      if (!isDue && !(this.isOver && kind === "sync error"))
        return cluster.after(LOOK_EVERY_MS, look);
      disturbance.untilMs = cluster.nowMs;
      troubles.held.delete(index);
      if (!isDue) return;
      whenDown();
      this.backLater(index, forMs);
    };
    look();
  }

  private slow({ kind, forMs, delayMs = DELAY_MS_DEFAULT }: Fault, index: number): void {
    const { cluster, troubles } = this;
    troubles.disturbed(index, forMs);
    if (kind === "pause") return cluster.pause(index, forMs);
    const machine = cluster.machines[index]!;
    machine.slowDown(delayMs);
    cluster.after(forMs, () => machine.slowDown(0));
  }

  private setClock({ kind, forMs, offsetMs = 0, driftPpm = 0 }: Fault, index: number): void {
    const { cluster } = this;
    const { clock } = cluster.machines[index]!;
    if (kind === "clock drift") {
      clock.setDrift(driftPpm);
      return cluster.after(forMs, () => cluster.machines[index]!.clock.setDrift(0));
    }
    // The quartz itself is off by milliseconds only.
    const wrongMs = clock.wallMs() - (WALL_START_MS + cluster.nowMs);
    clock.step(Math.round(offsetMs - wrongMs));
  }

  // Disks.

  private spoilDisk(fault: Fault, index: number): void {
    const { cluster, troubles } = this;
    const { kind, forMs, delayMs = DELAY_MS_DEFAULT, calls = CALLS_DEFAULT } = fault;
    const { disk } = cluster.machines[index]!;
    switch (kind) {
      case "slow disk":
        disk.faults.syncDelayMs = { min: delayMs / 2, max: delayMs };
        return cluster.after(forMs, () => {
          disk.faults.syncDelayMs = SYNC_DELAY_MS;
        });
      case "full disk":
        disk.faults.quotaBytes = disk.image.usedBytes() + ROOM_BYTES;
        return cluster.after(forMs, () => {
          disk.faults.quotaBytes = ROOMY_BYTES;
          troubles.bringBack(index);
        });
      case "few descriptors":
        disk.faults.openFilesMax = FEW_FILES;
        return cluster.after(forMs, () => {
          disk.faults.openFilesMax = Infinity;
          troubles.bringBack(index);
        });
      case "sync error":
        disk.faults.failNth("sync", calls, "io");
        cluster.mayFail.add(index);
        return this.backWhenDown(fault, index, () => cluster.mayFail.delete(index));
      default:
        // Nothing but a new life helps.
        troubles.held.add(index);
        troubles.disturbed(index, forMs);
        disk.faults.syncDelayMs = "never";
        return cluster.after(forMs, () => {
          if (cluster.isUp(index)) cluster.powerLoss(index);
          troubles.held.delete(index);
          troubles.bringBack(index);
        });
    }
  }

  // Links.

  private cutOff(fault: Fault, victims: readonly number[]): void {
    const { cluster, troubles } = this;
    troubles.cut(fault.forMs);
    if (fault.kind === "flap") return this.flap(victims, cluster.nowMs + fault.forMs);
    cluster.after(fault.forMs, this.cut(fault, victims));
  }

  private cut({ kind, paths }: Fault, victims: readonly number[]): Heal {
    const { cluster } = this;
    const { network } = cluster.world;
    const names = victims.map((index) => cluster.names[index]!);
    const others = cluster.names.filter((name) => !names.includes(name));
    switch (kind) {
      case "isolate":
        return network.isolate(names[0]!, cluster.names);
      case "one way":
        return network.block(names[0]!, names[1] ?? others[0]!);
      case "bridge":
        return network.bridge(
          names.slice(0, names.length >> 1),
          names.slice((names.length >> 1) + 1),
        );
      case "link":
        network.disturb({ ...paths, bytesPerSecond: paths?.bytesPerSecond ?? 0 });
        return () => network.disturb({});
      default:
        return network.partition(names, others);
    }
  }

  private flap(victims: readonly number[], untilMs: number): void {
    const { cluster } = this;
    if (cluster.nowMs >= untilMs || victims.length < 2) return;
    const [a, b] = victims.map((index) => cluster.names[index]!);
    const heal = cluster.world.network.partition([a!], [b!]);
    cluster.after(FLAP_MS / 2, heal);
    cluster.after(FLAP_MS, () => this.flap(victims, untilMs));
  }
}
