/**
 * The whole gate: format, types, tidy, tests. Each step runs even when one before it failed, so that one run shows all
 * that is wrong; tests come last because they take longest and end with the line that people look for.
 */

import { join } from "node:path";
import { runTests } from "./test.ts";

const root = join(import.meta.dir, "..");

const STEPS: readonly { readonly name: string; readonly args: readonly string[] }[] = [
  {
    name: "format",
    args: ["fmt", "--check", "src", "wasm", "test", "bench", "scripts", "examples"],
  },
  { name: "types", args: ["check", "-b"] },
  { name: "tidy", args: ["test", "test/tidy.test.ts"] },
];

let isGreen = true;
for (const { name, args } of STEPS) {
  const { exitCode } = Bun.spawnSync([process.execPath, ...args], {
    cwd: root,
    env: { ...process.env, BUN_BE_BUN: "1" },
    stdio: ["ignore", "inherit", "inherit"],
  });
  console.log(`${name}: ${exitCode === 0 ? "ok" : "FAILED"}`);
  if (exitCode !== 0) isGreen = false;
}
const testsExitCode = await runTests([]);
process.exitCode = isGreen && testsExitCode === 0 ? 0 : 1;
