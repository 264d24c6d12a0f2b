/**
 * How long somebody waits who has Node and nothing else: from a fresh clone to the first value read back.
 *
 *   bun scripts/first-value.ts            with what npm and Bun have downloaded before
 *   bun scripts/first-value.ts --cold     with empty caches, then again with those it has filled
 *
 * What is cloned is the last commit of this checkout. On the path are node, npm, git and a shell.
 */

import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../package.json" with { type: "json" };
import { freePort } from "../test/e2e/node-process.ts";

const root = join(import.meta.dir, "..");
const TOOLS = ["node", "npm", "npx", "git", "sh", "env"];

/** What the start says of its progress, in its order, and what goes on from there. */
const MARKS: readonly (readonly [text: string, phase: string])[] = [
  ["setup: installing", "install the dependencies"],
  ["setup: building the wasm", "build the kernels"],
  ["setup: building the dashboard", "build the dashboard"],
  ["waiting_for_cluster", "start three nodes"],
  ["Ctrl-C stops it", "put and get"],
];

export interface Phase {
  readonly name: string;
  readonly seconds: number;
}

export interface FirstValue {
  readonly phases: readonly Phase[];
  readonly seconds: number;
  readonly value: string;
}

/** @param caches an empty or used directory for what is downloaded; that of the user without it */
export async function measureFirstValue(caches?: string): Promise<FirstValue> {
  const folder = mkdtempSync(join(tmpdir(), "hutch-first-value-"));
  try {
    return await measureIn(folder, caches);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measureIn(folder: string, caches: string | undefined): Promise<FirstValue> {
  const watch = new StopWatch("clone");
  const clone = join(folder, "hutch");
  const environment = environmentOf(folder, caches);
  const { exitCode } = Bun.spawnSync(["git", "clone", "--quiet", "--local", root, clone], {
    env: environment,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (exitCode !== 0) throw new Error(`Cannot clone: git ended with ${exitCode}`);
  watch.next("get Bun");
  const port = freePort();
  const ports = ["--base-port", `${port}`, "--peer-base-port", `${port + 3}`];
  const bun = manifest.packageManager;
  const started = Bun.spawn(["npx", "-y", bun, "run", "cluster", ...ports], {
    cwd: clone,
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
    // A group of its own, to end all of it at once.
    detached: true,
  });
  try {
    await watch.follow([started.stdout, started.stderr]);
    const url = (index: number): string => `http://127.0.0.1:${port + index}/v1/kv/demo/hello`;
    await fetch(url(0), { method: "PUT", body: "world" });
    const value = await (await fetch(url(1))).text();
    return { ...watch.stop(), value };
  } finally {
    process.kill(-started.pid, "SIGKILL");
    await started.exited;
  }
}

function environmentOf(folder: string, caches: string | undefined): Record<string, string> {
  const tools = join(folder, "tools");
  mkdirSync(tools);
  for (const tool of TOOLS) {
    const path = Bun.which(tool);
    if (path === null) throw new Error(`Cannot measure: ${tool} is not on the path`);
    symlinkSync(path, join(tools, tool));
  }
  const own = Object.entries(process.env).filter(([name]) => !/^(HUTCH_|BUN_|npm_)/.test(name));
  return {
    ...(Object.fromEntries(own) as Record<string, string>),
    PATH: tools,
    ...(caches !== undefined && {
      npm_config_cache: join(caches, "npm"),
      BUN_INSTALL_CACHE_DIR: join(caches, "bun"),
    }),
  };
}

class StopWatch {
  readonly #phases: Phase[] = [];
  readonly #startedMs = performance.now();
  #phaseMs = this.#startedMs;
  #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  next(name: string): void {
    const nowMs = performance.now();
    this.#phases.push({ name: this.#name, seconds: (nowMs - this.#phaseMs) / 1000 });
    this.#phaseMs = nowMs;
    this.#name = name;
  }

  stop(): Pick<FirstValue, "phases" | "seconds"> {
    this.next("");
    return { phases: this.#phases, seconds: (performance.now() - this.#startedMs) / 1000 };
  }

  /** Until the last of the marks has been said. Throws with all that was said where it is not. */
  async follow(streams: readonly ReadableStream<Uint8Array>[]): Promise<void> {
    let said = "";
    let reached = 0;
    const isDone = Promise.withResolvers<void>();
    const read = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
      const decoder = new TextDecoder();
      for await (const chunk of stream) {
        said += decoder.decode(chunk, { stream: true });
        for (let at = reached; at < MARKS.length; at++)
          if (said.includes(MARKS[at]![0])) {
            reached = at + 1;
            this.next(MARKS[at]![1]);
          }
        if (reached === MARKS.length) isDone.resolve();
      }
    };
    const all = Promise.all(streams.map(read)).then(() => {
      if (reached < MARKS.length) throw new Error(`the cluster did not start: ${said}`);
    });
    await Promise.race([isDone.promise, all]);
  }
}

export function linesOf(title: string, { phases, seconds, value }: FirstValue): string[] {
  return [
    `${title}: ${seconds.toFixed(1)} s from a fresh clone to "${value}"`,
    ...phases.map((phase) => `  ${phase.seconds.toFixed(1).padStart(5)} s  ${phase.name}`),
  ];
}

async function measureCold(): Promise<void> {
  const caches = mkdtempSync(join(tmpdir(), "hutch-caches-"));
  try {
    for (const title of ["cold", "warm"])
      console.log(linesOf(title, await measureFirstValue(caches)).join("\n"));
  } finally {
    rmSync(caches, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  if (process.argv.includes("--cold")) await measureCold();
  else console.log(linesOf("warm", await measureFirstValue()).join("\n"));
}
