/**
 * A plan for people: the cluster in a line or two, then what goes wrong and what is done to the ring in order of time, then what the clients do.
 *
 *   3 nodes, 10 s, at most 1 down at once
 *   faults
 *     at 2.35 s                    crash 0 for 1.2 s
 *     at the 3rd log syncing       pause for 300 ms
 *   clients   puts  deletes  gets  keys
 *   c0           1        0     1     1
 */
import type { Change, Fault, Plan, PlannedClient, Step } from "./plan.ts";

/** What shrinking makes smaller. */
export interface PlanSizes {
  readonly faults: number;
  readonly changes: number;
  readonly clients: number;
  readonly steps: number;
  readonly nodes: number;
  readonly durationMs: number;
}

export function sizesOf({ faults, changes, clients, nodes, durationMs }: Plan): PlanSizes {
  const steps = clients.reduce((sum, own) => sum + own.steps.length, 0);
  return {
    faults: faults.length,
    changes: changes.length,
    clients: clients.length,
    steps,
    nodes,
    durationMs,
  };
}

/** Up to here each step has a line of its own. */
const STEPS_TOLD_MAX = 30;

export function tellPlan(plan: Plan): readonly string[] {
  return [
    ...(plan.title === "" ? [] : [plan.title]),
    ...clusterLines(plan),
    ...section("faults", plan.faults.toSorted(byTime).map(faultCells)),
    ...section("changes, one after the other", plan.changes.map(changeCells)),
    ...(sizesOf(plan).steps <= STEPS_TOLD_MAX
      ? plan.clients.flatMap((client) => clientLines(plan, client))
      : columns([CLIENT_TITLES, ...plan.clients.map(clientCells)])),
  ];
}

function clusterLines({ nodes, racks, durationMs, downAtOnceMax, buckets, knobs }: Plan): string[] {
  const where = racks > 1 ? ` in ${counted(racks, "rack")}` : "";
  const length = durationText(durationMs);
  const flags = Object.entries(knobs).map(([name, value]) => `${name}=${value}`);
  return [
    `${counted(nodes, "node")}${where}, ${length}, at most ${downAtOnceMax} down at once`,
    `buckets ${buckets.map(({ name }) => name).join(", ")}`,
    ...(flags.length === 0 ? [] : [`knobs ${flags.join(" ")}`]),
  ];
}

/** In order of time; those that wait for something come last, in the order of the plan. */
function byTime(one: Fault, other: Fault): number {
  const [from, to] = [beganMsOf(one), beganMsOf(other)];
  return from === to ? 0 : from - to;
}

function beganMsOf({ when }: Fault): number {
  if ("atMs" in when) return when.atMs;
  return "everyMs" in when ? when.fromMs : Infinity;
}

function faultCells(fault: Fault): string[] {
  const { kind, forMs, nodes, offsetMs, driftPpm, isJournaled, calls, delayMs, paths } = fault;
  const bad = Object.entries(paths ?? {}).filter(([, value]) => value !== 0 && value !== undefined);
  const told = [
    kind,
    nodes.join(" "),
    forMs > 0 ? `for ${durationText(forMs)}` : "",
    offsetMs === undefined ? "" : `off by ${durationText(offsetMs)}`,
    driftPpm === undefined ? "" : `by ${driftPpm} ppm`,
    isJournaled === true ? "of a journaled disk" : "",
    calls === undefined ? "" : `after ${counted(calls, "call")}`,
    delayMs === undefined ? "" : `${durationText(delayMs)} each`,
    ...bad.map(([name, value]) => `${name} ${value}`),
  ];
  return [whenText(fault), told.filter((part) => part !== "").join(" ")];
}

function whenText({ when }: Fault): string {
  if ("atMs" in when) return `at ${durationText(when.atMs)}`;
  if ("everyMs" in when)
    return `every ${durationText(when.everyMs)} from ${durationText(when.fromMs)}`;
  return `at the ${ordinal(when.nth)} ${when.on}`;
}

function changeCells({ kind, pauseMs, isAlongside }: Change): string[] {
  const pause = durationText(pauseMs);
  return [isAlongside ? `${pause} after it began` : `after ${pause}`, kind];
}

function clientLines(plan: Plan, { name, usesSessions, steps }: PlannedClient): string[] {
  return section(
    `client ${name}${usesSessions ? " with sessions" : ""}`,
    steps.map((step) => [`after ${durationText(step.afterMs)}`, stepText(plan, step)]),
  );
}

function stepText({ buckets }: Plan, step: Step): string {
  const { kind, bucket, key, node, level, timeoutMs, ttlMs, bytes, retries } = step;
  const { name = "" } = buckets[bucket % buckets.length] ?? {};
  const told = [
    `${kind} ${name}/${key} at ${node}`,
    level,
    step.startsSession ? "in a new session" : "",
    step.isInformed ? "with context" : "",
    step.isConditional ? "if there is none" : "",
    ttlMs > 0 ? `for ${durationText(ttlMs)}` : "",
    bytes > 0 ? `of ${bytes} bytes` : "",
    retries.length > 0 ? `and again at ${retries.map((retry) => retry.node).join(" ")}` : "",
    step.isRepeated ? "whatever the answer" : "",
    `within ${durationText(timeoutMs)}`,
  ];
  return told.filter((part) => part !== "").join(" ");
}

const CLIENT_TITLES = ["clients", "puts", "deletes", "gets", "keys"];

function clientCells({ name, steps }: PlannedClient): string[] {
  const ofKind = (kind: Step["kind"]): string =>
    String(steps.filter((step) => step.kind === kind).length);
  const keys = new Set(steps.map(({ bucket, key }) => `${bucket}/${key}`));
  return [name, ofKind("put"), ofKind("delete"), ofKind("get"), String(keys.size)];
}

function section(title: string, rows: readonly (readonly string[])[]): string[] {
  return rows.length === 0 ? [] : [title, ...columns(rows).map((line) => `  ${line}`)];
}

/** Two spaces between; each column as wide as its longest cell. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widthOf = (at: number): number => Math.max(...rows.map((row) => row[at]?.length ?? 0));
  const widths = (rows[0] ?? []).map((_, at) => widthOf(at));
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join("  ")
      .trimEnd(),
  );
}

/** `2.35 s`, `300 ms`. */
function durationText(ms: number): string {
  return Math.abs(ms) < 1000 ? `${Math.round(ms)} ms` : `${Number((ms / 1000).toFixed(3))} s`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function ordinal(nth: number): string {
  const isTeen = nth % 100 >= 11 && nth % 100 <= 13;
  const ending = isTeen ? undefined : (["th", "st", "nd", "rd"] as const)[nth % 10];
  return `${nth}${ending ?? "th"}`;
}
