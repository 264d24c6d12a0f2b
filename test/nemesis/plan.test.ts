import { describe, expect, test } from "bun:test";
import { KNOBS } from "../../src/config.ts";
import { cutPairs } from "./nemesis.ts";
import { type Fault, FAULT_KINDS, NODES, describeFault, drawPlan } from "./plan.ts";

const TEN_MINUTES_MS = 600_000;

describe("the plan of a nemesis run", () => {
  test("is the same for the same seed, and another for another", () => {
    const options = { durationMs: TEN_MINUTES_MS };
    expect(drawPlan("7", options)).toEqual(drawPlan("7", options));
    expect(drawPlan("7", options)).not.toEqual(drawPlan("8", options));
  });

  test("of ten minutes has every kind of fault, and a kill every 5 to 15 s", () => {
    const { faults } = drawPlan("1", { durationMs: TEN_MINUTES_MS });
    for (const kind of FAULT_KINDS) expect(faults.map((own) => own.kind)).toContain(kind);
    const kills = faults.filter(({ kind }) => kind === "kill").map(({ atMs }) => atMs);
    const pauses = kills.slice(1).map((atMs, i) => atMs - kills[i]!);
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(5000);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(15_000);
  });

  test("without a kind has all the others as they were", () => {
    const options = { durationMs: TEN_MINUTES_MS };
    const kinds = FAULT_KINDS.filter((kind) => kind !== "stop");
    const all = drawPlan("3", options).faults.filter(({ kind }) => kind !== "stop");
    expect(drawPlan("3", { ...options, kinds }).faults).toEqual(all);
  });

  test("R20: no two clocks are ever further apart than drift-max", () => {
    for (let seed = 0; seed < 20; seed++) {
      const { clocksMs, faults } = drawPlan(`${seed}`, { durationMs: TEN_MINUTES_MS });
      const offsets = [...clocksMs, ...faults.flatMap(({ offsetMs }) => offsetMs ?? [])];
      expect(Math.max(...offsets) - Math.min(...offsets)).toBeLessThan(KNOBS.driftMaxMs.default);
    }
  });

  test("is JSON, and people can read it", () => {
    const plan = drawPlan("5", { durationMs: 60_000 });
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
    const fault = { kind: "stop", atMs: 1500, forMs: 2000, nodes: [2] } as const;
    expect(describeFault(fault)).toBe("   1.5 s  stop n3 for 2.0 s");
  });
});

describe("a cut", () => {
  const cut = (kind: Fault["kind"]): string[] =>
    cutPairs({ kind, atMs: 0, forMs: 0, nodes: [0, 1, 2, 3, 4] }).map((pair) => pair.join(">"));

  test("one way: what one node sends does not arrive, and it hears all", () => {
    expect(cut("one way")).toEqual(["0>2", "0>3", "0>4"]);
  });

  test("isolate: one node hears nobody and nobody hears it", () => {
    const others = [1, 2, 3, 4];
    expect(cut("isolate").toSorted()).toEqual(
      others.flatMap((each) => [`0>${each}`, `${each}>0`]).toSorted(),
    );
  });

  test("split: two sides; bridge: two sides, and one node that both can speak with", () => {
    expect(cut("split")).toHaveLength(2 * 2 * 3);
    expect(cut("bridge")).toHaveLength(2 * 2 * 2);
    expect(cut("bridge").filter((pair) => pair.includes("2"))).toEqual([]);
  });

  test("every kind of cut leaves a majority that is connected", () => {
    for (const kind of ["one way", "isolate", "split", "bridge"] as const) {
      const pairs = cut(kind);
      const large = [2, 3, 4];
      for (const from of large)
        for (const to of large) expect(pairs).not.toContain(`${from}>${to}`);
    }
    expect(NODES).toBe(5);
  });
});
