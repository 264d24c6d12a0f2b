/**
 * One whole node in virtual time: the real routes, coordinator and store, clients that talk HTTP to them, and a machine that crashes, loses
 * power, steps its clock, syncs slowly and fills its disk.
 *
 * Two workloads, two laws, checked after every restart:
 * - *registers*: one writer a key writes growing numbers; what is read lies between the last acknowledged and the last sent (S1, S2), status 200 or 404,
 *   never 300.
 * - *sets*: several clients read, add a unique element to the union of what they saw, and write with the context they got. Every acknowledged element
 *   is in the union of the siblings for ever (no lost update), and there are never more siblings than clients (S4).
 */
import { zstdCompression } from "../../src/bun/compression.ts";
import { retainEntries } from "../../src/causality/retention.ts";
import { Prng } from "../../src/base/prng.ts";
import { loadConfig } from "../../src/config/load-config.ts";
import type { Config } from "../../src/config.ts";
import { startNode } from "../../src/node.ts";
import type { Node } from "../../src/node.ts";
import { SimWorld } from "../../src/sim/world.ts";
import type { SimNode } from "../../src/sim/world.ts";
import { createStorageJobs } from "../../src/storage/jobs.ts";

export interface NodeRunOptions {
  readonly seed: number | string;
  readonly lives: number;
}

export interface NodeRunResult {
  readonly acknowledged: number;
  readonly refused: number;
  readonly unanswered: number;
  readonly reads: number;
  readonly virtualMs: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly trace: string;
}

interface Register {
  readonly name: string;
  floor: number;
  ceiling: number;
  readonly deletes: Set<number>;
}

interface SharedSet {
  readonly name: string;
  readonly acknowledged: Set<string>;
  readonly sent: Set<string>;
}

const SET_CLIENTS = 3;
const CONFIG: Config = loadConfig({
  environment: {},
  flags: {
    memtableBytes: "8KiB",
    walSegmentBytes: "32KiB",
    memtableAgeMs: "5s",
    diskReserveBytes: "4KiB",
    gcDelayMs: "26h",
  } as never,
}).config;

class NodeRun {
  private readonly prng: Prng;
  private readonly world: SimWorld;
  private readonly machine: SimNode;
  private readonly options: NodeRunOptions;
  private readonly registers: Register[];
  private readonly sets: SharedSet[];
  private readonly faults: Record<string, number> = {};
  private counts = { acknowledged: 0, refused: 0, unanswered: 0, reads: 0 };
  private element = 0;

  constructor(options: NodeRunOptions) {
    this.options = options;
    this.prng = new Prng(`node-run/${options.seed}`);
    this.world = new SimWorld(options.seed, {
      jobs: createStorageJobs(zstdCompression, retainEntries),
    });
    this.machine = this.world.node("n1");
    this.registers = Array.from({ length: 12 }, (_, i) => ({
      name: `reg/${i}`,
      floor: 0,
      ceiling: 0,
      deletes: new Set<number>(),
    }));
    this.sets = Array.from({ length: 3 }, (_, i) => ({
      name: `set/${i}`,
      acknowledged: new Set<string>(),
      sent: new Set<string>(),
    }));
  }

  run(): NodeRunResult {
    for (let life = 0; life < this.options.lives; life++) {
      const node = this.start();
      this.world.runUntil(this.checkAll(node));
      this.drawFaults();
      this.startClients(node, this.prng.fork(`life/${life}`));
      this.world.run(this.prng.between(50, 1500));
      this.end(node);
    }
    const node = this.start();
    this.world.runUntil(this.checkAll(node));
    this.world.runUntil(node.drain());
    this.world.runUntil(node.close());
    return {
      ...this.counts,
      virtualMs: Math.round(this.world.scheduler.nowMs()),
      faults: this.faults,
      trace: this.world.scheduler.trace.digest(),
    };
  }

  private start(): Node {
    const { machine } = this;
    machine.disk.faults.syncDelayMs = { min: 0.1, max: 2 };
    return this.world.runUntil(
      startNode(CONFIG, () => ({
        disk: machine.disk,
        clock: machine.clock,
        random: machine.random,
        workers: machine.workers,
        logger: machine.logger,
        compression: zstdCompression,
      })),
    );
  }

  private drawFaults(): void {
    const { machine, prng } = this;
    if (prng.chance(0.3)) {
      machine.clock.step(prng.pick([-3_600_000, -500, 700, 3_600_000]));
      this.count("clock step");
    }
    if (prng.chance(0.3)) {
      machine.disk.faults.syncDelayMs = { min: 1, max: prng.pick([20, 400]) };
      this.count("slow sync");
    }
    if (prng.chance(0.3)) {
      machine.disk.crashAtCall(prng.between(20, 900));
      this.count("crash at a disk call");
    }
    if (prng.chance(0.2)) {
      const { clock, disk } = machine;
      const roomy = disk.faults.quotaBytes;
      clock.after(prng.between(10, 300), () => (disk.faults.quotaBytes = 1));
      clock.after(prng.between(310, 600), () => (disk.faults.quotaBytes = roomy));
      this.count("disk full");
    }
  }

  private end(node: Node): void {
    const { machine, prng } = this;
    machine.disk.faults.quotaBytes = 2 ** 40;
    if (machine.isUp && prng.chance(0.2)) {
      this.stop(node);
      machine.crash();
    } else if (prng.chance(0.5)) {
      machine.powerLoss("strict");
      this.count("power loss");
    } else {
      machine.crash();
      this.count("kill");
    }
    machine.restart();
  }

  /** In order, unless a disk call that was drawn to be the last comes first. */
  private stop(node: Node): void {
    try {
      this.world.runUntil(node.drain());
      this.world.runUntil(node.close());
      this.count("clean stop");
    } catch (error) {
      if (this.machine.isUp) throw error;
      this.count("crash while stopping");
    }
  }

  private count(fault: string): void {
    this.faults[fault] = (this.faults[fault] ?? 0) + 1;
  }

  private startClients(node: Node, prng: Prng): void {
    const { clock } = this.machine;
    const forEver = async (client: Prng, act: () => Promise<void>): Promise<void> => {
      for (;;) {
        await clock.sleep(client.between(0, 8));
        await act();
      }
    };
    for (let writer = 0; writer < 4; writer++) {
      const own = this.registers.filter((_, i) => i % 4 === writer);
      const client = prng.fork(`writer/${writer}`);
      void forEver(client, () => this.writeRegister(node, client.pick(own), client));
    }
    for (let i = 0; i < SET_CLIENTS; i++) {
      const client = prng.fork(`adder/${i}`);
      void forEver(client, () => this.addToSet(node, client.pick(this.sets)));
    }
  }

  private async writeRegister(node: Node, register: Register, client: Prng): Promise<void> {
    const number = ++register.ceiling;
    const isDelete = client.chance(0.15);
    if (isDelete) register.deletes.add(number);
    const headers = client.chance(0.3) ? { "Idempotency-Key": `${register.name}-${number}` } : {};
    const request = {
      method: isDelete ? "DELETE" : "PUT",
      headers: isDelete ? {} : headers,
      ...(isDelete ? {} : { body: valueOf(register.name, number) }),
    };
    this.counts.unanswered++;
    const answer = await this.send(node, register.name, request);
    this.counts.unanswered--;
    if (answer.status === 204) {
      register.floor = Math.max(register.floor, number);
      this.counts.acknowledged++;
    } else this.refused(answer);
  }

  private async addToSet(node: Node, set: SharedSet): Promise<void> {
    const { elements, context } = await this.readSet(node, set);
    const element = `e${this.element++}`;
    set.sent.add(element);
    const body = JSON.stringify([...elements, element]);
    const headers = context === "" ? undefined : { "X-Causal-Context": context };
    this.counts.unanswered++;
    const answer = await this.send(node, set.name, {
      method: "PUT",
      body,
      ...(headers && { headers }),
    });
    this.counts.unanswered--;
    if (answer.status === 204 || answer.status === 200) {
      // Without a context the write replaces what it did not see (D3): only informed writes promise to lose nothing.
      if (context !== "" || elements.size === 0) this.acknowledge(set, element, context);
      this.counts.acknowledged++;
    } else this.refused(answer);
  }

  private acknowledge(set: SharedSet, element: string, context: string): void {
    if (context !== "") set.acknowledged.add(element);
  }

  private refused(answer: Response): void {
    if (![503, 504, 507].includes(answer.status))
      throw new Error(`unexpected status ${answer.status}`);
    this.counts.refused++;
  }

  private async readSet(
    node: Node,
    set: SharedSet,
  ): Promise<{ elements: Set<string>; context: string }> {
    const answer = await this.send(node, set.name, {
      headers: { Accept: "application/vnd.hutch.siblings+json" },
    });
    this.counts.reads++;
    if (answer.status === 404 || answer.status >= 500) return { elements: new Set(), context: "" };
    const envelope = (await answer.json()) as { context: string; siblings: { value: string }[] };
    if (envelope.siblings.length > SET_CLIENTS + 1)
      throw new Error(`${set.name} has ${envelope.siblings.length} siblings`);
    const elements = new Set(
      envelope.siblings.flatMap(({ value }) => JSON.parse(value) as string[]),
    );
    for (const element of elements)
      if (!set.sent.has(element))
        throw new Error(`${set.name} holds "${element}", which nobody wrote`);
    return { elements, context: envelope.context };
  }

  private send(node: Node, name: string, init: RequestInit): Promise<Response> {
    return Promise.resolve(node.app.fetch(new Request(`http://localhost/v1/kv/sim/${name}`, init)));
  }

  private async checkAll(node: Node): Promise<void> {
    for (const register of this.registers) await this.checkRegister(node, register);
    for (const set of this.sets) {
      const { elements } = await this.readSet(node, set);
      for (const element of set.acknowledged)
        if (!elements.has(element))
          throw this.broken(`${set.name} lost the acknowledged element "${element}"`);
    }
  }

  private async checkRegister(node: Node, register: Register): Promise<void> {
    const answer = await this.send(node, register.name, {});
    const found = answer.status === 404 ? "404" : `${answer.status} ${await answer.text()}`;
    this.counts.reads++;
    let matched = -1;
    for (let number = register.floor; number <= register.ceiling; number++) {
      const expected =
        number === 0 || register.deletes.has(number)
          ? "404"
          : `200 ${valueOf(register.name, number)}`;
      if (expected === found) matched = number;
    }
    if (matched < 0)
      throw this.broken(
        `${register.name} is "${found.slice(0, 60)}", acknowledged ${register.floor}, sent ${register.ceiling}`,
      );
    register.floor = matched;
  }

  private broken(what: string): Error {
    return new Error(`seed ${this.options.seed}: ${what}`);
  }
}

function valueOf(name: string, number: number): string {
  return `${name}#${number}#`.padEnd(10 + ((number * 37) % 300), "v");
}

export function nodeRun(options: NodeRunOptions): NodeRunResult {
  return new NodeRun(options).run();
}
