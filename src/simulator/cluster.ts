/**
 * Several whole nodes in virtual time, for scenarios and for runs over seeds: start them, talk to them, break their machines and the network.
 *
 *   const cluster = new SimCluster(7, { nodes: 5 });
 *   cluster.form();                                    // all up, one layout, all serving
 *   cluster.crash(0);
 *   cluster.request(1, "/v1/kv/b/key", { method: "PUT", body: "x" });
 *   cluster.restart(0);
 *   cluster.quiesce();                                 // everybody serving again, one layout, no hint left
 *   const late = cluster.add();                        // one more, which joins; `sim-operator.ts` changes the ring otherwise
 *
 * Nodes are n1..nk on machines of the same names; indexes count from 0 and are never used again. A request goes through the node's real Hono application, in an event of the
 * node's process: a paused node answers later, a dead one refuses, one that dies meanwhile does not answer.
 */
import { zstdCompression } from "../bun/compression.ts";
import { messageOf } from "../base/errors.ts";
import { retainEntries } from "../causality/retention.ts";
import type { Config } from "../config.ts";
import { formatAddress } from "../config/knob-kinds.ts";
import type { ClusterNode } from "../cluster/cluster-node.ts";
import { type Node, startNode } from "../node.ts";
import type { PeerPorts } from "../ports/transport.ts";
import { SimCrash } from "../sim/crash.ts";
import type { DiskImage } from "../sim/disk-image.ts";
import type { PowerLossProfile } from "../sim/disk-power-loss.ts";
import { SimProcess } from "../sim/scheduler.ts";
import { type SimNode, SimWorld } from "../sim/world.ts";
import { createStorageJobs } from "../storage/jobs.ts";
import { peerPortsOf } from "./sealed-ports.ts";
import { type Flags, type SimClusterOptions, configOf, withLivingSeeds } from "./cluster-config.ts";
import type { Explanation, HeldHints } from "../checkers/calm.ts";
import type { Answer, Heard } from "./clients.ts";
import { SYNC_DELAY_MS, isStarved } from "./disks.ts";
import { BrokenRun } from "./broken-run.ts";
import { type Happening, tellingLogger, isDamage } from "./happenings.ts";
import { TriggerSource } from "./triggers.ts";

export type { SimClusterOptions } from "./cluster-config.ts";

/** One process of a node, from its start to its death. */
interface Life {
  node: Node | undefined;
  readonly ended: PromiseWithResolvers<"lost">;
}

/** A client is this far away from every node. */
const CLIENT_DELAY_MS = 0.2;
const FORM_MS_MAX = 30_000;
const QUIESCE_MS_MAX = 180_000;
/** Within this time gossip hears of every death and every return, and links to dead processes are given up. */
const NOTICE_MS = 2000;
const LOOK_EVERY_MS = 250;

export class SimCluster {
  readonly seed: number | string;
  readonly world: SimWorld;
  readonly names: string[] = [];
  readonly machines: SimNode[] = [];
  /** Nodes that could not start or gave up, which no fault of these runs explains. */
  readonly failures: string[] = [];
  /** Clients and whoever breaks things: no fault touches them. */
  readonly outside = new SimProcess("outside");
  /** Indexes of those that are of the cluster no more, for ever: they left, were removed, or are destroyed. */
  readonly gone = new Set<number>();
  readonly goneMs = new Map<number, number>();
  /** Why nodes ended by themselves, other than by leaving; only of those in `mayEnd`, others are failures. */
  readonly endings = new Map<number, unknown>();
  /** Indexes of nodes that are expected to end. */
  readonly mayEnd = new Set<number>();
  /** Indexes of nodes whose disk is about to fail them. */
  readonly mayFail = new Set<number>();
  /** Indexes of nodes that have found something on their disk that cannot be. */
  readonly foundDamaged = new Set<number>();
  /** Processes that were started again. */
  readonly recoveries = { kills: 0, powerLosses: 0 };
  private readonly triggers = new TriggerSource();
  private readonly lives: (Life | undefined)[] = [];
  private readonly configs: Config[] = [];
  private readonly options: SimClusterOptions;

  constructor(seed: number | string, options: SimClusterOptions = {}) {
    const { nodes = 5, prefix = "n", world } = options;
    this.seed = seed;
    this.world =
      world ?? new SimWorld(seed, { jobs: createStorageJobs(zstdCompression, retainEntries) });
    this.options = options;
    for (let i = 0; i < nodes; i++) this.equip(`${prefix}${i + 1}`, options.seeds ?? this.founders);
  }

  /** Addresses of the nodes that the cluster begins with. */
  private get founders(): readonly string[] {
    const { nodes = 5, basePort = 7101 } = this.options;
    return Array.from({ length: nodes }, (_, i) => `127.0.0.1:${basePort + i}`);
  }

  /** Of the first node; knobs that concern all are the same for all. */
  get config(): Config {
    return this.configs[0]!;
  }

  private equip(name: string, seeds: readonly string[], flags: Flags = {}): number {
    const index = this.names.push(name) - 1;
    this.machines.push(this.world.node(name, this.options.clocks?.[index]));
    this.lives.push(undefined);
    this.configs.push(configOf(name, index, seeds, this.options, flags));
    this.triggers.hear(this.machines[index]!, index, this.peerAddress(index));
    return index;
  }

  /** One more node, on an empty disk; it asks those that are there to be let in. Returns its index. */
  add(flags: Flags = {}, name = `n${this.names.length + 1}`): number {
    const index = this.equip(name, this.addresses(), flags);
    this.start(index);
    return index;
  }

  /** Where somebody of the cluster may be met. */
  private addresses(): readonly string[] {
    return this.present.map((i) => this.peerAddress(i));
  }

  /** Indexes of the nodes that the cluster counts on, up or not. */
  get present(): readonly number[] {
    return this.names.map((_, i) => i).filter((i) => !this.gone.has(i));
  }

  goes(index: number): void {
    if (!this.gone.has(index)) this.goneMs.set(index, this.nowMs);
    this.gone.add(index);
  }

  // Life and death.

  /** Begins a process; `node(i)` is there when it has its cluster. */
  start(index: number): void {
    const machine = this.machines[index]!;
    machine.disk.faults.syncDelayMs = SYNC_DELAY_MS;
    const life: Life = { node: undefined, ended: Promise.withResolvers() };
    this.lives[index] = life;
    startNode(this.configs[index]!, () => this.portsOf(index)).then(
      (node) => {
        life.node = node;
        node.onFailure((error) => this.failed(index, life, error));
        node.onGone(() => void this.leaves(index, life, node));
      },
      (thrown: unknown) => this.failed(index, life, thrown),
    );
  }

  /** Hears what happens at nodes, and the triggers of it (`triggers.ts`). */
  set onHappening(listener: ((happening: Happening) => void) | undefined) {
    this.triggers.listener = listener;
  }

  private portsOf(index: number) {
    const machine = this.machines[index]!;
    const { disk, clock, random, workers } = machine;
    const logger = tellingLogger(machine.logger, (event) => this.told(index, event));
    const peers = this.peersOf(index);
    const own = { disk, clock, random, workers, logger, peers, compression: zstdCompression };
    return { ...own, ...this.options.ports };
  }

  private told(index: number, event: string): void {
    if (isDamage(event)) this.foundDamaged.add(index);
    this.triggers.tell(index, event);
  }

  private peersOf(index: number): PeerPorts {
    return peerPortsOf(this.machines[index]!, this.peerAddress(index), this.options, (...heard) =>
      this.triggers.tellMessage(index, ...heard),
    );
  }

  private failed(index: number, life: Life, thrown: unknown): void {
    if (this.lives[index] !== life || !this.machines[index]!.isUp) return;
    // It died with its last word, and finds at its start that it has left.
    const isGone = messageOf(thrown).includes("of its cluster no more");
    if (isGone) this.goes(index);
    const isAbsent = messageOf(thrown).includes("want --rejoin rebuild");
    const isExcused =
      isAbsent ||
      this.mayEnd.has(index) ||
      this.mayFail.has(index) ||
      (life.node === undefined && isStarved(this.machines[index]!.disk.faults));
    if (!isGone && !isExcused) this.failures.push(`${this.names[index]}: ${messageOf(thrown)}`);
    this.endings.set(index, thrown);
    this.crash(index);
    // What an operator does who reads why it does not start.
    if (isAbsent) this.restart(index, { rejoin: "rebuild" });
  }

  /** As `cli/serve.ts` does: in order, and with exit code 0. */
  private async leaves(index: number, life: Life, node: Node): Promise<void> {
    this.goes(index);
    try {
      await node.drain();
      await node.close();
    } catch (thrown) {
      // It is killed while it ends; its machine knows.
      if (!(thrown instanceof SimCrash)) throw thrown;
    }
    if (this.lives[index] === life) this.crash(index);
  }

  peerAddress(index: number): string {
    return formatAddress(this.configs[index]!.peer);
  }

  /** Starts all and waits until they are one cluster that serves. */
  form(): this {
    for (const i of this.present) if (this.lives[i] === undefined) this.start(i);
    this.waitFor("the cluster forms", () => this.isSettled(), FORM_MS_MAX);
    return this;
  }

  get isFailed(): boolean {
    return this.failures.length > 0;
  }

  isUp(index: number): boolean {
    return this.lives[index] !== undefined && this.machines[index]!.isUp;
  }

  /** Is it up and has it found its cluster? */
  isStarted(index: number): boolean {
    return this.isUp(index) && this.lives[index]!.node !== undefined;
  }

  node(index: number): Node {
    const node = this.lives[index]?.node;
    if (node === undefined) throw this.broken(`${this.names[index]} is not started`);
    return node;
  }

  /** kill -9. */
  crash(index: number): void {
    this.end(index, () => this.machines[index]!.crash());
  }

  powerLoss(index: number, profile: PowerLossProfile = "strict"): void {
    this.end(index, () => this.machines[index]!.powerLoss(profile));
  }

  private end(index: number, kill: () => void): void {
    const life = this.lives[index];
    this.lives[index] = undefined;
    kill();
    life?.ended.resolve("lost");
  }

  /** A new process, with `flags` instead of those it had where they are given. */
  restart(index: number, flags?: Flags): void {
    const peers = this.present.filter((i) => i !== index).map((i) => this.configs[i]!.peer);
    this.configs[index] =
      flags === undefined
        ? withLivingSeeds(this.configs[index]!, peers)
        : configOf(this.names[index]!, index, peers.map(formatAddress), this.options, flags);
    this.recoveries[this.machines[index]!.hasPower ? "kills" : "powerLosses"]++;
    this.machines[index]!.restart();
    this.start(index);
  }

  /** The machine burns: nobody comes back from it. */
  destroy(index: number): void {
    if (this.isUp(index)) this.powerLoss(index);
    this.goes(index);
  }

  /** A dead node's disk is replaced: by an empty one, or by an image of an earlier state. */
  replaceDisk(index: number, image?: DiskImage): void {
    this.machines[index]!.replaceDisk(image);
  }

  /** The disk as it is, for later. */
  imageOf(index: number): DiskImage {
    return this.machines[index]!.disk.image.copy();
  }

  pause(index: number, forMs: number): void {
    this.machines[index]!.pause(forMs);
  }

  /** SIGTERM: the promise settles when the process has ended in order. */
  async stop(index: number): Promise<void> {
    const node = this.node(index);
    await node.drain();
    await node.close();
    this.crash(index);
  }

  // Clients.

  /** One request to one node, from the outside. Never rejects. */
  send(index: number, path: string, init: RequestInit = {}): Promise<Heard> {
    const life = this.lives[index];
    const machine = this.machines[index]!;
    if (life?.node === undefined || !machine.isUp) return Promise.resolve("refused");
    const { app } = life.node;
    const answer = new Promise<Answer>((resolve, reject) => {
      machine.clock.after(CLIENT_DELAY_MS, () => {
        const response = app.fetch(new Request(`http://localhost${path}`, init));
        Promise.resolve(response).then(readAnswer).then(resolve, reject);
      });
    });
    return Promise.race([answer, life.ended.promise]);
  }

  /** The same from outside the loop of the simulation; there has to be an answer. */
  request(index: number, path: string, init: RequestInit = {}): Answer {
    const heard = this.world.runUntil(this.send(index, path, init));
    if (typeof heard !== "string") return heard;
    throw this.broken(`${this.names[index]} did not answer: ${heard}`);
  }

  json<T>(index: number, path: string): T {
    const { status, text } = this.request(index, path);
    if (status !== 200) throw this.broken(`${this.names[index]} ${path}: ${status} ${text}`);
    return JSON.parse(text) as T;
  }

  /** Virtual time for a client. */
  sleep(forMs: number): Promise<void> {
    return new Promise((resolve) => this.after(forMs, resolve));
  }

  after(delayMs: number, run: () => void): void {
    const { scheduler } = this.world;
    scheduler.at(scheduler.nowUs() + Math.ceil(delayMs * 1000), this.outside, "outside", run);
  }

  get nowMs(): number {
    return this.world.scheduler.nowMs();
  }

  // Calm.

  heal(): void {
    this.world.network.healAll();
  }

  /** Waits until every node is up and serving in the eyes of every other, and nobody keeps a hint. */
  quiesce(limitMs = QUIESCE_MS_MAX): void {
    // What nobody has noticed yet looks like rest.
    this.world.run(NOTICE_MS);
    this.waitFor(
      "the cluster comes to rest",
      () => this.isSettled() && this.hintCount() === 0,
      limitMs,
    );
  }

  waitFor(what: string, isSo: () => boolean, limitMs: number): void {
    const endMs = this.nowMs + limitMs;
    while (!isSo()) {
      if (this.isFailed) throw this.broken("a node ended", this.failures.join("; "));
      if (this.nowMs > endMs) throw this.broken(what, `not within ${limitMs} ms`);
      this.world.run(LOOK_EVERY_MS);
    }
  }

  /** Every node has been found, by itself and by all others, to be up and serving. */
  isSettled(): boolean {
    return (
      this.present.every((i) => this.isStarted(i) && this.seesAllServing(i)) && this.isOneLayout()
    );
  }

  /** The same layouts everywhere, and one of them active: no change is under way. */
  isOneLayout(): boolean {
    const states = this.present.map((i) => this.clusterOf(i).layouts.state());
    const { hash } = states[0]!;
    return states.every((state) => state.layouts.length === 1 && state.hash === hash);
  }

  /** Is it of the layout that reads use, and has it caught up, in its own eyes? */
  isServing(index: number): boolean {
    const { view } = this.clusterOf(index);
    return view.isServing(view.self) && view.readLayout.members.some(({ id }) => id === view.self);
  }

  /** A node's part in the cluster, from inside. */
  clusterOf(index: number): ClusterNode {
    const { cluster } = this.node(index).inside;
    if (cluster === undefined) throw this.broken(`${this.names[index]} is alone`);
    return cluster;
  }

  private seesAllServing(index: number): boolean {
    const { nodes, partitions } = this.json<ClusterSummary>(index, "/v1/cluster");
    return nodes.up === this.present.length && partitions.syncing === 0;
  }

  /** Hints that all nodes together keep. */
  hintCount(): number {
    return this.hintsAt(this.present[0]!).reduce((sum, { count }) => sum + count, 0);
  }

  /** What all nodes keep, as this one has heard of it. */
  hintsAt(index: number): readonly HeldHints[] {
    return this.json<{ targets: HeldHints[] }>(index, "/v1/admin/hints").targets;
  }

  explain(index: number, bucket: string, key: string): Explanation {
    return this.json<Explanation>(index, `/v1/kv/${bucket}/${key}?explain=1`);
  }

  /** The digest of the key's state at each owner; throws where one cannot be asked. */
  stateOf(index: number, bucket: string, key: string): readonly string[] {
    return this.explain(index, bucket, key).owners.map(({ node, reachable, stateHash }) => {
      if (!reachable) throw this.broken(`${node} cannot be asked for ${bucket}/${key}`);
      return stateHash;
    });
  }

  /** Indexes of the owners of a key, in ring order. */
  ownersOf(bucket: string, key: string, asked = this.present[0]!): readonly number[] {
    const path = `/v1/cluster/ring?key=${bucket}/${key}`;
    const { owners } = this.json<{ owners: string[] }>(asked, path);
    return owners.map((name) => this.names.indexOf(name));
  }

  broken(what: string, how = ""): BrokenRun {
    const place = `seed ${this.seed}, at ${this.nowMs.toFixed(1)} ms`;
    return new BrokenRun(what, `${how}${how === "" ? "" : ", "}${place}`, this.lastWords());
  }

  /** The end of the logs, without the small talk. */
  lastWords(count = this.options.words ?? 30): string {
    return this.world.log
      .filter(({ level }) => level !== "debug")
      .slice(-count)
      .map(
        ({ timeMs, node, level, event, fields }) =>
          `  ${timeMs.toFixed(1)} ${node} ${level} ${event} ${JSON.stringify(fields)}`,
      )
      .join("\n");
  }
}

interface ClusterSummary {
  readonly nodes: { readonly up: number };
  readonly partitions: { readonly syncing: number };
}

async function readAnswer(response: Response): Promise<Answer> {
  const { status, headers } = response;
  return { status, headers, text: await response.text() };
}
