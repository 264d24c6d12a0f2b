/** What the options of `hutch sim` ask for: which runs, what happens in them, how they are told. */

import { HutchError } from "../base/errors.ts";
import type { KnobKey } from "../config.ts";
import { KNOB_KEYS, knobName } from "../config.ts";
import { parseDurationMs } from "../config/knob-kinds.ts";
import { nearest } from "../config/nearest.ts";
import { configOf } from "../simulator/cluster-config.ts";
import { type DrawOptions, drawPlan } from "../simulator/draw-plan.ts";
import { CHANGE_KINDS, FAULT_KINDS, type Plan, readPlan } from "../simulator/plan.ts";
import type { Workload } from "../simulator/workload.ts";
import { CLUSTER_KNOBS } from "./knob-options.ts";
import { kindOption } from "./sim-words.ts";
import { readWorkload } from "./sim-workload.ts";

/** As the command line gives them. */
export type SimOptions = Readonly<Record<string, unknown>>;

export interface SimRequest {
  readonly source:
    | { readonly plan: Plan; readonly path: string }
    /** `count` and `forMs` may be infinite, not both. */
    | { readonly first: number; readonly count: number; readonly forMs: number };
  readonly draw: DrawOptions;
  /** Kinds of faults and changes that may occur. */
  readonly kinds: readonly string[];
  readonly jobs: number;
  readonly words: number;
  readonly isShrunk: boolean;
  readonly keepsGoing: boolean;
  readonly isTraced: boolean;
  readonly isJson: boolean;
  readonly directory: string;
  readonly isSaved: boolean;
}

/** What the machine has to say. */
export interface SimMachine {
  readonly cores: number;
  freshSeed(): number;
  readFile(path: string): string;
}

const DIRECTORY_DEFAULT = ".hutch/sim";
const SEED_MAX = 2 ** 32;
const SEEDS_MAX = 1_000_000;
const FOR_MS_MAX = 7 * 86_400_000;
const LENGTH_MS_MAX = 3_600_000;
const LENGTH_MS_MIN = 1000;
const NODES_MAX = 16;
const CLIENTS_MAX = 100;
const JOBS_MAX = 64;
const WORDS_DEFAULT = 40;
const WORDS_MAX = 10_000;

/** @throws HutchError `usage` for what makes no sense, `bad-config` for a value that cannot be */
export function readSimRequest(options: SimOptions, machine: SimMachine): SimRequest {
  const source = sourceOf(options, machine);
  const draw = drawOf(options, machine);
  const count = "count" in source ? source.count : 1;
  return {
    source,
    draw,
    kinds:
      "plan" in source
        ? kindsIn(source.plan)
        : [...(draw.faults ?? FAULT_KINDS), ...(draw.changes ?? CHANGE_KINDS)],
    jobs: Math.min(count, wholeNumber(options, "jobs", 1, JOBS_MAX) ?? machine.cores),
    words: wholeNumber(options, "words", 0, WORDS_MAX) ?? WORDS_DEFAULT,
    isShrunk: options["shrink"] === true,
    keepsGoing: options["keepGoing"] === true,
    isTraced: options["trace"] === true,
    isJson: options["json"] === true,
    directory: String(options["save"] ?? DIRECTORY_DEFAULT),
    isSaved: options["save"] !== undefined,
  };
}

function sourceOf(options: SimOptions, machine: SimMachine): SimRequest["source"] {
  const path = options["plan"];
  if (typeof path === "string") return { plan: readPlan(machine.readFile(path)), path };
  const forMs = duration(options, "for", 1, FOR_MS_MAX);
  const count = wholeNumber(options, "seeds", 1, SEEDS_MAX);
  return {
    first: wholeNumber(options, "seed", 0, SEED_MAX) ?? machine.freshSeed(),
    count: count ?? (forMs === undefined ? 1 : Infinity),
    forMs: forMs ?? Infinity,
  };
}

function kindsIn({ faults, changes }: Plan): string[] {
  return [...new Set([...faults, ...changes].map(({ kind }) => kind))];
}

function drawOf(options: SimOptions, machine: SimMachine): DrawOptions {
  const all = {
    nodes: wholeNumber(options, "nodes", 1, NODES_MAX),
    racks: wholeNumber(options, "racks", 1, NODES_MAX),
    clients: wholeNumber(options, "clients", 1, CLIENTS_MAX),
    durationMs: duration(options, "length", LENGTH_MS_MIN, LENGTH_MS_MAX),
    faults: kindsOf(options, "faults", FAULT_KINDS),
    changes: kindsOf(options, "changes", CHANGE_KINDS),
    knobs: knobsOf(options["set"]),
    workload: workloadOf(options["workload"], machine),
  };
  const given = Object.entries(all).filter(([, value]) => value !== undefined);
  // Each has the type that `all` says; only what is left out is gone.
  const draw = Object.fromEntries(given) as DrawOptions;
  checkKnobs(draw);
  return draw;
}

function kindsOf<Kind extends string>(
  options: SimOptions,
  name: string,
  known: readonly Kind[],
): readonly Kind[] | undefined {
  const text = options[name];
  if (text === undefined || text === "all") return undefined;
  if (text === "none") return [];
  const words = String(text).split(",");
  return words.map((word) => {
    const kind = known.find((own) => kindOption(own) === kindOption(word.trim()));
    if (kind === undefined) throw unknownKind(name, word.trim(), known.map(kindOption));
    return kind;
  });
}

function unknownKind(name: string, word: string, known: readonly string[]): HutchError {
  const meant = nearest(word, known);
  const question = meant === undefined ? "" : ` (did you mean "${meant}"?)`;
  return new HutchError(
    "usage",
    `--${name}: there is no "${word}"${question}: want all, none, or some of ${known.join(",")}`,
  );
}

function knobsOf(settings: unknown): Partial<Record<KnobKey, string>> | undefined {
  if (!Array.isArray(settings)) return undefined;
  const knobs: Partial<Record<KnobKey, string>> = {};
  for (const setting of settings as readonly string[]) {
    const [name, ...value] = setting.split("=");
    if (name === undefined || value.length === 0)
      throw new HutchError("usage", `--set: "${setting}" is not KNOB=VALUE`);
    knobs[knobOf(name)] = value.join("=");
  }
  return knobs;
}

/** Each value, and what all of them are together, is checked as a node would do it, for rings that change and for those that do not. */
function checkKnobs(draw: DrawOptions): void {
  if (draw.knobs === undefined) return;
  const kinds = draw.changes === undefined ? [[], CHANGE_KINDS] : [draw.changes];
  for (const changes of kinds) {
    const { knobs } = drawPlan("knobs", { ...draw, changes, durationMs: LENGTH_MS_MIN });
    configOf("n1", 0, [], {}, knobs);
  }
}

function knobOf(name: string): KnobKey {
  const open = KNOB_KEYS.filter((key) => !CLUSTER_KNOBS.includes(key));
  const key = open.find((own) => knobName(own) === name);
  if (key !== undefined) return key;
  const meant = nearest(name, open.map(knobName));
  const question = meant === undefined ? "" : ` (did you mean "${meant}"?)`;
  throw new HutchError("usage", `--set: there is no knob "${name}" to set here${question}`);
}

function workloadOf(path: unknown, machine: SimMachine): Workload | undefined {
  return typeof path === "string" ? readWorkload(path, machine.readFile(path)) : undefined;
}

function wholeNumber(
  options: SimOptions,
  name: string,
  min: number,
  max: number,
): number | undefined {
  const text = options[name];
  if (text === undefined) return undefined;
  const value = /^\d+$/.test(String(text)) ? Number(text) : NaN;
  if (value >= min && value <= max) return value;
  throw new HutchError("bad-config", `--${name}: "${String(text)}" is outside ${min} to ${max}`);
}

function duration(options: SimOptions, name: string, min: number, max: number): number | undefined {
  const text = options[name];
  if (text === undefined) return undefined;
  const ms = parseDurationMs(String(text));
  if (ms !== undefined && ms >= min && ms <= max) return ms;
  throw new HutchError(
    "bad-config",
    `--${name}: "${String(text)}" is not a time such as 500ms, 12s or 10m, up to ${max / 60_000}m`,
  );
}
