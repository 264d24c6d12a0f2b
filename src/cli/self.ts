/**
 * This program as a child process of itself, run from a checkout or from an executable that `bun build --compile` has made of it.
 *
 * An executable takes its arguments at once. Otherwise the child gets Bun's own options of this process (`--preload`), and the system ends it with this one.
 */

import { join } from "node:path";

/** Where an executable keeps the files that it is made of. */
const EMBEDDED_ROOT = "/$bunfs/";

export interface SelfCommand {
  readonly cmd: string[];
  readonly env: Record<string, string | undefined>;
}

export function selfCommand(args: readonly string[]): SelfCommand {
  const { BUN_BE_BUN: _, ...env } = process.env;
  if (import.meta.dir.startsWith(EMBEDDED_ROOT)) return { cmd: [process.execPath, ...args], env };
  const main = join(import.meta.dir, "main.ts");
  return {
    cmd: [process.execPath, ...process.execArgv, "--no-orphans", main, ...args],
    env: { ...env, BUN_BE_BUN: "1" },
  };
}
