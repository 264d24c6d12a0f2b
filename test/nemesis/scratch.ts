/**
 * Everything that a run leaves on a machine carries the name of the run, `hutch-nemesis-PID`, so that it can be found and removed by anybody later:
 *
 *   processes     name a directory below the run's own on their command line
 *   mounts        are at or below that directory
 *   loop devices  have their file there
 *   namespaces    have names that begin with the run's
 *
 * `removeRun` removes all that one run has left, and fails at nothing; `sweep` does so for every run whose process is gone.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { attempt } from "./command.ts";

const PREFIX = "hutch-nemesis-";
const RUN_NAME = /^hutch-nemesis-(\d+)/;
const NAMESPACES = "/run/netns";
/** Between the kills of what is left and the removal of what it used. */
const END_MS = 100;
const END_TRIES = 50;

/** The run of process `pid`. */
export const runNameOf = (pid: number): string => `${PREFIX}${pid}`;
export const directoryOf = (run: string): string => join(tmpdir(), run);

export function makeDirectory(run: string): string {
  const directory = directoryOf(run);
  mkdirSync(directory, { recursive: true });
  return directory;
}

/** What is there of a run, in words; empty when nothing is. */
export function leftoversOf(run: string): string[] {
  return [
    ...processesOf(run).map((pid) => `process ${pid}`),
    ...mountsOf(run).map((path) => `mount ${path}`),
    ...loopsOf(run).map((device) => `loop device ${device}`),
    ...namespacesOf(run).map((name) => `namespace ${name}`),
    ...namesIn(tmpdir())
      .filter((name) => name === run)
      .map((name) => `directory ${name}`),
  ];
}

/** Removes everything of a run but this process. */
export async function removeRun(run: string): Promise<void> {
  for (let tries = 0; tries < END_TRIES && processesOf(run).length > 0; tries++) {
    for (const pid of processesOf(run)) kill(pid);
    await Bun.sleep(END_MS);
  }
  for (const name of namespacesOf(run)) await attempt(["ip", "netns", "delete", name]);
  // What is mounted on top goes first.
  for (const path of mountsOf(run).sort((a, b) => b.length - a.length))
    await attempt(["umount", "-l", path]);
  for (const device of loopsOf(run)) await attempt(["losetup", "--detach", device]);
  rmSync(directoryOf(run), { recursive: true, force: true });
}

/** Removes what dead runs have left; returns their names. */
export async function sweep(): Promise<readonly string[]> {
  const names = [...namesIn(tmpdir()), ...namesIn(NAMESPACES)];
  const runs = new Set(names.flatMap((name) => RUN_NAME.exec(name)?.[0] ?? []));
  const dead = [...runs].filter((run) => !isAlive(Number(RUN_NAME.exec(run)![1])));
  for (const run of dead) await removeRun(run);
  return dead;
}

/** Is it there, and not another program that got the number since? */
function isAlive(pid: number): boolean {
  const words = commandLineOf(pid);
  return words.some((word) => word.includes("nemesis"));
}

function commandLineOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
}

/** Those that speak of the run's directory; itself and its janitor do not. */
function processesOf(run: string): number[] {
  const directory = directoryOf(run);
  const isOf = (word: string): boolean => word === directory || word.startsWith(`${directory}/`);
  return namesIn("/proc")
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid && commandLineOf(pid).some(isOf));
}

function mountsOf(run: string): string[] {
  const directory = directoryOf(run);
  const lines = readText("/proc/self/mounts").split("\n");
  const paths = lines.map((line) => line.split(" ")[1] ?? "");
  return paths.filter((path) => path === directory || path.startsWith(`${directory}/`));
}

/** A device whose file has been removed meanwhile says so behind its name. */
function loopsOf(run: string): string[] {
  const directory = directoryOf(run);
  return namesIn("/sys/block")
    .filter((name) => name.startsWith("loop"))
    .filter((name) => readText(`/sys/block/${name}/loop/backing_file`).startsWith(`${directory}/`))
    .map((name) => `/dev/${name}`);
}

function namespacesOf(run: string): string[] {
  return namesIn(NAMESPACES).filter((name) => name.startsWith(`${run}-`));
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}
