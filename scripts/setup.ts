/**
 * Makes a fresh clone ready: installs the locked dependencies, builds the WASM kernels and the dashboard,
 * each only where its inputs changed since the last time. Runs before every script of `package.json`, so it
 * must be quick when nothing is to do, and before anything is installed, so it imports only what is
 * part of Bun. `process.execPath` is the Bun that runs this, also where it is reachable through npx only.
 */

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isUiCurrent } from "./build-ui.ts";
import { isWasmCurrent } from "./build-wasm.ts";

const root = join(import.meta.dir, "..");
const installStampFile = join(root, "node_modules", ".hutch-installed");

function manifestHash(): string {
  const hash = createHash("sha256");
  for (const file of ["package.json", "bun.lock"]) hash.update(readFileSync(join(root, file)));
  return hash.digest("hex");
}

function isInstalled(hash: string): boolean {
  try {
    return readFileSync(installStampFile, "utf8") === hash;
  } catch {
    return false;
  }
}

/** Runs this Bun with `args` and ends the set-up with its output where it fails. */
function runBun(...args: string[]): void {
  const child = Bun.spawnSync([process.execPath, ...args], {
    cwd: root,
    env: { ...process.env, BUN_BE_BUN: "1" },
    stdout: "pipe",
    stderr: "pipe",
  });
  if (child.exitCode === 0) return;
  process.stderr.write(`setup: "bun ${args.join(" ")}" failed with exit code ${child.exitCode}\n`);
  process.stderr.write(child.stderr.toString() + child.stdout.toString());
  process.exit(1);
}

const hash = manifestHash();
if (!isInstalled(hash)) {
  process.stderr.write("setup: installing dependencies\n");
  runBun("install", "--frozen-lockfile");
  writeFileSync(installStampFile, hash);
}
if (!isWasmCurrent()) {
  process.stderr.write("setup: building the wasm kernels\n");
  runBun("scripts/build-wasm.ts");
}
if (!isUiCurrent()) {
  process.stderr.write("setup: building the dashboard\n");
  runBun("scripts/build-ui.ts");
}
