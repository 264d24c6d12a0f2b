/** The real program as a child process: nodes on free ports with data in a directory of their own, and single commands. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const main = join(import.meta.dir, "..", "..", "src", "cli", "main.ts");

/** Nothing of this machine's own configuration reaches a test. */
function cleanEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("HUTCH_"));
  return {
    ...(Object.fromEntries(own) as Record<string, string>),
    BUN_BE_BUN: "1",
    NO_COLOR: "1",
    ...extra,
  };
}

/** Below the ports that the system gives to outgoing connections, so that a node that restarts finds its own again. */
const PORT_MIN = 12_000;
const PORT_MAX = 32_000;
const PORT_ATTEMPTS_MAX = 100;

/** A port that was free a moment ago. */
export function freePort(): number {
  for (let attempt = 0; attempt < PORT_ATTEMPTS_MAX; attempt++) {
    const port = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN));
    try {
      Bun.listen({ hostname: "127.0.0.1", port, socket: { data: () => undefined } }).stop(true);
      return port;
    } catch {
      // Somebody has it.
    }
  }
  throw new Error(`none of ${PORT_ATTEMPTS_MAX} ports is free`);
}

export interface Finished {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly directory?: string;
}

/** Runs `hutch ARGS` to its end. */
export async function hutch(
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Finished> {
  const child = Bun.spawn([process.execPath, main, ...args], {
    env: cleanEnvironment(options.environment),
    stdin: options.input === undefined ? "ignore" : new TextEncoder().encode(options.input),
    stdout: "pipe",
    stderr: "pipe",
    ...(options.directory === undefined ? {} : { cwd: options.directory }),
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr };
}

/** Starts `hutch ARGS`, which stays until it is told to end. */
export function startCommand(args: readonly string[]) {
  const child = Bun.spawn([process.execPath, "--no-orphans", main, ...args], {
    env: cleanEnvironment(),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const printed = new Collected(child.stdout);
  const noted = new Collected(child.stderr);
  return {
    pid: child.pid,
    exited: child.exited,
    /** What it has printed once `text` is among it; all of it where it ends before. */
    until: (text: string): Promise<string> => printed.until(text),
    /** The same of standard error. */
    untilNoted: (text: string): Promise<string> => noted.until(text),
    signal: (signal: NodeJS.Signals): void => child.kill(signal),
    async end(signal: NodeJS.Signals): Promise<number> {
      child.kill(signal);
      return child.exited;
    },
  };
}

/** Runs `hutch ARGS` on a terminal of its own, to its end or, where `untilText` is given, to Ctrl-C once that is shown. */
/** A terminal that says nothing for so long has said all. */
const TERMINAL_QUIET_MS = 50;

export async function runInTerminal(
  args: readonly string[],
  columns: number,
  untilText?: string,
): Promise<{ exitCode: number; output: string }> {
  let output = "";
  let isEnded = false;
  const { NO_COLOR: _, ...environment } = cleanEnvironment();
  const child = Bun.spawn([process.execPath, main, ...args], {
    env: { ...environment, TERM: "xterm-256color" },
    terminal: {
      cols: columns,
      rows: 24,
      data(terminal, bytes) {
        output += new TextDecoder().decode(bytes);
        if (isEnded || untilText === undefined || !output.includes(untilText)) return;
        isEnded = true;
        terminal.write("\x03");
      },
    },
  });
  const exitCode = await child.exited;
  // What it wrote last may still be on its way.
  for (let seen = -1; seen !== output.length; await Bun.sleep(TERMINAL_QUIET_MS))
    seen = output.length;
  child.terminal?.close();
  return { exitCode, output };
}

/** All that a stream has said so far. */
class Collected {
  #text = "";
  #isOver = false;
  #changed = Promise.withResolvers<void>();

  constructor(stream: ReadableStream<Uint8Array>) {
    void this.#collect(stream);
  }

  async #collect(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) this.#take(decoder.decode(chunk, { stream: true }));
    this.#isOver = true;
    this.#take("");
  }

  #take(text: string): void {
    this.#text += text;
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers();
    resolve();
  }

  async until(text: string): Promise<string> {
    while (!this.#isOver && !this.#text.includes(text)) await this.#changed.promise;
    return this.#text;
  }
}

/** A node that is stopped at birth answers nothing, and must not hold up the test. */
const READY_ANSWER_MS = 1000;

export interface StartOptions {
  readonly port?: number;
  readonly args?: readonly string[];
  /** Besides what every node gets. */
  readonly environment?: Readonly<Record<string, string>>;
  /** The node has a certificate: it is asked by https, and believed. */
  readonly tls?: boolean;
  /** Called at once, before the node is ready. */
  readonly onSpawn?: (node: NodeProcess) => void;
}

export class NodeProcess {
  readonly url: string;
  readonly child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #stderr: Promise<string>;

  private constructor(url: string, child: Bun.Subprocess<"ignore", "pipe", "pipe">) {
    this.url = url;
    this.child = child;
    this.#stderr = child.stderr.text();
    void child.stdout.text();
  }

  /** Starts `hutch serve` and waits until it is ready. */
  static async start(
    dataDir: string,
    { port = freePort(), args = [], environment, tls = false, onSpawn }: StartOptions = {},
  ): Promise<NodeProcess> {
    const peer = args.includes("--peer") ? [] : ["--peer", `127.0.0.1:${freePort()}`];
    const own = ["--listen", `127.0.0.1:${port}`, "--data-dir", dataDir, ...peer];
    const child = Bun.spawn([process.execPath, "--no-orphans", main, "serve", ...own, ...args], {
      env: cleanEnvironment(environment),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const node = new NodeProcess(`${tls ? "https" : "http"}://127.0.0.1:${port}`, child);
    onSpawn?.(node);
    await node.#ready();
    return node;
  }

  async #ready(): Promise<void> {
    while (this.child.exitCode === null && this.child.signalCode === null) {
      const signal = AbortSignal.timeout(READY_ANSWER_MS);
      const request = { signal, tls: { rejectUnauthorized: false } };
      const isReady = await fetch(`${this.url}/readyz`, request).then(
        ({ ok }) => ok,
        () => false,
      );
      if (isReady) return;
      await Bun.sleep(10);
    }
    const end = this.child.exitCode ?? this.child.signalCode;
    throw new Error(`the node ended with ${end}: ${await this.#stderr}`);
  }

  /** Sends a signal and waits for the end. */
  async end(signal: "SIGTERM" | "SIGINT" | "SIGKILL"): Promise<number> {
    this.child.kill(signal);
    return this.child.exited;
  }

  log(): Promise<string> {
    return this.#stderr;
  }

  key(bucket: string, key: string): string {
    return `${this.url}/v1/kv/${bucket}/${key}`;
  }
}

export interface ClusterOptions {
  /** For every node, behind what the helper sets; a small `--partitions` makes views readable. */
  readonly args?: readonly string[];
  /** For one node, by its index. */
  readonly argsOf?: (index: number) => readonly string[];
  /** Where the data of one node are; below the directory of the cluster without it. */
  readonly dataDirOf?: (index: number) => string;
  /** For one node, besides what every node gets. */
  readonly environmentOf?: (index: number) => Readonly<Record<string, string>>;
}

/** Ends a process; the other signals leave it there. */
const FINAL_SIGNALS: readonly string[] = ["SIGKILL", "SIGTERM", "SIGINT"];

/** Several nodes `n1`, `n2`, ... that know each other, with data and addresses that outlive restarts. Indexes count from 0. */
export class ClusterProcess {
  readonly directory: string;
  readonly #options: ClusterOptions;
  readonly #ports: readonly number[];
  readonly #peerPorts: readonly number[];
  readonly #nodes: (NodeProcess | undefined)[];

  private constructor(count: number, directory: string, options: ClusterOptions) {
    const ports = new Set<number>();
    while (ports.size < 2 * count) ports.add(freePort());
    this.directory = directory;
    this.#options = options;
    this.#ports = [...ports].slice(0, count);
    this.#peerPorts = [...ports].slice(count);
    this.#nodes = this.#ports.map(() => undefined);
  }

  /** Starts `count` nodes at once with data in `directory`, and waits until all are ready. */
  static async start(
    count: number,
    directory: string,
    options: ClusterOptions = {},
  ): Promise<ClusterProcess> {
    const cluster = new ClusterProcess(count, directory, options);
    const starts = cluster.#ports.map((_, index) => cluster.restart(index));
    try {
      await Promise.all(starts);
    } catch (error) {
      // The others may wait for the one that failed.
      await cluster.stop();
      await Promise.allSettled(starts);
      throw error;
    }
    return cluster;
  }

  get size(): number {
    return this.#ports.length;
  }

  url(index: number): string {
    return `http://127.0.0.1:${this.#ports[index]}`;
  }

  get urls(): readonly string[] {
    return this.#ports.map((_, index) => this.url(index));
  }

  peerAddress(index: number): string {
    return `127.0.0.1:${this.#peerPorts[index]}`;
  }

  dataDir(index: number): string {
    return this.#options.dataDirOf?.(index) ?? join(this.directory, `n${index + 1}`);
  }

  key(index: number, bucket: string, key: string): string {
    return `${this.url(index)}/v1/kv/${bucket}/${key}`;
  }

  /** The process of a node that runs. */
  node(index: number): NodeProcess {
    const node = this.#nodes[index];
    if (node === undefined) throw new Error(`n${index + 1} does not run`);
    return node;
  }

  /** Sends a signal and, where it ends the process, waits for the end. */
  async kill(index: number, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const node = this.node(index);
    node.child.kill(signal);
    if (!FINAL_SIGNALS.includes(signal)) return;
    await node.child.exited;
    this.#nodes[index] = undefined;
  }

  /** Starts a node that does not run on its own data, with `args` besides its usual ones, and waits until it is ready. */
  async restart(index: number, args: readonly string[] = []): Promise<NodeProcess> {
    const seeds = this.#ports.map((_, each) => this.peerAddress(each)).join(",");
    const identity = ["--node-id", `n${index + 1}`, "--peer", this.peerAddress(index)];
    const place = ["--seeds", seeds, "--rack", `rack${index + 1}`, "--preset", "local"];
    const own = [...(this.#options.args ?? []), ...(this.#options.argsOf?.(index) ?? [])];
    return NodeProcess.start(this.dataDir(index), {
      port: this.#ports[index]!,
      args: [...identity, ...place, ...own, ...args],
      environment: this.#options.environmentOf?.(index) ?? {},
      onSpawn: (spawned) => (this.#nodes[index] = spawned),
    });
  }

  /** Kills whatever still runs. */
  async stop(): Promise<void> {
    await Promise.all(
      this.#nodes.map((node, index) => (node === undefined ? undefined : this.kill(index))),
    );
  }
}

/** Runs `body` with `count` nodes of one cluster, which are killed afterwards; their data go, too. */
export async function withCluster(
  count: number,
  body: (cluster: ClusterProcess) => Promise<void>,
  options: ClusterOptions = {},
): Promise<void> {
  await withDirectory(async (directory) => {
    const cluster = await ClusterProcess.start(count, directory, options);
    try {
      await body(cluster);
    } finally {
      await cluster.stop();
    }
  });
}

/** Runs `body` with a directory that is gone afterwards. */
export async function withDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "hutch-e2e-"));
  try {
    await body(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Runs `body` with a node of its own, which is killed afterwards if it still runs. */
export async function withNode(
  body: (node: NodeProcess, dataDir: string) => Promise<void>,
  args: readonly string[] = [],
): Promise<void> {
  await withDirectory(async (directory) => {
    const dataDir = join(directory, "n1");
    const node = await NodeProcess.start(dataDir, { args });
    try {
      await body(node, dataDir);
    } finally {
      await node.end("SIGKILL");
    }
  });
}
