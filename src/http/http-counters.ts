/**
 * What the REST face counts. Series are asked for once and kept: recording is an addition.
 *
 * Single-key operations are in `hutch_http_kv_seconds` by operation and outcome, everything else in `hutch_http_request_seconds` by method and
 * outcome. `ok` is what was answered with what was asked for, an absence included; `refused` is a 4xx, `failed` a 5xx.
 */
import { type Counter, type Distribution, type Histogram, Metrics } from "../base/metrics.ts";
import type { Consistency } from "../quorum/consistency.ts";
import type { AckCounts, ReplyCounts } from "../quorum/operation.ts";

export const OPERATIONS = ["read", "write", "delete"] as const;
export type Operation = (typeof OPERATIONS)[number];

const OUTCOMES = ["ok", "refused", "failed"] as const;
type Outcome = (typeof OUTCOMES)[number];
export type OutcomeTimes = Readonly<Record<Outcome, Histogram>>;

const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"]);
const LEVEL_OF = {
  ONE: "one",
  QUORUM: "quorum",
  ALL: "all",
  "": "custom",
} as const satisfies Record<Consistency["level"], string>;

/** Who answered operations of one level. */
export interface LevelCounters {
  readonly operations: Counter;
  readonly primary: Counter;
  readonly fallback: Counter;
}
interface WriteLevelCounters extends LevelCounters {
  readonly hinted: Counter;
}
type Levels<Of> = Readonly<Record<(typeof LEVEL_OF)[Consistency["level"]], Of>>;

const SIBLING_EDGES = [0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 50];

export class HttpCounters {
  /** Of single-key operations that were answered. */
  readonly kvReads: Histogram;
  readonly kvWrites: Histogram;
  readonly kvDeletes: Histogram;
  readonly clientAborted: Counter;
  readonly slowBodies: Counter;
  /** Values and deletions that a read has found. */
  readonly siblings: Distribution;
  readonly #kv: Readonly<Record<Operation, OutcomeTimes>>;
  readonly #requests: ReturnType<Metrics["histogram"]>;
  readonly #readLevels: Levels<LevelCounters>;
  readonly #writeLevels: Levels<WriteLevelCounters>;
  readonly #sessionsRefused: Counter;
  readonly #problems: ReturnType<Metrics["counter"]>;

  constructor(metrics: Metrics = new Metrics()) {
    const durations = metrics.histogram(
      "hutch_http_kv",
      "Time from request to answer of single-key operations; outcome is ok, refused (4xx) or failed (5xx)",
      "operation",
      "outcome",
    );
    const kv = (operation: Operation): OutcomeTimes => outcomesOf(durations, operation);
    this.#kv = { read: kv("read"), write: kv("write"), delete: kv("delete") };
    this.kvReads = this.#kv.read.ok;
    this.kvWrites = this.#kv.write.ok;
    this.kvDeletes = this.#kv.delete.ok;
    this.#requests = metrics.histogram(
      "hutch_http_request",
      "Time from request to the head of the answer of all requests but GET, PUT and DELETE of a key; outcome is ok, refused (4xx) or failed (5xx)",
      "method",
      "outcome",
    );
    this.siblings = metrics.distribution(
      "hutch_read_siblings",
      "Values and deletions beside each other that a read of one key has found; 1 without a conflict",
      SIBLING_EDGES,
    );
    [this.#readLevels, this.#writeLevels] = defineLevels(metrics);
    this.#sessionsRefused = counterOf(
      metrics,
      "hutch_sessions_refused",
      "Requests whose X-Session no reachable replica could satisfy",
    );
    this.clientAborted = counterOf(
      metrics,
      "hutch_http_client_aborted",
      "Requests whose client went away in the middle of the body",
    );
    this.slowBodies = counterOf(
      metrics,
      "hutch_http_slow_bodies",
      "Requests ended because their body came too slowly",
    );
    this.#problems = metrics.counter(
      "hutch_http_problems",
      "Problem documents sent, by their code",
      "code",
    );
  }

  /** `code` is one of a closed set. */
  problem(code: string): void {
    this.#problems.of(code).add();
    if (code === "session-unsatisfied") this.#sessionsRefused.add();
  }

  answered(operation: Operation): Histogram {
    return this.#kv[operation].ok;
  }

  /** Of a single-key operation, by outcome. */
  outcomesOf(operation: Operation): OutcomeTimes {
    return this.#kv[operation];
  }

  /** A single-key operation that became a problem document. */
  ended(operation: Operation, status: number, durationMs: number): void {
    this.#kv[operation][outcomeOf(status)].record(durationMs);
  }

  /** Times of the requests of a route that is not a single-key operation. */
  timesOf(method: string): OutcomeTimes {
    return outcomesOf(this.#requests, METHODS.has(method) ? method : "other");
  }

  levelOfReads(consistency: Consistency): LevelCounters {
    return this.#readLevels[LEVEL_OF[consistency.level]];
  }

  replied(consistency: Consistency, { ok, primary }: ReplyCounts): void {
    const level = this.levelOfReads(consistency);
    level.operations.value++;
    level.primary.value += primary;
    level.fallback.value += ok - primary;
  }

  acknowledged(consistency: Consistency, { ok, primary, hinted }: AckCounts): void {
    const level = this.#writeLevels[LEVEL_OF[consistency.level]];
    level.operations.value++;
    level.primary.value += primary;
    level.fallback.value += ok - primary;
    level.hinted.value += hinted;
  }
}

export function outcomeOf(status: number): Outcome {
  if (status < 400) return "ok";
  return status < 500 ? "refused" : "failed";
}

function outcomesOf(family: ReturnType<Metrics["histogram"]>, label: string): OutcomeTimes {
  const [ok, refused, failed] = OUTCOMES.map((outcome) => family.of(label, outcome));
  return { ok: ok!, refused: refused!, failed: failed! };
}

function counterOf(metrics: Metrics, name: string, help: string): Counter {
  return metrics.counter(name, help).of();
}

/** Of reads and of writes. */
function defineLevels(metrics: Metrics): [Levels<LevelCounters>, Levels<WriteLevelCounters>] {
  const operations = metrics.counter(
    "hutch_operations",
    "Single-key operations that reached their consistency level; custom is a dictionary as r=2, w=2",
    "operation",
    "level",
  );
  const replies = metrics.counter(
    "hutch_replies",
    "Replies that these operations had when they were answered, by level and by role: owners (primary), who stands in for one (fallback), hints kept for one (hinted)",
    "operation",
    "level",
    "role",
  );
  const readLevel = (level: string): LevelCounters => ({
    operations: operations.of("read", level),
    primary: replies.of("read", level, "primary"),
    fallback: replies.of("read", level, "fallback"),
  });
  const writeLevel = (level: string): WriteLevelCounters => ({
    operations: operations.of("write", level),
    primary: replies.of("write", level, "primary"),
    fallback: replies.of("write", level, "fallback"),
    hinted: replies.of("write", level, "hinted"),
  });
  return [levelsOf(readLevel), levelsOf(writeLevel)];
}

function levelsOf<Of>(make: (level: string) => Of): Levels<Of> {
  return { one: make("one"), quorum: make("quorum"), all: make("all"), custom: make("custom") };
}
