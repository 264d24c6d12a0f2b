/** Commands for people on one small cluster: bench, buckets, snapshot, top, maintain, scale; and the tour, which has a cluster of its own. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BenchReport } from "../../src/cli/bench-report.ts";
import { NodeProcess, freePort, hutch, runInTerminal, startCommand } from "./node-process.ts";

/** Whole programs start and stop here, on a machine that may be busy. */
setDefaultTimeout(120_000);

const NODES_MAX = 4;
let directory = "";
let dataDir = "";
let ports: readonly string[] = [];
let url = "";
let command: ReturnType<typeof startCommand>;

const run = (...args: readonly string[]) => hutch(args, { environment: { HUTCH_URL: url } });

/** Room for the ports of all nodes from each of the two. */
function freePorts(): { port: number; peerPort: number } {
  const port = freePort();
  for (;;) {
    const peerPort = freePort();
    if (Math.abs(peerPort - port) > NODES_MAX) return { port, peerPort };
  }
}

async function startCluster(): Promise<string> {
  const own = ["--data-dir", dataDir, "--partitions", "16", "--log-level", "warn"];
  command = startCommand(["cluster", ...ports, ...own]);
  return command.until("Ctrl-C stops it");
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "hutch-e2e-"));
  dataDir = join(directory, "data");
  const { port, peerPort } = freePorts();
  ports = ["--base-port", `${port}`, "--peer-base-port", `${peerPort}`];
  url = `http://127.0.0.1:${port}`;
  expect(await startCluster()).toContain(`dashboard: ${url}/ui`);
});

afterAll(async () => {
  await command?.end("SIGINT");
  rmSync(directory, { recursive: true, force: true });
});

describe("hutch bench", () => {
  const small = ["--keys", "200", "--value-bytes", "64", "--connections", "4", "--warmup", "0"];

  test("loads, measures, writes a report, and compares with it", async () => {
    const file = join(directory, "bench.json");
    const first = await run("bench", ...small, "--duration", "500ms", "--json", file);
    expect([first.exitCode, first.stderr]).toEqual([0, expect.stringContaining("loaded 200 keys")]);
    expect(first.stdout).toContain("no errors");
    const report = JSON.parse(readFileSync(file, "utf8")) as BenchReport;
    expect(report.succeeded).toBe(
      report.latencies["read"]!.count + report.latencies["write"]!.count,
    );
    expect(Math.abs(report.rate * report.seconds - report.succeeded)).toBeLessThan(1);
    const open = ["--no-load", "--workload", "d", "--rate", "100", "--processes", "2"];
    const second = await run("bench", ...small, "--duration", "500ms", ...open, "--compare", file);
    expect([second.exitCode, second.stderr]).toEqual([0, expect.not.stringContaining("loaded")]);
    expect(second.stdout).toContain("not the same load: workload was a, is d");
    expect(second.stdout).toMatch(/operations\/s +[\d,]+ +[\d,]+ +\d+\.\d\dx/);
  });

  test("errors are shown by code: 69 where nothing was answered well, or nobody answers", async () => {
    const none = ["--no-load", "--bucket", "empty", "--read-ratio", "1", "--duration", "200ms"];
    const missing = await run("bench", ...small, ...none);
    expect([missing.exitCode, missing.stdout]).toEqual([
      69,
      expect.stringContaining("404 key-not-found"),
    ]);
    const away = await run("bench", "--url", `http://127.0.0.1:${freePort()}`);
    expect([away.exitCode, away.stderr]).toEqual([69, expect.stringContaining("Cannot reach")]);
    expect((await run("bench", "--consistency", "r=9")).exitCode).toBe(78);
    expect((await run("bench", "--compare", join(directory, "no-such-file"))).exitCode).toBe(64);
  });

  test("on a terminal the picture is drawn in place and gone at the end; Ctrl-C ends it early", async () => {
    const args = ["bench", ...small, "--url", url, "--duration", "60s"];
    const { exitCode, output } = await runInTerminal(args, 80, "of 1m");
    expect(exitCode).toBe(0);
    expect(output).toContain("stopped early");
    expect(output).toContain("p99.9 ms");
  });
});

describe("hutch buckets and snapshot", () => {
  test("properties are set, shown, listed and forgotten", async () => {
    const set = await run("buckets", "set", "carts", "--ttl", "7d", "--siblings-max", "5");
    expect([set.exitCode, set.stdout]).toEqual([0, expect.stringMatching(/--ttl +7d/)]);
    expect((await run("buckets")).stdout).toMatch(/^carts .* 7d/m);
    expect(JSON.parse((await run("buckets", "show", "carts", "--json")).stdout)).toMatchObject({
      ttl: 604_800,
      siblingsMax: 5,
    });
    expect((await run("buckets", "set", "carts")).exitCode).toBe(64);
    expect((await run("buckets", "set", "carts", "--n", "99")).exitCode).toBe(78);
    expect((await run("buckets", "delete", "carts")).exitCode).toBe(64); // nobody to ask
    expect((await run("buckets", "delete", "carts", "--yes")).exitCode).toBe(0);
    expect((await run("buckets")).stdout).not.toContain("carts");
  });

  test("a snapshot is restored: what is newer stays, another cluster gets all of it", async () => {
    const saved = join(directory, "saved");
    await run("buckets", "set", "kept", "--siblings-max", "7");
    await run("put", "kept/a", "1");
    await run("put", "kept/b", "1");
    expect((await run("snapshot", "save", saved)).exitCode).toBe(0);
    expect((await run("snapshot", "save", saved)).exitCode).toBe(64);
    await run("put", "kept/a", "2");
    expect((await run("snapshot", "restore", saved, "--yes")).exitCode).toBe(0);
    expect((await run("get", "kept/a")).stdout).toBe("2");
    const other = await NodeProcess.start(join(directory, "other"));
    try {
      const there = { environment: { HUTCH_URL: other.url } };
      expect((await hutch(["snapshot", "restore", saved, "--yes"], there)).exitCode).toBe(0);
      expect((await hutch(["get", "kept/b"], there)).stdout).toBe("1");
      expect((await hutch(["buckets", "show", "kept"], there)).stdout).toMatch(/siblings-max +7/);
    } finally {
      await other.end("SIGKILL");
    }
    expect((await run("snapshot", "restore", directory, "--yes")).exitCode).toBe(64);
  });
});

describe("hutch top and maintain", () => {
  test("top shows every node", async () => {
    const { exitCode, stdout } = await run("top", "--once", "--json");
    expect(exitCode).toBe(0);
    const { samples } = JSON.parse(stdout) as { samples: { node: string }[] };
    expect(samples.map(({ node }) => node)).toEqual(["n1", "n2", "n3"]);
  });

  test("maintain follows its work to the end, and asks before it drains", async () => {
    expect((await run("maintain", "flush")).stderr).toContain("done");
    expect((await run("maintain", "scrub", "--json")).stdout).toContain('"state": "done"');
    expect((await run("maintain", "drain")).exitCode).toBe(64);
    expect((await run("maintain", "polish")).exitCode).toBe(64);
  });
});

describe("hutch cluster --scale", () => {
  const scale = (count: number) => hutch(["cluster", "--scale", `${count}`, "--data-dir", dataDir]);

  test("a node joins; data survive, a restart has as many; it leaves again", async () => {
    await run("put", "scaled/key", "value");
    const grown = await scale(4);
    expect([grown.exitCode, grown.stderr]).toEqual([0, expect.stringContaining("n4 has joined")]);
    expect(await command.end("SIGINT")).toBe(0);
    expect(existsSync(join(dataDir, "cluster.sock"))).toBe(false);
    expect(await startCluster()).toContain("a cluster of 4 nodes");
    expect((await run("get", "scaled/key")).stdout).toBe("value");
    const shrunk = await scale(3);
    expect([shrunk.exitCode, shrunk.stderr]).toEqual([0, expect.stringContaining("n4 has left")]);
    expect(existsSync(join(dataDir, "n4"))).toBe(false);
    expect((await run("get", "scaled/key", "--consistency", "ALL")).stdout).toBe("value");
  });

  test("row 104: fewer nodes than copies are refused, and all stay", async () => {
    const refused = await scale(2);
    expect([refused.exitCode, refused.stderr]).toEqual([78, expect.stringContaining("3 copies")]);
    expect((await run("nodes")).stdout.match(/^up /gm)).toHaveLength(3);
    expect((await scale(0)).exitCode).toBe(78);
  });

  test("without a cluster on the directory: 69", async () => {
    const { exitCode, stderr } = await hutch(["cluster", "--scale", "4", "--data-dir", directory]);
    expect([exitCode, stderr]).toEqual([69, expect.stringContaining("no `hutch cluster` runs")]);
  });
});

describe("hutch tour", () => {
  test("every step is answered as it says", async () => {
    const { exitCode, stdout, stderr } = await hutch(["tour", "--yes"]);
    expect([exitCode, stderr]).toEqual([0, "starting three nodes for the tour ...\n"]);
    for (const title of ["Write a key", "Kill a node", "See the hint", "Bring it back", "Repair"])
      expect(stdout).toMatch(new RegExp(`^\\d\\. ${title}$`, "m"));
    expect(stdout).toContain("milk, eggs, bread");
    expect(stdout).toContain('"equal": true');
  });
});
