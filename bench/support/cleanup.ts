/**
 * What a bench leaves behind is nothing: processes and directories are registered, and removed when the bench ends, however it ends (SIGKILL of the bench
 * itself excepted). Removal is synchronous, so that it also works in the last moments of the process.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const children = new Set<Bun.Subprocess>();
const directories = new Set<string>();
let isArmed = false;

function arm(): void {
  if (isArmed) return;
  isArmed = true;
  process.on("exit", removeAll);
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)
    process.on(signal, () => process.exit(code));
}

function removeAll(): void {
  for (const child of children) child.kill("SIGKILL");
  // A killed process may still hold its files for a moment: removing them is repeated.
  for (const directory of directories)
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}

export function temporaryDirectory(name: string): string {
  arm();
  const directory = mkdtempSync(join(tmpdir(), `hutch-bench-${name}-`));
  directories.add(directory);
  return directory;
}

export function removeDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  directories.delete(directory);
}

/** A child process that does not outlive this one. Its output goes to a file. */
export function spawnServer(command: readonly string[], logFile: string): Bun.Subprocess {
  arm();
  const log = Bun.file(logFile);
  const child = Bun.spawn([...command], {
    stdin: "ignore",
    stdout: log,
    stderr: log,
    env: { ...process.env, BUN_BE_BUN: "1" },
    // Its own process group: a Ctrl-C is for the bench, which then ends its children.
    detached: true,
  });
  children.add(child);
  void child.exited.then(() => children.delete(child));
  return child;
}
