/** `hutch layout|leave|remove|replace|repair|hints` as processes, against the REST face over a node that only writes down what it is asked. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Finished } from "../e2e/node-process.ts";
import { hutch, runInTerminal } from "../e2e/node-process.ts";
import type { Fixture } from "../http/fixture.ts";
import { fixture } from "../http/fixture.ts";
import { layoutSummary } from "../support/fake-layout.ts";

/** Whole programs start here, on a machine that may be busy. */
setDefaultTimeout(60_000);

interface World extends Fixture {
  readonly url: string;
  run(...args: string[]): Promise<Finished>;
}

async function withServer(body: (world: World) => Promise<void>): Promise<void> {
  const parts = fixture({ hosts: ["127.0.0.1"] });
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: (r) => parts.app.fetch(r) });
  const url = `http://127.0.0.1:${server.port}`;
  const run: World["run"] = (...args) => hutch(args, { environment: { HUTCH_URL: url } });
  try {
    await body({ ...parts, url, run });
  } finally {
    await server.stop(true);
  }
}

const spread = layoutSummary().spread;
const previewed = layoutSummary({
  staged: [{ id: "n3", action: "leave" }],
  preview: {
    version: 7,
    moves: { partitions: 12, bytes: 4096 },
    nodes: [{ id: "n1", before: 4, after: 16, incoming: 12, outgoing: 0, bytesIn: 4096 }],
    spread: { before: spread, after: spread },
    objections: [],
  },
});

describe("changes of the ring from the shell", () => {
  test("leave, remove, replace show what would move, then do it and follow it to its end", async () => {
    await withServer(async ({ run, admin }) => {
      admin.layout.summary = previewed;
      admin.outcome = { state: "done", progress: 1, detail: "all nodes have followed" };
      for (const [args, asked] of [
        [["leave", "n3"], "leave n3"],
        [["remove", "n3", "--force"], "remove n3 forced"],
        [["replace", "n3", "--with", "n6"], "replace n3 with n6"],
      ] as const) {
        const { exitCode, stdout, stderr } = await run(...args, "--yes");
        expect([exitCode, stderr]).toEqual([0, "done: all nodes have followed\n"]);
        expect(stdout).toContain("version 7 moves 12 copies of partitions, about 4.0 KiB");
        const [preview, change] = admin.layout.asked.splice(0);
        expect(preview).toStartWith(`preview [{"id":"n3","action":"${args[0]}"`);
        expect(change).toBe(asked);
      }
    });
  });

  test("nobody to ask and no --yes: 64, and nothing is done", async () => {
    await withServer(async ({ run, admin }) => {
      admin.layout.summary = previewed;
      for (const args of [
        ["leave", "n3"],
        ["layout", "apply"],
        ["layout", "revert"],
      ]) {
        const { exitCode, stderr } = await run(...args);
        expect([exitCode, stderr]).toEqual([64, expect.stringContaining("--yes")]);
      }
      expect(admin.layout.asked.filter((line) => !line.startsWith("preview"))).toEqual([]);
    });
  });

  test("rows 104, 105: an objection ends it with 78 and what to do; --force goes on", async () => {
    await withServer(async ({ run, admin }) => {
      const detail = "Cannot declare node n3 lost: it is up";
      const objections = [{ code: "node-alive", detail }];
      admin.layout.summary = { ...previewed, preview: { ...previewed.preview!, objections } };
      const { exitCode, stderr } = await run("remove", "n3", "--yes");
      expect([exitCode, stderr]).toEqual([78, expect.stringContaining(detail)]);
      expect(stderr).toContain("hutch leave");
      expect(admin.layout.asked).toHaveLength(1);
      admin.outcome = { state: "done" };
      expect((await run("remove", "n3", "--yes", "--force")).exitCode).toBe(0);
      expect(admin.layout.asked.at(-1)).toBe("remove n3 forced");
    });
  });

  test("stage shows what it would move, apply takes the version that was shown, revert drops it", async () => {
    await withServer(async ({ run, admin }) => {
      admin.layout.summary = previewed;
      admin.outcome = { state: "done", detail: "all nodes have followed" };
      const staged = await run("layout", "stage", "--node", "n4", "--weight", "2");
      expect([staged.exitCode, staged.stderr]).toEqual([0, expect.stringContaining("apply")]);
      expect(staged.stdout).toContain("n3: leaves");
      await run("layout", "apply", "--yes");
      const json = await run("layout", "apply", "--version", "9", "--yes", "--json");
      expect(JSON.parse(json.stdout)).toMatchObject({ state: "done" });
      await run("layout", "revert", "--yes");
      expect(admin.layout.asked).toEqual([
        'stage [{"id":"n4","weight":2}]',
        "apply 7",
        "apply 9",
        "revert",
      ]);
      const shown = await run("layout");
      expect([shown.exitCode, shown.stderr]).toEqual([0, ""]);
      expect(JSON.parse((await run("layout", "--json")).stdout)).toMatchObject({ version: 1 });
      admin.layout.summary = layoutSummary();
      const nothing = await run("layout", "apply", "--yes");
      expect([nothing.exitCode, nothing.stderr]).toEqual([
        78,
        expect.stringContaining("nothing is staged"),
      ]);
    });
  });

  test("a change that fails says why: 78; --no-wait does not look", async () => {
    await withServer(async ({ run, admin }) => {
      admin.layout.summary = previewed;
      admin.outcome = { state: "failed", detail: "version 8 took it back" };
      const failed = await run("leave", "n3", "--yes");
      expect([failed.exitCode, failed.stderr]).toEqual([
        78,
        expect.stringContaining("version 8 took it back"),
      ]);
      const { exitCode, stderr } = await run("leave", "n3", "--yes", "--no-wait");
      expect([exitCode, stderr]).toEqual([0, expect.stringContaining("hutch layout --watch")]);
    });
  });

  test("on a terminal: a bar, and Ctrl-C leaves the change running", async () => {
    await withServer(async ({ url, admin }) => {
      admin.layout.summary = previewed;
      admin.outcome = { progress: 0.25, detail: "1 of 4 nodes ready" };
      const args = ["leave", "n3", "--yes", "--url", url];
      const { exitCode, output } = await runInTerminal(args, 120, "1 of 4 nodes ready");
      expect(exitCode).toBe(0);
      expect(output).toContain("25%");
      expect(output).toContain("left");
      expect(output).toContain("goes on; `hutch layout --watch` shows how far it is");
    });
  });
});

describe("upkeep from the shell", () => {
  test("repair starts the comparison and follows it; --accept-loss is for directories: 64", async () => {
    await withServer(async ({ run, admin }) => {
      admin.outcome = { state: "done", detail: "3 of 4096 partitions differed" };
      const { exitCode, stderr } = await run("repair");
      expect([exitCode, stderr]).toEqual([0, "done: 3 of 4096 partitions differed\n"]);
      expect(admin.jobs()).toMatchObject([{ kind: "repair" }]);
      admin.outcome = { state: "failed", detail: "no peer answers" };
      expect((await run("repair")).exitCode).toBe(69);
      expect((await run("repair", "--accept-loss")).exitCode).toBe(64);
    });
  });

  test("hints shows what is held", async () => {
    await withServer(async ({ run, admin }) => {
      admin.held = [{ node: "n3", count: 2, bytes: 50, oldestMs: 1_795_268_669_000 }];
      expect((await run("hints")).stdout).toMatch(/^n3 +2 +50 B /m);
      expect(JSON.parse((await run("hints", "--json")).stdout).targets).toHaveLength(1);
    });
  });
});
