/**
 * Several whole nodes in virtual time, for scenarios and for runs over seeds: start them, talk to them, break their machines and the network.
 *
 *   const cluster = new SimCluster(7, { nodes: 5 });
 *   cluster.form();                                    // all up, one layout, all serving
 *   cluster.crash(0);
 *   cluster.request(1, "/v1/kv/b/key", { method: "PUT", body: "x" });
 *   cluster.restart(0);
 *   cluster.quiesce();                                 // everybody serving again, no hint left
 *
 * Nodes are n1..nk on machines of the same names; indexes count from 0. A request goes through the node's real Hono application, in an event of the
 * node's process: a paused node answers later, a dead one refuses, one that dies meanwhile does not answer.
 */
import { zstdCompression } from "../../src/bun/compression.ts";
import { messageOf } from "../../src/base/errors.ts";
import { retainEntries } from "../../src/causality/retention.ts";
import type { Config, KnobKey } from "../../src/config.ts";
import { loadConfig } from "../../src/config/load-config.ts";
import { type Node, startNode } from "../../src/node.ts";
import type { PeerPorts } from "../../src/ports/transport.ts";
import type { SimClockOptions } from "../../src/sim/clock.ts";
import type { PowerLossProfile } from "../../src/sim/disk-power-loss.ts";
import { SimProcess } from "../../src/sim/scheduler.ts";
import { type SimNode, SimWorld } from "../../src/sim/world.ts";
import { createStorageJobs } from "../../src/storage/jobs.ts";
import { type Tap, tapped } from "./cluster-wiretap.ts";

export interface SimClusterOptions {
  readonly nodes?: number;
  /** Nodes are dealt to so many racks in turn. */
  readonly racks?: number;
  readonly flags?: Partial<Record<KnobKey, string>>;
  /** Offset and drift of each machine's clock; drawn from the seed where left out. */
  readonly clocks?: readonly SimClockOptions[];
  /** To have two clusters in one world: the names of its nodes and where their ports begin. */
  readonly world?: SimWorld;
  readonly prefix?: string;
  readonly basePort?: number;
  /** Peer addresses that are given as seeds instead of the nodes' own. */
  readonly seeds?: readonly string[];
  /** Hears every message between nodes as it arrives. */
  readonly tap?: Tap;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** What a client hears: an answer, that nobody listens there, or nothing because the node died. */
export type Heard = Answer | "refused" | "lost";

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
/** Small storage, so that flushes and compactions happen within seconds. */
const FLAGS: Partial<Record<KnobKey, string>> = {
  preset: "local",
  partitions: "16",
  diskReserveBytes: "4KiB",
  memtableBytes: "16KiB",
  walSegmentBytes: "64KiB",
  memtableAgeMs: "5s",
};

export class SimCluster {
  readonly seed: number | string;
  readonly world: SimWorld;
  readonly names: readonly string[];
  readonly machines: readonly SimNode[];
  /** Nodes that could not start or gave up, which no fault of these runs explains. */
  readonly failures: string[] = [];
  /** Clients and whoever breaks things: no fault touches them. */
  readonly outside = new SimProcess("outside");
  private readonly lives: (Life | undefined)[];
  private readonly configs: readonly Config[];
  private readonly tap: Tap | undefined;

  constructor(seed: number | string, options: SimClusterOptions = {}) {
    const { nodes = 5, prefix = "n", world } = options;
    this.seed = seed;
    this.world =
      world ?? new SimWorld(seed, { jobs: createStorageJobs(zstdCompression, retainEntries) });
    this.names = Array.from({ length: nodes }, (_, i) => `${prefix}${i + 1}`);
    this.machines = this.names.map((name, i) => this.world.node(name, options.clocks?.[i]));
    this.lives = this.names.map(() => undefined);
    this.configs = this.names.map((name, i) => configOf(name, i, nodes, options));
    this.tap = options.tap;
  }

  // Life and death.

  /** Begins a process; `node(i)` is there when it has its cluster. */
  start(index: number): void {
    const machine = this.machines[index]!;
    machine.disk.faults.syncDelayMs = { min: 0.1, max: 2 };
    const life: Life = { node: undefined, ended: Promise.withResolvers() };
    this.lives[index] = life;
    startNode(this.configs[index]!, () => this.portsOf(index)).then(
      (node) => {
        life.node = node;
        node.onFailure((error) => this.failed(index, life, error));
      },
      (thrown: unknown) => this.failed(index, life, thrown),
    );
  }

  private portsOf(index: number) {
    const machine = this.machines[index]!;
    const { disk, clock, random, workers, logger } = machine;
    return {
      disk,
      clock,
      random,
      workers,
      logger,
      compression: zstdCompression,
      peers: this.peersOf(machine, this.peerAddress(index)),
    };
  }

  private peersOf(machine: SimNode, address: string): PeerPorts {
    const ports = machine.peerPorts(address);
    return this.tap === undefined ? ports : tapped(ports, this.tap);
  }

  private failed(index: number, life: Life, thrown: unknown): void {
    if (this.lives[index] !== life || !this.machines[index]!.isUp) return;
    this.failures.push(`${this.names[index]}: ${messageOf(thrown)}`);
  }

  peerAddress(index: number): string {
    const { host, port } = this.configs[index]!.peer;
    return `${host}:${port}`;
  }

  /** Starts all and waits until they are one cluster that serves. */
  form(): this {
    for (let i = 0; i < this.names.length; i++) if (this.lives[i] === undefined) this.start(i);
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

  /** A new process after `crash`, `powerLoss` or `stop`. */
  restart(index: number): void {
    this.machines[index]!.restart();
    this.start(index);
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
    if (typeof heard === "string")
      throw this.broken(`${this.names[index]} did not answer: ${heard}`);
    return heard;
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
      if (this.isFailed) throw this.broken(`${what}: ${this.failures.join("; ")}`);
      if (this.nowMs > endMs) throw this.broken(`${what}: not within ${limitMs} ms`);
      this.world.run(LOOK_EVERY_MS);
    }
  }

  /** Every node has been found, by itself and by all others, to be up and serving. */
  isSettled(): boolean {
    return this.names.every((_, i) => this.isStarted(i) && this.seesAllServing(i));
  }

  private seesAllServing(index: number): boolean {
    const { nodes, partitions } = this.json<ClusterSummary>(index, "/v1/cluster");
    return nodes.up === this.names.length && partitions.syncing === 0;
  }

  /** Hints that all nodes together keep. */
  hintCount(): number {
    return this.hintsAt(0).reduce((sum, { count }) => sum + count, 0);
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
  ownersOf(bucket: string, key: string, asked = 0): readonly number[] {
    const path = `/v1/cluster/ring?key=${bucket}/${key}`;
    const { owners } = this.json<{ owners: string[] }>(asked, path);
    return owners.map((name) => this.names.indexOf(name));
  }

  broken(what: string): Error {
    return new Error(
      `seed ${this.seed}, at ${this.nowMs.toFixed(1)} ms: ${what}\n${this.lastWords()}`,
    );
  }

  /** The end of the logs, without the small talk. */
  lastWords(count = 30): string {
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

export interface HeldHints {
  readonly node: string;
  readonly count: number;
  readonly bytes: number;
}

export interface Explanation {
  readonly partition: number;
  readonly owners: readonly ExplainedReplica[];
  readonly fallbacks: readonly ExplainedReplica[];
  readonly equal: boolean;
}

interface ExplainedReplica {
  readonly node: string;
  readonly reachable: boolean;
  readonly dots: readonly string[];
  readonly stateHash: string;
}

interface ClusterSummary {
  readonly nodes: { readonly up: number };
  readonly partitions: { readonly syncing: number };
}

function configOf(
  name: string,
  index: number,
  count: number,
  { flags, racks = 1, basePort = 7101, seeds }: SimClusterOptions,
): Config {
  const addressOf = (i: number): string => `127.0.0.1:${basePort + i}`;
  const own = Array.from({ length: count }, (_, i) => addressOf(i));
  const all = {
    ...FLAGS,
    nodeId: name,
    peer: addressOf(index),
    listen: `127.0.0.1:${basePort - 100 + index}`,
    seeds: (seeds ?? own).join(),
    rack: `rack${(index % racks) + 1}`,
    host: name,
    ...flags,
  };
  return loadConfig({ environment: {}, flags: all }).config;
}

async function readAnswer(response: Response): Promise<Answer> {
  const { status, headers } = response;
  return { status, headers, text: await response.text() };
}
