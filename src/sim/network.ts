/**
 * The network between simulated machines, and what goes wrong on it.
 *
 *   const { transport, datagrams } = world.node("a").peerPorts("a:7947");
 *   const heal = world.network.partition(["a", "b"], ["c"]);
 *   world.run(5_000);
 *   heal();
 *
 * Faults are set between machines, by name, in one direction each; the ports belong to processes and die with them. What kills a process
 * decides what the others see of it: a killed one's system ends its links at once or, if the seed says so, is gone as well; after a power
 * loss nobody answers until the machine is back.
 */
import { assert } from "../base/assert.ts";
import { HutchError } from "../base/errors.ts";
import type { PeerAddress, PeerPorts } from "../ports/transport.ts";
import { SimDatagrams } from "./network-datagrams.ts";
import type { SimLinkEnd } from "./network-link.ts";
import { type PathFaults, SimPath } from "./network-path.ts";
import { SimTransport } from "./network-transport.ts";
import { SimProcess, type SimScheduler } from "./scheduler.ts";

/** How often a killed process leaves no trace: its machine hangs, or a firewall forgets it. */
const SILENT_DEATH_CHANCE = 0.25;

/** Ends a fault; calling it again does nothing. */
export type Heal = () => void;

export interface SimMachine {
  readonly name: string;
  readonly hasPower: boolean;
}

/** The ports of one life of one node. */
export class SimEndpoint implements PeerPorts {
  readonly network: SimNetwork;
  readonly machine: SimMachine;
  /** The process whose ports they are. */
  readonly owner: SimProcess;
  readonly address: PeerAddress;
  readonly links = new Set<SimLinkEnd>();
  readonly datagrams: SimDatagrams;
  readonly transport: SimTransport;

  constructor(network: SimNetwork, machine: SimMachine, owner: SimProcess, address: PeerAddress) {
    this.network = network;
    this.machine = machine;
    this.owner = owner;
    this.address = address;
    this.datagrams = new SimDatagrams(this);
    this.transport = new SimTransport(this);
  }
}

export class SimNetwork {
  readonly scheduler: SimScheduler;
  /** Who carries what is under way, and the systems of all machines: nothing stops it. */
  readonly wire = new SimProcess("network");
  /** The last of each address: who calls a dead one's reaches its machine. */
  private readonly endpoints = new Map<PeerAddress, SimEndpoint>();
  private readonly paths = new Map<string, Map<string, SimPath>>();
  /** Machines that answer nothing until their next life binds. */
  private readonly silent = new Set<string>();
  private readonly heals = new Set<Heal>();
  private defaults: PathFaults = {};

  constructor(scheduler: SimScheduler) {
    this.scheduler = scheduler;
  }

  /** The ports of `owner` at `address`, made on first use. @throws HutchError `port-in-use` */
  bind(machine: SimMachine, owner: SimProcess, address: PeerAddress): PeerPorts {
    assert(owner.isAlive, "a process that binds is alive");
    const holder = this.endpoints.get(address);
    if (holder?.owner === owner && holder.transport.isListening) return holder;
    if (holder?.transport.isListening) {
      throw new HutchError(
        "port-in-use",
        `Cannot listen on "${address}": another process has the port`,
      );
    }
    this.scheduler.noteCall(owner, `bind ${address}`);
    const endpoint = new SimEndpoint(this, machine, owner, address);
    this.endpoints.set(address, endpoint);
    this.silent.delete(machine.name);
    owner.onDeath(() => this.died(endpoint));
    return endpoint;
  }

  // Faults.

  /** The path between two machines, to look at or to disturb: `path("a", "b").faults = { lossChance: 0.1 }`. */
  path(from: string, to: string): SimPath {
    const paths = this.paths.get(from) ?? new Map<string, SimPath>();
    this.paths.set(from, paths);
    let path = paths.get(to);
    if (path === undefined) {
      path = new SimPath(this.scheduler.prng.fork(`network/${from}>${to}`), from, to);
      path.faults = this.defaults;
      paths.set(to, path);
    }
    return path;
  }

  /** Sets the faults of every path, also of those that are not used yet. */
  disturb(faults: PathFaults): void {
    this.note(`disturb ${JSON.stringify(faults)}`);
    this.defaults = faults;
    for (const path of this.allPaths()) path.faults = faults;
  }

  /** Cuts one direction. */
  block(from: string, to: string): Heal {
    return this.cut([[from, to]], `block ${from}>${to}`);
  }

  /** Machines of different groups do not hear each other; those in no group hear everybody. */
  partition(...groups: readonly (readonly string[])[]): Heal {
    const pairs = groups.flatMap((group) =>
      groups.filter((other) => other !== group).flatMap((other) => pairsOf(group, other)),
    );
    return this.cut(pairs, `partition ${groups.map((group) => group.join()).join("|")}`);
  }

  /** `left` and `right` hear `bridge`, but not each other. */
  bridge(left: readonly string[], right: readonly string[]): Heal {
    return this.partition(left, right);
  }

  /** Cuts `name` off from all `others`. */
  isolate(name: string, others: readonly string[]): Heal {
    return this.partition(
      [name],
      others.filter((other) => other !== name),
    );
  }

  /** Ends all cuts and disturbances. */
  healAll(): void {
    for (const heal of this.heals) heal();
    this.disturb({});
  }

  // For the parts of the network.

  machineAt(address: PeerAddress): string | undefined {
    return this.endpoints.get(address)?.machine.name;
  }

  /** Who listens there; nobody when the process is dead. */
  endpointAt(address: PeerAddress): SimEndpoint | undefined {
    const endpoint = this.endpoints.get(address);
    return endpoint?.owner.isAlive === true ? endpoint : undefined;
  }

  /** Nothing gets from one to the other. */
  isCut(from: string, to: string): boolean {
    return this.silent.has(to) || this.silent.has(from) || this.path(from, to).isBlocked;
  }

  later(delayUs: number, owner: SimProcess, label: string, run: () => void): void {
    this.scheduler.at(this.scheduler.nowUs() + delayUs, owner, label, run);
  }

  private died(endpoint: SimEndpoint): void {
    const { machine } = endpoint;
    const draws = this.path(machine.name, machine.name).stream("death");
    const isSilent = draws.chance(SILENT_DEATH_CHANCE) || !machine.hasPower;
    this.note(`${machine.name} died${isSilent ? " silently" : ""}`);
    if (isSilent) this.silent.add(machine.name);
    for (const end of endpoint.links) end.die(isSilent);
  }

  private cut(pairs: readonly (readonly [from: string, to: string])[], what: string): Heal {
    this.note(what);
    const paths = pairs.map(([from, to]) => this.path(from, to));
    for (const path of paths) path.blockCount++;
    const heal = (): void => {
      if (!this.heals.delete(heal)) return;
      this.note(`heal: ${what}`);
      for (const path of paths) path.blockCount--;
    };
    this.heals.add(heal);
    return heal;
  }

  private allPaths(): SimPath[] {
    return [...this.paths.values()].flatMap((paths) => [...paths.values()]);
  }

  private note(what: string): void {
    this.scheduler.noteCall(this.wire, what);
  }
}

function pairsOf(left: readonly string[], right: readonly string[]): [string, string][] {
  return left.flatMap((from) => right.map((to): [string, string] => [from, to]));
}
