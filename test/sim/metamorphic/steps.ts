/**
 * What the clients of a metamorphic run do, drawn before the run: the same steps go to every variant of the system, at the same times.
 *
 * Steps speak of tokens ("the context of my last read of this key") and never name one, because tokens hold dots, and dots hold the time and the name of who
 * made them.
 */
import type { Prng } from "../../../src/base/prng.ts";

export const BUCKETS = [
  { name: "plain", properties: {} },
  { name: "sibling", properties: { blindPut: "sibling" } },
  { name: "lww", properties: { conflicts: "lww" } },
  { name: "short", properties: { ttl: 5 } },
] as const;

export type Bucket = (typeof BUCKETS)[number]["name"];

/** Where a context or an ETag comes from: this client's last sight of the key, or the one before that. */
export type Sight = "none" | "last" | "before-last";

export type Step =
  | {
      readonly kind: "put";
      readonly bucket: Bucket;
      readonly key: string;
      readonly value: string;
      readonly context: Sight;
      readonly ttlSeconds: number;
      readonly condition: "none" | "absent" | "unchanged";
      readonly meta: string;
      readonly contentType: string;
      readonly idempotencyKey: string;
    }
  | {
      readonly kind: "delete";
      readonly bucket: Bucket;
      readonly key: string;
      readonly context: Sight;
    }
  | { readonly kind: "get"; readonly bucket: Bucket; readonly key: string }
  | { readonly kind: "list"; readonly bucket: Bucket; readonly query: string }
  | { readonly kind: "batch"; readonly operations: readonly BatchOperation[] }
  | { readonly kind: "import"; readonly bucket: Bucket; readonly lines: string }
  | { readonly kind: "pass"; readonly seconds: number };

export interface BatchOperation {
  readonly op: "get" | "put" | "delete";
  readonly bucket: Bucket;
  readonly key: string;
  readonly value?: string;
}

export interface TimedStep {
  /** Since the beginning of the run. */
  readonly atMs: number;
  readonly client: number;
  readonly step: Step;
}

export const CLIENTS = 3;
/** Longer than any operation takes in any variant, so that one has ended before the next begins. */
const STEP_MS = 200;
const MORTAL_MS_MIN = 25;
const MORTAL_SPREAD = 45;
const KEYS = ["a", "a/b", "a/c", "b", "c/d/e", "\u00e9", "z".repeat(40)];
/** Small ones, and now and then one that fills a memtable by itself. */
const LARGE_BYTES = 3000;

export function drawSteps(prng: Prng, count: number): TimedStep[] {
  const steps: TimedStep[] = [];
  let atMs = 0;
  for (let i = 0; i < count; i++) {
    const step = drawStep(prng, i);
    steps.push({ atMs: atMs + offsetMs(step, i), client: prng.below(CLIENTS), step });
    // Half a second beside the whole ones, so that no lifetime ends while somebody looks.
    atMs += step.kind === "pass" ? step.seconds * 1000 : STEP_MS;
  }
  return steps;
}

/** Lifetimes are whole seconds: what has one begins, and so ends, between the instants at which others look (seed 149405445). */
function offsetMs(step: Step, index: number): number {
  const isMortal =
    ("bucket" in step && step.bucket === "short") ||
    (step.kind === "put" && step.ttlSeconds > 0) ||
    (step.kind === "batch" && step.operations.some(({ bucket }) => bucket === "short"));
  const isWrite = step.kind !== "get" && step.kind !== "list";
  return isMortal && isWrite ? MORTAL_MS_MIN + (index % MORTAL_SPREAD) : 0;
}

function drawStep(prng: Prng, index: number): Step {
  const bucket = prng.pick(BUCKETS).name;
  const key = prng.pick(KEYS);
  switch (prng.below(12)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return drawPut(prng, bucket, key, index);
    case 4:
      return { kind: "delete", bucket, key, context: drawSight(prng) };
    case 5:
    case 6:
    case 7:
      return { kind: "get", bucket, key };
    case 8:
      return { kind: "list", bucket, query: drawQuery(prng) };
    case 9:
      return { kind: "batch", operations: drawBatch(prng, index) };
    case 10:
      return { kind: "import", bucket, lines: drawLines(prng, index) };
    default:
      return { kind: "pass", seconds: prng.between(1, 4) };
  }
}

const drawSight = (prng: Prng): Sight => prng.pick(["none", "last", "last", "before-last"]);

function drawPut(prng: Prng, bucket: Bucket, key: string, index: number): Step {
  return {
    kind: "put",
    bucket,
    key,
    value: `${index} ${prng.chance(0.1) ? "x".repeat(LARGE_BYTES) : ""}`,
    context: drawSight(prng),
    ttlSeconds: prng.chance(0.2) ? prng.between(1, 6) : 0,
    condition: prng.pick(["none", "none", "none", "absent", "unchanged"]),
    meta: prng.chance(0.2) ? `m${index}` : "",
    contentType: prng.pick(["", "text/plain", "application/json"]),
    idempotencyKey: prng.chance(0.1) ? `retry-${prng.below(3)}` : "",
  };
}

function drawQuery(prng: Prng): string {
  const parts = [
    prng.chance(0.4) ? `limit=${prng.between(1, 3)}` : "",
    prng.pick(["", "", "prefix=a", "start=a%2Fb", "end=b", "delimiter=%2F"]),
    prng.chance(0.3) ? "reverse=1" : "",
    prng.chance(0.5) ? "values=1" : "",
  ];
  return parts.filter((part) => part !== "").join("&");
}

function drawBatch(prng: Prng, index: number): BatchOperation[] {
  return Array.from({ length: prng.between(1, 4) }, (_, i) => {
    const op = prng.pick(["get", "put", "delete"] as const);
    const target = { op, bucket: prng.pick(BUCKETS).name, key: prng.pick(KEYS) };
    return op === "put" ? { ...target, value: `${index}.${i}` } : target;
  });
}

function drawLines(prng: Prng, index: number): string {
  const lines = Array.from({ length: prng.between(1, 3) }, (_, i) =>
    JSON.stringify({ key: `imported/${prng.below(3)}`, value: `${index}.${i}` }),
  );
  return lines.join("\n");
}
