/**
 * Clusters on this machine as child processes, each with a directory of its own: hutch through `serve --seeds`, etcd with static members. One interface for both, so
 * that the same load runs on either.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { removeDirectory, spawnServer, temporaryDirectory } from "./cleanup.ts";
import type { Target } from "../../src/load/lane.ts";
import { type Protocol, hutchProtocol } from "../../src/load/protocol.ts";
import { etcdProtocol } from "./etcd-protocol.ts";

const START_MS_MAX = 30_000;
const STOP_MS_MAX = 10_000;
const POLL_MS = 50;
const PROBE_TIMEOUT_MS = 2000;
const LOG_CHARS_SHOWN = 2000;
const HOST = "127.0.0.1";
const MAIN = join(import.meta.dir, "..", "..", "src", "cli", "main.ts");

export interface Cluster {
  readonly name: "hutch" | "etcd";
  /** Where clients connect; of etcd the leader first, which is where one node serves best. */
  readonly targets: readonly Target[];
  protocol(valueBytes: number): Protocol;
  /** SIGKILL, as `kill -9`. */
  kill(index: number): Promise<void>;
  restart(index: number): void;
  /** This node alone says that it is ready. */
  isReady(index: number): Promise<boolean>;
  /** OpenMetrics text of all nodes. */
  metrics(): Promise<string[]>;
  stop(): Promise<void>;
}

interface Ports {
  readonly client: number;
  readonly peer: number;
}

/** Free for TCP, and the peer port for UDP too. All are held until the last is found, so that none comes twice. */
async function freePorts(nodeCount: number): Promise<Ports[]> {
  const held: { stop(): void }[] = [];
  const free = async (needsUdp: boolean): Promise<number> => {
    const listener = Bun.listen({ hostname: HOST, port: 0, socket: { data: () => undefined } });
    held.push({ stop: () => listener.stop(true) });
    if (!needsUdp) return listener.port;
    try {
      const socket = await Bun.udpSocket({ hostname: HOST, port: listener.port });
      held.push({ stop: () => socket.close() });
      return listener.port;
    } catch {
      return free(true);
    }
  };
  const ports: Ports[] = [];
  for (let i = 0; i < nodeCount; i++)
    ports.push({ client: await free(false), peer: await free(true) });
  for (const { stop } of held) stop();
  return ports;
}

/** The processes of one cluster, by the commands that start them. */
class Processes {
  readonly directory: string;
  readonly #commands: readonly (readonly string[])[];
  readonly #children: Bun.Subprocess[];

  constructor(directory: string, commands: readonly (readonly string[])[]) {
    this.directory = directory;
    this.#commands = commands;
    this.#children = commands.map((_, index) => this.#spawn(index));
  }

  #spawn(index: number): Bun.Subprocess {
    return spawnServer(this.#commands[index]!, this.#logFile(index));
  }

  #logFile(index: number): string {
    return join(this.directory, `node-${index}.log`);
  }

  async kill(index: number): Promise<void> {
    this.#children[index]!.kill("SIGKILL");
    await this.#children[index]!.exited;
  }

  restart(index: number): void {
    this.#children[index] = this.#spawn(index);
  }

  /** Polls until `complaint` has none; a process that ends meanwhile is an error with what it said last. */
  async until(what: string, complaint: () => Promise<string | undefined>): Promise<void> {
    const deadlineMs = performance.now() + START_MS_MAX;
    for (let why = await complaint(); why !== undefined; why = await complaint()) {
      const ended = this.#children.findIndex((child) => child.exitCode !== null);
      if (ended >= 0) throw new Error(`Cannot start ${what}: it ended\n${this.#lastWords(ended)}`);
      if (performance.now() > deadlineMs)
        throw new Error(`Cannot start ${what}: ${why} after ${START_MS_MAX} ms`);
      await Bun.sleep(POLL_MS);
    }
  }

  #lastWords(index: number): string {
    return readFileSync(this.#logFile(index), "utf8").slice(-LOG_CHARS_SHOWN);
  }

  async stop(): Promise<void> {
    for (const child of this.#children) child.kill("SIGTERM");
    const all = Promise.all(this.#children.map((child) => child.exited));
    await Promise.race([all, Bun.sleep(STOP_MS_MAX)]);
    for (const child of this.#children) child.kill("SIGKILL");
    await all;
    removeDirectory(this.directory);
  }
}

async function asks(url: string, init: RequestInit = {}): Promise<Response | undefined> {
  try {
    return await fetch(url, { ...init, signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
  } catch {
    return undefined;
  }
}

const urlOf = (target: Target): string => `http://${target.hostname}:${target.port}`;

async function metricsOf(targets: readonly Target[]): Promise<string[]> {
  const pages = targets.map(async (target) => (await asks(`${urlOf(target)}/metrics`))?.text());
  return (await Promise.all(pages)).filter((page) => page !== undefined);
}

/** @param nodeCount 1 starts a node without seeds */
export async function startHutchCluster(
  nodeCount: number,
  args: readonly string[] = [],
): Promise<Cluster> {
  const directory = temporaryDirectory("hutch");
  const ports = await freePorts(nodeCount);
  const seeds = ports.map(({ peer }) => `${HOST}:${peer}`).join(",");
  const commands = ports.map(({ client, peer }, index) => [
    process.execPath,
    MAIN,
    "serve",
    ...["--node-id", `n${index + 1}`, "--cluster", "bench", "--preset", "local"],
    ...["--listen", `${HOST}:${client}`, "--peer", `${HOST}:${peer}`],
    ...["--data-dir", join(directory, `n${index + 1}`), "--log-level", "warn"],
    ...(nodeCount > 1 ? ["--seeds", seeds] : []),
    ...args,
  ]);
  const targets = ports.map(({ client }) => ({ hostname: HOST, port: client }));
  const processes = new Processes(directory, commands);
  const isReady = async (index: number): Promise<boolean> =>
    (await asks(`${urlOf(targets[index]!)}/readyz`))?.ok === true;
  await processes.until("the hutch cluster", async () => {
    for (let index = 0; index < nodeCount; index++)
      if (!(await isReady(index))) return `n${index + 1} is not ready`;
    return complaintAboutAcks(targets);
  });
  return {
    name: "hutch",
    targets,
    protocol: (valueBytes) => hutchProtocol("bench", valueBytes),
    kill: (index) => processes.kill(index),
    restart: (index) => processes.restart(index),
    isReady,
    metrics: () => metricsOf(targets),
    stop: () => processes.stop(),
  };
}

/** A write through every node at ALL is acknowledged by as many owners as there should be: what is measured is a cluster, not nodes each on its own. */
async function complaintAboutAcks(targets: readonly Target[]): Promise<string | undefined> {
  const copies = Math.min(3, targets.length);
  for (const target of targets) {
    const answer = await asks(`${urlOf(target)}/v1/kv/bench-probe/key`, {
      method: "PUT",
      body: "probe",
      headers: { "X-Consistency": "ALL" },
    });
    const acks = answer?.headers.get("x-acks") ?? "none";
    if (answer?.status !== 204 || !new RegExp(`\\bok=${copies}\\b`).test(acks))
      return `a PUT at ALL is answered with ${answer?.status ?? "nothing"}, X-Acks: ${acks}`;
  }
  return undefined;
}

export const HAS_ETCD = Bun.which("etcd") !== null;
/** More than a bench writes; the default of 2 GiB is for production. */
const ETCD_QUOTA_BYTES = 8 * 1024 ** 3;

export async function startEtcdCluster(nodeCount: number): Promise<Cluster> {
  const directory = temporaryDirectory("etcd");
  const ports = await freePorts(nodeCount);
  const peerUrl = ({ peer }: Ports): string => `http://${HOST}:${peer}`;
  const members = ports.map((port, index) => `m${index + 1}=${peerUrl(port)}`).join(",");
  const commands = ports.map((port, index) => [
    "etcd",
    ...["--name", `m${index + 1}`, "--data-dir", join(directory, `m${index + 1}`)],
    ...["--listen-client-urls", `http://${HOST}:${port.client}`],
    ...["--advertise-client-urls", `http://${HOST}:${port.client}`],
    ...["--listen-peer-urls", peerUrl(port), "--initial-advertise-peer-urls", peerUrl(port)],
    ...["--initial-cluster", members, "--initial-cluster-state", "new"],
    ...["--initial-cluster-token", "hutch-bench", "--logger", "zap", "--log-level", "error"],
    ...["--quota-backend-bytes", String(ETCD_QUOTA_BYTES)],
  ]);
  const nodes = ports.map(({ client }) => ({ hostname: HOST, port: client }));
  const processes = new Processes(directory, commands);
  const isHealthy = async (target: Target): Promise<boolean> => {
    const answer = await asks(`${urlOf(target)}/health`);
    return answer?.ok === true && ((await answer.json()) as { health: string }).health === "true";
  };
  await processes.until("the etcd cluster", async () => {
    for (const node of nodes)
      if (!(await isHealthy(node))) return `port ${node.port} is not healthy`;
    return undefined;
  });
  const leader = await leaderOf(nodes);
  // `order[i]` is the process behind `targets[i]`.
  const order = [leader, ...nodes.keys().filter((index) => index !== leader)];
  const targets = order.map((index) => nodes[index]!);
  return {
    name: "etcd",
    targets,
    protocol: etcdProtocol,
    kill: (index) => processes.kill(order[index]!),
    restart: (index) => processes.restart(order[index]!),
    isReady: (index) => isHealthy(targets[index]!),
    metrics: () => metricsOf(targets),
    stop: () => processes.stop(),
  };
}

async function leaderOf(nodes: readonly Target[]): Promise<number> {
  for (const [index, node] of nodes.entries()) {
    const answer = await asks(`${urlOf(node)}/v3/maintenance/status`, {
      method: "POST",
      body: "{}",
    });
    const status = (await answer?.json()) as
      { leader: string; header: { member_id: string } } | undefined;
    if (status !== undefined && status.leader === status.header.member_id) return index;
  }
  return 0;
}
