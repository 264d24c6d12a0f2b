/** `hutch sim` without processes: its options, its pictures at fixed widths, its verdicts, and one run with a laboratory that only pretends. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { HutchError } from "../../src/base/errors.ts";
import { momentLine, momentLines, type Moment } from "../../src/cli/sim-display.ts";
import { doJob, type Laboratory } from "../../src/cli/sim-job.ts";
import { readSimRequest, type SimMachine } from "../../src/cli/sim-options.ts";
import { failedReport, type SimJob, type SimReport } from "../../src/cli/sim-protocol.ts";
import { type Lane, SimSession, type SimTeller } from "../../src/cli/sim-session.ts";
import { coverageLines, spanText } from "../../src/cli/sim-tables.ts";
import { SimTotals } from "../../src/cli/sim-totals.ts";
import {
  endingJson,
  endingLines,
  EXIT_BY_OUTCOME,
  reportJson,
  reportLine,
  replayOf,
  storyLines,
  type Ending,
} from "../../src/cli/sim-verdict.ts";
import { CHANGE_WORDS, FAULT_WORDS, INVARIANTS } from "../../src/cli/sim-words.ts";
import { drawPlan } from "../../src/simulator/draw-plan.ts";
import { CHANGE_KINDS, FAULT_KINDS, writePlan, type Plan } from "../../src/simulator/plan.ts";
import { STATES } from "../../src/simulator/states.ts";
import { tellPlan } from "../../src/simulator/tell-plan.ts";
import type { Verdict } from "../../src/simulator/verdict.ts";
import { DEFAULT_WORKLOAD } from "../../src/simulator/workload.ts";

const WIDE = 200;
const TALL = 100;

const FILES: Readonly<Record<string, string>> = {
  "plan.json": writePlan(drawPlan(7, { durationMs: 1000, clients: 1 })),
  "broken.json": "{",
  "shop.json": '{"buckets": [{"name": "carts", "blindPut": "sibling"}], "readShare": 0.9}',
  "shelf.json":
    '{"buckets": [{"name": "A"}, {"name": "b", "properties": {"nope": 1}}, {"name": "c", "n": 2, "properties": {"consistency": "w=3"}}, {"name": "c"}], "readLevels": ["MOST"]}',
  "odd.json": '{"readShare": 3, "raedShare": 1}',
};
const MACHINE: SimMachine = {
  cores: 2,
  freshSeed: () => 1234,
  readFile: (path) => FILES[path] ?? "",
};
const request = (options: Record<string, unknown> = {}) => readSimRequest(options, MACHINE);

function report(name: string, changes: Partial<Verdict> = {}): SimReport {
  const { verdict, sizes } = failedReport(name, "");
  const figures = {
    ...verdict.figures,
    operations: 100,
    ok: 74,
    failed: 20,
    unknown: 6,
    dots: 40,
    recoveries: { kills: 3, powerLosses: 2 },
    virtualMs: 12_500,
    events: 9000,
  };
  return {
    name,
    sizes: { ...sizes, nodes: 5, clients: 1, steps: 120, faults: 2 },
    plan: [],
    path: "",
    verdict: {
      ...verdict,
      violations: [],
      figures,
      faults: { crash: 2, join: 1 },
      coverage: { "crash x calm": 1, "crash x hints are held": 2, "join x calm": 1 },
      told: ["10.0 ms: crash n1", "20.0 ms: crash n2"],
      trace: "a1b2",
      ...changes,
    },
  };
}

const LOST = { invariant: "S1", message: "#3 is lost\nand more", key: "plain/k1" };
const broken = (name: string): SimReport => ({
  ...report(name, { violations: [LOST], story: "1 violations\n\n  S1 plain/k1" }),
  plan: ["5 nodes, 12 s"],
  path: `.hutch/sim/${name.replace(" ", "-")}.json`,
});

function totalsOf(...reports: SimReport[]): SimTotals {
  const totals = new SimTotals();
  for (const own of reports) totals.add(own);
  return totals;
}

const ending = (totals: SimTotals, changes: Partial<Ending> = {}): Ending => ({
  request: request({ seed: "42", seeds: "3", faults: "crash,torn", changes: "join" }),
  totals,
  elapsedMs: 2500,
  isStopped: false,
  ...changes,
});

describe("options", () => {
  test("without any: one fresh seed with everything on", () => {
    expect(request()).toMatchObject({
      source: { first: 1234, count: 1, forMs: Infinity },
      draw: {},
      kinds: [...FAULT_KINDS, ...CHANGE_KINDS],
      jobs: 1,
      isShrunk: false,
      directory: ".hutch/sim",
      isSaved: false,
    });
    expect(Object.keys(request().draw)).toEqual([]);
  });

  test("as many seeds as asked for, or as the time allows, on all cores", () => {
    expect(request({ seed: "0", seeds: "9" })).toMatchObject({
      source: { first: 0, count: 9, forMs: Infinity },
      jobs: 2,
    });
    expect(request({ for: "10m" }).source).toMatchObject({ count: Infinity, forMs: 600_000 });
    expect(request({ for: "1h", seeds: "5", jobs: "7" })).toMatchObject({
      source: { count: 5, forMs: 3_600_000 },
      jobs: 5,
    });
  });

  test("what happens is said to whoever draws the plans", () => {
    const { draw, kinds } = request({
      nodes: "3",
      racks: "3",
      clients: "2",
      length: "5s",
      faults: "power-loss, crash",
      changes: "none",
      set: ["hint-window=2s"],
      workload: "shop.json",
    });
    expect(draw).toMatchObject({
      nodes: 3,
      racks: 3,
      clients: 2,
      durationMs: 5000,
      faults: ["power loss", "crash"],
      changes: [],
      knobs: { hintWindowMs: "2s" },
    });
    expect(kinds).toEqual(["power loss", "crash"]);
    expect(draw.workload).toMatchObject({
      readShare: 0.9,
      deleteShare: DEFAULT_WORKLOAD.deleteShare,
      buckets: [{ name: "carts", conflicts: "siblings", blindPut: "sibling", strict: false }],
    });
    const all = request({ faults: "all", changes: "all" }).draw;
    expect([all.faults, all.changes]).toEqual([undefined, undefined]);
  });

  test("a plan is read and its kinds are those in it", () => {
    const { source, kinds, jobs } = request({ plan: "plan.json" });
    expect(source).toMatchObject({ path: "plan.json", plan: { title: "seed 7" } });
    const { faults, changes } = (source as { plan: Plan }).plan;
    expect(kinds).toEqual([...new Set([...faults, ...changes].map(({ kind }) => kind))]);
    expect(jobs).toBe(1);
  });

  test.each([
    [{ faults: "crsh" }, "usage", 'there is no "crsh" (did you mean "crash"?)'],
    [{ changes: "join,crash" }, "usage", 'there is no "crash"'],
    [{ faults: "" }, "usage", 'there is no ""'],
    [{ set: ["hint-windw=2s"] }, "usage", 'did you mean "hint-window"?'],
    [{ set: ["seeds=127.0.0.1:1"] }, "usage", 'there is no knob "seeds"'],
    [{ set: ["hint-window"] }, "usage", "is not KNOB=VALUE"],
    [{ plan: "broken.json" }, "usage", "it is not JSON"],
    [{ plan: "shop.json" }, "usage", "Cannot read the plan"],
    [{ workload: "broken.json" }, "usage", '"broken.json": it is not JSON'],
    [{ workload: "odd.json" }, "usage", "readShare"],
    [{ workload: "odd.json" }, "usage", "raedShare"],
    [{ workload: "shelf.json" }, "usage", 'Cannot use bucket "A"'],
    [{ workload: "shelf.json" }, "usage", 'bucket "b": Unrecognized key: "nope"'],
    [{ workload: "shelf.json" }, "usage", "w=3"],
    [{ workload: "shelf.json" }, "usage", 'two buckets "c"'],
    [{ workload: "shelf.json" }, "usage", "MOST"],
    [{ set: ["hint-window=2y"] }, "bad-config", "is not a duration"],
    [{ set: ["w=4"] }, "bad-config", "w is 4 and n is 3"],
    [{ seeds: "0" }, "bad-config", "outside 1 to"],
    [{ seed: "-1" }, "bad-config", "outside 0 to"],
    [{ nodes: "1e1" }, "bad-config", '"1e1" is outside'],
    [{ length: "12" }, "bad-config", '"12" is not a time'],
    [{ for: "8d" }, "bad-config", '"8d" is not a time'],
  ])("what makes no sense is refused: %j", (options, code, text) => {
    let refusal: unknown;
    try {
      request(options);
    } catch (thrown) {
      refusal = thrown;
    }
    expect(refusal).toBeInstanceOf(HutchError);
    expect(refusal).toMatchObject({ code, message: expect.stringContaining(text) });
  });
});

describe("words", () => {
  test("every kind of fault and of change has a sentence, in the order of the plan", () => {
    expect(Object.keys(FAULT_WORDS)).toEqual([...FAULT_KINDS]);
    expect(Object.keys(CHANGE_WORDS)).toEqual([...CHANGE_KINDS]);
  });

  test("every invariant that a checker names is explained", () => {
    const root = new URL("../../src", import.meta.url).pathname;
    const files = [...new Bun.Glob("{checkers,simulator}/*.ts").scanSync(root)];
    const named = files.flatMap((file) => {
      const text = readFileSync(`${root}/${file}`, "utf8");
      return [...text.matchAll(/(?:invariant: |report\(|blame\()"([^"]+)"/g)].map(
        ([, name]) => name!,
      );
    });
    expect(named.length).toBeGreaterThan(20);
    // For a level that there is not yet.
    expect(named).toContain("linearizable");
    expect([...new Set(named)].filter((name) => !(name in INVARIANTS))).toEqual(["linearizable"]);
  });
});

describe("the running picture", () => {
  const moment: Moment = {
    request: request({ seed: "42", seeds: "4", faults: "crash,torn", changes: "join" }),
    totals: totalsOf(report("seed 42")),
    lanes: [
      { name: "seed 43", sinceMs: 900, doing: "" },
      { name: "seed 44", sinceMs: 0, doing: "shrinking" },
    ],
    elapsedMs: 2000,
    nowMs: 2000,
  };

  test("shows what is asked for, how far it is, what was done and what was covered", () => {
    expect(momentLines(moment, WIDE, TALL)).toEqual([
      "hutch sim  seeds 42 to 45, 2 processes",
      "██████████                                25.0 %",
      "runs          1 of 4, 0 broken",
      "real time     2.0 s",
      "virtual time  12.5 s, 6.3 times real time",
      "operations    100: ok 74.0 %, failed 20.0 %, unknown 6.0 %",
      "versions      40 given out, 0 were on lost disks only",
      "recoveries    3 after kills, 2 after power losses",
      "events        9,000, 4,500 a second",
      "now           seed 43 for 1.1 s, seed 44 for 2.0 s (shrinking)",
      "",
      "struck  all  A  B  C  D  E  F",
      "crash     2  1  0  0  0  2  0",
      "join      1  1  0  0  0  0  0",
      "A calm · B a node is down · C a node catches up · D the ring changes · E hints are held · F the net is cut",
      "never struck: torn",
    ]);
    expect(momentLine(moment)).toBe(
      "2.0 s: 1 runs, 0 broken, 12.5 s of virtual time, 100 operations, 74.0 % ok, seed 43 for 1.1 s, seed 44 for 2.0 s (shrinking)",
    );
  });

  test.each([30, 40, 60, 80])("no line is wider than a terminal of %i places", (width) => {
    for (const line of momentLines(moment, width, TALL))
      expect(Bun.stringWidth(line)).toBeLessThanOrEqual(width);
  });

  test("what has no room on a low terminal is counted, the head stays", () => {
    const lines = momentLines(moment, WIDE, 14);
    expect(lines).toHaveLength(14);
    expect(lines.slice(-3)).toEqual([
      "struck  all  A  B  C  D  E  F",
      "crash     2  1  0  0  0  2  0",
      "… 3 more lines on a taller terminal",
    ]);
    expect(momentLines(moment, WIDE, 4)).toHaveLength(4);
  });

  test("a time that is given is the other measure of how far it is", () => {
    const timed = { ...moment, request: request({ seed: "42", for: "8s" }) };
    const lines = momentLines(timed, WIDE, TALL);
    expect(lines[0]).toBe("hutch sim  seeds from 42 on, 2 processes");
    expect(lines[1]).toEndWith("25.0 %");
    expect(lines.slice(2, 4)).toEqual([
      "runs          1, 0 broken",
      "real time     2.0 s of 8.0 s",
    ]);
  });

  test("spans of time as people say them", () => {
    expect([0, 59_900, 61_000, 3_599_000, 3_720_000, 360_000_000].map(spanText)).toEqual([
      "0.0 s",
      "59.9 s",
      "1 min 01 s",
      "59 min 59 s",
      "1 h 02 min",
      "100 h 00 min",
    ]);
  });
});

describe("the table of coverage", () => {
  test("has a column for each state, and says what never struck", () => {
    const [head, crash] = coverageLines(totalsOf(report("a"), report("b")), ["crash"], WIDE);
    expect(head!.split(/ +/)).toHaveLength(2 + STATES.length);
    expect(crash!.split(/ +/)).toEqual(["crash", "4", "2", "0", "0", "0", "4", "0"]);
    const nothing = new SimTotals();
    expect(coverageLines(nothing, ["crash", "join"], WIDE)).toEqual(["never struck: crash · join"]);
    expect(coverageLines(nothing, [], WIDE)).toEqual([]);
  });
});

describe("the verdict", () => {
  test("all held: what was done, what was checked, and the word for it", () => {
    const lines = endingLines(ending(totalsOf(report("seed 42"))), WIDE);
    expect(lines.slice(5, 13)).toEqual([
      "",
      "seeds         42",
      "virtual time  12.5 s",
      "operations    100: ok 74.0 %, failed 20.0 %, unknown 6.0 %",
      "versions      40 given out, 0 were on lost disks only",
      "recoveries    3 after kills, 2 after power losses",
      "events        9,000",
      "real time     2.5 s",
    ]);
    for (const name of Object.keys(INVARIANTS))
      expect(lines.some((line) => line.startsWith(`  ${name} `))).toBe(true);
    expect(lines.at(-1)).toBe("HELD: nothing was broken in 1 run");
    expect(EXIT_BY_OUTCOME.held).toBe(0);
  });

  test("broken: the violation, the plan, the story, its file and the one command that repeats it", () => {
    const totals = totalsOf(report("seed 42"), broken("seed 43"));
    const lines = endingLines(ending(totals), WIDE);
    expect(lines.slice(lines.indexOf("seed 43 is BROKEN"))).toEqual([
      "seed 43 is BROKEN",
      "  S1 plain/k1: #3 is lost",
      "",
      "the plan",
      "  5 nodes, 12 s",
      "",
      "what was done",
      "  10.0 ms: crash n1",
      "  20.0 ms: crash n2",
      "",
      "what came of it",
      "  1 violations",
      "    S1 plain/k1",
      "",
      "plan    .hutch/sim/seed-43.json",
      "replay  hutch sim --plan .hutch/sim/seed-43.json",
      "",
      "BROKEN: 1 of 2 runs",
    ]);
    expect(EXIT_BY_OUTCOME[totals.outcome]).toBe(1);
  });

  test("of many broken runs some are told, and the others named with their command", () => {
    const totals = totalsOf(...[1, 2, 3, 4].map((seed) => broken(`seed ${seed}`)));
    expect(totals.broken.map(({ verdict }) => verdict.story !== "")).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect(endingLines(ending(totals), WIDE).slice(-2)).toEqual([
      "seed 4 is BROKEN: S1; hutch sim --plan .hutch/sim/seed-4.json",
      "BROKEN: 4 of 4 runs",
    ]);
  });

  test("of a shrunk run the smaller plan is told", () => {
    const own = broken("seed 43");
    const small = {
      verdict: { ...own.verdict, told: ["5.0 ms: torn n1"] },
      sizes: own.sizes,
      plan: ["3 nodes, 1 s"],
      runs: 81,
    };
    const lines = endingLines(ending(totalsOf({ ...own, shrunk: small })), WIDE).join("\n");
    expect(lines).toContain(
      "a smaller plan breaks the same, found in 81 runs\n\nthe plan\n  3 nodes",
    );
    expect(lines).toContain("what was done\n  5.0 ms: torn n1\n");
    expect(lines).not.toContain("crash n1");
  });

  test("too little was answered: nothing is proven, and the exit code says so", () => {
    const { verdict } = report("seed 42");
    const poor = report("seed 42", { figures: { ...verdict.figures, ok: 29, failed: 65 } });
    const totals = totalsOf(poor);
    expect(totals.outcome).toBe("proves-nothing");
    expect(EXIT_BY_OUTCOME[totals.outcome]).toBe(69);
    expect(endingLines(ending(totals), WIDE).at(-1)).toBe(
      "PROVES NOTHING: 29.0 % of the operations in 1 run succeeded, and 30 % are the least",
    );
    expect(totalsOf(poor, report("seed 43")).outcome).toBe("held");
    expect(totalsOf(poor, broken("seed 43")).outcome).toBe("broken");
    expect(new SimTotals().outcome).toBe("proves-nothing");
  });

  test("stopped by a person: the verdict is on what was seen", () => {
    const stopped = ending(totalsOf(report("seed 42")), { isStopped: true });
    expect(endingLines(stopped, WIDE).at(-1)).toBe(
      "HELD: nothing was broken in 1 run (stopped before its end)",
    );
  });

  test.each([40, 60, 80])("tables and what was checked fit a terminal of %i places", (width) => {
    for (const line of endingLines(ending(totalsOf(report("seed 42"))), width).slice(0, -1))
      expect(Bun.stringWidth(line)).toBeLessThanOrEqual(width);
  });

  test("one run in a line, with its trace; alone as a story", () => {
    expect(reportLine(report("seed 42"))).toBe(
      "seed 42: held, 100 operations, 74.0 % ok, 3 faults and changes, 12.5 s, trace a1b2",
    );
    expect(reportLine(broken("seed 43"))).toStartWith("seed 43: BROKEN S1, 100 operations");
    const many = report("seed 42", { told: Array.from({ length: 50 }, (_, i) => `fault ${i}`) });
    expect(storyLines(many, false)).toHaveLength(1 + 40 + 1);
    expect(storyLines(many, false).at(-1)).toBe("  ... and 10 more (--trace tells all)");
    expect(storyLines(many, true)).toHaveLength(1 + 50);
    expect(storyLines(many, true)[0]).toBe(
      "seed 42: 5 nodes, 1 client with up to 120 operations, 2 faults and 0 changes planned",
    );
  });

  test("a file with a space in its name is quoted", () => {
    expect(replayOf({ ...broken("x"), path: "my plans/it's.json" })).toBe(
      "hutch sim --plan 'my plans/it'\\''s.json'",
    );
  });

  test("--json: a run and a verdict are an object each, zeros included", () => {
    expect(reportJson(broken("seed 43"), false)).toMatchObject({
      type: "run",
      run: "seed 43",
      held: false,
      trace: "a1b2",
      violations: [LOST],
      plan: ".hutch/sim/seed-43.json",
      replay: "hutch sim --plan .hutch/sim/seed-43.json",
    });
    expect(reportJson(report("seed 42"), false)).not.toHaveProperty("told");
    expect(reportJson(report("seed 42"), true)).toHaveProperty("told");
    expect(endingJson(ending(totalsOf(report("seed 42"))))).toMatchObject({
      type: "verdict",
      verdict: "held",
      exitCode: 0,
      runs: 1,
      okShare: 0.74,
      faults: { crash: 2, torn: 0, join: 1 },
      coverage: { "crash x calm": 1, "torn x calm": 0, "join x the ring changes": 0 },
      checked: Object.keys(INVARIANTS),
    });
  });
});

describe("one run", () => {
  const drawn = drawPlan(7, { durationMs: 1000, clients: 1 });
  const verdictOf = (plan: Plan, isBroken: boolean): Verdict => ({
    ...report("").verdict,
    plan,
    violations: isBroken ? [LOST] : [],
  });
  const job: SimJob = {
    name: "seed 7",
    source: { seed: "7", draw: {} },
    words: 5,
    isShrunk: false,
    directory: "out",
    isSaved: false,
  };

  function laboratory(isBroken: boolean, changes: Partial<Laboratory> = {}) {
    const saved = new Map<string, string>();
    const lab: Laboratory = {
      draw: () => drawn,
      run: (plan) => verdictOf(plan, isBroken),
      shrink(plan, _, run, { onStep }) {
        const small = { ...plan, faults: [] };
        const found = run(small);
        onStep?.({ pass: "faults", runs: 1, isKept: true, plan: small });
        return { plan: small, verdict: found, runs: 1 };
      },
      nowMs: () => 0,
      save: (path, text) => void saved.set(path, text),
      ...changes,
    };
    return { lab, saved };
  }

  test("that holds leaves no file, unless it is asked for", () => {
    const { lab, saved } = laboratory(false);
    expect(doJob(job, lab)).toMatchObject({ name: "seed 7", path: "", sizes: { clients: 1 } });
    expect([...saved.keys()]).toEqual([]);
    expect(doJob({ ...job, isSaved: true }, lab).path).toBe("out/seed-7.json");
    expect(saved.get("out/seed-7.json")).toBe(writePlan(drawn));
  });

  test("that is broken leaves its plan, and before it is shrunk says so", () => {
    const { lab, saved } = laboratory(true);
    expect(doJob(job, lab)).toMatchObject({ path: "out/seed-7.json", plan: tellPlan(drawn) });
    const heard: string[] = [];
    const shrunk = doJob({ ...job, isShrunk: true }, lab, (news) => {
      heard.push(news.type === "broken" ? `broken ${news.report.path}` : news.type);
    });
    expect(heard).toEqual(["broken out/seed-7.json", "broken out/seed-7-shrunk.json", "shrinking"]);
    expect(shrunk).toMatchObject({ path: "out/seed-7-shrunk.json", shrunk: { runs: 1 } });
    expect([...saved.keys()]).toEqual(["out/seed-7.json", "out/seed-7-shrunk.json"]);
  });

  test("of a plan is repeated by that plan, and never writes over it", () => {
    const { lab, saved } = laboratory(true);
    const source = { path: "out/seed-7.json", plan: drawn };
    expect(doJob({ ...job, source, isSaved: true }, lab).path).toBe("out/seed-7.json");
    expect(saved.size).toBe(0);
  });

  test("that takes too long to shrink ends with the smallest so far", () => {
    let nowMs = 0;
    const { lab } = laboratory(true, {
      nowMs: () => (nowMs += 60_000),
      shrink(plan, _, run, { onStep }) {
        for (let runs = 1; ; runs++) {
          run(plan);
          onStep?.({ pass: "faults", runs, isKept: true, plan });
        }
      },
    });
    expect(doJob({ ...job, isShrunk: true }, lab)).toMatchObject({
      path: "out/seed-7-shrunk.json",
      shrunk: { runs: 10 },
    });
  });

  test("whose plan cannot be saved is told all the same, and why", () => {
    const { lab } = laboratory(true, {
      save: () => {
        throw new Error("EROFS");
      },
    });
    const { path, plan, verdict } = doJob(job, lab);
    expect([path, verdict.violations]).toEqual(["", [LOST]]);
    expect(plan.at(-1)).toBe('Cannot save this plan as "out/seed-7.json": EROFS');
  });

  test("that comes to no verdict is broken", () => {
    const { lab } = laboratory(true, {
      draw: () => {
        throw new Error("no such thing");
      },
    });
    const { verdict } = doJob(job, lab);
    expect(verdict.violations).toEqual([{ invariant: "run", message: "no such thing", key: "" }]);
  });
});

describe("a session", () => {
  async function runSession(options: Record<string, unknown>, brokenSeeds: readonly string[]) {
    const told: string[] = [];
    const teller: SimTeller = {
      began: () => undefined,
      reported: ({ name }) => void told.push(name),
      ended: ({ totals, isStopped }) =>
        void told.push(`${totals.runs} runs${isStopped ? ", stopped" : ""}`),
    };
    const closed: number[] = [];
    const lane = (): Lane => ({
      state: undefined,
      run: async ({ name }) => (brokenSeeds.includes(name) ? broken(name) : report(name)),
      close: () => void closed.push(1),
    });
    const session = new SimSession(request(options), teller, lane);
    const totals = await session.run();
    return { told, totals, closed: closed.length };
  }

  test("takes one seed after the other and ends its processes", async () => {
    const { told, closed } = await runSession({ seed: "5", seeds: "3", jobs: "1" }, []);
    expect(told).toEqual(["seed 5", "seed 6", "seed 7", "3 runs"]);
    expect(closed).toBe(1);
  });

  test("ends at the first broken run, or goes on", async () => {
    const options = { seed: "5", seeds: "4", jobs: "1" };
    expect((await runSession(options, ["seed 6"])).told).toEqual(["seed 5", "seed 6", "2 runs"]);
    const { totals } = await runSession({ ...options, keepGoing: true }, ["seed 6"]);
    expect([totals.runs, totals.broken.map(({ name }) => name)]).toEqual([4, ["seed 6"]]);
  });

  test("repeats a plan once", async () => {
    expect((await runSession({ plan: "plan.json" }, [])).told).toEqual([
      "plan plan.json",
      "1 runs",
    ]);
  });
});
