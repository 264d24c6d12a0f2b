/**
 * What goes wrong in a nemesis run, drawn from its seed before it begins, one stream for each kind of fault: a kind that the machine cannot do, or that
 * was not asked for, is left out and shifts none of the others.
 *
 *   n1  plain disk, its file calls can fail       n4  a small tmpfs that can be filled
 *   n2  its clock is 400 ms ahead                 n5  a file system on a loop device whose power can be cut
 *   n3  its clock is 3 s ahead, its file calls can fail
 *
 * Two clocks are never further apart than `drift-max`, 10 s: beyond it states are refused, by design (R20), and nothing would be shown. The checkers
 * need no clock of a node for anything that these runs do: values do not expire, and real time is the clients' own.
 *
 * The real world does not repeat itself: a plan tells what was done and when, not what came of it.
 */
import { Prng } from "../../src/base/prng.ts";
import type { LinkShape } from "../support/link-shape.ts";
import type { CutMode } from "./network.ts";

export const FAULT_KINDS = [
  "kill",
  "stop",
  "split",
  "one way",
  "bridge",
  "isolate",
  "loss",
  "slow link",
  "bad link",
  "full disk",
  "clock",
  "power loss",
  "sync error",
  "slow sync",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  readonly kind: FaultKind;
  readonly atMs: number;
  readonly forMs: number;
  /** Indexes of nodes. Of a cut, all of them in a drawn order: the first ones are on the small side. */
  readonly nodes: readonly number[];
  /** Of a cut: what becomes of connections when it begins and when it ends. */
  readonly modes?: readonly [CutMode, CutMode];
  /** Of a link. */
  readonly shape?: LinkShape;
  /** Of a clock: how far ahead it is from then on. */
  readonly offsetMs?: number;
  /** Of a full disk: bytes that are left. */
  readonly leftBytes?: number;
  /** Of a sync: what each takes more. */
  readonly delayMs?: number;
}

export interface Plan {
  readonly format: 1;
  readonly seed: string;
  readonly durationMs: number;
  readonly nodes: number;
  /** How far each clock is ahead at the beginning. */
  readonly clocksMs: readonly number[];
  readonly smallDisk: number;
  readonly powerLossDisk: number;
  /** Nodes whose syncs can fail or wait. */
  readonly shimmed: readonly number[];
  readonly faults: readonly Fault[];
}

export const NODES = 5;
/** Of a datagram; the router of the namespaces knows no other chance. */
export const LOSS_CHANCE = 0.2;

const CLOCKS_MS = [0, 400, 3000, 0, 0];
/** What clocks are set to: never below the right time by more than they were above it. */
const CLOCK_OFFSETS_MS = [0, 400, 3000, -400];
const SMALL_DISK = 3;
const POWER_LOSS_DISK = 4;
const SHIMMED = [0, 2];
const SLOW_BITS_PER_SECOND = 256_000;
const SECOND_MS = 1000;

interface Rhythm {
  /** Seconds between two of the kind. */
  readonly every: readonly [number, number];
  readonly for: readonly [number, number];
}

const RHYTHMS: Readonly<Record<FaultKind, Rhythm>> = {
  kill: { every: [5, 15], for: [0, 3] },
  stop: { every: [20, 50], for: [1, 30] },
  split: { every: [40, 90], for: [2, 15] },
  "one way": { every: [40, 90], for: [2, 15] },
  bridge: { every: [40, 90], for: [2, 15] },
  isolate: { every: [40, 90], for: [2, 15] },
  loss: { every: [40, 90], for: [5, 20] },
  "slow link": { every: [40, 90], for: [5, 20] },
  "bad link": { every: [30, 70], for: [5, 20] },
  "full disk": { every: [60, 120], for: [3, 12] },
  clock: { every: [60, 150], for: [0, 2] },
  "power loss": { every: [20, 45], for: [0, 2] },
  "sync error": { every: [30, 70], for: [0, 2] },
  "slow sync": { every: [40, 90], for: [3, 15] },
};

export interface PlanOptions {
  readonly durationMs: number;
  /** Default all. */
  readonly kinds?: readonly FaultKind[];
  /** Multiplies the pauses between faults: below 1 for a short run. */
  readonly pace?: number;
}

export function drawPlan(seed: string, options: PlanOptions): Plan {
  const { durationMs, kinds = FAULT_KINDS, pace = 1 } = options;
  const prng = new Prng(`nemesis/${seed}`);
  const faults = FAULT_KINDS.filter((kind) => kinds.includes(kind)).flatMap((kind) =>
    drawKind(kind, prng.fork(kind), durationMs, pace),
  );
  return {
    format: 1,
    seed,
    durationMs,
    nodes: NODES,
    clocksMs: CLOCKS_MS,
    smallDisk: SMALL_DISK,
    powerLossDisk: POWER_LOSS_DISK,
    shimmed: SHIMMED,
    faults: faults.toSorted((a, b) => a.atMs - b.atMs),
  };
}

function drawKind(kind: FaultKind, prng: Prng, durationMs: number, pace: number): Fault[] {
  const rhythm = RHYTHMS[kind];
  const pauseMs = (): number => Math.round(draw(prng, rhythm.every) * pace);
  const faults: Fault[] = [];
  // The first comes early, so that a short run has one of each kind.
  for (let atMs = prng.below(pauseMs()); atMs < durationMs; atMs += pauseMs()) {
    const forMs = draw(prng, rhythm.for);
    faults.push({ kind, atMs, forMs, ...drawDetails(kind, prng) });
  }
  return faults;
}

const draw = (prng: Prng, [from, to]: readonly [number, number]): number =>
  prng.between(from * SECOND_MS, to * SECOND_MS);

function drawDetails(kind: FaultKind, prng: Prng): Omit<Fault, "kind" | "atMs" | "forMs"> {
  const order = shuffled(prng);
  const one = order.slice(0, 1);
  switch (kind) {
    case "kill":
    case "stop":
      return { nodes: one };
    case "split":
    case "one way":
    case "bridge":
    case "isolate":
      return { nodes: order, modes: [drawMode(prng), drawMode(prng)] };
    case "loss":
      return { nodes: order, shape: { lossChance: LOSS_CHANCE } };
    case "slow link":
      return { nodes: order.slice(0, 2), shape: { bitsPerSecond: SLOW_BITS_PER_SECOND } };
    case "bad link":
      return { nodes: order.slice(0, prng.between(2, NODES)), shape: drawShape(prng) };
    case "full disk":
      return { nodes: [SMALL_DISK], leftBytes: prng.pick([0, 4096, 65_536, 1 << 20]) };
    case "clock":
      return { nodes: one, offsetMs: prng.pick(CLOCK_OFFSETS_MS) };
    case "power loss":
      return { nodes: [POWER_LOSS_DISK] };
    case "sync error":
      return { nodes: [prng.pick(SHIMMED)] };
    case "slow sync":
      return { nodes: [prng.pick(SHIMMED)], delayMs: prng.pick([5, 20, 100, 400, 1500]) };
  }
}

const drawMode = (prng: Prng): CutMode => prng.pick(["hold", "hold", "reset"] as const);

function drawShape(prng: Prng): LinkShape {
  return {
    delayMs: prng.pick([1, 5, 50, 200]),
    jitterMs: prng.pick([0, 5, 50]),
    duplicateChance: prng.pick([0, 0.1, 0.5]),
    reorderChance: prng.pick([0, 0.1, 0.5]),
  };
}

function shuffled(prng: Prng): number[] {
  return Array.from({ length: NODES }, (_, index) => ({ index, place: prng.float() }))
    .sort((a, b) => a.place - b.place)
    .map(({ index }) => index);
}

export const nameOf = (index: number): string => `n${index + 1}`;

/** One line, for people. */
export function describeFault({ kind, atMs, forMs, nodes, ...rest }: Fault): string {
  const details = Object.entries(rest).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  const names = nodes.map(nameOf).join(" ");
  const at = `${(atMs / 1000).toFixed(1)} s`.padStart(8);
  return [`${at}  ${kind} ${names} for ${(forMs / 1000).toFixed(1)} s`, ...details].join(", ");
}
