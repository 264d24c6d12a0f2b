/** The program as one file: in an empty directory, with nothing on its path and nobody's home, it does what the checkout does. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { buildExecutable } from "../../scripts/build-executable.ts";
import { type NodeLine } from "../support/cluster-eyes.ts";
import { freePort } from "./node-process.ts";

/** Whole programs start and stop here, on a machine that may be busy. */
setDefaultTimeout(60_000);

const root = mkdtempSync(join(tmpdir(), "hutch-executable-"));
const program = join(root, "program", "hutch");
const NOTHING = { PATH: "", HOME: "/nonexistent" };

beforeAll(async () => {
  await buildExecutable({ outfile: program });
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function start(directory: string, args: readonly string[]) {
  return Bun.spawn([program, ...args], {
    cwd: directory,
    env: NOTHING,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

async function run(directory: string, ...args: readonly string[]) {
  const child = start(directory, args);
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { exitCode: await child.exited, stdout, stderr };
}

const emptyDirectory = (): string => mkdtempSync(join(root, "empty-"));

type Started = ReturnType<typeof start>;

/** What it has printed by then. */
async function until(child: Started, text: string): Promise<string> {
  const decoder = new TextDecoder();
  const reader = child.stdout.getReader();
  let printed = "";
  while (!printed.includes(text)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`ended without "${text}": ${await child.stderr.text()}`);
    printed += decoder.decode(value, { stream: true });
  }
  reader.releaseLock();
  return printed;
}

/** Runs `body` with a node that is ready. */
async function withServing(
  directory: string,
  body: (url: string, child: Started) => Promise<void>,
): Promise<void> {
  const listen = `127.0.0.1:${freePort()}`;
  const child = start(directory, [
    ...["serve", "--listen", listen, "--peer", `127.0.0.1:${freePort()}`],
  ]);
  try {
    await until(child, " is ready on ");
    await body(`http://${listen}`, child);
  } finally {
    child.kill("SIGKILL");
  }
}

async function jobDone(url: string, kind: "flush" | "compact"): Promise<void> {
  const { id } = (await (await fetch(`${url}/v1/admin/${kind}`, { method: "POST" })).json()) as {
    id: string;
  };
  for (;;) {
    const job = (await (await fetch(`${url}/v1/admin/jobs/${id}`)).json()) as { state: string };
    if (job.state === "done") return;
    if (job.state !== "running") throw new Error(`${kind} ended as ${JSON.stringify(job)}`);
    await Bun.sleep(10);
  }
}

describe("the executable", () => {
  test("says its version, and does not load what lies about where it is started", async () => {
    const directory = emptyDirectory();
    writeFileSync(join(directory, ".env"), "HUTCH_NODE_ID=from-dot-env\n");
    writeFileSync(join(directory, "bunfig.toml"), 'preload = ["./preload.ts"]\n');
    writeFileSync(join(directory, "preload.ts"), 'process.stdout.write("preloaded");\n');
    writeFileSync(join(directory, "package.json"), "not a manifest");
    writeFileSync(join(directory, "tsconfig.json"), "not a configuration");
    const version = await run(directory, "version");
    expect([version.exitCode, version.stderr]).toEqual([0, ""]);
    expect(version.stdout).toStartWith(`hutch ${manifest.version} (bun ${Bun.version}, `);
    const { stdout } = await run(directory, "config", "print");
    expect(stdout).toContain('node-id = "n1"');
    expect(stdout).not.toContain("preloaded");
  });

  test("serves: put, get, delete; its workers flush and compact; it is there again after kill -9", async () => {
    const directory = emptyDirectory();
    await withServing(directory, async (url, child) => {
      for (let round = 0; round < 3; round++) {
        for (const key of ["a", "b", "gone"])
          await fetch(`${url}/v1/kv/demo/${key}`, { method: "PUT", body: `${key}${round}` });
        await jobDone(url, "flush");
      }
      await fetch(`${url}/v1/kv/demo/gone`, { method: "DELETE" });
      await jobDone(url, "flush");
      await jobDone(url, "compact");
      expect((await fetch(`${url}/v1/kv/demo/gone`)).status).toBe(404);
      const dashboard = await fetch(`${url}/ui`);
      expect([dashboard.status, await dashboard.text()]).toEqual([
        200,
        expect.stringContaining("<title>"),
      ]);
      expect(readdirSync(join(directory, ".hutch", "n1")).join()).toContain(".sst");
      await fetch(`${url}/v1/kv/demo/last`, { method: "PUT", body: "in the log" });
      child.kill("SIGKILL");
      await child.exited;
    });
    await withServing(directory, async (url, child) => {
      const valueOf = async (key: string) => (await fetch(`${url}/v1/kv/demo/${key}`)).text();
      expect([await valueOf("a"), await valueOf("last")]).toEqual(["a2", "in the log"]);
      expect((await run(directory, "get", "demo/b", "--url", url)).stdout).toBe("b2");
      expect((await run(directory, "health", "--url", url)).stdout).toBe("up\n");
      expect((await run(directory, "health", "--ready", "--url", url)).stdout).toBe("ready\n");
      // Both within a moment are one wish: a terminal and a launcher say the same.
      child.kill("SIGTERM");
      child.kill("SIGINT");
      expect(await child.exited).toBe(0);
      expect((await run(directory, "health", "--url", url)).exitCode).toBe(69);
    });
  });

  test("is a cluster of three that loses one, and leaves no node behind when it is killed itself", async () => {
    const directory = emptyDirectory();
    const port = freePort();
    const ports = ["--base-port", `${port}`, "--peer-base-port", `${port + 3}`];
    const cluster = start(directory, ["cluster", ...ports, "--partitions", "16"]);
    const url = (index: number) => `http://127.0.0.1:${port + index}`;
    try {
      const screen = await until(cluster, "Ctrl-C stops it");
      await fetch(`${url(0)}/v1/kv/demo/k`, { method: "PUT", body: "v1" });
      const pids = [...screen.matchAll(/ pid (\d+)/g)].map(([, pid]) => Number(pid));
      expect(pids).toHaveLength(3);
      process.kill(pids[0]!, "SIGKILL");
      const put = await fetch(`${url(1)}/v1/kv/demo/k`, { method: "PUT", body: "v2" });
      expect([put.status, put.headers.get("X-Acks")]).toEqual([204, expect.stringMatching(/ok=2/)]);
      expect(await (await fetch(`${url(2)}/v1/kv/demo/k`)).text()).toBe("v2");
      const seen = (await (await fetch(`${url(2)}/v1/cluster/nodes`)).json()) as {
        nodes: NodeLine[];
      };
      expect(seen.nodes).toHaveLength(3);
    } finally {
      cluster.kill("SIGKILL");
      await cluster.exited;
    }
    const isAnswering = (index: number) =>
      fetch(`${url(index)}/healthz`).then(Boolean, () => false);
    while ((await isAnswering(1)) || (await isAnswering(2))) await Bun.sleep(20);
  });

  test("runs simulated clusters, in processes of its own too", async () => {
    const directory = emptyDirectory();
    const short = ["--length", "1s", "--nodes", "3", "--changes", "none"];
    const { exitCode, stdout } = await run(
      directory,
      "sim",
      "--seeds",
      "2",
      "--jobs",
      "2",
      ...short,
    );
    expect([exitCode, stdout]).toEqual([0, expect.stringContaining("HELD: nothing was broken")]);
    expect(existsSync(join(directory, ".hutch"))).toBe(false);
  });
});
