/** Plans for tests of what reads, tells and shrinks them. They are never run in a cluster. */
import fc from "fast-check";
import {
  CHANGE_KINDS,
  type Change,
  FAULT_KINDS,
  type Fault,
  PLAN_FORMAT,
  type Plan,
  type PlannedClient,
  type Step,
} from "../../src/simulator/plan.ts";

export function faultOf(fields: Partial<Fault> = {}): Fault {
  return { kind: "crash", when: { atMs: 1000 }, forMs: 500, nodes: [0], chance: "", ...fields };
}

export function changeOf(fields: Partial<Change> = {}): Change {
  return { kind: "join", pauseMs: 100, isAlongside: false, chance: "", ...fields };
}

export function stepOf(fields: Partial<Step> = {}): Step {
  return {
    kind: "put",
    afterMs: 100,
    bucket: 0,
    key: "k0",
    level: "",
    node: 0,
    timeoutMs: 1000,
    isInformed: false,
    isConditional: false,
    ttlMs: 0,
    bytes: 0,
    retries: [],
    isRepeated: false,
    startsSession: false,
    ...fields,
  };
}

export function clientOf(name: string, steps: Step[]): PlannedClient {
  return { name, usesSessions: false, steps };
}

export function planOf(fields: Partial<Plan> = {}): Plan {
  return {
    format: PLAN_FORMAT,
    title: "",
    chance: "1",
    durationMs: 10_000,
    nodes: 5,
    racks: 1,
    downAtOnceMax: 1,
    knobs: {},
    buckets: [{ name: "plain", conflicts: "siblings", blindPut: "supersede", strict: false }],
    clients: [],
    changes: [],
    faults: [],
    ...fields,
  };
}

const ms = fc.oneof(fc.nat(5000), fc.double({ min: 0, max: 5000, noNaN: true }));
const index = fc.nat(9);

const when: fc.Arbitrary<Fault["when"]> = fc.oneof(
  ms.map((atMs) => ({ atMs })),
  fc.record({ everyMs: fc.integer({ min: 1, max: 5000 }), fromMs: ms }),
  fc.record({
    on: fc.constantFrom("log syncing", "repair roots"),
    nth: fc.integer({ min: 1, max: 99 }),
  }),
);

const chance = fc.double({ min: 0, max: 1, noNaN: true });
const paths: fc.Arbitrary<NonNullable<Fault["paths"]>> = fc.record({
  lossChance: chance,
  duplicateChance: chance,
  reorderChance: chance,
  corruptChance: chance,
  delayMs: ms,
  jitterMs: ms,
});

const fault: fc.Arbitrary<Fault> = fc.record(
  {
    kind: fc.constantFrom(...FAULT_KINDS),
    when,
    forMs: ms,
    nodes: fc.array(index, { maxLength: 4 }),
    chance: fc.constant("f"),
    paths,
    offsetMs: fc.integer({ min: -5000, max: 5000 }),
    calls: fc.nat(50),
    delayMs: ms,
  },
  { requiredKeys: ["kind", "when", "forMs", "nodes", "chance"] },
);

const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom(...CHANGE_KINDS),
  pauseMs: ms,
  isAlongside: fc.boolean(),
  chance: fc.constant("c"),
});

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom("put", "delete", "get"),
  afterMs: ms,
  bucket: index,
  key: fc.constantFrom("k0", "k1", "k2"),
  level: fc.constantFrom("", "ONE", "ALL"),
  node: index,
  timeoutMs: fc.constantFrom(100, 2000),
  isInformed: fc.boolean(),
  isConditional: fc.boolean(),
  ttlMs: fc.constantFrom(0, 0, 2000),
  bytes: fc.constantFrom(0, 200),
  retries: fc.array(fc.record({ afterMs: ms, node: index, timeoutMs: ms }), { maxLength: 2 }),
  isRepeated: fc.boolean(),
  startsSession: fc.boolean(),
});

const clients: fc.Arbitrary<PlannedClient[]> = fc
  .array(fc.record({ usesSessions: fc.boolean(), steps: fc.array(step, { maxLength: 8 }) }), {
    maxLength: 4,
  })
  .map((drawn) => drawn.map((client, at) => ({ name: `c${at}`, ...client })));

export const arbitraryPlan: fc.Arbitrary<Plan> = fc
  .record({
    durationMs: fc.integer({ min: 0, max: 30_000 }),
    nodes: fc.integer({ min: 1, max: 7 }),
    racks: fc.integer({ min: 1, max: 3 }),
    downAtOnceMax: fc.nat(2),
    knobs: fc.constantFrom(
      {},
      { repairIntervalMs: "4s" },
      { repairIntervalMs: "15s", fsync: "os" },
    ),
    clients,
    changes: fc.array(change, { maxLength: 4 }),
    faults: fc.array(fault, { maxLength: 6 }),
  })
  .map((fields) => {
    const [plain] = planOf().buckets;
    return planOf({
      ...fields,
      buckets: [plain!, { ...plain!, name: "strict", strict: true, n: 2 }],
    });
  });
