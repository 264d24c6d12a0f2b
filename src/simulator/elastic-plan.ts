/**
 * What happens to one cluster that grows, shrinks and loses disks, drawn before it begins (FAULTS.md 2.8).
 *
 *   changes   what people do to the ring and to disks, one after the other, now and then two at once
 *   strikes   what goes wrong: at an instant, or at the n-th time that something happens at any node: a message of a join, a vote, an exchange, a collection,
 *             a line of the log. Triggers are what hits the narrow windows
 */
import { Prng } from "../base/prng.ts";

export const CHANGES = [
  "join",
  "leave",
  "reweigh",
  "remove",
  "fence",
  "replace",
  "wipe",
  "damage",
  "restore",
] as const;
export type ChangeKind = (typeof CHANGES)[number];

/** Those after which there is a disk less that knows what it knew. */
export const LOSSES: readonly ChangeKind[] = [
  "remove",
  "fence",
  "replace",
  "wipe",
  "damage",
  "restore",
];

export interface Change {
  readonly kind: ChangeKind;
  /** After the one before has ended or, where `isAlongside`, has begun. */
  readonly pauseMs: number;
  readonly isAlongside: boolean;
  /** Draws whatever else there is to choose. */
  readonly seed: string;
}

export const STRIKES = [
  "crash",
  "power loss",
  "torn",
  "pause",
  "isolate",
  "one way",
  "link",
  "clock",
] as const;
export type StrikeKind = (typeof STRIKES)[number];

export interface Strike {
  readonly kind: StrikeKind;
  /** The n-th happening of this name, or, where it is "", the instant `nth` in ms. */
  readonly event: string;
  readonly nth: number;
  readonly forMs: number;
  readonly seed: string;
}

/** What strikes wait for. The names are those of `sim-happenings.ts`. */
export const EVENTS = [
  "log layout_applied",
  "log syncing",
  "log serving",
  "log exchanged",
  "log handover_waits",
  "log table_quarantined",
  "log trees_to_be_rebuilt",
  "log gone_from_the_cluster",
  "exchange propose",
  "exchange join",
  "exchange layout",
  "answer exchange",
  "repair roots",
  "repair hashes",
  "repair compare",
  "repair store",
  "repair collect",
  "repair held",
  "answer repair",
  "hints-held",
] as const;

/** Some of them are told hundreds of times in a run, others a few times. */
const OFTEN: ReadonlySet<string> = new Set([
  "repair roots",
  "repair collect",
  "answer repair",
  "exchange layout",
  "answer exchange",
]);

/**
 * What mends copies also hides what went wrong with them, so in some runs there is less of it: exchanges that come seldom, no hints, keys that nobody reads
 * for a while.
 */
export interface Profile {
  readonly keysPerBucket: number;
  readonly repairInterval: string;
  readonly hintWindow: string;
}

export interface ElasticPlan {
  readonly nodes: number;
  readonly profile: Profile;
  /** Nodes that are killed, or whose disk is lost, at the same time. */
  readonly downAtOnceMax: number;
  readonly changes: readonly Change[];
  readonly strikes: readonly Strike[];
}

export interface ElasticPlanOptions {
  readonly durationMs: number;
  readonly nodes?: number;
  /** Default: all. */
  readonly changes?: readonly ChangeKind[];
  /** Default: all. */
  readonly strikes?: readonly StrikeKind[];
}

export function drawElasticPlan(seed: number | string, options: ElasticPlanOptions): ElasticPlan {
  const prng = new Prng(`elastic/${seed}`);
  return {
    nodes: options.nodes ?? prng.fork("nodes").pick([3, 4, 4, 5]),
    profile: drawProfile(prng.fork("profile")),
    downAtOnceMax: prng.fork("down").pick([1, 1, 2]),
    changes: drawChanges(prng.fork("changes"), options),
    strikes: drawStrikes(prng.fork("strikes"), options),
  };
}

function drawProfile(prng: Prng): Profile {
  return {
    keysPerBucket: prng.pick([3, 3, 10, 30]),
    repairInterval: prng.pick(["1s", "1s", "4s", "15s"]),
    hintWindow: prng.pick(["3s", "3s", "0"]),
  };
}

function drawChanges(prng: Prng, { changes = CHANGES }: ElasticPlanOptions): Change[] {
  if (changes.length === 0) return [];
  return Array.from({ length: prng.between(3, 7) }, (_, i) => ({
    kind: prng.pick(changes),
    pauseMs: prng.between(0, 1500),
    isAlongside: prng.chance(0.25),
    seed: `${prng.u32()}/${i}`,
  }));
}

function drawStrikes(prng: Prng, { strikes = STRIKES, durationMs }: ElasticPlanOptions): Strike[] {
  if (strikes.length === 0) return [];
  return Array.from({ length: prng.between(1, 8) }, (_, i) => {
    const kind = prng.pick(strikes);
    const isTimed = prng.chance(0.25);
    const event = isTimed ? "" : prng.pick(EVENTS);
    const nth = isTimed ? prng.below(durationMs) : prng.between(1, OFTEN.has(event) ? 120 : 6);
    return { kind, event, nth, forMs: prng.between(100, 4000), seed: `${prng.u32()}/${i}` };
  });
}
