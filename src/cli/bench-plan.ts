/** What `hutch bench` does, from its options: checked once, handed to every process as plain data. */

import { HutchError } from "../base/errors.ts";
import { parseDurationMs, parseSizeBytes } from "../config/knob-kinds.ts";
import type { Target } from "../load/lane.ts";
import { KEY_BYTES } from "../load/protocol.ts";
import type { Shares } from "../load/workload.ts";

export type Distribution = "uniform" | "zipfian" | "latest";

export interface BenchPlan {
  /** `a` to `f`, or `mix`. */
  readonly workload: string;
  readonly shares: Shares;
  readonly distribution: Distribution;
  readonly consistency: string;
  readonly bucket: string;
  readonly keyCount: number;
  readonly valueBytes: number;
  readonly seed: string;
  readonly connections: number;
  /** Operations a second of all processes; `undefined`: as many as go. */
  readonly rate: number | undefined;
  readonly durationMs: number;
  readonly warmupMs: number;
  readonly processes: number;
}

/** What one process gets besides the plan. */
export interface BenchShare {
  readonly plan: BenchPlan;
  readonly targets: readonly Target[];
  /** `Name: value`, for every request. */
  readonly headers: readonly string[];
  /** From 0. */
  readonly index: number;
}

type Options = Readonly<Record<string, unknown>>;

interface Mix {
  readonly shares: Shares;
  readonly isLatest?: true;
}

/** YCSB's core workloads; E is left out: it is short scans. */
const CORE: Readonly<Record<string, Mix>> = {
  a: { shares: { read: 0.5, write: 0.5 } },
  b: { shares: { read: 0.95, write: 0.05 } },
  c: { shares: { read: 1 } },
  d: { shares: { read: 0.95, insert: 0.05 }, isLatest: true },
  f: { shares: { read: 0.5, modify: 0.5 } },
};

const DISTRIBUTIONS: readonly string[] = ["uniform", "zipfian", "latest"];
/** The key has eight digits, and inserts need some of them. */
const KEYS_MAX = 50_000_000;
const VALUE_BYTES_MAX = 16 * 1024 * 1024;
const CONNECTIONS_MAX = 10_000;
const RATE_MAX = 10_000_000;
const PROCESSES_MAX = 64;
const DURATION_MS_MAX = 24 * 3_600_000;

/** @throws HutchError `bad-config` */
export function benchPlan(options: Options): BenchPlan {
  const workload = options["readRatio"] === undefined ? String(options["workload"]) : "mix";
  const core: Mix | undefined =
    workload === "mix" ? { shares: sharesOf(options) } : CORE[workload.toLowerCase()];
  if (core === undefined) throw refused("workload", options, "not one of a, b, c, d, f");
  const connections = whole(options, "connections", CONNECTIONS_MAX);
  const processes = whole(options, "processes", PROCESSES_MAX);
  if (processes > connections)
    throw refused("processes", options, `more than the ${connections} connections`);
  return {
    workload,
    shares: core.shares,
    distribution: distributionOf(options, core.isLatest === true ? "latest" : "zipfian"),
    consistency: headerText(options, "consistency"),
    bucket: String(options["bucket"]),
    keyCount: whole(options, "keys", KEYS_MAX),
    valueBytes: valueBytesOf(options),
    seed: String(options["seed"]),
    connections,
    rate: options["rate"] === undefined ? undefined : whole(options, "rate", RATE_MAX),
    durationMs: durationOf(options, "duration", 100),
    warmupMs: durationOf(options, "warmup", 0),
    processes,
  };
}

function sharesOf(options: Options): Shares {
  const read = Number(options["readRatio"]);
  if (!(read >= 0 && read <= 1) || options["readRatio"] === "")
    throw refused("readRatio", options, "not from 0 to 1");
  return { read, write: 1 - read };
}

function distributionOf(options: Options, usual: Distribution): Distribution {
  const asked = options["distribution"];
  if (asked === undefined) return usual;
  if (typeof asked === "string" && DISTRIBUTIONS.includes(asked)) return asked as Distribution;
  throw refused("distribution", options, `not one of ${DISTRIBUTIONS.join(", ")}`);
}

/** It goes into a request as it is. */
function headerText(options: Options, name: string): string {
  const text = options[name] === undefined ? "" : String(options[name]);
  if (/^[\x20-\x7e]*$/.test(text)) return text;
  throw refused(name, options, "not plain text");
}

function valueBytesOf(options: Options): number {
  const bytes = parseSizeBytes(String(options["valueBytes"]));
  if (bytes !== undefined && bytes >= KEY_BYTES && bytes <= VALUE_BYTES_MAX) return bytes;
  throw refused("valueBytes", options, `not from ${KEY_BYTES} to 16MiB`);
}

function durationOf(options: Options, name: string, msMin: number): number {
  const text = String(options[name]);
  const ms = text === "0" ? 0 : parseDurationMs(text);
  if (ms !== undefined && ms >= msMin && ms <= DURATION_MS_MAX) return ms;
  throw refused(name, options, "write a time such as 500ms, 10s or 5m");
}

function whole(options: Options, name: string, max: number): number {
  const value = Number(options[name]);
  if (Number.isSafeInteger(value) && value > 0 && value <= max) return value;
  throw refused(name, options, `not a whole number from 1 to ${max}`);
}

function refused(name: string, options: Options, why: string): HutchError {
  const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return new HutchError("bad-config", `Cannot use --${flag} "${String(options[name])}": ${why}`);
}
