/** Every example of docs/client.md, run as it stands against a node. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NodeProcess } from "./node-process.ts";

/** Whole programs start and stop here, on a machine that may be busy. */
setDefaultTimeout(60_000);

const root = join(import.meta.dir, "..", "..");
const page = readFileSync(join(root, "docs", "client.md"), "utf8");
const examples = [...page.matchAll(/^## (.*)$|^```ts\n([\s\S]*?)^```$/gm)].reduce(
  (found, [, heading, code]) => {
    if (heading !== undefined) return { ...found, heading };
    return { ...found, list: [...found.list, { heading: found.heading, code: code! }] };
  },
  { heading: "first", list: [] as { heading: string; code: string }[] },
).list;

/** What each prints, where the page says so or a reader would expect it. */
const PRINTED: Readonly<Record<string, string>> = {
  first: "world\nundefined\n",
  "Many keys": '[ "written", "written", "absent" ]\nu/1\nu/2\nu/1 Ada\nu/2 Grace\n',
  "Changing what is there": "",
  Siblings: '[ "new" ]\n',
  "Levels and sessions": "mine\n",
  "Tokens and certificates": "undefined\n",
};

// An application of its own, in which "hutch/client" and "zod" are installed.
const directory = mkdtempSync(join(tmpdir(), "hutch-client-guide-"));
mkdirSync(join(directory, "node_modules"));
symlinkSync(root, join(directory, "node_modules", "hutch"));
symlinkSync(join(root, "node_modules", "zod"), join(directory, "node_modules", "zod"));
let node: NodeProcess;
beforeAll(async () => {
  node = await NodeProcess.start(join(directory, "n1"));
});
afterAll(async () => {
  await node.end("SIGKILL");
  rmSync(directory, { recursive: true, force: true });
});

async function run(code: string): Promise<{ output: string; errors: string; exitCode: number }> {
  const path = join(directory, `${Bun.hash(code)}.ts`);
  writeFileSync(path, code.replaceAll(/http:\/\/127\.0\.0\.1:700\d/g, node.url));
  const child = Bun.spawn([process.execPath, path], {
    env: { ...process.env, BUN_BE_BUN: "1", NO_COLOR: "1" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { output, errors, exitCode: await child.exited };
}

describe("docs/client.md", () => {
  test("has examples", () => {
    expect(examples.map(({ heading }) => heading)).toEqual([
      "first",
      "Values",
      "Many keys",
      "Changing what is there",
      "Siblings",
      "Levels and sessions",
      "When something fails",
      "Tokens and certificates",
    ]);
  });

  test.each(examples)("$heading", async ({ heading, code }) => {
    const { output, errors, exitCode } = await run(code);
    expect([exitCode, errors]).toEqual([0, ""]);
    const expected = PRINTED[heading];
    if (expected !== undefined) expect(output).toBe(expected);
    if (heading === "Values") expect(output).toMatch(/^\[ "apple" \] Zoë 20\d\d-\S+Z\nitems\n$/);
    if (heading === "When something fails") expect(output).toMatch(/^bad-ttl 400 no \S+\n$/);
  });
});
