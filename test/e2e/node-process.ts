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

/** A port that was free a moment ago. */
export function freePort(): number {
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: () => undefined },
  });
  const { port } = listener;
  listener.stop(true);
  return port;
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
  const child = Bun.spawn([process.execPath, main, ...args], {
    env: cleanEnvironment(),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  return {
    exited: child.exited,
    /** What it prints up to `text`; all of it where it ends before. */
    async until(text: string): Promise<string> {
      const decoder = new TextDecoder();
      let printed = "";
      for await (const chunk of child.stdout) {
        printed += decoder.decode(chunk, { stream: true });
        if (printed.includes(text)) break;
      }
      return printed;
    },
    async end(signal: "SIGINT" | "SIGTERM"): Promise<number> {
      child.kill(signal);
      return child.exited;
    },
  };
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
    { port = freePort(), args = [] }: { port?: number; args?: readonly string[] } = {},
  ): Promise<NodeProcess> {
    const own = ["--listen", `127.0.0.1:${port}`, "--data-dir", dataDir];
    const child = Bun.spawn([process.execPath, "--no-orphans", main, "serve", ...own, ...args], {
      env: cleanEnvironment(),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const node = new NodeProcess(`http://127.0.0.1:${port}`, child);
    await node.#ready();
    return node;
  }

  async #ready(): Promise<void> {
    while (this.child.exitCode === null) {
      const isReady = await fetch(`${this.url}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      );
      if (isReady) return;
      await Bun.sleep(10);
    }
    throw new Error(`the node ended with ${this.child.exitCode}: ${await this.#stderr}`);
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
