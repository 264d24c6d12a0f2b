/**
 * `hutch cluster`: nodes as child processes of this one, which stays in the foreground and stops them when it is stopped.
 *
 *   1. all start at once; one that cannot start (a port in use, say) ends the whole, with its exit code
 *   2. all are ready: the screen with what to try
 *   3. a node that dies is reported and the others go on; it starts again only with `--restart`, as what it has to say would be lost in the
 *      noise of a loop
 *   4. `hutch cluster --scale N` of another process makes nodes join or leave (`cluster-scale.ts`)
 *   5. Ctrl-C stops all of them at once and cleanly, the second one makes them end at once
 */

import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { HutchError } from "../base/errors.ts";
import { BunDisk } from "../bun/disk.ts";
import { variableName } from "../config.ts";
import type { DiskLock } from "../ports/disk.ts";
import { LOCK_FILE } from "../storage/file-names.ts";
import { order, serveControl } from "./cluster-control.ts";
import type { ClusterOptions, NodePlan } from "./cluster-plan.ts";
import { LOCAL_NODES_MAX, planCluster } from "./cluster-plan.ts";
import { showScreen } from "./cluster-screen.ts";
import { secureCluster } from "./cluster-security.ts";
import type { Scalable } from "./cluster-scale.ts";
import { forgetCount, savedCount, scale } from "./cluster-scale.ts";
import type { NodeEnd, NodeListener } from "./local-node.ts";
import { LocalNode } from "./local-node.ts";
import { nodeStyle, note, styled } from "./terminal.ts";

/** A node that recovers a large log takes its time; after this the person is told where to look. */
const START_MS_MAX = 60_000;
const NODES_DEFAULT = 3;
const RESTART_DELAY_MS = 1000;
/** A node that dies more often than this within the window stays where it is. */
const RESTARTS_MAX = 10;
const RESTART_WINDOW_MS = 60_000;

export async function runCluster(options: ClusterOptions): Promise<void> {
  const dataDir = String(options["dataDir"]);
  if (options["scale"] !== undefined) return scaleRunning(dataDir, Number(options["scale"]));
  const isFresh = options["fresh"] === true;
  const saved = isFresh ? undefined : savedCount(dataDir);
  const nodes = options["nodes"] ?? String(saved ?? NODES_DEFAULT);
  const defaults = defaultsFor(options);
  // What cannot be is refused before anything is made.
  planCluster({ ...options, nodes }, defaults);
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const security = options["secure"] === true ? secureCluster(dataDir, Date.now()) : undefined;
  const planFor = (count: string | boolean): readonly NodePlan[] =>
    planCluster({ ...options, nodes: count }, defaults, security);
  const plans = planFor(nodes);
  if (isFresh) {
    removeData(dataDir);
    forgetCount(dataDir);
  }
  const cluster = new LocalCluster(plans, options["restart"] === true);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => {
      note("");
      cluster.stop();
    });
  // However this process ends, no node stays behind unseen.
  process.on("exit", () => cluster.stop());
  let control: ReturnType<typeof serveControl>;
  void cluster.shown.then(() => {
    control = serveControl(dataDir, ({ nodes: count }, tell) =>
      cluster.scaleTo(count, dataDir, (wanted) => planFor(String(wanted)), tell),
    );
  });
  process.exitCode = await cluster.run();
  control?.close();
}

/** Of another process: gives the order, and shows what it says meanwhile. */
async function scaleRunning(dataDir: string, nodes: number): Promise<void> {
  await order(dataDir, { nodes }, note);
}

/** Knobs that a cluster on one machine sets unless a person did. Logs are read here where nobody pipes them elsewhere. */
function defaultsFor(options: ClusterOptions): Record<string, string> {
  const isOpen = (key: "preset" | "logFormat"): boolean =>
    options[key] === undefined && (process.env[variableName(key)] ?? "") === "";
  return {
    ...(isOpen("preset") ? { preset: "local" } : {}),
    ...(isOpen("logFormat") && process.stderr.isTTY === true ? { "log-format": "human" } : {}),
  };
}

/** Deletes what earlier runs left, of nodes that this run does not have too; nothing at all where one of them still runs. */
function removeData(dataDir: string): void {
  const directories = Array.from({ length: LOCAL_NODES_MAX }, (_, index) =>
    join(dataDir, `n${index + 1}`),
  ).filter((directory) => existsSync(join(directory, LOCK_FILE)));
  const locks: DiskLock[] = [];
  try {
    for (const directory of directories) locks.push(lockForRemoval(directory));
    for (const directory of directories) rmSync(directory, { recursive: true });
  } finally {
    for (const lock of locks) lock.release();
  }
}

function lockForRemoval(directory: string): DiskLock {
  try {
    return new BunDisk(directory).lock(LOCK_FILE, "removed by --fresh\n");
  } catch (cause) {
    throw new HutchError(
      "data-dir-in-use",
      `Cannot delete "${directory}": another process has it`,
      { cause },
    );
  }
}

class LocalCluster implements NodeListener, Scalable {
  readonly #nodes: LocalNode[];
  readonly #canRestart: boolean;
  readonly #idWidth: number;
  readonly #shown = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  /** When each node was started again, within the window. */
  readonly #restarts = new Map<LocalNode, number[]>();
  readonly #timers = new Map<LocalNode, Timer>();
  /** A node that leaves, and who waits for its end. */
  #leaving: { readonly node: LocalNode; readonly gone: () => void } | undefined;
  /** A node that was added, and who waits until it is ready or has ended. */
  #adding: { readonly node: LocalNode; readonly settle: (end?: NodeEnd) => void } | undefined;
  #isScaling = false;
  #isShown = false;
  #isStopping = false;
  #exitCode = 0;

  constructor(plans: readonly NodePlan[], canRestart: boolean) {
    this.#nodes = plans.map((plan) => new LocalNode(plan, this));
    this.#canRestart = canRestart;
    this.#idWidth = Math.max(...plans.map(({ id }) => id.length));
  }

  /** Settles with the exit code when no node is left. */
  async run(): Promise<number> {
    const hurry = setTimeout(() => this.#nameTheSlow(), START_MS_MAX);
    for (const node of this.#nodes) node.start();
    await this.#ended.promise;
    clearTimeout(hurry);
    return this.#exitCode;
  }

  /** All nodes were up once. */
  get shown(): Promise<void> {
    return this.#shown.promise;
  }

  get nodes(): readonly LocalNode[] {
    return this.#nodes;
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** One order at a time; what is told is shown here, too. */
  async scaleTo(
    count: number,
    dataDir: string,
    planFor: (count: number) => readonly NodePlan[],
    tell: (note: string) => void,
  ): Promise<void> {
    if (!this.#isShown || this.#isStopping || this.#isScaling)
      throw new HutchError(
        "unavailable",
        `Cannot scale: the cluster ${this.#isScaling ? "is being scaled" : "starts or stops"}`,
      );
    this.#isScaling = true;
    const tellBoth = (text: string): void => {
      note(`scaling to ${count}: ${text}`);
      tell(text);
    };
    try {
      await scale(this, { count, dataDir, planFor, tell: tellBoth });
    } finally {
      this.#isScaling = false;
    }
  }

  add(plan: NodePlan): Promise<void> {
    const node = new LocalNode(plan, this);
    this.#nodes.push(node);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#adding = {
      node,
      settle: (end) => {
        this.#adding = undefined;
        if (end === undefined) return resolve();
        this.#nodes.splice(this.#nodes.indexOf(node), 1);
        reject(new HutchError("unavailable", `Cannot add ${plan.id}: it ${end.how}`));
      },
    };
    node.start();
    return promise;
  }

  lastEnds(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#leaving = { node: this.#nodes.at(-1)!, gone: resolve };
    return promise;
  }

  lastStays(): void {
    this.#leaving = undefined;
  }

  stop(): void {
    this.#isStopping = true;
    for (const [node, timer] of this.#timers) this.#forgetTimer(node, timer);
    for (const node of this.#nodes) node.stop();
    this.#endIfEmpty();
  }

  ready(node: LocalNode): void {
    if (this.#isStopping) return;
    if (this.#adding?.node === node) return this.#adding.settle();
    if (this.#isShown) return note(`node ${node.plan.id} is ready again`);
    if (!this.#nodes.every(({ isReady }) => isReady)) return;
    this.#isShown = true;
    showScreen(this.#nodes);
    this.#shown.resolve();
  }

  logged(node: LocalNode, line: string): void {
    const index = this.#nodes.indexOf(node);
    const prefix = `${node.plan.id.padEnd(this.#idWidth)} |`;
    note(`${styled(nodeStyle(index), prefix, process.stderr)} ${line}`);
  }

  ended(node: LocalNode, end: NodeEnd): void {
    const { exitCode, how } = end;
    const leaving = this.#leaving?.node === node ? this.#leaving : undefined;
    this.#leaving = leaving === undefined ? this.#leaving : undefined;
    leaving?.gone();
    if (!this.#isStopping && leaving !== undefined && exitCode === 0) {
      this.#nodes.splice(this.#nodes.indexOf(node), 1);
      return;
    }
    if (!this.#isStopping && this.#adding?.node === node) return this.#adding.settle(end);
    if (this.#isStopping) {
      this.#exitCode ||= exitCode;
      note(`${exitCode === 0 ? "" : "hutch: "}node ${node.plan.id} ${how}`);
    } else if (!this.#isShown) this.#giveUp(node, exitCode, how);
    else this.#report(node, how);
    this.#endIfEmpty(exitCode);
  }

  /** What a node cannot have at its start it will not have a moment later. */
  #giveUp({ plan }: LocalNode, exitCode: number, how: string): void {
    const { id, listen, peer } = plan;
    note(
      `hutch: node ${id} (${listen}, peers ${peer}) ${how} before it was ready; stopping the others`,
    );
    this.#exitCode = exitCode;
    this.stop();
  }

  #report(node: LocalNode, how: string): void {
    const { id } = node.plan;
    const isLast = !this.#nodes.some(({ isRunning }) => isRunning);
    if (!this.#canRestart) {
      const rest = isLast
        ? "no node is left"
        : "the others go on, and nothing starts it again (see --restart)";
      return note(`hutch: node ${id} ${how}; ${rest}`);
    }
    const nowMs = performance.now();
    const recent = (this.#restarts.get(node) ?? []).filter((ms) => nowMs - ms < RESTART_WINDOW_MS);
    if (recent.length >= RESTARTS_MAX)
      return note(
        `hutch: node ${id} ${how} for the ${RESTARTS_MAX + 1}th time within a minute and stays down`,
      );
    this.#restarts.set(node, [...recent, nowMs]);
    note(`hutch: node ${id} ${how}; it starts again`);
    const timer = setTimeout(() => {
      this.#forgetTimer(node, timer);
      node.start();
    }, RESTART_DELAY_MS);
    this.#timers.set(node, timer);
  }

  #forgetTimer(node: LocalNode, timer: Timer): void {
    clearTimeout(timer);
    this.#timers.delete(node);
  }

  /** @param lastExitCode of the node that ended just now: the answer where nobody asked it to end */
  #endIfEmpty(lastExitCode = 0): void {
    if (this.#timers.size > 0 || this.#nodes.some(({ isRunning }) => isRunning)) return;
    if (!this.#isStopping) this.#exitCode = lastExitCode;
    this.#ended.resolve();
  }

  #nameTheSlow(): void {
    for (const { isReady, plan } of this.#nodes)
      if (!isReady) note(`node ${plan.id} is still starting; see the lines above`);
  }
}
