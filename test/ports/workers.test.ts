import { afterAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import * as os from "node:os";
import { BunDisk } from "../../src/bun/disk.ts";
import { BunWorkers } from "../../src/bun/workers.ts";
import { SimWorld } from "../../src/sim/world.ts";
import { testJobs } from "./job-table.ts";
import { workersSuite } from "./workers.suite.ts";

const base = fs.mkdtempSync(`${os.tmpdir()}/hutch-workers-`);
const jobsModule = new URL("./job-table.ts", import.meta.url).href;
let made = 0;

function bunWorkers(): { workers: BunWorkers; disk: BunDisk } {
  const disk = new BunDisk(`${base}/${made++}`);
  const options = { root: disk.root, jobs: testJobs, jobsModule, jobsExport: "testJobs" };
  return { disk, workers: new BunWorkers(options) };
}

afterAll(() => fs.rmSync(base, { recursive: true }));

describe("BunWorkers", () => {
  workersSuite({ fresh: bunWorkers, settle: (promise) => promise });
});

describe("SimWorkers", () => {
  let world = new SimWorld(0);
  workersSuite({
    fresh: () => {
      world = new SimWorld(made++, { jobs: testJobs });
      return world.node("a");
    },
    settle: async (promise) => world.runUntil(promise),
  });
});

describe("BunWorkers alone", () => {
  test("a worker that dies rejects its job, and the next job gets a new one, three times a minute", async () => {
    const { workers } = bunWorkers();
    const waiting: Promise<unknown>[] = [];
    for (const how of ["exit", "throw", "exit"]) {
      const dying = workers.run("die", how);
      waiting.push(workers.run("echo", how).catch((thrown: unknown) => thrown));
      await expect(dying).rejects.toThrow("its worker died");
    }
    const [first, second, third] = await Promise.all(waiting);
    expect([first, second]).toEqual(["exit", "throw"]);
    expect(third).toMatchObject({ code: "internal" });
    expect(String(third)).toContain("died 3 times");
    expect(
      await workers.run<unknown, unknown>("appendElsewhere", { path: "a", text: "", waitMs: 0 }),
    ).toBe(2);
    await workers.close();
  });

  test("a job module that cannot be loaded fails the job, not the process", async () => {
    const { disk } = bunWorkers();
    const options = { root: disk.root, jobs: testJobs, jobsExport: "testJobs" };
    const missing = new BunWorkers({ ...options, jobsModule: `${jobsModule}.nope.ts` });
    await expect(missing.run("echo", 1)).rejects.toThrow();
    await missing.close();
    const nameless = new BunWorkers({ ...options, jobsModule, jobsExport: "nope" });
    await expect(nameless.run("echo", 1)).rejects.toThrow('exports "nope"');
    await nameless.close();
  });

  test("row 90: a worker that finds no descriptor to start with fails its job as a file would, however often, and the next one starts", async () => {
    const { disk } = bunWorkers();
    const flag = `${disk.root}/starved`;
    const module = `${disk.root}/jobs.ts`;
    fs.writeFileSync(flag, "");
    fs.writeFileSync(
      module,
      `import { existsSync } from "node:fs";
      if (existsSync(${JSON.stringify(flag)})) throw new Error("EMFILE reading a module");
      export { testJobs } from ${JSON.stringify(jobsModule)};`,
    );
    const options = { root: disk.root, jobs: testJobs, jobsExport: "testJobs" };
    const workers = new BunWorkers({ ...options, jobsModule: `file://${module}` });
    await workers.prepare();
    for (let i = 0; i < 5; i++)
      await expect(workers.run("echo", 1)).rejects.toMatchObject({ kind: "too-many-files" });
    fs.rmSync(flag);
    expect(await workers.run<number, number>("echo", 2)).toBe(2);
    await workers.close();
  });

  test("close() refuses the jobs that still wait", async () => {
    const { workers } = bunWorkers();
    const running = workers.run("append", { path: "a", text: "x", waitMs: 20 });
    const waiting = workers.run("echo", 1).catch((thrown: unknown) => thrown);
    await workers.close();
    expect(await running).toBe(4);
    expect(await waiting).toMatchObject({ code: "shutting-down" });
  });

  test("an idle worker does not keep the process alive", () => {
    const { disk } = bunWorkers();
    const at = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
    const script = `
      import { BunWorkers } from ${at("../../src/bun/workers.ts")};
      import { testJobs } from ${at("./job-table.ts")};
      const workers = new BunWorkers({ root: ${JSON.stringify(disk.root)}, jobs: testJobs,
        jobsModule: ${JSON.stringify(jobsModule)}, jobsExport: "testJobs" });
      console.log(await workers.run("echo", "done"));`;
    const child = Bun.spawnSync([process.execPath, "-e", script], { timeout: 10_000 });
    expect(child.stdout.toString()).toBe("done\n");
    expect(child.exitCode).toBe(0);
  });
});
