/**
 * What is not needed of the single steps, faults and changes, and what is simpler than it has to be.
 *
 *   plain        a level that is the default's, no retries, no context ...: all of them at once, then fewer (`minimize.ts`)
 *   simpler      numbers that are halved, lists without one of their items, a fault that strikes once instead of again and again: one place after the other
 *
 * A place is a path in the plan's JSON. What comes out is JSON too: `planSchema` says whether it is a plan.
 */
import { simplerNumbers } from "./minimize.ts";
import type { Fault, Plan, Step } from "./plan.ts";

export type Path = readonly (string | number)[];

/** A place, and what it holds where nobody has asked for anything; `undefined` for something that can be left out. */
export interface PlainPlace {
  readonly path: Path;
  readonly value: unknown;
}

const PLAIN_STEP = {
  level: "",
  node: 0,
  isInformed: false,
  isConditional: false,
  ttlMs: 0,
  bytes: 0,
  retries: [],
  isRepeated: false,
  startsSession: false,
} satisfies Partial<Step>;

const PLAIN_PATHS = {
  lossChance: 0,
  duplicateChance: 0,
  reorderChance: 0,
  corruptChance: 0,
  delayMs: 0,
  jitterMs: 0,
  bytesPerSecond: undefined,
} satisfies Fault["paths"];

/** What a fault may be without. */
const FAULT_EXTRAS = ["paths", "offsetMs", "driftPpm", "isJournaled", "calls", "delayMs"] as const;

/** Everything that is not plain yet. */
export function plainPlaces(plan: Plan): readonly PlainPlace[] {
  const places: PlainPlace[] = [{ path: ["racks"], value: 1 }];
  for (const [at, { properties }] of plan.buckets.entries()) {
    const bucket = ["buckets", at];
    places.push({ path: [...bucket, "strict"], value: false });
    places.push({ path: [...bucket, "n"], value: undefined });
    for (const name of Object.keys(properties ?? {}))
      places.push({ path: [...bucket, "properties", name], value: undefined });
  }
  for (const at of plan.changes.keys())
    places.push({ path: ["changes", at, "isAlongside"], value: false });
  for (const [at, { paths }] of plan.faults.entries()) {
    for (const name of FAULT_EXTRAS) places.push({ path: ["faults", at, name], value: undefined });
    if (paths !== undefined) places.push(...under(["faults", at, "paths"], PLAIN_PATHS));
  }
  for (const [at, { steps }] of plan.clients.entries()) {
    places.push({ path: ["clients", at, "usesSessions"], value: false });
    for (const step of steps.keys())
      places.push(...under(["clients", at, "steps", step], PLAIN_STEP));
  }
  return places.filter(({ path, value }) => !isSame(valueAt(plan, path), value));
}

function under(path: Path, plain: Readonly<Record<string, unknown>>): PlainPlace[] {
  return Object.entries(plain).map(([name, value]) => ({ path: [...path, name], value }));
}

/** Places that `simplerAt` knows something simpler for; places in what it has to say come after it. */
export function simplifiable(plan: Plan): readonly Path[] {
  const faults = plan.faults.flatMap((fault, at) =>
    [
      ...["when", "forMs", "nodes", "offsetMs", "calls", "delayMs"].map((name) => [name]),
      ...Object.keys(fault.when).map((name) => ["when", name]),
      ...[...fault.nodes.keys()].map((index) => ["nodes", index]),
      ...Object.keys(fault.paths ?? {}).map((name) => ["paths", name]),
    ].map((path) => ["faults", at, ...path]),
  );
  const changes = [...plan.changes.keys()].map((at) => ["changes", at, "pauseMs"]);
  const steps = plan.clients.flatMap((client, at) =>
    [...client.steps.keys()].flatMap((step) =>
      ["retries", "ttlMs", "bytes", "node"].map((name) => ["clients", at, "steps", step, name]),
    ),
  );
  return [["racks"], ["downAtOnceMax"], ...faults, ...changes, ...steps];
}

/** Below these a number says something else. */
const LEAST: Readonly<Record<string, number>> = { racks: 1, downAtOnceMax: 1, nth: 1, everyMs: 1 };

/** What to try at this place instead, the simplest first. */
export function simplerAt(plan: Plan, path: Path): readonly unknown[] {
  const value = valueAt(plan, path);
  const name = String(path.at(-1));
  if (name === "everyMs") return [];
  if (typeof value === "number") {
    const simpler = simplerNumbers(value, LEAST[name] ?? 0);
    return namesNode(path) && value >= plan.nodes ? [value % plan.nodes, ...simpler] : simpler;
  }
  if (Array.isArray(value)) return value.map((_, at) => value.toSpliced(at, 1));
  return name === "when" ? onceInstead(plan, value) : [];
}

/** Indexes of nodes are taken modulo their number. */
function namesNode(path: Path): boolean {
  return path.at(-1) === "node" || path.at(-2) === "nodes";
}

/** Strikes of one that strikes again and again that are tried as the only one. */
const STRIKES_TRIED_MAX = 16;

function onceInstead({ durationMs }: Plan, when: unknown): readonly unknown[] {
  if (!isEvery(when)) return [];
  const { fromMs, everyMs } = when;
  return Array.from({ length: STRIKES_TRIED_MAX }, (_, at) => ({
    atMs: fromMs + at * everyMs,
  })).filter(({ atMs }) => atMs < durationMs);
}

function isEvery(when: unknown): when is { readonly everyMs: number; readonly fromMs: number } {
  return typeof when === "object" && when !== null && "everyMs" in when;
}

/** `undefined` for a place that is not there. */
export function valueAt(plan: unknown, path: Path): unknown {
  let value = plan;
  for (const name of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Reflect.get(value, name);
  }
  return value;
}

export function withPlain(plan: Plan, places: readonly PlainPlace[]): unknown {
  const copy: unknown = structuredClone(plan);
  for (const { path, value } of places) put(copy, path, value);
  return copy;
}

export function withValue(plan: Plan, path: Path, value: unknown): unknown {
  return withPlain(plan, [{ path, value }]);
}

/** In place; nothing where the place has gone with one above it. */
function put(plan: unknown, path: Path, value: unknown): void {
  const parent = valueAt(plan, path.slice(0, -1));
  if (typeof parent !== "object" || parent === null) return;
  const name = path.at(-1)!;
  if (value === undefined) Reflect.deleteProperty(parent, name);
  else Reflect.set(parent, name, value);
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
