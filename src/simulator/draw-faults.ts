/**
 * Draws what goes wrong in one run: some faults at instants, some at the n-th time that something happens. Every fault has a stream of its own, so that
 * leaving a kind out does not shift the others; each seed leaves some kinds out, because faults also hide one another.
 */
import type { Prng } from "../base/prng.ts";
import { FAULT_KINDS, type Fault, type FaultKind } from "./plan.ts";
import { drawTrigger } from "./triggers.ts";

export interface FaultDraws {
  readonly nodes: number;
  readonly durationMs: number;
  /** How long a fault of a disk, and any other, lasts. */
  readonly diskForMsMax: number;
  readonly forMsMax: number;
  /** How far any clock may be set from the right time. */
  readonly clockOffsetMsMax: number;
  /** The kinds that may occur; the seed leaves some of them out unless `areAll`. */
  readonly kinds: readonly FaultKind[];
  readonly areAll: boolean;
  /** The chance of a kind to strike at instants. */
  readonly timedChance: number;
  /** Faults that wait for something to happen, at most. */
  readonly triggeredMax: number;
}

const ALL_CRASH_CHANCE = 0.15;
const TIMED_PER_KIND_MAX = 3;
const FOR_MS_MIN = 100;
/** What happens at a step and is over when the step is hardly hurts it, unless the node dies of it. */
const DEADLY: readonly FaultKind[] = ["crash", "power loss", "torn"];
const DEADLY_CHANCE = 0.6;
/** A node dies at one of its next calls of the disk, or the call fails. */
const CALLS_MAX = 40;
/** As bad as a quartz gets, and some: with the offsets it stays within `drift-max`. */
const DRIFT_PPM_MAX = 2000;
const JOURNALED_CHANCE = 0.25;
/** How often what waits for something rare strikes only at an instant. */
const EVERY_CHANCE = 0.05;

export function drawFaults(prng: Prng, draws: FaultDraws): Fault[] {
  const timed = FAULT_KINDS.flatMap((kind) => drawTimed(kind, prng.fork(kind), draws));
  const triggered = drawTriggered(prng.fork("triggered"), draws);
  return [...timed, ...triggered];
}

function drawTimed(kind: FaultKind, prng: Prng, draws: FaultDraws): Fault[] {
  const chance =
    kind === "all crash" ? Math.min(ALL_CRASH_CHANCE, draws.timedChance) : draws.timedChance;
  const isDrawn = prng.chance(draws.areAll ? 1 : chance);
  if (!draws.kinds.includes(kind) || !isDrawn) return [];
  const count = kind === "all crash" ? 1 : prng.between(1, TIMED_PER_KIND_MAX);
  return Array.from({ length: count }, (_, i) => {
    const own = prng.fork(`${i}`);
    const atMs = own.below(draws.durationMs * 0.85);
    const everyMs = own.between(500, draws.durationMs);
    const when = own.chance(EVERY_CHANCE) ? { everyMs, fromMs: atMs } : { atMs };
    return { kind, when, ...detailsOf(kind, own, draws) };
  });
}

function drawTriggered(prng: Prng, draws: FaultDraws): Fault[] {
  const kinds = draws.kinds.filter((kind) => kind !== "all crash");
  if (kinds.length === 0) return [];
  const deadly = kinds.filter((kind) => DEADLY.includes(kind));
  return Array.from({ length: prng.between(0, draws.triggeredMax) }, (_, i) => {
    const own = prng.fork(`${i}`);
    const isDeadly = deadly.length > 0 && own.chance(DEADLY_CHANCE);
    const kind = own.pick(isDeadly ? deadly : kinds);
    return { kind, when: drawTrigger(own), ...detailsOf(kind, own, draws) };
  });
}

function detailsOf(kind: FaultKind, prng: Prng, draws: FaultDraws): Omit<Fault, "kind" | "when"> {
  const { nodes, clockOffsetMsMax } = draws;
  const order = shuffle(prng, nodes);
  const forMsMax = kind.endsWith("disk") ? draws.diskForMsMax : draws.forMsMax;
  const forMs = prng.between(FOR_MS_MIN, Math.max(FOR_MS_MIN, forMsMax));
  const common = { forMs, nodes: order.slice(0, 1), chance: `${prng.u32()}` };
  switch (kind) {
    case "all crash":
    case "bridge":
      return { ...common, nodes: order };
    case "partition":
      return { ...common, nodes: order.slice(0, prng.between(1, Math.max(1, nodes >> 1))) };
    case "one way":
    case "flap":
      return { ...common, nodes: order.slice(0, 2) };
    case "link":
      return { ...common, nodes: [], paths: drawPaths(prng) };
    case "clock step":
      return { ...common, offsetMs: prng.between(-clockOffsetMsMax, clockOffsetMsMax) };
    case "clock drift":
      return { ...common, driftPpm: prng.between(-DRIFT_PPM_MAX, DRIFT_PPM_MAX) };
    case "power loss":
      return { ...common, isJournaled: prng.chance(JOURNALED_CHANCE) };
    case "torn":
    case "sync error":
      return { ...common, calls: prng.between(1, CALLS_MAX) };
    case "slow disk":
      return { ...common, delayMs: prng.pick([20, 100, 400]) };
    case "slow node":
      return { ...common, delayMs: prng.pick([1, 3]) };
    default:
      return common;
  }
}

function drawPaths(prng: Prng): NonNullable<Fault["paths"]> {
  return {
    lossChance: Math.round(prng.float() * 20) / 100,
    duplicateChance: prng.pick([0, 0.1, 0.5]),
    reorderChance: prng.pick([0, 0.1, 0.5]),
    delayMs: prng.pick([0, 0, 5, 50]),
    jitterMs: prng.pick([0, 2, 30]),
    corruptChance: prng.pick([0, 0, 0.02]),
    bytesPerSecond: prng.pick([0, 0, 0, 32_000, 200_000]),
  };
}

function shuffle(prng: Prng, count: number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = prng.below(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
