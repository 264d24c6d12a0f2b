/** The packed npm package: installed in an empty directory, started as people start it, by Node without Bun, with Bun beside it, and by Bun alone. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { buildPackage, packPackage } from "../../scripts/build-package.ts";
import { NodeProcess, freePort } from "./node-process.ts";

/** Whole programs start and stop here, on a machine that may be busy. */
setDefaultTimeout(60_000);

const root = mkdtempSync(join(tmpdir(), "hutch-package-"));
const home = join(root, "user");
const installed = join(home, "node_modules", "hutch");
const nodePath = dirname(Bun.which("npm")!);
/** Bun is there, and nothing else. */
const onlyBun = join(root, "only-bun");
/** Node and npm are there, and Bun is not. */
const onlyNode = join(root, "only-node");

beforeAll(async () => {
  const folder = join(root, "package");
  await buildPackage(folder);
  const tarball = await packPackage(folder, root);
  mkdirSync(home);
  mkdirSync(onlyNode);
  mkdirSync(onlyBun);
  symlinkSync(process.execPath, join(onlyBun, "bun"));
  for (const name of ["node", "npm", "npx", "sh", "env"])
    symlinkSync(Bun.which(name)!, join(onlyNode, name));
  writeFileSync(join(home, "package.json"), '{"private":true}');
  const flags = ["--offline", "--no-audit", "--no-fund", "--ignore-scripts"];
  const { exitCode, stderr } = await run([join(nodePath, "npm"), "install", ...flags, tarball]);
  if (exitCode !== 0) throw new Error(stderr);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const { BUN_BE_BUN: _, ...inherited } = process.env;

function start(command: readonly string[], path: string) {
  return Bun.spawn([...command], {
    cwd: home,
    env: { ...inherited, PATH: path, NO_COLOR: "1", npm_config_update_notifier: "false" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    detached: true,
  });
}

async function run(command: readonly string[], path = process.env["PATH"]!) {
  const child = start(command, path);
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { exitCode: await child.exited, stdout, stderr };
}

/** Kills what is left of a process group. */
function endGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // All have ended.
  }
}

/** Starts a node by `command`, puts and gets, and ends it by Ctrl-C: to all that was started, as a terminal does. */
async function servesBy(command: readonly string[], path: string): Promise<void> {
  const listen = `127.0.0.1:${freePort()}`;
  const peer = `127.0.0.1:${freePort()}`;
  const child = start([...command, "serve", "--listen", listen, "--peer", peer], path);
  const url = `http://${listen}`;
  const isReady = () =>
    fetch(`${url}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
  try {
    while (!(await isReady())) {
      if (child.exitCode !== null) throw new Error(await child.stderr.text());
      await Bun.sleep(20);
    }
    await fetch(`${url}/v1/kv/demo/hello`, { method: "PUT", body: "world" });
    expect(await (await fetch(`${url}/ui`)).text()).toContain("<title>");
    // The worker threads are found.
    const { id } = (await (await fetch(`${url}/v1/admin/flush`, { method: "POST" })).json()) as {
      id: string;
    };
    const jobState = async () =>
      ((await (await fetch(`${url}/v1/admin/jobs/${id}`)).json()) as { state: string }).state;
    while ((await jobState()) === "running") await Bun.sleep(5);
    expect(await jobState()).toBe("done");
    expect(await (await fetch(`${url}/v1/kv/demo/hello`)).text()).toBe("world");
    process.kill(-child.pid, "SIGINT");
    expect(await child.stderr.text()).toContain("node_stopped");
  } finally {
    endGroup(child.pid);
    rmSync(join(home, ".hutch"), { recursive: true, force: true });
  }
}

/** Runs on Node what an application would be, against a node of its own. */
const APPLICATION = `
import { HutchClient } from "hutch/client";
const greetings = new HutchClient({ urls: [process.argv[2]] }).bucket("demo");
await greetings.put("hello", { to: "world" });
console.log(process.versions.bun ?? "node", JSON.stringify(await greetings.get("hello")));
`;

const TYPED = `
import { HutchClient } from "hutch/client";
const carts = new HutchClient({ urls: ["http://127.0.0.1:7001"] }).bucket<{ amount: number }>("cart");
export const put = () => carts.put("7", { amount: 1 });
`;

const TYPESCRIPT = {
  compilerOptions: {
    strict: true,
    noEmit: true,
    module: "nodenext",
    target: "es2022",
    lib: ["es2024", "dom"],
    types: [],
  },
  files: ["typed.ts"],
};

describe("the package", () => {
  test("brings nothing else, and no more than 2 MiB of its own", () => {
    expect(readdirSync(join(home, "node_modules")).filter((name) => !name.startsWith("."))).toEqual(
      ["hutch"],
    );
    const files = [...new Bun.Glob("**/*").scanSync(installed)];
    const bytes = files.reduce((sum, file) => sum + Bun.file(join(installed, file)).size, 0);
    expect(bytes).toBeLessThan(2 * 1024 ** 2);
    for (const file of ["hutch.js", "LICENSE", "README.md", "program/cli/main.js"])
      expect(existsSync(join(installed, file))).toBe(true);
    expect(files.filter((file) => file.includes("test") || file.endsWith(".map"))).toEqual([]);
  });

  test("on Node alone says what to type", async () => {
    const { exitCode, stderr } = await run(["npx", "--no-install", "hutch", "serve"], onlyNode);
    expect(exitCode).toBe(64);
    expect(stderr).toContain("this program runs on Bun");
    expect(stderr).toContain(`npm install bun@${Bun.version}`);
  });

  test("by npx with Bun on the path: put, flush, get, Ctrl-C", async () => {
    await servesBy(["npx", "--no-install", "hutch"], `${onlyBun}:${onlyNode}`);
  });

  test("by npx with the package bun beside it", async () => {
    const beside = join(home, "node_modules", "bun");
    mkdirSync(join(beside, "bin"), { recursive: true });
    writeFileSync(join(beside, "package.json"), '{"name":"bun"}');
    symlinkSync(process.execPath, join(beside, "bin", "bun.exe"));
    const { stdout } = await run(["npx", "--no-install", "hutch", "version"], onlyNode);
    expect(stdout).toStartWith(`hutch ${manifest.version} (bun ${Bun.version}`);
    rmSync(beside, { recursive: true });
  });

  test("by bunx, without Node", async () => {
    const bunx = [process.execPath, "x", "--bun", "hutch"];
    await servesBy(bunx, onlyBun);
  });

  test("hutch/client works on Node, and its types are whole", async () => {
    const application = join(home, "application.mjs");
    writeFileSync(application, APPLICATION);
    const directory = join(root, "data");
    const node = await NodeProcess.start(directory);
    try {
      const { exitCode, stdout, stderr } = await run(["node", application, node.url], onlyNode);
      expect([exitCode, stderr]).toEqual([0, ""]);
      expect(stdout).toStartWith("node ");
      expect(stdout).toContain('"world"');
    } finally {
      await node.end("SIGKILL");
    }
    writeFileSync(join(home, "typed.ts"), TYPED);
    writeFileSync(join(home, "tsconfig.json"), JSON.stringify(TYPESCRIPT));
    const check = ["check", "-p", join(home, "tsconfig.json")];
    const checked = await run([process.execPath, ...check]);
    expect(checked.stdout + checked.stderr).toContain("No type errors");
    writeFileSync(join(home, "typed.ts"), TYPED.replace("amount: 1", 'amount: "one"'));
    expect((await run([process.execPath, ...check])).stdout).toContain("TS2322");
  });
});
