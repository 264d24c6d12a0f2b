/** `hutch sim` as a program: seeds, plans, files, refusals, a terminal, and a planted bug from its discovery to its replay. The documentation's examples are run. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildProgram } from "../../src/cli/program.ts";
import { drawPlan } from "../../src/simulator/draw-plan.ts";
import { type Fault, readPlan, writePlan } from "../../src/simulator/plan.ts";
import { DEFAULT_WORKLOAD } from "../../src/simulator/workload.ts";
import type { Finished } from "./node-process.ts";
import { hutch, runInTerminal, withDirectory } from "./node-process.ts";

/** Runs take their time on a machine that may be busy. */
setDefaultTimeout(180_000);

const root = join(import.meta.dir, "..", "..");
const SMALL = ["--nodes", "3", "--clients", "2", "--length", "2s"];
const CALM = [...SMALL, "--faults", "none", "--changes", "none"];
/** Enough to meet the planted bug. */
const MEETING = [...CALM, "--clients", "4", "--seed", "1", "--seeds", "30", "--jobs", "1"];

interface Run {
  readonly type: string;
  readonly trace: string;
  readonly held: boolean;
}

const linesOf = (text: string): Run[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Run);

/** With a bug in the source of the nodes (test/planted). */
async function hutchWith(bug: string, args: readonly string[]): Promise<Finished> {
  const plant = join(root, "test", "planted", "plant.ts");
  const main = join(root, "src", "cli", "main.ts");
  const child = Bun.spawn([process.execPath, "--preload", plant, main, ...args], {
    env: { ...process.env, BUN_BE_BUN: "1", NO_COLOR: "1", HUTCH_PLANTED_BUG: bug },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr };
}

describe("hutch sim", () => {
  test("one seed tells its story and holds; the same seed is the same run in another process", async () => {
    const first = await hutch(["sim", "--seed", "42", ...SMALL]);
    expect([first.exitCode, first.stdout]).toEqual([
      0,
      expect.stringMatching(/^seed 42: 3 nodes, 2 clients[^]*HELD: nothing was broken in 1 run\n$/),
    ]);
    const [, trace] = /^seed 42: held, .* trace (\w+)$/m.exec(first.stdout)!;
    const again = await hutch(["sim", "--seed", "42", ...SMALL, "--json"]);
    expect([again.exitCode, again.stderr]).toEqual([0, ""]);
    const [run, verdict] = linesOf(again.stdout);
    expect(run).toMatchObject({ type: "run", held: true, trace });
    expect(verdict).toMatchObject({ type: "verdict", verdict: "held", exitCode: 0, runs: 1 });
  });

  test("a saved plan is the same run without its seed", async () => {
    await withDirectory(async (directory) => {
      const args = ["sim", "--seed", "7", "--seeds", "2", ...SMALL, "--json", "--save", directory];
      const [first] = linesOf((await hutch(args)).stdout).sort((a, b) =>
        JSON.stringify(a) < JSON.stringify(b) ? -1 : 1,
      );
      expect(first).toMatchObject({ run: "seed 7" });
      expect(readdirSync(directory).sort()).toEqual(["seed-7.json", "seed-8.json"]);
      const file = join(directory, "seed-7.json");
      const again = await hutch(["sim", "--plan", file, "--json"]);
      expect(linesOf(again.stdout)[0]).toMatchObject({ trace: first!.trace, plan: file });
    });
  });

  test("without enough answers it proves nothing: 69", async () => {
    await withDirectory(async (directory) => {
      const workload = { ...DEFAULT_WORKLOAD, readShare: 0, timeoutsMs: [100] };
      const drawn = drawPlan(1, { nodes: 3, clients: 2, durationMs: 2000, changes: [], workload });
      const faults = [0, 1, 2].map((index): Fault => {
        const common = { when: { atMs: 0 }, forMs: 20_000, delayMs: 5000, chance: "" };
        return { ...common, kind: "slow disk", nodes: [index] };
      });
      const file = join(directory, "slow.json");
      writeFileSync(file, writePlan({ ...drawn, faults }));
      const { exitCode, stdout } = await hutch(["sim", "--plan", file]);
      expect([exitCode, stdout]).toEqual([
        69,
        expect.stringMatching(
          /^PROVES NOTHING: [12]?\d\.\d % of the operations in 1 run succeeded/m,
        ),
      ]);
    });
  });

  test("row 98: what makes no sense is 64, a value that cannot be is 78, and nothing runs", async () => {
    const refusals: [string[], number, string][] = [
      [["--faults", "crsh"], 64, 'did you mean "crash"?'],
      [["--plan", "none.json"], 64, "none.json"],
      [["--plan", "none.json", "--seed", "1"], 64, "cannot be used with"],
      [["--set", "hint-windw=1s"], 64, "hint-window"],
      [["--nodes", "0"], 78, "outside 1 to"],
      [["--set", "w=4"], 78, "w is 4 and n is 3"],
    ];
    for (const [args, exitCode, text] of refusals) {
      const refused = await hutch(["sim", ...args]);
      expect([args, refused.exitCode, refused.stdout]).toEqual([args, exitCode, ""]);
      expect(refused.stderr).toContain(text);
    }
  });

  test("every kind that a plan may name is listed", async () => {
    const { stdout } = await hutch(["sim", "--list-faults"]);
    for (const kind of ["--faults", "power-loss", "--changes", "replace", "manifest-switch"])
      expect(stdout).toContain(kind);
    expect(JSON.parse((await hutch(["sim", "--list-faults", "--json"])).stdout)).toMatchObject({
      faults: { crash: expect.any(String) },
      changes: { join: expect.any(String) },
      triggers: { "wal-rotate": expect.any(String) },
    });
  });

  test("on a terminal a picture that fits it; Ctrl-C gives the screen back and a verdict", async () => {
    const args = ["sim", "--seed", "1", "--seeds", "999", ...CALM, "--jobs", "1"];
    const { exitCode, output } = await runInTerminal(args, 50, "1 of 999");
    const [picture, after] = output.split("\u001b[?1049l");
    expect(picture).toStartWith("\u001b[?1049h");
    for (const line of Bun.stripANSI(picture!).split(/\r?\n/))
      expect(Bun.stringWidth(line)).toBeLessThanOrEqual(50);
    expect([exitCode, after]).toEqual([0, expect.stringContaining("(stopped before its end)")]);
  });
});

describe("a planted bug", () => {
  test("is found, made small, and repeated by the command that is printed", async () => {
    const bug = "delete-ignores-context";
    await withDirectory(async (directory) => {
      const args = ["sim", ...MEETING, "--shrink", "--save", directory];
      const found = await hutchWith(bug, args);
      expect([found.exitCode, found.stderr]).toEqual([1, expect.any(String)]);
      expect(found.stdout).toContain("a smaller plan breaks the same");
      const [, seed] = /^seed (\d+) is BROKEN$/m.exec(found.stdout)!;
      const [, command] = /^replay  hutch (sim --plan \S+)$/m.exec(found.stdout)!;
      const file = join(directory, `seed-${seed}-shrunk.json`);
      expect(command).toBe(`sim --plan ${file}`);
      const steps = (path: string): number =>
        readPlan(readFileSync(path, "utf8")).clients.flatMap((own) => own.steps).length;
      expect(steps(file)).toBeLessThanOrEqual(steps(join(directory, `seed-${seed}.json`)) / 4);

      const again = await hutchWith(bug, [...command!.split(" "), "--json"]);
      expect([again.exitCode, linesOf(again.stdout)[0]!.held]).toEqual([1, false]);
      expect((await hutch(command!.split(" "))).exitCode).toBe(0);
    });
  });
});

describe("the documentation of hutch sim", () => {
  const guide = readFileSync(join(root, "docs", "simulator.md"), "utf8");
  const readme = readFileSync(join(root, "README.md"), "utf8");

  test("its workload runs, with the options beside it", async () => {
    const [, workload] = /<!-- test: workload -->\n```json\n([^]*?)```/.exec(guide)!;
    const [, options] = /^hutch sim --workload shop\.json (.*) --seeds 50$/m.exec(guide)!;
    await withDirectory(async (directory) => {
      const file = join(directory, "shop.json");
      writeFileSync(file, workload!);
      const args = ["sim", "--workload", file, ...options!.split(" ")];
      const shown = await hutch([...args, "--seed", "3", "--length", "3s", "--save", directory]);
      expect([shown.exitCode, shown.stdout]).toEqual([0, expect.stringContaining("HELD")]);
      const plan = readPlan(readFileSync(join(directory, "seed-3.json"), "utf8"));
      expect(plan.buckets.map(({ name }) => name)).toEqual(["carts", "stock"]);
      expect([plan.nodes, plan.changes]).toEqual([3, []]);
      expect(plan.knobs).toMatchObject({ hintWindowMs: "2s" });
    });
  });

  test("every command in it has options that there are", () => {
    const sim = buildProgram().commands.find((command) => command.name() === "sim")!;
    const known = new Set(sim.options.map(({ long }) => long));
    const lines = [...`${guide}${readme}`.matchAll(/^(?:\$ )?(?:bun run )?hutch sim(.*)$/gm)];
    const used = lines.flatMap(([, rest]) => rest!.match(/--[a-z-]+/g) ?? []);
    expect(used.length).toBeGreaterThan(10);
    expect(used.filter((option) => !known.has(option))).toEqual([]);
    for (const [file] of `${guide}${readme}`.matchAll(/docs\/simulator\.md/g))
      expect(existsSync(join(root, file))).toBe(true);
  });
});
