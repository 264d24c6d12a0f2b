/**
 * Runs the tests and ends with a line of its own: `N passed, N failed`.
 *
 * `bun test` does the work; its output passes through as it comes. Its summary ("N pass", "N fail", "N skip") is counted
 * from what it prints. A run that ends without a summary, or with another exit code than its summary says, has failed:
 * the closing line then counts one failure more than the tests that reported one.
 */

import { availableParallelism } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "..");

/** Files at once, where there are as many cores. Whole clusters of processes run in some of them. */
const LANES_MAX = 2;

/** Characters of the end of the output that are searched for the summary. */
const TAIL_LENGTH_MAX = 4096;

export interface Summary {
  readonly passed: number;
  readonly failed: number;
}

/** Reads the summary that `bun test` prints last; `undefined` where there is none. */
export function readSummary(output: string): Summary | undefined {
  // The colour codes that a terminal gets are not part of the text.
  const plain = output.replaceAll(/\u001b\[[0-9;]*m/g, "");
  const passed = [...plain.matchAll(/^\s*(\d+) pass$/gm)].at(-1);
  const failed = [...plain.matchAll(/^\s*(\d+) fail$/gm)].at(-1);
  if (passed === undefined || failed === undefined) return undefined;
  return { passed: Number(passed[1]), failed: Number(failed[1]) };
}

/** What to say and how to exit, from the summary and the exit code of `bun test`. */
export function closing(summary: Summary | undefined, exitCode: number): Summary {
  const { passed, failed } = summary ?? { passed: 0, failed: 0 };
  const isExplained = summary !== undefined && (exitCode === 0) === (failed === 0);
  return { passed, failed: isExplained ? failed : failed + 1 };
}

/** Copies `source` to standard error as it comes and returns the end of its text. */
async function passThrough(source: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let tail = "";
  for await (const chunk of source) {
    process.stderr.write(chunk);
    tail = (tail + decoder.decode(chunk, { stream: true })).slice(-TAIL_LENGTH_MAX);
  }
  return tail;
}

/** Some files wait most of the time, others compute: side by side they take little more than half. */
function lanesFor(filters: readonly string[]): string[] {
  const lanes = Math.min(LANES_MAX, availableParallelism());
  return filters.length === 0 && lanes > 1 ? [`--parallel=${lanes}`] : [];
}

/** Runs the tests that `filters` name (all without any) and returns the exit code for this process. */
export async function runTests(filters: readonly string[]): Promise<number> {
  const child = Bun.spawn([process.execPath, "test", ...lanesFor(filters), ...filters], {
    cwd: root,
    env: { ...process.env, BUN_BE_BUN: "1" },
    stdio: ["ignore", "inherit", "pipe"],
  });
  const tail = await passThrough(child.stderr);
  const { passed, failed } = closing(readSummary(tail), await child.exited);
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await runTests(process.argv.slice(2));
