/** The cluster of `hutch tour`: three nodes on free ports, data in a directory that goes with them, logs kept for the case that something fails. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HutchError } from "../base/errors.ts";
import { planCluster } from "./cluster-plan.ts";
import type { NodeEnd, NodeListener } from "./local-node.ts";
import { LocalNode } from "./local-node.ts";

const NODES = 3;
/** Below the ports that the system gives to outgoing connections, so that a node that restarts finds its own again. */
const PORT_MIN = 12_000;
const PORT_MAX = 32_000;
const PORT_ATTEMPTS_MAX = 100;
const START_MS_MAX = 60_000;
/** Of what a node said at its end. */
const LOG_LINES_MAX = 20;

export class TourCluster implements NodeListener {
  readonly #directory = mkdtempSync(join(tmpdir(), "hutch-tour-"));
  readonly #nodes: readonly LocalNode[];
  readonly #lines: string[] = [];
  #changed = Promise.withResolvers<void>();

  constructor() {
    const plans = planCluster(
      {
        nodes: `${NODES}`,
        racks: `${NODES}`,
        basePort: `${freePorts()}`,
        peerBasePort: `${freePorts()}`,
        dataDir: this.#directory,
        partitions: "16",
      },
      { preset: "local" },
    );
    this.#nodes = plans.map((plan) => new LocalNode(plan, this));
  }

  async start(): Promise<void> {
    for (const node of this.#nodes) node.start();
    await this.#until(() => this.#nodes.every(({ isReady }) => isReady));
  }

  url(index: number): string {
    return `http://${this.#nodes[index]!.plan.listen}`;
  }

  pid(index: number): number {
    return this.#nodes[index]!.pid ?? 0;
  }

  async kill(index: number): Promise<void> {
    const node = this.#nodes[index]!;
    process.kill(this.pid(index), "SIGKILL");
    await this.#until(() => !node.isRunning);
  }

  async restart(index: number): Promise<void> {
    const node = this.#nodes[index]!;
    node.start();
    await this.#until(() => node.isReady);
  }

  /** Ends all nodes and removes their data. */
  async remove(): Promise<void> {
    for (const node of this.#nodes) node.stop();
    await this.#until(() => !this.#nodes.some(({ isRunning }) => isRunning));
    this.removeNow();
  }

  /** For a process that is about to end; the system ends its nodes with it. */
  removeNow(): void {
    for (const { pid } of this.#nodes) if (pid !== undefined) process.kill(pid, "SIGKILL");
    rmSync(this.#directory, { recursive: true, force: true });
  }

  ready(): void {
    this.#turn();
  }

  ended(_node: LocalNode, _end: NodeEnd): void {
    this.#turn();
  }

  logged(node: LocalNode, line: string): void {
    this.#lines.push(`${node.plan.id} | ${line}`);
    if (this.#lines.length > LOG_LINES_MAX) this.#lines.shift();
  }

  #turn(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers();
    resolve();
  }

  async #until(isSo: () => boolean): Promise<void> {
    const deadlineMs = performance.now() + START_MS_MAX;
    while (!isSo()) {
      if (performance.now() > deadlineMs)
        throw new HutchError("unavailable", `Cannot go on: ${this.#lines.join("\n")}`);
      await Promise.race([this.#changed.promise, Bun.sleep(500)]);
    }
  }
}

/** The first of as many free ports in a row as there are nodes. */
function freePorts(): number {
  for (let attempt = 0; attempt < PORT_ATTEMPTS_MAX; attempt++) {
    const first = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN));
    if (Array.from({ length: NODES }, (_, index) => first + index).every(isFree)) return first;
  }
  throw new HutchError("port-in-use", `Cannot find ${NODES} free ports in a row`);
}

function isFree(port: number): boolean {
  try {
    Bun.listen({ hostname: "127.0.0.1", port, socket: { data: () => undefined } }).stop(true);
    return true;
  } catch {
    return false;
  }
}
