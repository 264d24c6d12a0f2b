/** Servers to measure, as child processes: pinned to core 0 where one core is measured (the load generator has core 1), else free. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Server {
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** `taskset` where the machine has it; the figures say which. */
export const PINNED = Bun.which("taskset") !== null;

export function pinned(core: number, command: readonly string[]): string[] {
  return PINNED ? ["taskset", "-c", String(core), ...command] : [...command];
}

function freePort(): number {
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: () => undefined },
  });
  const { port } = listener;
  listener.stop(true);
  return port;
}

async function start(
  command: readonly string[],
  port: number,
  isUp: () => Promise<boolean>,
  clean: () => void,
  isPinned: boolean,
): Promise<Server> {
  const child = Bun.spawn(isPinned ? pinned(0, command) : [...command], {
    stdout: "ignore",
    stderr: "inherit",
    env: { ...process.env, BUN_BE_BUN: "1" },
  });
  while (!(await isUp())) {
    if (child.exitCode !== null)
      throw new Error(`"${command.join(" ")}" ended with ${child.exitCode}`);
    await Bun.sleep(20);
  }
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    async stop() {
      child.kill("SIGTERM");
      await child.exited;
      clean();
    },
  };
}

const answers = (url: string) => (): Promise<boolean> =>
  fetch(url).then(
    () => true,
    () => false,
  );

export function startHutch(args: readonly string[] = [], isPinned = false): Promise<Server> {
  const directory = mkdtempSync(join(tmpdir(), "hutch-bench-"));
  const port = freePort();
  const main = join(import.meta.dir, "..", "..", "src", "cli", "main.ts");
  return start(
    [
      process.execPath,
      main,
      "serve",
      "--listen",
      `127.0.0.1:${port}`,
      "--data-dir",
      join(directory, "data"),
      ...args,
    ],
    port,
    () =>
      fetch(`http://127.0.0.1:${port}/readyz`).then(
        (answer) => answer.ok,
        () => false,
      ),
    () => rmSync(directory, { recursive: true, force: true }),
    isPinned,
  );
}

/** The bare Hono handler: `headers` and `body` are what hutch answers a GET with. */
export function startBareHono(
  headers: Readonly<Record<string, string>>,
  body: string,
  isPinned: boolean,
): Promise<Server> {
  const directory = mkdtempSync(join(tmpdir(), "hutch-bench-bare-"));
  const port = freePort();
  const script = join(import.meta.dir, "bare-hono.ts");
  return start(
    [process.execPath, script, String(port), join(directory, "log"), JSON.stringify(headers), body],
    port,
    answers(`http://127.0.0.1:${port}/v1/kv/b/k`),
    () => rmSync(directory, { recursive: true, force: true }),
    isPinned,
  );
}

export function startRedis(isPinned: boolean): Promise<Server> {
  const directory = mkdtempSync(join(tmpdir(), "hutch-bench-redis-"));
  const port = freePort();
  const options = [
    "--save",
    "",
    "--appendonly",
    "yes",
    "--appendfsync",
    "always",
    "--dir",
    directory,
  ];
  return start(
    ["redis-server", "--port", String(port), "--bind", "127.0.0.1", ...options],
    port,
    () => isListening(port),
    () => rmSync(directory, { recursive: true, force: true }),
    isPinned,
  );
}

async function isListening(port: number): Promise<boolean> {
  try {
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: { data: () => undefined },
    });
    socket.end();
    return true;
  } catch {
    return false;
  }
}
