/** What a run has shown, for people. */
import { storyOf } from "../../src/simulator/run-parts.ts";
import { FAULT_KINDS } from "./plan.ts";
import type { RunResult } from "./run.ts";

const LONGEST_WAITS = 3;

export function reportOf(result: RunResult): string {
  const { history, machines, nemesis, violations } = result;
  const faults = FAULT_KINDS.flatMap((fault) => {
    const struck = nemesis.counts.get(fault) ?? 0;
    const leftOut = nemesis.leftOut.get(fault) ?? 0;
    return struck + leftOut === 0 ? [] : [{ fault, struck, "left out": leftOut }];
  });
  const nodes = machines.map(({ name, recoveries, slowestStartMs }) => ({
    node: name,
    "started again after": [...recoveries].map(([why, n]) => `${why} ${n}`).join(", "),
    "slowest start ms": Math.round(slowestStartMs),
  }));
  return [
    Bun.inspect.table(faults, { colors: false }).trimEnd(),
    Bun.inspect.table(nodes, { colors: false }).trimEnd(),
    ...operationLines(result),
    violations.length === 0 ? "no violations" : storyOf(violations, history, ""),
  ].join("\n");
}

function operationLines({ history, machines, waits, stalls }: RunResult): string[] {
  const { operations } = history;
  const shareOf = (outcome: string): string => {
    const count = operations.filter((own) => own.outcome === outcome).length;
    return `${count} ${outcome} (${((100 * count) / Math.max(1, operations.length)).toFixed(1)} %)`;
  };
  const recoveries = machines.flatMap((machine) => [...machine.recoveries.values()]);
  const slowest = waits
    .filter(({ isExcused }) => !isExcused)
    .toSorted((a, b) => b.forMs - a.forMs)
    .slice(0, LONGEST_WAITS)
    .map(({ forMs, node, timeoutMs }) => `${Math.round(forMs)} ms at ${node} of ${timeoutMs}`);
  return [
    `operations: ${operations.length}, ${["ok", "fail", "info"].map(shareOf).join(", ")}`,
    `recoveries: ${recoveries.reduce((sum, own) => sum + own, 0)}`,
    `slowest answers of nodes that nothing had struck: ${slowest.join(", ")}`,
    `this process stood still ${stalls.stalls.length} times, at most ${Math.round(stalls.longestMs)} ms`,
  ];
}
