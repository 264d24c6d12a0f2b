/**
 * Plans with fewer of something: faults, changes, clients, steps, nodes, buckets, keys, knobs. What is kept keeps its place and, as far as it is known
 * beforehand, its time. Each function takes the plan and what is to be kept of it, in order.
 */
import type { Change, Fault, Plan, PlannedClient, Step } from "./plan.ts";

export function indexesOf(items: readonly unknown[]): readonly number[] {
  return items.map((_, index) => index);
}

export function withFaults(plan: Plan, faults: readonly Fault[]): Plan {
  return { ...plan, faults: [...faults] };
}

/** The next change waits for the pauses of those that are left out. */
export function withChanges(plan: Plan, kept: readonly number[]): Plan {
  const own = new Set(kept);
  const changes: Change[] = [];
  let owedMs = 0;
  for (const [index, change] of plan.changes.entries()) {
    owedMs += change.pauseMs;
    if (!own.has(index)) continue;
    changes.push({ ...change, pauseMs: owedMs });
    owedMs = 0;
  }
  return { ...plan, changes };
}

export function withClients(plan: Plan, clients: readonly PlannedClient[]): Plan {
  return { ...plan, clients: [...clients] };
}

/** Where a step is. */
export interface StepPlace {
  readonly client: number;
  readonly step: number;
}

export function stepsOf({ clients }: Plan): readonly StepPlace[] {
  return clients.flatMap(({ steps }, client) => steps.map((_, step) => ({ client, step })));
}

/** Without what would begin after the end: it is in no run. */
export function withoutTheRest(plan: Plan): Plan {
  const { durationMs } = plan;
  const clients = plan.clients.map((client) => {
    let beginsMs = 0;
    const steps = client.steps.filter(({ afterMs }) => (beginsMs += afterMs) < durationMs);
    return { ...client, steps };
  });
  const isInTime = ({ when }: Fault): boolean =>
    "on" in when || ("atMs" in when ? when.atMs : when.fromMs) < durationMs;
  return { ...plan, clients, faults: plan.faults.filter(isInTime) };
}

/** The next step of a client waits for the pauses of those that are left out. */
export function withSteps(plan: Plan, kept: readonly StepPlace[]): Plan {
  const own = new Set(kept.map(({ client, step }) => `${client}/${step}`));
  const clients = plan.clients.map((planned, client) => {
    const steps: Step[] = [];
    let owedMs = 0;
    for (const [index, step] of planned.steps.entries()) {
      owedMs += step.afterMs;
      if (!own.has(`${client}/${index}`)) continue;
      steps.push({ ...step, afterMs: owedMs });
      owedMs = 0;
    }
    return { ...planned, steps };
  });
  return { ...plan, clients };
}

/** As many copies as there are by default: fewer nodes than these are another cluster. */
const NODES_USUAL = 3;

/** Down to the usual ones at once if that will do; below, one at a time. */
export function fewerNodes(nodes: number): readonly number[] {
  const least = nodes > NODES_USUAL ? NODES_USUAL : Math.max(1, nodes - 1);
  return Array.from({ length: nodes - least }, (_, more) => least + more);
}

/** Steps of buckets that are left out use the first that is kept. */
export function withBuckets(plan: Plan, kept: readonly number[]): Plan {
  const buckets = kept.map((index) => plan.buckets[index]!);
  const bucketOf = (bucket: number): number =>
    Math.max(0, kept.indexOf(bucket % plan.buckets.length));
  return { ...mapSteps(plan, (step) => ({ ...step, bucket: bucketOf(step.bucket) })), buckets };
}

/** In the order of their first use. */
export function keysOf({ clients }: Plan): readonly string[] {
  return [...new Set(clients.flatMap(({ steps }) => steps.map(({ key }) => key)))];
}

export function renamed(plan: Plan, keys: readonly string[], name: string): Plan {
  const gone = new Set(keys);
  return mapSteps(plan, (step) => (gone.has(step.key) ? { ...step, key: name } : step));
}

export function withKnobs(plan: Plan, kept: readonly (readonly [string, string])[]): Plan {
  return { ...plan, knobs: Object.fromEntries(kept) };
}

function mapSteps(plan: Plan, change: (step: Step) => Step): Plan {
  const clients = plan.clients.map((client) => ({ ...client, steps: client.steps.map(change) }));
  return { ...plan, clients };
}
