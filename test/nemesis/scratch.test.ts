/** A run that was killed in the middle leaves nothing for longer than until somebody looks. */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { attempt, run } from "./command.ts";
import { directoryOf, leftoversOf, makeDirectory, removeRun, runNameOf, sweep } from "./scratch.ts";

setDefaultTimeout(60_000);

/** Above every number that Linux gives to a process. */
const DEAD_PID = 4_194_305;
const dead = runNameOf(DEAD_PID);
const canMount = process.platform === "linux" && process.getuid?.() === 0;

afterEach(() => removeRun(dead));

/** A process with `words` on its command line, which stays for ever. */
async function stay(...more: readonly string[]) {
  const words = ["-e", 'console.log("here"); setInterval(() => {}, 1000)', ...more];
  const env = { ...process.env, BUN_BE_BUN: "1" };
  const child = Bun.spawn([process.execPath, ...words], { env, stdout: "pipe" });
  // Before it has begun, its command line is that of nobody.
  await child.stdout.getReader().read();
  return child;
}

test("sweep: the processes and files of a dead run go, and nothing else does", async () => {
  const directory = makeDirectory(dead);
  writeFileSync(join(directory, "data"), "x");
  const left = await stay(join(directory, "n1"));
  const other = await stay(`${directory}0/n1`);
  try {
    expect(leftoversOf(dead)).toEqual([`process ${left.pid}`, `directory ${dead}`]);
    expect(await sweep()).toContain(dead);
    await left.exited;
    expect([leftoversOf(dead), existsSync(directory)]).toEqual([[], false]);
    expect(other.exitCode).toBeNull();
  } finally {
    left.kill("SIGKILL");
    other.kill("SIGKILL");
  }
});

test("sweep: what a run that lives has is left alone", async () => {
  const alive = await stay("nemesis");
  const name = runNameOf(alive.pid);
  try {
    makeDirectory(name);
    expect(await sweep()).not.toContain(name);
    expect(leftoversOf(name)).toEqual([`directory ${name}`]);
  } finally {
    alive.kill("SIGKILL");
    await alive.exited;
    await removeRun(name);
  }
});

test("sweep: mounts, loop devices and namespaces of a dead run go, too, on top of each other and in use", async () => {
  if (!canMount) return console.log("not root: nothing can be mounted here");
  const directory = makeDirectory(dead);
  await run(["mount", "-t", "tmpfs", "-o", "size=16m", "hutch-nemesis", directory]);
  const image = join(directory, "image");
  const inner = join(directory, "inner");
  mkdirSync(inner);
  await run(["truncate", "-s", "8M", image]);
  await run(["mkfs.ext4", "-q", "-F", image]);
  await run(["mount", "-o", "loop", image, inner]);
  const user = await stay(join(inner, "log"));
  const hasNamespaces = (await attempt(["ip", "netns", "add", `${dead}-hub`])).isOk;
  if (!hasNamespaces) console.log("there are no network namespaces here");
  const kinds = leftoversOf(dead).map((line) => line.split(" ")[0]);
  expect(kinds).toContain("mount");
  expect(kinds).toContain("loop");
  expect(kinds.includes("namespace")).toBe(hasNamespaces);
  await sweep();
  await user.exited;
  // A device goes when the last file on it is closed.
  for (let i = 0; i < 50 && leftoversOf(dead).length > 0; i++) await Bun.sleep(100);
  expect([leftoversOf(dead), existsSync(directoryOf(dead))]).toEqual([[], false]);
});

test("removing what is not there is no failure", async () => {
  await removeRun(dead);
  expect(leftoversOf(dead)).toEqual([]);
});
