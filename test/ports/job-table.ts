/** Jobs for the conformance suite of workers: each does one thing that a job can do, or fails in one way. */
import { CorruptionError, HutchError } from "../../src/base/errors.ts";
import { DiskError } from "../../src/ports/disk.ts";
import type { JobFunction, JobTable } from "../../src/ports/workers.ts";

const echo: JobFunction<unknown, unknown> = async (_environment, job) => job;

const append: JobFunction<{ path: string; text: string; waitMs: number }, number> = async (
  { disk, clock },
  { path, text, waitMs },
) => {
  const file = disk.sizeOf(path) < 0 ? disk.create(path) : disk.open(path, "read-write");
  file.append(new TextEncoder().encode(`<${text}`));
  await clock.sleep(waitMs);
  file.append(new TextEncoder().encode(`${text}>`));
  file.close();
  return disk.sizeOf(path);
};

const fail: JobFunction<string, never> = async ({ disk }, how) => {
  if (how === "disk") throw new DiskError("no-space", "some/file", "Cannot append: full");
  if (how === "real-disk") disk.open("missing", "read");
  if (how === "corruption")
    throw new CorruptionError("Cannot read block", "000000000007.sst", 4096);
  if (how === "hutch") {
    throw new HutchError("overloaded", "Cannot flush", { retry: "safe", data: { waiting: 7 } });
  }
  if (how === "type") throw new TypeError("a plain one");
  if (how === "string") throw "just text";
  throw new Error("unexpected");
};

/** Only for real threads: the thread ends without an answer. */
const die: JobFunction<string, never> = async (_environment, how) => {
  if (how === "exit") process.exit(3);
  setTimeout(() => {
    throw new Error("outside of the job");
  }, 0);
  return new Promise<never>(() => undefined);
};

export const testJobs: JobTable = {
  echo: { lane: "one", run: echo },
  append: { lane: "one", run: append },
  appendElsewhere: { lane: "two", run: append },
  fail: { lane: "one", run: fail },
  die: { lane: "one", run: die },
};
