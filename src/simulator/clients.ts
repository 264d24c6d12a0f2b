/**
 * Clients of a simulated cluster: each does one operation at a time, on a few keys that all share, through any node, and writes down what it was told.
 *
 * They mix what the contract offers: puts with and without a context, deletes, reads; levels and dictionaries; sessions; `If-None-Match`; retries under
 * an `Idempotency-Key` on another node. Every value names its client and its number, so a value tells who wrote it.
 */
import { Prng } from "../base/prng.ts";
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
import type { Answer, Heard, SimCluster } from "./cluster.ts";

export const BUCKETS: readonly BucketKind[] = [
  { name: "plain", conflicts: "siblings", blindPut: "supersede", strict: false },
  { name: "latest", conflicts: "lww", blindPut: "supersede", strict: false },
  { name: "blind", conflicts: "siblings", blindPut: "sibling", strict: false },
  { name: "strict", conflicts: "siblings", blindPut: "supersede", strict: true },
];

/** Properties that make a bucket of this kind. */
export function propertiesOf({ conflicts, blindPut, strict }: BucketKind): string {
  return JSON.stringify({ conflicts, blindPut, strict });
}

const SIBLINGS_TYPE = "application/vnd.hutch.siblings+json";
const WRITE_LEVELS = [
  "",
  "",
  "",
  "QUORUM",
  "ONE",
  "ALL",
  "r=2, w=2, pr=1, pw=1",
  "w=3",
  "w=1, dw=1",
];
const READ_LEVELS = ["", "", "", "QUORUM", "ONE", "ALL", "r=2, w=2, pr=1, pw=1", "r=3", "r=1"];
const STRICT_LEVELS = ["", "QUORUM", "ALL", "sloppy=?0"];
/** From here on a client resolves instead of adding. */
const SIBLINGS_MANY = 6;
const GIVE_UP_MS = 2000;
const TTLS_MS = [0, 0, 0, 0, 1000, 3000];

export interface ClientOptions {
  readonly cluster: SimCluster;
  readonly history: History;
  readonly name: string;
  readonly keysPerBucket: number;
  /** Virtual time at which it stops. */
  readonly untilMs: number;
  readonly waits: Waited[];
  /** Some values expire. */
  readonly usesTtls?: boolean;
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

export class Client {
  private readonly options: ClientOptions;
  private readonly prng: Prng;
  private readonly usesSessions: boolean;
  private readonly memories = new Map<string, Memory>();
  private sessionToken = "";
  private sessionCount = 0;
  private writes = 0;

  constructor(options: ClientOptions) {
    this.options = options;
    this.prng = new Prng(`client/${options.cluster.seed}/${options.name}`);
    this.usesSessions = this.prng.chance(0.6);
  }

  async run(): Promise<void> {
    const { cluster, untilMs } = this.options;
    if (this.usesSessions) this.newSession();
    while (cluster.nowMs < untilMs) {
      await cluster.sleep(this.prng.between(5, 120));
      await this.one();
      if (this.usesSessions && this.prng.chance(0.02)) this.newSession();
    }
  }

  private newSession(): void {
    this.sessionToken = "new";
    this.sessionCount++;
  }

  private async one(): Promise<void> {
    const bucket = this.prng.pick(BUCKETS);
    const key = `k${this.prng.below(this.options.keysPerBucket)}`;
    const memory = this.memoryOf(bucket, key);
    if (this.prng.chance(0.45)) await this.read(bucket, key, memory);
    else await this.write(bucket, key, memory);
  }

  private memoryOf({ name }: BucketKind, key: string): Memory {
    const place = `${name}/${key}`;
    const memory = this.memories.get(place) ?? { token: "", siblings: 0 };
    this.memories.set(place, memory);
    return memory;
  }

  private async read(bucket: BucketKind, key: string, memory: Memory): Promise<void> {
    const level = this.prng.pick(bucket.strict ? STRICT_LEVELS : READ_LEVELS);
    const operation = this.begin("get", bucket, key, level, {});
    await this.attempt(operation, { headers: { Accept: SIBLINGS_TYPE, ...headersOf(level) } });
    this.end(operation);
    if (operation.outcome !== "ok") return;
    memory.siblings = operation.versions.length;
  }

  private async write(bucket: BucketKind, key: string, memory: Memory): Promise<void> {
    const { prng } = this;
    const kind = prng.chance(0.2) ? "delete" : "put";
    const level = prng.pick(bucket.strict ? STRICT_LEVELS : WRITE_LEVELS);
    const isInformed =
      memory.token !== "" && (memory.siblings >= SIBLINGS_MANY || prng.chance(0.5));
    const isConditional = !isInformed && kind === "put" && prng.chance(0.15);
    const isIdempotent = kind === "put" && prng.chance(0.3);
    const ttlMs = kind === "put" && this.options.usesTtls === true ? prng.pick(TTLS_MS) : 0;
    const value = kind === "put" ? this.newValue() : "";
    const operation = this.begin(kind, bucket, key, level, {
      value,
      isConditional,
      ttlMs,
      given: isInformed ? readToken(memory.token) : undefined,
    });
    const headers = {
      ...headersOf(level),
      ...(isInformed && { "X-Causal-Context": memory.token }),
      ...(isConditional && { "If-None-Match": "*" }),
      ...(isIdempotent && { "Idempotency-Key": value.slice(0, 60) }),
      ...(ttlMs > 0 && { "X-TTL": `${ttlMs / 1000}s` }),
    };
    const init = {
      method: kind === "put" ? "PUT" : "DELETE",
      headers,
      ...(value && { body: value }),
    };
    await this.attempt(operation, init);
    for (let retry = 0; isIdempotent && retry < 2 && this.wantsRetry(operation); retry++) {
      await this.options.cluster.sleep(prng.between(5, 300));
      await this.attempt(operation, init);
    }
    this.end(operation);
  }

  /** After an unknown outcome, and now and then after a known one. */
  private wantsRetry({ outcome }: Operation): boolean {
    return outcome === "info" || (outcome === "ok" && this.prng.chance(0.2));
  }

  private newValue(): string {
    const name = `${this.options.name}.${++this.writes}`;
    return name.padEnd(name.length + this.prng.pick([0, 0, 20, 200]), "-");
  }

  private begin(
    kind: Operation["kind"],
    bucket: BucketKind,
    key: string,
    level: string,
    fields: Partial<Operation>,
  ): Operation {
    const { cluster, history, name } = this.options;
    const session = this.sessionToken === "" ? "" : `${name}/${this.sessionCount}`;
    return history.begin({
      client: name,
      kind,
      bucket,
      key,
      level,
      session,
      startMs: cluster.nowMs,
      ...fields,
    });
  }

  private end(operation: Operation): void {
    operation.endMs = this.options.cluster.nowMs;
  }

  private async attempt(operation: Operation, init: RequestInit): Promise<void> {
    const { cluster, waits } = this.options;
    const targets = this.options.targets?.() ?? [];
    const node = this.prng.pick(targets.length > 0 ? targets : cluster.present);
    const timeoutMs = this.prng.pick([2000, 2000, 2000, 500, 100]);
    const headers = {
      ...(init.headers as { [name: string]: string }),
      "X-Timeout": `${timeoutMs}ms`,
      ...(operation.session !== "" && { "X-Session": this.sessionToken }),
    };
    const startMs = cluster.nowMs;
    const path = `/v1/kv/${operation.bucket.name}/${operation.key}`;
    const heard = await this.within(
      cluster.send(node, path, { ...init, headers }),
      timeoutMs + GIVE_UP_MS,
    );
    const attempt = attemptOf(cluster.names[node]!, startMs, cluster.nowMs, heard);
    operation.attempts.push(attempt);
    waits.push({
      operation: `#${operation.id} ${operation.client} ${operation.kind}`,
      node: attempt.node,
      forMs: attempt.endMs - startMs,
      timeoutMs,
      isExcused: heard === "lost" || this.options.wasDisturbed(node, startMs),
    });
    this.note(operation, attempt, heard);
  }

  private within(heard: Promise<Heard>, limitMs: number): Promise<Heard> {
    const { cluster } = this.options;
    return Promise.race([heard, cluster.sleep(limitMs).then((): Heard => "lost")]);
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
const REFUSALS: readonly number[] = [409, 412, 503];
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
  cluster: SimCluster,
  history: History,
  bucket: BucketKind,
  key: string,
): Promise<Operation> {
  const level = "ALL";
  const startMs = cluster.nowMs;
  const operation = history.begin({ client: "judge", kind: "get", bucket, key, level, startMs });
  const init = { headers: { Accept: SIBLINGS_TYPE, ...headersOf(level) } };
  for (let tries = 0; tries < FINAL_TRIES && operation.outcome !== "ok"; tries++) {
    if (tries > 0) await cluster.sleep(FINAL_RETRY_MS);
    const sentMs = cluster.nowMs;
    const node = cluster.present[0]!;
    const heard = await cluster.send(node, `/v1/kv/${bucket.name}/${key}`, init);
    const attempt = attemptOf(cluster.names[node]!, sentMs, cluster.nowMs, heard);
    operation.attempts.push(attempt);
    operation.outcome = outcomeOf(operation, attempt);
    operation.endMs = cluster.nowMs;
    if (operation.outcome === "ok" && typeof heard !== "string") noteAnswer(operation, heard);
  }
  return operation;
}
