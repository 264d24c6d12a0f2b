/**
 * One nemesis run: five real nodes, clients and faults at once; then everything heals, comes to rest, and is judged.
 *
 *   network, disks -> nodes form a cluster -> buckets -> clients and faults -> heal, restart -> rest -> read every key at ALL -> judge
 *
 * It lives in its own directory, whose name says whose it is (`scratch.ts`); what it leaves there others remove. What is to be kept goes to `out`.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Waited } from "../../src/checkers/calm.ts";
import { History, type Violation } from "../../src/checkers/history.ts";
import { Client } from "../../src/simulator/clients.ts";
import { type Abilities, type Place, faketimePath } from "./abilities.ts";
import { SmallDisk } from "./disks.ts";
import { saveHistory } from "./history-file.ts";
import { judge } from "./judge.ts";
import { BUCKETS, drawClients } from "./load.ts";
import { Machine } from "./machine.ts";
import { NamespaceNetwork } from "./namespaces.ts";
import { Nemesis } from "./nemesis.ts";
import { LoopbackNetwork, type Network } from "./network.ts";
import type { Plan } from "./plan.ts";
import { PowerLossDisk } from "./power-loss-disk.ts";
import { RealWorld } from "./real-world.ts";
import { explainAll, hintsAtRest, makeBuckets, readAll, ringsOf, untilAllUp } from "./rest.ts";
import { StallWatch } from "./stalls.ts";
import { SyncFaults } from "./sync-faults.ts";

export interface RunOptions {
  readonly run: string;
  readonly directory: string;
  readonly place: Place;
  readonly abilities: Abilities;
  readonly plan: Plan;
  readonly operationsPerSecond: number;
  /** For every node, behind what it gets anyway. */
  readonly args: readonly string[];
  /** Plan, history and logs are kept here. */
  readonly out: string;
}

export interface RunResult {
  readonly history: History;
  readonly machines: readonly Machine[];
  readonly nemesis: Nemesis;
  readonly waits: readonly Waited[];
  readonly violations: readonly Violation[];
  readonly stalls: StallWatch;
}

const POWER_LOSS_MIB = 64;
const TELL_EVERY_MS = 10_000;

/** @param tell hears a line for each thing that happens */
export async function runNemesis(
  options: RunOptions,
  tell: (line: string) => void,
): Promise<RunResult> {
  mkdirSync(options.out, { recursive: true });
  writeFileSync(join(options.out, "plan.json"), `${JSON.stringify(options.plan, null, 1)}\n`);
  const network = await openNetwork(options);
  try {
    return await new Run(options, network, tell).whole();
  } finally {
    await network.close();
  }
}

function openNetwork({ place, plan, run, abilities }: RunOptions): Promise<Network> {
  if (place === "loopback") return LoopbackNetwork.open(plan.nodes);
  const hasRelay = abilities.packetRelay === undefined;
  const hasLimits = abilities.trafficControl === undefined;
  return NamespaceNetwork.open(run, plan.nodes, { hasRelay, hasLimits });
}

class Run {
  private readonly options: RunOptions;
  private readonly network: Network;
  private readonly tell: (line: string) => void;
  private readonly history = new History();
  private readonly waits: Waited[] = [];
  private readonly failures: string[] = [];
  private readonly originMs = performance.now();
  private readonly stalls = new StallWatch(() => this.nowMs());

  constructor(options: RunOptions, network: Network, tell: (line: string) => void) {
    this.options = options;
    this.network = network;
    this.tell = (line) => tell(`${(this.nowMs() / 1000).toFixed(1).padStart(7)} s  ${line}`);
  }

  private nowMs(): number {
    return performance.now() - this.originMs;
  }

  async whole(): Promise<RunResult> {
    const machines = await this.makeMachines();
    const world = new RealWorld(machines, this.originMs);
    const { nemesis, violations } = await this.through(machines, world).finally(() =>
      this.close(machines),
    );
    await saveHistory(this.history, this.options.out);
    const { history, waits, stalls } = this;
    return { history, machines, nemesis, waits, violations, stalls };
  }

  private async through(machines: readonly Machine[], world: RealWorld) {
    for (const machine of machines) machine.start();
    await untilAllUp(world, machines);
    await makeBuckets(world);
    this.tell("the cluster has formed; clients and faults begin");
    const nemesis = await this.underFire(machines, world);
    this.tell("all healed; the cluster comes to rest");
    for (const machine of machines) machine.start("the end");
    await untilAllUp(world, machines);
    const hints = await hintsAtRest(world);
    this.tell("at rest; every key is read at ALL");
    const finals = await readAll(world, this.history);
    const explained = await explainAll(world, finals);
    const rings = await ringsOf(world);
    this.tell(`${finals.length} keys are read; the history is judged`);
    const { history, waits, failures } = this;
    failures.push(...nemesis.failures);
    const evidence = { history, machines, waits, finals, explained, rings, hints, failures };
    return { nemesis, violations: judge(evidence) };
  }

  private async makeMachines(): Promise<Machine[]> {
    const { plan, directory, abilities, out, args } = this.options;
    const smallDisk =
      abilities.smallDisk === undefined
        ? await SmallDisk.make(join(directory, "small"))
        : undefined;
    const powerLossDisk =
      abilities.powerLoss === undefined
        ? PowerLossDisk.make({ mib: POWER_LOSS_MIB, name: "nemesis" })
        : undefined;
    const faketime = abilities.clocks === undefined ? faketimePath() : undefined;
    return plan.clocksMs.map((clockMs, index) => {
      const own = {
        smallDisk: index === plan.smallDisk ? smallDisk : undefined,
        powerLossDisk: index === plan.powerLossDisk ? powerLossDisk : undefined,
      };
      const hasShim = plan.shimmed.includes(index) && abilities.syncFaults === undefined;
      const mountPoint = (own.smallDisk ?? own.powerLossDisk)?.mountPoint ?? directory;
      const dataDir = join(mountPoint, `n${index + 1}`);
      return new Machine({
        index,
        network: this.network,
        dataDir,
        logPath: join(out, `n${index + 1}.log`),
        nowMs: () => this.nowMs(),
        clockMs,
        args,
        faketime,
        ...own,
        syncFaults: hasShim ? SyncFaults.make({ under: dataDir }) : undefined,
      });
    });
  }

  /** Clients and faults until the plan's time is over. */
  private async underFire(machines: readonly Machine[], world: RealWorld): Promise<Nemesis> {
    const { plan, operationsPerSecond } = this.options;
    const nowMs = (): number => this.nowMs();
    const { network, tell, history, waits } = this;
    const nemesis = new Nemesis({ plan, machines, network, nowMs, tell });
    const untilMs = world.nowMs + plan.durationMs;
    const wasDisturbed = (node: number, sinceMs: number): boolean =>
      machines[node]!.wasDisturbed(sinceMs) || this.stalls.wasStalled(sinceMs);
    const clients = drawClients(plan.seed, plan.durationMs, operationsPerSecond).map((own) =>
      new Client({ world, history, plan: own, buckets: BUCKETS, untilMs, waits, wasDisturbed })
        .run()
        .catch((thrown: unknown) => void this.failures.push(String(thrown))),
    );
    const teller = setInterval(() => tell(this.progress(machines)), TELL_EVERY_MS);
    this.stalls.start();
    nemesis.start();
    await Promise.all(clients);
    await nemesis.end();
    this.stalls.stop();
    clearInterval(teller);
    return nemesis;
  }

  private progress(machines: readonly Machine[]): string {
    const { operations } = this.history;
    const ok = operations.filter(({ outcome }) => outcome === "ok").length;
    const share = ((100 * ok) / Math.max(1, operations.length)).toFixed(0);
    const away = machines.filter(({ isHeld, isReady }) => isHeld || !isReady);
    const names = away.map(({ name }) => name).join(" ") || "none";
    return `${operations.length} operations, ${share} % ok; away: ${names}`;
  }

  private async close(machines: readonly Machine[]): Promise<void> {
    await Promise.all(machines.map((machine) => machine.kill()));
    for (const { options } of machines) {
      options.syncFaults?.close();
      await options.powerLossDisk?.close();
    }
  }
}
