/** A slice of `bun run nemesis`, on loopback and, where the machine has them, in namespaces; and that nothing is left of it, whatever ends it. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { abilitiesOfThisMachine } from "../nemesis/abilities.ts";
import { leftoversOf, runNameOf } from "../nemesis/scratch.ts";

/** Whole programs start and stop here, on a machine that may be busy. */
setDefaultTimeout(300_000);

const SCRIPT = join(import.meta.dir, "..", "..", "scripts", "nemesis.ts");
const LEAVE_MS_MAX = 30_000;
const out = mkdtempSync(join(tmpdir(), "hutch-e2e-nemesis-"));
afterAll(() => rmSync(out, { recursive: true, force: true }));

function begin(...args: readonly string[]) {
  const words = ["--seed", "slice", "--operations", "100", "--out", out, ...args];
  return Bun.spawn([process.execPath, SCRIPT, ...words], {
    env: { ...process.env, BUN_BE_BUN: "1", NO_COLOR: "1" },
    stdout: "pipe",
    stderr: "inherit",
  });
}

/** What was said, to its end. */
async function whole(...args: readonly string[]): Promise<string> {
  const child = begin(...args);
  const [said, exitCode] = await Promise.all([child.stdout.text(), child.exited]);
  if (exitCode !== 0) throw new Error(`exit code ${exitCode}:\n${said}`);
  expect(leftoversOf(runNameOf(child.pid))).toEqual([]);
  return said;
}

function struck(said: string, kind: string): number {
  const row = new RegExp(`│ ${kind} +│ (\\d+)`).exec(said);
  return Number(row?.[1] ?? 0);
}

test("row 111, S1: kills, stops and partitions on loopback: no violation, and nothing is left of the run", async () => {
  const kinds = ["--kinds", "kill,stop,split,one way,bad link", "--pace", "0.4"];
  const said = await whole("--on", "loopback", "--minutes", "0.4", ...kinds);
  expect(said).toContain("no violations");
  for (const kind of ["kill", "stop"]) expect(struck(said, kind)).toBeGreaterThan(0);
  expect(struck(said, "split") + struck(said, "one way")).toBeGreaterThan(0);
  for (const name of ["plan.json", "history.jsonl.gz", "n1.log"])
    expect(existsSync(join(out, name))).toBe(true);
});

test("row 111, S1: everything that this machine can do in namespaces: no violation, and nothing is left of the run", async () => {
  const { namespaces } = await abilitiesOfThisMachine();
  if (namespaces !== undefined) return console.log(`no namespaces here: ${namespaces}`);
  const said = await whole("--on", "namespaces", "--minutes", "0.4", "--pace", "0.5");
  expect(said).toContain("no violations");
  expect(struck(said, "kill")).toBeGreaterThan(0);
});

test("a run that is killed in the middle leaves nothing, whoever is killed and how", async () => {
  for (const signal of ["SIGKILL", "SIGINT"] as const) {
    const child = begin("--minutes", "5");
    await untilSaid(child.stdout, "clients and faults begin");
    const name = runNameOf(child.pid);
    expect(leftoversOf(name).length).toBeGreaterThan(1);
    child.kill(signal);
    expect(await child.exited).not.toBe(0);
    const deadlineMs = performance.now() + LEAVE_MS_MAX;
    while (leftoversOf(name).length > 0 && performance.now() < deadlineMs) await Bun.sleep(100);
    expect(leftoversOf(name)).toEqual([]);
  }
});

async function untilSaid(stream: ReadableStream<Uint8Array>, words: string): Promise<void> {
  const decoder = new TextDecoder();
  let said = "";
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`it ended before "${words}":\n${said}`);
    said += decoder.decode(value, { stream: true });
    if (said.includes(words)) return;
  }
}
