#!/usr/bin/env node
/**
 * What `npx hutch` starts, on Node or on Bun. hutch runs on Bun, so on Node this looks for a Bun and starts it with the program; where there is none it
 * says what to type. Bun is looked for in the package `bun` beside this one, then on the path.
 *
 * The program ends with this process, whatever ends it. Ctrl-C reaches both, because a terminal sends it to all; other signals are passed on.
 */

import { spawn, spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** Filled in by the build: the oldest Bun that will do. */
declare const BUN_VERSION: string;

const EXIT_USAGE = 64;
const EXIT_SIGNALLED = 128;
const SIGNAL_NUMBERS: Readonly<Record<string, number>> = { SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

const program = fileURLToPath(new URL("./program/cli/main.js", import.meta.url));
const args = process.argv.slice(2);

if (process.versions["bun"] === undefined) startWith(findBun());
else {
  // The program reads its arguments behind its own name.
  process.argv[1] = program;
  await import(pathToFileURL(program).href);
}

function findBun(): string | undefined {
  return [besideUs(), "bun"].find((bun) => bun !== undefined && isRecent(versionOf(bun)));
}

function besideUs(): string | undefined {
  try {
    const manifest = createRequire(import.meta.url).resolve("bun/package.json");
    return join(dirname(manifest), "bin", "bun.exe");
  } catch {
    return undefined;
  }
}

function versionOf(bun: string): string {
  return spawnSync(bun, ["--version"], { encoding: "utf8" }).stdout ?? "";
}

function isRecent(version: string): boolean {
  const parts = (text: string): number[] => text.trim().split(".").map(Number);
  const wanted = parts(BUN_VERSION);
  const found = parts(version);
  const index = wanted.findIndex((part, at) => part !== found[at]);
  return index < 0 || (found[index] ?? -1) > wanted[index]!;
}

function startWith(bun: string | undefined): void {
  if (bun === undefined) {
    process.stderr.write(
      `hutch: this program runs on Bun ${BUN_VERSION} or newer, and there is none beside it or on the path\n` +
        `try: npm install bun@${BUN_VERSION}     then the same command again\n` +
        `     npx -y bun@${BUN_VERSION} ${fileURLToPath(import.meta.url)} ${args.join(" ")}\n`,
    );
    process.exitCode = EXIT_USAGE;
    return;
  }
  const child = spawn(bun, ["--no-orphans", program, ...args], { stdio: "inherit" });
  // Told twice, the program would end at once.
  process.on("SIGINT", () => undefined);
  for (const signal of ["SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? EXIT_SIGNALLED + (SIGNAL_NUMBERS[signal ?? ""] ?? 0);
  });
}
