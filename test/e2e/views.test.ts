/** `hutch status ring nodes explain` against real nodes: on a pipe, on a terminal, and when nobody answers. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import {
  NodeProcess,
  freePort,
  hutch,
  runInTerminal,
  startCommand,
  withDirectory,
  withNode,
} from "./node-process.ts";

/** Whole programs start and stop here, on a machine that may be busy. */
setDefaultTimeout(60_000);

const VIEWS = [["status"], ["ring"], ["ring", "--key", "demo/k"], ["nodes"], ["explain", "demo/k"]];

describe("views of the cluster from the shell", () => {
  test("show the node that answers, also as JSON", async () => {
    await withNode(async ({ url }) => {
      const environment = { HUTCH_URL: url };
      await hutch(["put", "demo/k", "v"], { environment });
      for (const args of VIEWS) {
        const { exitCode, stdout, stderr } = await hutch(args, { environment });
        expect([args, exitCode, stderr]).toEqual([args, 0, ""]);
        expect(stdout).toMatch(/^.*\bn1\b.*$/m);
        expect(stdout).not.toContain("\u001b");
        const json = await hutch([...args, "--json"], { environment });
        expect(JSON.stringify(JSON.parse(json.stdout))).toContain('"n1"');
      }
      const key = await hutch(["explain", "demo/k"], { environment });
      expect(key.stdout).toContain("all owners hold the same");
    });
  });

  test("row 99: nobody answers: 69 and the address; row 98: no BUCKET/KEY: 64", async () => {
    const url = `http://127.0.0.1:${freePort()}`;
    for (const args of VIEWS) {
      const { exitCode, stdout, stderr } = await hutch([...args, "--url", url]);
      expect([args, exitCode, stdout]).toEqual([args, 69, ""]);
      expect(stderr).toContain(url);
    }
    expect((await hutch(["explain", "demo"])).exitCode).toBe(64);
    expect((await hutch(["ring", "--key", "demo"])).exitCode).toBe(64);
    expect((await hutch(["explain"])).exitCode).toBe(64);
  });

  test("a node that is stopped does not hold them up for ever: the next address is asked", async () => {
    await withNode(async (paused) => {
      await withNode(async (node) => {
        paused.child.kill("SIGSTOP");
        const { exitCode, stdout } = await hutch(["status", "--url", `${paused.url},${node.url}`]);
        expect([exitCode, stdout]).toEqual([0, expect.stringContaining(new URL(node.url).host)]);
      });
    });
  });

  test("--watch goes on while the node is away, and ends with 0", async () => {
    await withDirectory(async (directory) => {
      const port = freePort();
      const dataDir = join(directory, "n1");
      const first = await NodeProcess.start(dataDir, { port });
      const watching = startCommand(["status", "--watch", "--url", first.url]);
      await watching.until("hints for it");
      await first.end("SIGKILL");
      expect(await watching.untilNoted(first.url)).toContain("Cannot reach a node");
      const second = await NodeProcess.start(dataDir, { port, args: ["--cluster", "again"] });
      try {
        expect(await watching.until("again")).toContain("again");
        expect(await watching.end("SIGINT")).toBe(0);
      } finally {
        await second.end("SIGKILL");
      }
    });
  });

  test("on a terminal: colours, no line too wide; --watch gives the screen back as it was", async () => {
    await withNode(async ({ url }) => {
      const once = await runInTerminal(["nodes", "--url", url], 50);
      expect([once.exitCode, once.output]).toEqual([0, expect.stringContaining("\u001b[32mup")]);
      for (const line of Bun.stripANSI(once.output).split(/\r?\n/))
        expect(Bun.stringWidth(line)).toBeLessThanOrEqual(50);

      const watched = await runInTerminal(["ring", "--watch", "--url", url], 50, "layout version");
      expect(watched.exitCode).toBe(0);
      const [before, after] = watched.output.split("\u001b[?1049l");
      expect(before).toStartWith("\u001b[?1049h");
      expect(after).toContain("layout version 1");
    });
  });
});
