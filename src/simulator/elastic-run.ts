/**
 * One run over a seed in which the cluster itself changes: nodes join, leave, are removed, replaced, weighted anew, lose their disks or find them damaged or
 * old, while clients write, delete and read, deletions are collected all the time, and nodes die at any step of it. Then everything heals, and is judged
 * from outside, by the history, and from inside, by what lies on the disks.
 *
 *   form -> buckets -> clients, changes, strikes -> heal -> rest, copies and trees equal, nothing dead left -> read every key at ALL -> check
 */
import { messageOf } from "../base/errors.ts";
import { wallMsOfHlc } from "../causality/hlc.ts";
import { WALL_START_MS } from "../sim/clock.ts";
import { Amnesty } from "../checkers/amnesty.ts";
import {
  checkAnswered,
  checkDamage,
  checkNoHints,
  checkOneRing,
  type Waited,
} from "../checkers/calm.ts";
import { checkCopies, checkPreferenceLists, checkTrees } from "../checkers/copies.ts";
import { DotBook, checkClocks, checkDots, nameDots } from "../checkers/dots.ts";
import { checkQuorumReads, checkSessions } from "../checkers/order.ts";
import { checkVersions } from "../checkers/versions.ts";
import { Client, finalRead } from "./clients.ts";
import { History, type Operation, type Violation } from "../checkers/history.ts";
import { Changes } from "./elastic-changes.ts";
import {
  type ChangeKind,
  type ElasticPlan,
  type StrikeKind,
  drawElasticPlan,
} from "./elastic-plan.ts";
import { Strikes } from "./elastic-strikes.ts";
import { makeBuckets, ringsOf, tellViolations } from "./run-parts.ts";
import { SimCluster } from "./cluster.ts";
import { contentsOf, hasAnythingDead, hasLosses, ownersIn } from "./contents.ts";

export interface ElasticRunOptions {
  readonly seed: number | string;
  readonly nodes?: number;
  readonly clients?: number;
  readonly durationMs?: number;
  /** Lines of the logs that come with a violation. */
  readonly words?: number;
  readonly changes?: readonly ChangeKind[];
  readonly strikes?: readonly StrikeKind[];
}

export interface ElasticRunResult {
  readonly operations: number;
  readonly ok: number;
  readonly failed: number;
  readonly unknown: number;
  readonly dots: number;
  /** Acknowledged writes that were on lost disks only. */
  readonly burnt: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly virtualMs: number;
  readonly events: number;
  readonly trace: string;
}

const GC_DELAY_MS = 7000;
/** The least that the relations of the knobs allow (R41). */
const FLAGS = {
  requestTimeoutMaxMs: "2s",
  hintTtlMs: "3s",
  driftMaxMs: "1s",
  gcDelayMs: `${GC_DELAY_MS}ms`,
  scrubIntervalMs: "3s",
  hintBytesMax: "64KiB",
} as const;
/** Offsets of clocks, given and set, and some. */
const CLOCK_ERROR_MS = 1000;
/** Longer than any timeout of a client, and than any request to the operator. */
const CLIENTS_END_MS = 10_000;
const CHANGES_END_MS = 120_000;
const EQUAL_MS_MAX = 60_000;
const OK_SHARE_MIN = 0.2;

/** @throws Error with the seed and everything that is known, at the first violation */
export function elasticRun(options: ElasticRunOptions): ElasticRunResult {
  return new ElasticRun(options).run();
}

class ElasticRun {
  private readonly options: ElasticRunOptions;
  private readonly durationMs: number;
  private readonly cluster: SimCluster;
  private readonly history = new History();
  private readonly book = new DotBook();
  private readonly plan: ElasticPlan;
  private readonly strikes: Strikes;
  private readonly changes: Changes;
  private readonly waits: Waited[] = [];
  private readonly violations: Violation[] = [];
  private burnt = 0;

  constructor(options: ElasticRunOptions) {
    const { seed, durationMs = 20_000 } = options;
    this.options = options;
    this.durationMs = durationMs;
    this.plan = drawElasticPlan(seed, { ...options, durationMs });
    const { repairInterval, hintWindow } = this.plan.profile;
    this.cluster = new SimCluster(seed, {
      nodes: this.plan.nodes,
      flags: { ...FLAGS, repairIntervalMs: repairInterval, hintWindowMs: hintWindow },
      ...(options.words !== undefined && { words: options.words }),
      tap: (record, kind) => this.book.noteRecord(record, `message ${kind}`),
    });
    this.strikes = new Strikes(this.cluster, this.plan.downAtOnceMax);
    this.changes = new Changes(this.cluster, this.strikes);
  }

  run(): ElasticRunResult {
    try {
      return this.attempt();
    } catch (thrown) {
      const message = messageOf(thrown);
      const isTold = message.startsWith(`seed ${this.options.seed},`);
      const told = isTold ? message : this.cluster.broken(message).message;
      throw new Error(`${told}\nfaults:\n${this.tellPlan().join("\n")}`, { cause: thrown });
    }
  }

  private attempt(): ElasticRunResult {
    const { cluster, plan, strikes, changes } = this;
    cluster.form();
    makeBuckets(cluster);
    strikes.schedule(plan.strikes);
    const clients = this.startClients();
    const changed = changes.run(plan.changes);
    cluster.world.run(this.durationMs);
    changes.end();
    strikes.end();
    cluster.world.runUntil(clients, CLIENTS_END_MS);
    this.comeToRest(changed);
    this.judge();
    return this.result();
  }

  private startClients(): Promise<unknown> {
    const { cluster, history, waits, options, strikes, changes } = this;
    const untilMs = cluster.nowMs + this.durationMs;
    const wasDisturbed = (node: number, sinceMs: number): boolean =>
      strikes.disturbances.some(
        (own) => own.index === node && own.fromMs <= cluster.nowMs && own.untilMs >= sinceMs,
      );
    // Where nothing goes wrong clients ask nodes that say that they are ready, and no request may fail.
    const isCalm = this.plan.strikes.length === 0;
    const targets = (): readonly number[] =>
      cluster.present.filter(
        (i) => cluster.isStarted(i) && !changes.leaving.has(i) && (!isCalm || cluster.isServing(i)),
      );
    return Promise.all(
      Array.from({ length: options.clients ?? 4 }, (_, i) =>
        new Client({
          cluster,
          history,
          name: `c${i + 1}`,
          keysPerBucket: this.plan.profile.keysPerBucket,
          untilMs,
          waits,
          wasDisturbed,
          usesTtls: true,
          targets,
        }).run(),
      ),
    );
  }

  private comeToRest(changed: Promise<void>): void {
    const { cluster, strikes } = this;
    cluster.heal();
    let isChanged = false;
    void changed.then(() => (isChanged = true));
    cluster.waitFor("the last change ends", () => isChanged, CHANGES_END_MS);
    const areUp = (): boolean => {
      for (const i of cluster.present) strikes.bringBack(i);
      return cluster.present.every((i) => cluster.isUp(i));
    };
    cluster.waitFor("all are up again", areUp, this.durationMs);
    cluster.quiesce();
    this.waitForEquality();
  }

  /** Waits; who is never equal is told with everything that is known of the difference. */
  private waitForEquality(): void {
    const { cluster } = this;
    const areEqual = (): boolean =>
      !hasLosses(cluster) &&
      this.differences().length === 0 &&
      !hasAnythingDead(cluster, GC_DELAY_MS);
    try {
      cluster.waitFor("all copies are equal, and nothing dead is left", areEqual, EQUAL_MS_MAX);
    } catch (thrown) {
      if (cluster.isFailed) throw thrown;
      this.violations.push(...this.differences());
      if (hasLosses(cluster))
        this.violations.push({ invariant: "L1", message: "damage is not healed", key: "" });
      if (hasAnythingDead(cluster, GC_DELAY_MS))
        this.violations.push({
          invariant: "L6",
          message: "what is dead is not collected",
          key: "",
        });
      throw this.report();
    }
  }

  private differences(): Violation[] {
    const { cluster } = this;
    const nodes = cluster.present.map((i) => contentsOf(cluster, i));
    const owners = ownersIn(cluster);
    const { q } = cluster.clusterOf(cluster.present[0]!).view.layout;
    return [
      ...checkCopies(nodes, owners),
      ...checkTrees(nodes, owners),
      ...checkPreferenceLists(nodes, q, [3], owners),
    ];
  }

  private readAll(): Operation[] {
    const { cluster, history } = this;
    const places = new Map(history.operations.map((own) => [`${own.bucket.name}/${own.key}`, own]));
    return [...places.values()].map(({ bucket, key }) =>
      cluster.world.runUntil(finalRead(cluster, history, bucket, key)),
    );
  }

  private judge(): void {
    const { history, book, cluster, changes, strikes, plan, violations } = this;
    const finals = this.readAll();
    nameDots(history, book);
    const amnesty = new Amnesty(history, {
      gcDelayMs: GC_DELAY_MS,
      clockErrorMs: CLOCK_ERROR_MS,
      timeOfCounter: (counter) => wallMsOfHlc(counter) - WALL_START_MS,
      losses: changes.losses,
    });
    this.burnt = amnesty.forgive(history);
    violations.push(
      ...checkVersions(history, finals, amnesty),
      ...checkDots(history, book),
      ...checkClocks(history, "actor"),
      ...checkSessions(history, amnesty),
      ...checkQuorumReads(history, amnesty),
      ...checkAnswered(this.waits),
      ...checkDamage(history, (fromMs, untilMs) => strikes.wasTrouble(fromMs, untilMs)),
      ...checkOneRing(ringsOf(cluster)),
      ...checkNoHints(cluster.hintsAt(cluster.present[0]!)),
      ...this.checkGone(),
    );
    if (plan.strikes.length === 0) violations.push(...this.checkAvailable());
    if (cluster.isFailed) throw cluster.broken(cluster.failures.join("; "));
    if (violations.length > 0) throw this.report();
    const { ok, operations } = this.result();
    if (ok < OK_SHARE_MIN * operations)
      throw cluster.broken(`only ${ok} of ${operations} operations were answered`);
  }

  /** Who is of the cluster no more does not run (row 106). */
  private checkGone(): Violation[] {
    const { cluster } = this;
    return [...cluster.gone]
      .filter((i) => cluster.isUp(i))
      .map((i) => ({ invariant: "R51", message: `${cluster.names[i]} is gone and runs`, key: "" }));
  }

  /** A change of the ring alone costs nobody a request, unless disks go with it. */
  private checkAvailable(): Violation[] {
    if (this.changes.losses.length > 0) return [];
    const refused = this.changes.refused.map((message) => ({
      invariant: "availability",
      message,
      key: "",
    }));
    const failed = this.history.operations.filter(
      ({ attempts, client }) =>
        client !== "judge" && attempts.some(({ status }) => status === 0 || status >= 500),
    );
    const told = failed.map(({ id, client, kind, level, attempts, bucket, key }) => ({
      invariant: "availability",
      message: `#${id} ${client} ${kind} ${level}: ${attempts.map(({ node, status, code }) => `${node} ${status} ${code}`).join()}`,
      key: `${bucket.name}/${key}`,
    }));
    return [...refused, ...told];
  }

  private report(): Error {
    return this.cluster.broken(tellViolations(this.violations, this.history));
  }

  private tellPlan(): string[] {
    const { plan, changes, strikes, cluster } = this;
    return [
      `  ${JSON.stringify(plan.profile)}`,
      ...plan.changes.map((change) => `  ${JSON.stringify(change)}`),
      ...plan.strikes.map((strike) => `  ${JSON.stringify(strike)}`),
      ...changes.told.map((line) => `  ${line}`),
      ...strikes.told.map((line) => `  ${line}`),
      ...cluster.present
        .filter((i) => !cluster.isStarted(i))
        .map((i) => `  ${cluster.names[i]} is not there`),
    ];
  }

  private result(): ElasticRunResult {
    const { history, cluster, book, strikes, changes, burnt } = this;
    const countOf = (outcome: Operation["outcome"]): number =>
      history.operations.filter((own) => own.outcome === outcome).length;
    return {
      operations: history.operations.length,
      ok: countOf("ok"),
      failed: countOf("fail"),
      unknown: countOf("info"),
      dots: book.count,
      burnt,
      faults: Object.fromEntries([...changes.counts, ...strikes.counts]),
      virtualMs: Math.round(cluster.nowMs),
      events: cluster.world.scheduler.trace.eventCount,
      trace: cluster.world.scheduler.trace.digest(),
    };
  }
}
