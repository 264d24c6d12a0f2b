/**
 * The commands of docs/install.md, in their order. hutch is the real one; what would change the machine or needs an engine (sudo, docker, kubectl), and
 * what has an end-to-end test of its own (bun, npm, npx, the executable), only notes how it was called.
 */
import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { withDirectory } from "../e2e/node-process.ts";

setDefaultTimeout(30_000);

const root = join(import.meta.dir, "..", "..");
const page = readFileSync(join(root, "docs", "install.md"), "utf8");
const blocks = [...page.matchAll(/^```sh\n([^`]+)^```/gm)].map(([, block]) => block!.trim());
const NOTED = ["sudo", "docker", "kubectl", "bun", "npm", "npx"];

/** Calls in their order, each as one line. */
let calls: readonly string[] = [];

beforeAll(() =>
  withDirectory(async (directory) => {
    const tools = join(directory, "tools");
    const write = (path: string, script: string): void => {
      writeFileSync(path, `#!/bin/sh\n${script}\n`);
      chmodSync(path, 0o755);
    };
    for (const folder of ["tools", "dist"]) mkdirSync(join(directory, folder));
    symlinkSync(join(root, "ops"), join(directory, "ops"));
    for (const tool of NOTED) write(join(tools, tool), `echo ${tool} "$@" >> "${directory}/calls"`);
    write(join(directory, "dist", "hutch"), `echo ./dist/hutch "$@" >> "${directory}/calls"`);
    const main = join(root, "src", "cli", "main.ts");
    write(join(tools, "hutch"), `BUN_BE_BUN=1 exec "${process.execPath}" "${main}" "$@"`);
    const child = Bun.spawn(["sh", "-e", "-c", blocks.join("\n")], {
      cwd: directory,
      env: { ...process.env, PATH: `${tools}:${process.env["PATH"]}` },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const stderr = await child.stderr.text();
    if ((await child.exited) !== 0) throw new Error(stderr);
    calls = readFileSync(join(directory, "calls"), "utf8").trimEnd().split("\n");
    for (const file of ["tokens", "cluster-key"])
      expect(statSync(join(directory, file)).mode & 0o077).toBe(0);
  }),
);

describe("docs/install.md", () => {
  test("names scripts that there are, and the versions of now", () => {
    const scripts = calls.flatMap((call) => /(?:^bun|bun@\S+) run (\S+)/.exec(call)?.[1] ?? []);
    expect(scripts).toEqual(["cluster", "build", "build:package"]);
    for (const script of scripts) expect(Object.keys(manifest.scripts)).toContain(script);
    expect(page).toContain(`npx -y ${manifest.packageManager} run cluster`);
    expect(page).toContain(`dist/hutch-${manifest.version}.tgz`);
  });

  test("names files that there are", () => {
    const files = [...page.matchAll(/\bops\/[\w./-]+\w/g)].map(([file]) => file);
    expect(files.length).toBeGreaterThan(4);
    for (const file of files) expect(existsSync(join(root, file))).toBe(true);
    for (const [, link] of page.matchAll(/\]\(([^)#]+)/g))
      expect(`${link} ${existsSync(join(root, "docs", link!))}`).toBe(`${link} true`);
  });

  test("gives Kubernetes the secret under the names that the manifests use", () => {
    const statefulset = readFileSync(join(root, "ops", "kubernetes", "statefulset.yaml"), "utf8");
    const secret = calls.find((call) => call.startsWith("kubectl create secret"))!;
    expect(secret).toContain("secret generic hutch --namespace hutch");
    const names = [...secret.matchAll(/--from-file=(\S+)/g)].map(([, name]) => name!);
    expect(names).toEqual(["tokens", "cluster-key"]);
    for (const name of names) expect(statefulset).toContain(`/run/hutch/${name}`);
    expect(statefulset).toContain("secretName: hutch");
  });
});
