/**
 * Cutting the time in which nothing happens out of a plan, for all of its parts at once: what happens together still does.
 *
 *   before   put ........ crash ............... back .. get ......... the end
 *   after    put .. crash ............... back .. get ......... the end
 *
 * Times are those of the plan: how long steps and changes take is known only afterwards, so a cut may part what ran together. The run of the candidate says so.
 */
import type { Fault, Plan } from "./plan.ts";

export interface Gap {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Between the instants of the plan, from the start to the end of the run. */
export function gapsOf(plan: Plan): readonly Gap[] {
  const instants = new Set([0, plan.durationMs]);
  for (const { when, forMs } of plan.faults) {
    const atMs = "atMs" in when ? when.atMs : "everyMs" in when ? when.fromMs : undefined;
    if (atMs === undefined) continue;
    instants.add(atMs);
    instants.add(atMs + forMs);
  }
  for (const waits of waitsOf(plan)) for (const [, untilMs] of spans(waits)) instants.add(untilMs);
  const ordered = [...instants].toSorted((a, b) => a - b);
  return ordered.slice(1).map((untilMs, at) => ({ fromMs: ordered[at]!, untilMs }));
}

/** What the steps of each client wait, and the changes. */
function waitsOf({ clients, changes }: Plan): readonly (readonly number[])[] {
  return [
    ...clients.map(({ steps }) => steps.map(({ afterMs }) => afterMs)),
    changes.map(({ pauseMs }) => pauseMs),
  ];
}

/** From when until when each of them waits. */
function spans(waitsMs: readonly number[]): readonly (readonly [number, number])[] {
  let nowMs = 0;
  return waitsMs.map((waitMs) => {
    const fromMs = nowMs;
    nowMs += waitMs;
    return [fromMs, nowMs];
  });
}

/** The plan without the last `cutMs` of the gap; all that comes later comes so much earlier. Whole milliseconds, so that a cut is never a rounding error. */
export function squeezed(plan: Plan, { fromMs, untilMs }: Gap, cutMs: number): Plan {
  const startMs = Math.max(fromMs, untilMs - Math.floor(cutMs));
  /** What is left of a wait that begins at `beganMs`. */
  const left = (beganMs: number, waitMs: number): number => {
    const overlapMs = Math.min(beganMs + waitMs, untilMs) - Math.max(beganMs, startMs);
    return overlapMs > 0 ? Math.max(0, waitMs - overlapMs) : waitMs;
  };
  const leftOfAll = (waitsMs: readonly number[]): readonly number[] =>
    spans(waitsMs).map(([beganMs], at) => left(beganMs, waitsMs[at]!));
  const pausesMs = leftOfAll(plan.changes.map(({ pauseMs }) => pauseMs));
  return {
    ...plan,
    durationMs: left(0, plan.durationMs),
    faults: plan.faults.map((fault) => squeezedFault(fault, left)),
    changes: plan.changes.map((change, at) => ({ ...change, pauseMs: pausesMs[at]! })),
    clients: plan.clients.map((client) => {
      const aftersMs = leftOfAll(client.steps.map(({ afterMs }) => afterMs));
      const steps = client.steps.map((step, at) => ({ ...step, afterMs: aftersMs[at]! }));
      return { ...client, steps };
    }),
  };
}

/** One that waits for something has no place in time. */
function squeezedFault(fault: Fault, left: (beganMs: number, waitMs: number) => number): Fault {
  const { when } = fault;
  if ("on" in when) return fault;
  if ("atMs" in when)
    return { ...fault, when: { atMs: left(0, when.atMs) }, forMs: left(when.atMs, fault.forMs) };
  const fromMs = left(0, when.fromMs);
  return { ...fault, when: { ...when, fromMs }, forMs: left(when.fromMs, fault.forMs) };
}
