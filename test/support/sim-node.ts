/** A node in virtual time, for scenarios: start it, talk to it, break its machine. */
import { zstdCompression } from "../../src/bun/compression.ts";
import { retainEntries } from "../../src/causality/retention.ts";
import type { Config, KnobKey } from "../../src/config.ts";
import { loadConfig } from "../../src/config/load-config.ts";
import { startNode } from "../../src/node.ts";
import type { Node, NodePorts } from "../../src/node.ts";
import { SimWorld } from "../../src/sim/world.ts";
import type { SimNode } from "../../src/sim/world.ts";
import type { Compression } from "../../src/storage/table/compression.ts";
import { createStorageJobs } from "../../src/storage/jobs.ts";

export class NodeOnSim {
  readonly world: SimWorld;
  readonly machine: SimNode;
  node: Node;
  private readonly config: Config;
  private readonly compression: Compression;
  private readonly ports: Pick<NodePorts, "access" | "tracer">;

  constructor(
    seed: number | string,
    flags: Partial<Record<KnobKey, string>> = {},
    compression: Compression = zstdCompression,
    ports: Pick<NodePorts, "access" | "tracer"> = {},
  ) {
    this.compression = compression;
    this.ports = ports;
    this.config = loadConfig({
      environment: {},
      flags: { diskReserveBytes: "4KiB", ...flags } as never,
    }).config;
    this.world = new SimWorld(seed, { jobs: createStorageJobs(compression, retainEntries) });
    this.machine = this.world.node("n1", { offsetMs: 0, driftPpm: 0 });
    this.node = this.start();
  }

  start(): Node {
    const { machine } = this;
    this.node = this.world.runUntil(
      startNode(this.config, () => ({
        disk: machine.disk,
        clock: machine.clock,
        random: machine.random,
        workers: machine.workers,
        logger: machine.logger,
        compression: this.compression,
        ...this.ports,
      })),
    );
    return this.node;
  }

  /** The answer to one request, with its body read. */
  request(
    path: string,
    init: RequestInit = {},
  ): { status: number; headers: Headers; text: string } {
    return this.world.runUntil(this.send(path, init));
  }

  async send(
    path: string,
    init: RequestInit = {},
  ): Promise<{ status: number; headers: Headers; text: string }> {
    const answer = await this.node.app.fetch(new Request(`http://localhost${path}`, init));
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  }

  put(
    key: string,
    value: string,
    headers: Record<string, string> = {},
  ): { status: number; headers: Headers; text: string } {
    return this.request(`/v1/kv/b/${key}`, { method: "PUT", body: value, headers });
  }

  get(key: string): { status: number; headers: Headers; text: string } {
    return this.request(`/v1/kv/b/${key}`);
  }

  restart(how: "kill" | "power-loss"): void {
    if (how === "kill") this.machine.crash();
    else this.machine.powerLoss();
    this.machine.restart();
    this.start();
  }
}
