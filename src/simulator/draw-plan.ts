/**
 * Draws the plan of one run from a seed. What options do not say the seed decides.
 *
 *   fixed      five nodes, mostly, that stay; clocks seconds apart; deletions are kept for days
 *   changing   three to five nodes that others join and leave, that lose disks; deletions are collected after seconds
 */
import { Prng } from "../base/prng.ts";
import type { Flags } from "./cluster-config.ts";
import { drawFaults } from "./draw-faults.ts";
import {
  CHANGE_KINDS,
  type Change,
  type ChangeKind,
  FAULT_KINDS,
  type FaultKind,
  PLAN_FORMAT,
  type Plan,
} from "./plan.ts";
import { DEFAULT_WORKLOAD, type Workload, drawClient } from "./workload.ts";

export interface DrawOptions {
  /** How many found the cluster. */
  readonly nodes?: number;
  readonly racks?: number;
  readonly clients?: number;
  readonly durationMs?: number;
  /** Wins over the workload's. */
  readonly keysPerBucket?: number;
  /** The kinds that may occur, all of them in this run; the seed picks of all kinds where left out. */
  readonly faults?: readonly FaultKind[];
  /** Empty: the ring stays as it is. The seed decides where left out. */
  readonly changes?: readonly ChangeKind[];
  readonly knobs?: Flags;
  readonly workload?: Workload;
}

const CHANGING_CHANCE = 0.5;
/** Of the run, that a fault lasts at most. */
const LONG_SHARE = 0.3;
/** The least that the relations of the knobs allow (R41). */
const CHANGING_KNOBS: Flags = {
  requestTimeoutMaxMs: "2s",
  hintTtlMs: "3s",
  driftMaxMs: "1s",
  gcDelayMs: "7s",
  scrubIntervalMs: "3s",
  hintBytesMax: "64KiB",
};
const FIXED_KNOBS: Flags = { hintBytesMax: "64KiB" };
/**
 * Who was away for longer than max-absence, 7 s there, is refused, by design (R43). A disk that takes nothing keeps the mark of being alive from being
 * written, and may be followed by a death.
 */
const ABSENCES = { diskForMsMax: 2000, forMsMax: 3500 };
/** Two clocks are never further apart than `drift-max`: beyond it merges are refused, by design (R20). */
const CLOCK_OFFSET_MS_MAX = { fixed: 4800, changing: 400 };

export function drawPlan(seed: number | string, options: DrawOptions = {}): Plan {
  const prng = new Prng(`plan/${seed}`);
  const isChanging =
    options.changes === undefined
      ? prng.fork("kind").chance(CHANGING_CHANCE)
      : options.changes.length > 0;
  const durationMs = options.durationMs ?? (isChanging ? 20_000 : 12_000);
  const longMs = Math.round(durationMs * LONG_SHARE);
  const size = drawSize(prng.fork("size"), isChanging);
  const nodes = options.nodes ?? size.nodes;
  const workload = workloadOf(prng.fork("workload"), options, isChanging);
  const clients = options.clients ?? (isChanging ? 4 : 5);
  return {
    format: PLAN_FORMAT,
    title: `seed ${seed}`,
    chance: String(seed),
    durationMs,
    nodes,
    racks: options.racks ?? (options.nodes === undefined ? size.racks : 1),
    downAtOnceMax: prng.fork("down").pick([1, 1, 2]),
    knobs: { ...drawKnobs(prng.fork("knobs"), isChanging), ...options.knobs },
    buckets: workload.buckets,
    clients: Array.from({ length: clients }, (_, i) =>
      drawClient(prng.fork(`client/${i}`), `c${i + 1}`, workload, durationMs),
    ),
    changes: isChanging ? drawChanges(prng.fork("changes"), options.changes ?? CHANGE_KINDS) : [],
    faults: drawFaults(prng.fork("faults"), {
      nodes,
      durationMs,
      ...(isChanging ? ABSENCES : { diskForMsMax: longMs, forMsMax: longMs }),
      clockOffsetMsMax: CLOCK_OFFSET_MS_MAX[isChanging ? "changing" : "fixed"],
      kinds: options.faults ?? FAULT_KINDS,
      areAll: options.faults !== undefined,
      timedChance: isChanging ? 0.1 : 0.5,
      triggeredMax: 8,
    }),
  };
}

function drawSize(prng: Prng, isChanging: boolean): { nodes: number; racks: number } {
  if (isChanging) return { nodes: prng.pick([3, 4, 4, 5]), racks: 1 };
  return prng.pick([
    { nodes: 3, racks: 1 },
    { nodes: 5, racks: 1 },
    { nodes: 5, racks: 1 },
    { nodes: 5, racks: 1 },
    { nodes: 6, racks: 3 },
  ]);
}

/**
 * What mends copies also hides what went wrong with them, so in some runs there is less of it: exchanges that come seldom, no hints, keys that nobody reads
 * for a while.
 */
function drawKnobs(prng: Prng, isChanging: boolean): Flags {
  const repairIntervalMs = prng.pick(["1s", "1s", "4s", "15s"]);
  if (!isChanging) return { ...FIXED_KNOBS, repairIntervalMs };
  return { ...CHANGING_KNOBS, repairIntervalMs, hintWindowMs: prng.pick(["3s", "3s", "0"]) };
}

function workloadOf(prng: Prng, options: DrawOptions, isChanging: boolean): Workload {
  const drawn = {
    ...DEFAULT_WORKLOAD,
    keysPerBucket: prng.pick([3, 3, 10, 30]),
    hotKeyShare: prng.fork("hot").pick([0, 0, 0.5]),
    pauseMsMax: prng.fork("pause").pick([120, 120, 40]),
    ...(isChanging && { ttlsMs: [0, 0, 0, 0, 1000, 3000] }),
  };
  const { workload = drawn, keysPerBucket = workload.keysPerBucket } = options;
  return { ...workload, keysPerBucket };
}

function drawChanges(prng: Prng, kinds: readonly ChangeKind[]): Change[] {
  return Array.from({ length: prng.between(3, 7) }, (_, i) => {
    const own = prng.fork(`${i}`);
    const kind = own.pick(kinds);
    const pauseMs = own.between(0, 1500);
    return { kind, pauseMs, isAlongside: own.chance(0.25), chance: `${own.u32()}` };
  });
}
