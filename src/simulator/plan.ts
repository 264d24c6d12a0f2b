/**
 * A plan says all that one run of the simulator does: the cluster, what its clients ask, what people do to the ring, and what goes wrong (FAULTS.md 2.8).
 *
 * It is drawn before the run (`draw-plan.ts`) and is JSON: a run is repeated from the plan alone, and a part that is left out shifts none of the others,
 * because every part has its own draws in it, and the world draws each link, disk and node from a stream of its own below `chance`.
 *
 *   cluster    nodes, racks, knobs              clients   steps, one after the other, each with its pause
 *   changes    joins, leaves, lost disks ...    faults    at an instant, again and again, or at the n-th time that something happens (`triggers.ts`)
 *
 * Indexes of nodes count those that are of the cluster when the fault strikes, modulo their number.
 */
import { z } from "zod";
import { HutchError } from "../base/errors.ts";
import { KNOB_KEYS } from "../config.ts";
import { isTrigger } from "./triggers.ts";

export const PLAN_FORMAT = 1;

/** What goes wrong with machines, disks and links. */
export const FAULT_KINDS = [
  "crash",
  "power loss",
  "all crash",
  "torn",
  "pause",
  "slow node",
  "partition",
  "one way",
  "bridge",
  "isolate",
  "flap",
  "link",
  "clock step",
  "clock drift",
  "slow disk",
  "stuck disk",
  "full disk",
  "sync error",
  "few descriptors",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** What people do to a ring and to its disks. */
export const CHANGE_KINDS = [
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
export type ChangeKind = (typeof CHANGE_KINDS)[number];

const ms = z.number().min(0).max(86_400_000);
const count = z.int().min(0).max(1_000_000);
const chance = z.number().min(0).max(1);

const bucketSchema = z.strictObject({
  name: z.string().min(1),
  conflicts: z.enum(["siblings", "lww"]),
  blindPut: z.enum(["supersede", "sibling"]),
  strict: z.boolean(),
  /** Copies; 3 where it is left out. */
  n: z.int().min(1).max(7).optional(),
  /** Further properties, as in `PUT /v1/buckets/{bucket}`. */
  properties: z.record(z.string(), z.unknown()).optional(),
});

const retrySchema = z.strictObject({ afterMs: ms, node: count, timeoutMs: ms });

const stepSchema = z.strictObject({
  kind: z.enum(["put", "delete", "get"]),
  /** Since the step before has ended. */
  afterMs: ms,
  /** An index into `buckets`. */
  bucket: count,
  key: z.string().min(1),
  /** Text of `X-Consistency`, "" for the bucket's default. */
  level: z.string(),
  node: count,
  timeoutMs: ms,
  /** With the context that the client remembers of the key, if it has one. */
  isInformed: z.boolean(),
  /** With `If-None-Match: *`. */
  isConditional: z.boolean(),
  /** 0 for a value that does not expire. */
  ttlMs: ms,
  /** Bytes that the value has at least. */
  bytes: count,
  /** With an `Idempotency-Key`: sent again after an unknown outcome. */
  retries: z.array(retrySchema),
  /** The first of the retries is sent after a known outcome too. */
  isRepeated: z.boolean(),
  startsSession: z.boolean(),
});

const clientSchema = z.strictObject({
  name: z.string().min(1),
  usesSessions: z.boolean(),
  steps: z.array(stepSchema),
});

const whenSchema = z.union([
  z.strictObject({ atMs: ms }),
  z.strictObject({ everyMs: ms.min(1), fromMs: ms }),
  z.strictObject({
    on: z.string().refine(isTrigger, "is nothing that happens: `hutch sim --list-faults`"),
    nth: count.min(1),
  }),
]);

const faultSchema = z.strictObject({
  kind: z.enum(FAULT_KINDS),
  when: whenSchema,
  forMs: ms,
  /** The nodes it hits; of one that waits for something, the first is the node at which that happens. */
  nodes: z.array(count),
  /** Of a bad link: for each datagram and message. */
  paths: z
    .strictObject({
      lossChance: chance,
      duplicateChance: chance,
      reorderChance: chance,
      corruptChance: chance,
      delayMs: ms,
      jitterMs: ms,
      /** What a path carries; 0, the default, is without limit. */
      bytesPerSecond: count.optional(),
    })
    .optional(),
  /** Of a clock step: how far the clock is from the right time afterwards. */
  offsetMs: z.number().optional(),
  /** Of a clock that drifts: parts per million that it runs fast or, negative, slow. */
  driftPpm: z.number().min(-500_000).max(500_000).optional(),
  /** Of a power loss: the disk keeps the order of names and of growth, as ext4 does by default. */
  isJournaled: z.boolean().optional(),
  /** Calls of the disk before it fails or the node dies. */
  calls: count.optional(),
  /** Of a slow disk or a slow node: what each sync, each event takes. */
  delayMs: ms.optional(),
  /** The stream that the rest is drawn from. */
  chance: z.string(),
});

const changeSchema = z.strictObject({
  kind: z.enum(CHANGE_KINDS),
  /** After the one before has ended or, where `isAlongside`, has begun. */
  pauseMs: ms,
  isAlongside: z.boolean(),
  /** The stream that the rest is drawn from, when it is known what there is to choose from. */
  chance: z.string(),
});

export const planSchema = z.strictObject({
  format: z.literal(PLAN_FORMAT),
  /** What this plan is for, in one line. */
  title: z.string(),
  /** The root of all streams of the world. */
  chance: z.string(),
  durationMs: ms,
  nodes: count.min(1).max(64),
  racks: count.min(1),
  /** Nodes that are killed, or whose disk is lost, at the same time. */
  downAtOnceMax: count,
  /** In the form of flags. */
  knobs: z.partialRecord(z.enum(KNOB_KEYS), z.string()),
  buckets: z.array(bucketSchema).min(1),
  clients: z.array(clientSchema),
  changes: z.array(changeSchema),
  faults: z.array(faultSchema),
});

export type Plan = Readonly<z.infer<typeof planSchema>>;
export type PlannedBucket = Plan["buckets"][number];
export type PlannedClient = Plan["clients"][number];
export type Step = PlannedClient["steps"][number];
export type Fault = Plan["faults"][number];
export type Change = Plan["changes"][number];

/** @throws HutchError `usage` that names the first place which is not as it should be */
export function readPlan(text: string): Plan {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (thrown) {
    throw new HutchError("usage", "Cannot read the plan: it is not JSON", { cause: thrown });
  }
  const parsed = planSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const place = issue?.path.join(".") ?? "";
  throw new HutchError("usage", `Cannot read the plan: ${place}: ${issue?.message ?? ""}`);
}

/** One line for each step, fault and change: plans are kept in the repository and read by people. */
export function writePlan(plan: Plan): string {
  const { buckets, clients, changes, faults, ...rest } = plan;
  const lines = (items: readonly object[]): string =>
    items.length === 0
      ? "[]"
      : `[\n    ${items.map((item) => JSON.stringify(item)).join(",\n    ")}\n  ]`;
  const told = clients.map(({ steps, ...client }) => {
    const own = steps.map((step) => `      ${JSON.stringify(step)}`).join(",\n");
    return `    {${JSON.stringify(client).slice(1, -1)},"steps":[${own === "" ? "" : `\n${own}\n    `}]}`;
  });
  const head = Object.entries(rest).map(
    ([name, value]) => `  ${JSON.stringify(name)}: ${JSON.stringify(value)}`,
  );
  const tail = [
    `  "buckets": ${lines(buckets)}`,
    `  "changes": ${lines(changes)}`,
    `  "faults": ${lines(faults)}`,
    `  "clients": [${told.length === 0 ? "" : `\n${told.join(",\n")}\n  `}]`,
  ];
  return `{\n${[...head, ...tail].join(",\n")}\n}\n`;
}
