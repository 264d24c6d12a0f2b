/**
 * Clients of a cluster, simulated or real: each does the steps of its plan, one at a time, through any node, and writes down what it was told.
 *
 * They mix what the contract offers: puts with and without a context, deletes, reads; levels and dictionaries; sessions; `If-None-Match`; retries under
 * an `Idempotency-Key` on another node. Every value names its client and its number, so a value tells who wrote it.
 */
import { messageOf } from "../base/errors.ts";
import type { Waited } from "../checkers/calm.ts";
import {
  type Attempt,
  type BucketKind,
  type History,
  type Operation,
  type Outcome,
  type Version,
  isWrite,
  ownDot,
  readToken,
} from "../checkers/history.ts";
import type { PlannedBucket, PlannedClient, Step } from "./plan.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** What a client hears: an answer, that nobody listens there, or nothing because the node died. */
export type Heard = Answer | "refused" | "lost";

/** What clients know of a cluster. */
export interface ClientWorld {
  readonly nowMs: number;
  /** By index. */
  readonly names: readonly string[];
  /** Indexes of the nodes that are of the cluster. */
  readonly present: readonly number[];
  sleep(forMs: number): Promise<void>;
  /** One request to one node. Never rejects. */
  send(index: number, path: string, init: RequestInit): Promise<Heard>;
}

/** Properties that make a bucket of this kind. */
export function propertiesOf({
  conflicts,
  blindPut,
  strict,
  n,
  properties,
}: PlannedBucket): string {
  return JSON.stringify({
    ...properties,
    ...(n !== undefined && { n }),
    conflicts,
    blindPut,
    strict,
  });
}

const SIBLINGS_TYPE = "application/vnd.hutch.siblings+json";
/** From here on a client resolves instead of adding. */
const SIBLINGS_MANY = 6;
const GIVE_UP_MS = 2000;
/** Of an `Idempotency-Key`. */
const KEY_CHARACTERS_MAX = 60;

export interface ClientOptions {
  readonly world: ClientWorld;
  readonly history: History;
  readonly plan: PlannedClient;
  readonly buckets: readonly BucketKind[];
  /** When it stops, whatever is left of the plan. */
  readonly untilMs: number;
  readonly waits: Waited[];
  /** Nodes that requests go to; all that are of the cluster where it is left out, or names none. */
  targets?(): readonly number[];
  /** When `node` stood still or was down since `sinceMs`. */
  wasDisturbed(node: number, sinceMs: number): boolean;
}

/** What it remembers of a key. */
interface Memory {
  token: string;
  siblings: number;
}

interface Attempting {
  readonly node: number;
  readonly timeoutMs: number;
}

export class Client {
  private readonly options: ClientOptions;
  private readonly memories = new Map<string, Memory>();
  private sessionToken = "";
  private sessionCount = 0;
  private writes = 0;

  constructor(options: ClientOptions) {
    this.options = options;
  }

  async run(): Promise<void> {
    const { world, untilMs, plan } = this.options;
    if (plan.usesSessions) this.newSession();
    for (const step of plan.steps) {
      await world.sleep(step.afterMs);
      if (world.nowMs >= untilMs) return;
      if (plan.usesSessions && step.startsSession) this.newSession();
      await this.take(step);
    }
  }

  private newSession(): void {
    this.sessionToken = "new";
    this.sessionCount++;
  }

  private async take(step: Step): Promise<void> {
    const bucket = this.options.buckets[step.bucket % this.options.buckets.length]!;
    const memory = this.memoryOf(bucket, step.key);
    if (step.kind === "get") await this.read(step, bucket, memory);
    else await this.write(step, bucket, memory);
  }

  private memoryOf({ name }: BucketKind, key: string): Memory {
    const place = `${name}/${key}`;
    const memory = this.memories.get(place) ?? { token: "", siblings: 0 };
    this.memories.set(place, memory);
    return memory;
  }

  private async read(step: Step, bucket: BucketKind, memory: Memory): Promise<void> {
    const { level } = step;
    const operation = this.begin(step, bucket, {});
    await this.attempt(operation, step, {
      headers: { Accept: SIBLINGS_TYPE, ...headersOf(level) },
    });
    this.end(operation);
    if (operation.outcome !== "ok") return;
    memory.siblings = operation.versions.length;
  }

  private async write(step: Step, bucket: BucketKind, memory: Memory): Promise<void> {
    const { kind, ttlMs, retries } = step;
    const isInformed = memory.token !== "" && (memory.siblings >= SIBLINGS_MANY || step.isInformed);
    const isConditional = step.isConditional && !isInformed;
    const value = kind === "put" ? this.newValue(step.bytes) : "";
    const operation = this.begin(step, bucket, {
      value,
      isConditional,
      ttlMs,
      given: isInformed ? readToken(memory.token) : undefined,
    });
    const headers = {
      ...headersOf(step.level),
      ...(isInformed && { "X-Causal-Context": memory.token }),
      ...(isConditional && { "If-None-Match": "*" }),
      ...(retries.length > 0 && { "Idempotency-Key": value.slice(0, KEY_CHARACTERS_MAX) }),
      ...(ttlMs > 0 && { "X-TTL": `${ttlMs / 1000}s` }),
    };
    const method = kind === "put" ? "PUT" : "DELETE";
    const init = { method, headers, ...(value && { body: value }) };
    await this.attempt(operation, step, init);
    for (const [i, retry] of retries.entries()) {
      const isWanted = operation.outcome === "ok" && i === 0 && step.isRepeated;
      if (operation.outcome !== "info" && !isWanted) break;
      await this.options.world.sleep(retry.afterMs);
      await this.attempt(operation, retry, init);
    }
    this.end(operation);
  }

  private newValue(bytes: number): string {
    const name = `${this.options.plan.name}.${++this.writes}`;
    return name.padEnd(name.length + bytes, "-");
  }

  private begin(step: Step, bucket: BucketKind, fields: Partial<Operation>): Operation {
    const { world, history, plan } = this.options;
    const { kind, key, level } = step;
    const session = this.sessionToken === "" ? "" : `${plan.name}/${this.sessionCount}`;
    const client = plan.name;
    const startMs = world.nowMs;
    return history.begin({ client, kind, bucket, key, level, session, startMs, ...fields });
  }

  private end(operation: Operation): void {
    operation.endMs = this.options.world.nowMs;
  }

  private async attempt(
    operation: Operation,
    { node: draw, timeoutMs }: Attempting,
    init: RequestInit,
  ): Promise<void> {
    const { world, waits } = this.options;
    const node = this.choose(draw);
    const headers = {
      ...(init.headers as { [name: string]: string }),
      "X-Timeout": `${timeoutMs}ms`,
      ...(operation.session !== "" && { "X-Session": this.sessionToken }),
    };
    const startMs = world.nowMs;
    const path = `/v1/kv/${operation.bucket.name}/${operation.key}`;
    const sent = world.send(node, path, { ...init, headers });
    const lost = world.sleep(timeoutMs + GIVE_UP_MS).then((): Heard => "lost");
    const heard = await Promise.race([sent, lost]);
    const attempt = attemptOf(world.names[node]!, startMs, world.nowMs, heard);
    operation.attempts.push(attempt);
    waits.push({
      operation: `#${operation.id} ${operation.client} ${operation.kind}`,
      node: attempt.node,
      startMs,
      forMs: attempt.endMs - startMs,
      timeoutMs,
      isExcused: heard === "lost" || this.options.wasDisturbed(node, startMs),
    });
    this.note(operation, attempt, heard);
  }

  private choose(draw: number): number {
    const wanted = this.options.targets?.() ?? [];
    const targets = wanted.length > 0 ? wanted : this.options.world.present;
    return targets[draw % targets.length]!;
  }

  /** The first good answer stays: later ones are its replays. */
  private note(operation: Operation, attempt: Attempt, heard: Heard): void {
    const outcome = outcomeOf(operation, attempt);
    const before = operation.attempts.length > 1 ? operation.outcome : "fail";
    if (before === "ok") return;
    operation.outcome = before === "info" && outcome === "fail" ? "info" : outcome;
    if (outcome !== "ok" || typeof heard === "string") return;
    noteAnswer(operation, heard);
    const place = this.memoryOf(operation.bucket, operation.key);
    place.token = heard.headers.get("X-Causal-Context") ?? "";
    const session = heard.headers.get("X-Session");
    if (session !== null && operation.session !== "") this.sessionToken = session;
  }
}

function headersOf(level: string): { [name: string]: string } {
  return level === "" ? {} : { "X-Consistency": level };
}

function attemptOf(node: string, startMs: number, endMs: number, heard: Heard): Attempt {
  if (typeof heard === "string")
    return { node, startMs, endMs, status: 0, code: heard, detail: "" };
  const code = codeOf(heard);
  const detail = code === "" ? "" : heard.text;
  return { node, startMs, endMs, status: heard.status, code, detail };
}

function codeOf({ status, text, headers }: Answer): string {
  if (status < 400 || headers.get("Content-Type")?.includes("problem") !== true) return "";
  return (JSON.parse(text) as { code: string }).code;
}

/** Answers that these clients may get; any other is a failure of the run. */
const REFUSALS: readonly number[] = [409, 412, 503, 507];
/** Judged later (`checkDamage`): a damaged copy is answered for by the others. */
const DAMAGED = "data-corrupt";

function outcomeOf(operation: Operation, { status, code, node, detail }: Attempt): Outcome {
  if (status === 0) return code === "refused" ? "fail" : "info";
  if (status === 200 || status === 204) return "ok";
  if (status === 404 && operation.kind === "get") return "ok";
  if (status === 504) return "info";
  if (REFUSALS.includes(status) || code === DAMAGED) return "fail";
  throw new Error(`#${operation.id} got ${status} ${code} from ${node}: ${detail}`);
}

function noteAnswer(operation: Operation, answer: Answer): void {
  const { headers } = answer;
  operation.seen = readToken(headers.get("X-Causal-Context") ?? "");
  const counts = headers.get(isWrite(operation) ? "X-Acks" : "X-Replies") ?? "";
  operation.ok = countIn(counts, "ok");
  operation.primary = countIn(counts, "primary");
  operation.isRepairIncomplete = headers.get("X-Read-Repair") === "incomplete";
  if (isWrite(operation)) operation.dot = ownDot(operation.seen, operation.given);
  else readVersions(operation, answer);
}

function readVersions(operation: Operation, { status, text, headers }: Answer): void {
  operation.isTombstone = headers.get("X-Tombstone") === "true";
  if (status === 404) return;
  try {
    const { siblings } = JSON.parse(text) as { siblings: readonly Version[] };
    operation.versions = siblings.map(({ dot, value }) => ({ dot, value }));
  } catch (thrown) {
    throw new Error(`#${operation.id} got no envelope: ${messageOf(thrown)}`, { cause: thrown });
  }
}

function countIn(counts: string, name: string): number {
  return Number(new RegExp(`\\b${name}=(\\d+)`).exec(counts)?.[1] ?? 0);
}

/** Breakers close and probes pass within this time of the last fault. */
const FINAL_TRIES = 20;
const FINAL_RETRY_MS = 500;

/** A read at ALL, by somebody who has no past; tried again while nodes still doubt that the others are back. */
export async function finalRead(
  world: ClientWorld,
  history: History,
  bucket: BucketKind,
  key: string,
): Promise<Operation> {
  const level = "ALL";
  const startMs = world.nowMs;
  const operation = history.begin({ client: "judge", kind: "get", bucket, key, level, startMs });
  const init = { headers: { Accept: SIBLINGS_TYPE, ...headersOf(level) } };
  for (let tries = 0; tries < FINAL_TRIES && operation.outcome !== "ok"; tries++) {
    if (tries > 0) await world.sleep(FINAL_RETRY_MS);
    const sentMs = world.nowMs;
    const node = world.present[0]!;
    const heard = await world.send(node, `/v1/kv/${bucket.name}/${key}`, init);
    const attempt = attemptOf(world.names[node]!, sentMs, world.nowMs, heard);
    operation.attempts.push(attempt);
    operation.outcome = outcomeOf(operation, attempt);
    operation.endMs = world.nowMs;
    if (operation.outcome === "ok" && typeof heard !== "string") noteAnswer(operation, heard);
  }
  return operation;
}
