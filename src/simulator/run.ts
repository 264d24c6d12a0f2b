/**
 * One run of a plan: a cluster, clients, changes and faults; then everything heals, comes to rest, and is judged from outside, by the history, and from
 * inside, by what lies on the disks.
 *
 *   form -> buckets -> clients, changes, faults -> heal -> rest, copies and trees equal, nothing dead left -> read every key at ALL -> judge
 *
 * The run says what is broken and never throws for it: a cluster that does not come to rest, a node that ends by itself and an answer that nobody may get
 * are violations like any other.
 */
import { messageOf } from "../base/errors.ts";
import { type HeldHints, type Waited, checkHintBytes } from "../checkers/calm.ts";
import { DotBook } from "../checkers/dots.ts";
import { History, type Violation } from "../checkers/history.ts";
import { BrokenRun } from "./broken-run.ts";
import { Changes } from "./changes.ts";
import { Client } from "./clients.ts";
import { SimCluster } from "./cluster.ts";
import { differencesIn, hasAnythingDead, hasLosses } from "./contents.ts";
import { DisksWatch } from "./disks-watch.ts";
import { judge } from "./judge.ts";
import { Nemesis } from "./nemesis.ts";
import type { Plan } from "./plan.ts";
import { makeBuckets, readAll, storyOf } from "./run-parts.ts";
import type { Figures, Verdict } from "./verdict.ts";

export interface RunOptions {
  /** Lines of the logs that come with a violation. Default 30. */
  readonly words?: number;
  /** What goes on between nodes is sealed with this key of the cluster; it is not part of the plan, which holds with and without. */
  readonly key?: Uint8Array;
}

const LOOK_AT_HINTS_EVERY_MS = 500;
/** Longer than any timeout of a client, and than any request to the operator. */
const CLIENTS_END_MS = 10_000;
const CHANGES_END_MS = 120_000;
const UP_AGAIN_MS_MAX = 20_000;
const EQUAL_MS_MAX = 60_000;

export function runPlan(plan: Plan, options: RunOptions = {}): Verdict {
  return new Run(plan, options).run();
}

class Run {
  private readonly plan: Plan;
  private readonly cluster: SimCluster;
  private readonly history = new History();
  private readonly book = new DotBook();
  private readonly nemesis: Nemesis;
  private readonly changes: Changes;
  private readonly waits: Waited[] = [];
  private readonly watch: DisksWatch;
  private readonly violations: Violation[] = [];
  private burnt = 0;

  constructor(plan: Plan, { words, key }: RunOptions) {
    this.plan = plan;
    this.cluster = new SimCluster(plan.chance, {
      nodes: plan.nodes,
      racks: plan.racks,
      flags: plan.knobs,
      ...(words !== undefined && { words }),
      ...(key !== undefined && { key }),
      tap: (record, kind) => this.book.noteRecord(record, `message ${kind}`),
    });
    this.watch = new DisksWatch(this.cluster);
    this.nemesis = new Nemesis(this.cluster, plan);
    this.changes = new Changes(this.cluster, this.nemesis.troubles);
  }

  run(): Verdict {
    try {
      this.live();
      this.judge();
    } catch (thrown) {
      const isBroken = thrown instanceof BrokenRun;
      const invariant = isBroken ? thrown.what : "no surprises";
      this.violations.push({
        invariant,
        message: isBroken ? thrown.how : messageOf(thrown),
        key: "",
      });
    }
    return this.verdict();
  }

  private live(): void {
    const { cluster, plan, nemesis, changes } = this;
    cluster.form();
    makeBuckets(cluster, plan.buckets);
    nemesis.schedule(plan.faults);
    const clients = this.startClients();
    const changed = changes.run(plan.changes);
    this.watchHints();
    this.watch.begin();
    cluster.world.run(plan.durationMs);
    changes.end();
    nemesis.end();
    cluster.world.runUntil(clients, CLIENTS_END_MS);
    this.comeToRest(changed);
  }

  private startClients(): Promise<unknown> {
    const { cluster, history, waits, plan, changes } = this;
    const { troubles } = this.nemesis;
    const untilMs = cluster.nowMs + plan.durationMs;
    // Where nothing goes wrong clients ask nodes that say that they are ready, and no request may fail.
    const isCalm = plan.faults.length === 0;
    const targets = (): readonly number[] =>
      cluster.present.filter(
        (i) =>
          !changes.leaving.has(i) && (!isCalm || (cluster.isStarted(i) && cluster.isServing(i))),
      );
    const wasDisturbed = (node: number, sinceMs: number): boolean =>
      troubles.wasDisturbed(node, sinceMs);
    const common = { world: cluster, history, buckets: plan.buckets, untilMs, waits };
    return Promise.all(
      plan.clients.map((own) => new Client({ ...common, plan: own, targets, wasDisturbed }).run()),
    );
  }

  private watchHints(): void {
    const { cluster, plan } = this;
    const endMs = cluster.nowMs + plan.durationMs;
    const look = async (): Promise<void> => {
      for (let round = 0; cluster.nowMs < endMs; round++) {
        await cluster.sleep(LOOK_AT_HINTS_EVERY_MS);
        const index = cluster.present[round % cluster.present.length]!;
        const heard = await cluster.send(index, "/v1/admin/hints");
        if (typeof heard === "string" || heard.status !== 200) continue;
        const { targets } = JSON.parse(heard.text) as { targets: HeldHints[] };
        // Each target's sum is over all holders.
        const bytesMax = cluster.config.hintBytesMax * cluster.names.length;
        this.violations.push(...checkHintBytes(cluster.names[index]!, targets, bytesMax));
      }
    };
    void look();
  }

  private comeToRest(changed: Promise<void>): void {
    const { cluster, nemesis } = this;
    cluster.heal();
    let isChanged = false;
    void changed.then(() => (isChanged = true));
    cluster.waitFor("the last change ends", () => isChanged, CHANGES_END_MS);
    const areUp = (): boolean => {
      for (const i of cluster.present) nemesis.troubles.bringBack(i);
      return cluster.present.every((i) => cluster.isUp(i));
    };
    cluster.waitFor("all are up again", areUp, UP_AGAIN_MS_MAX);
    cluster.quiesce();
    this.watch.end();
    this.waitForEquality();
  }

  /** Waits; who is never equal is told with everything that is known of the difference. */
  private waitForEquality(): void {
    const { cluster, violations } = this;
    const areEqual = (): boolean =>
      !hasLosses(cluster) &&
      differencesIn(cluster).length === 0 &&
      !hasAnythingDead(cluster, cluster.config.gcDelayMs);
    try {
      cluster.waitFor("all copies are equal, and nothing dead is left", areEqual, EQUAL_MS_MAX);
    } catch (thrown) {
      if (cluster.isFailed) throw thrown;
      const blame = (invariant: string, message: string): void =>
        void violations.push({ invariant, message, key: "" });
      violations.push(...differencesIn(cluster));
      if (hasLosses(cluster)) blame("healing", "damage is not healed");
      if (hasAnythingDead(cluster, cluster.config.gcDelayMs))
        blame("L6", "what is dead is not collected");
    }
  }

  private judge(): void {
    const { plan, cluster, history, book, changes, waits, watch, nemesis } = this;
    const finals = readAll(cluster, history);
    const { troubles } = nemesis;
    const found = judge({
      plan,
      cluster,
      history,
      book,
      changes,
      troubles,
      waits,
      looks: watch.looks,
      finals,
    });
    this.burnt = found.burnt;
    this.violations.push(...found.violations);
    if (cluster.isFailed) throw cluster.broken("a node ended", cluster.failures.join("; "));
  }

  private verdict(): Verdict {
    const { plan, cluster, nemesis, changes, violations, history } = this;
    return {
      plan,
      violations,
      figures: this.figures(),
      faults: Object.fromEntries([...changes.counts, ...nemesis.counts]),
      coverage: Object.fromEntries([...changes.coverage, ...nemesis.coverage]),
      told: nemesis.troubles.told,
      story: violations.length === 0 ? "" : storyOf(violations, history, cluster.lastWords()),
      trace: cluster.world.scheduler.trace.digest(),
    };
  }

  private figures(): Figures {
    const { history, cluster, book, burnt } = this;
    const countOf = (outcome: "ok" | "fail" | "info"): number =>
      history.operations.filter((own) => own.outcome === outcome).length;
    return {
      operations: history.operations.length,
      ok: countOf("ok"),
      failed: countOf("fail"),
      unknown: countOf("info"),
      dots: book.count,
      burnt,
      recoveries: { ...cluster.recoveries },
      virtualMs: Math.round(cluster.nowMs),
      events: cluster.world.scheduler.trace.eventCount,
    };
  }
}
