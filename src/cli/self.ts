/**
 * This program as a child process of itself, run from a checkout, a package or an executable that `bun build --compile` has made of it.
 *
 * An executable takes its arguments at once, and Bun's options from `BUN_OPTIONS`. Otherwise the child gets Bun's own options of this process
 * (`--preload`). Either way the system ends it with this process (`--no-orphans`).
 */

import { fileURLToPath } from "node:url";
import { addressOf, isExecutable, MAIN } from "../bun/own-files.ts";

const NO_ORPHANS = "--no-orphans";

export interface SelfCommand {
  readonly cmd: string[];
  readonly env: Record<string, string | undefined>;
}

export function selfCommand(args: readonly string[]): SelfCommand {
  const { BUN_BE_BUN: _, ...env } = process.env;
  if (isExecutable)
    return { cmd: [process.execPath, ...args], env: { ...env, BUN_OPTIONS: NO_ORPHANS } };
  const main = fileURLToPath(addressOf(MAIN));
  return {
    cmd: [process.execPath, ...process.execArgv, NO_ORPHANS, main, ...args],
    env: { ...env, BUN_BE_BUN: "1" },
  };
}
