/**
 * Carries out the changes of a plan: what people do to a cluster that serves. Each waits until it may: as long as disks were lost and are not replaced yet,
 * no other disk is lost on purpose, because nothing promises anything beyond that (the fault budget of FAULTS.md 2.4).
 */
import { Prng } from "../base/prng.ts";
import type { DiskLoss } from "../checkers/amnesty.ts";
import { TABLE_DAMAGES, damageTable, tablesOf } from "./damage.ts";
import { hasLosses, knownWithout } from "./contents.ts";
import type { SimCluster } from "./cluster.ts";
import { count } from "./nemesis.ts";
import { SimOperator } from "./operator.ts";
import type { Change, ChangeKind } from "./plan.ts";
import { statesOf } from "./states.ts";
import type { Troubles } from "./troubles.ts";

/** Those after which there is a disk less that knows what it knew. */
const LOSSES: readonly ChangeKind[] = ["remove", "fence", "replace", "wipe", "damage", "restore"];
/** Those after which a node is out of the ring. */
const DEPARTURES: readonly ChangeKind[] = ["leave", "remove", "fence", "replace", "wipe"];
/** Copies that buckets want; with fewer nodes nobody leaves. */
const N = 3;
const NODES_MAX = 6;
const LOOK_EVERY_MS = 100;
const LIFE_MS_MIN = 1000;
/** A change that may not begin within this time is left out; one that has begun is waited for so long by the next. */
const BEGIN_MS_MAX = 20_000;
const FOLLOW_MS_MAX = 60_000;

export class Changes {
  readonly counts = new Map<string, number>();
  /** `change x state` */
  readonly coverage = new Map<string, number>();
  readonly losses: DiskLoss[] = [];
  readonly departures: { fromMs: number; untilMs: number }[] = [];
  /** Indexes of nodes whose tables were damaged. */
  readonly damaged = new Set<number>();
  /** What nobody ever agreed to. */
  readonly refused: string[] = [];
  /** Nodes that leave: clients turn to others. */
  readonly leaving = new Set<number>();
  private readonly cluster: SimCluster;
  private readonly troubles: Troubles;
  private readonly operator: SimOperator;
  private isOver = false;
  /** Changes that have begun and not ended. */
  private readonly underWay = new Set<Change>();

  constructor(cluster: SimCluster, troubles: Troubles) {
    this.cluster = cluster;
    this.troubles = troubles;
    this.operator = new SimOperator(cluster);
  }

  /** Settles when all have ended. */
  async run(changes: readonly Change[]): Promise<void> {
    const begun: Promise<void>[] = [];
    for (const change of changes) {
      if (!change.isAlongside) await Promise.all(begun);
      await this.cluster.sleep(change.pauseMs);
      if (this.isOver) break;
      begun.push(this.carryOut(change));
    }
    await Promise.all(begun);
  }

  /** Nothing new is begun. */
  end(): void {
    this.isOver = true;
  }

  private async carryOut(change: Change): Promise<void> {
    const { kind, chance } = change;
    const prng = new Prng(`change/${chance}`);
    const index = await this.choose(kind, prng);
    if (index === undefined) return;
    this.underWay.add(change);
    if (kind === "join") await this.join();
    else await this.carryOutAt(kind, index, prng);
    this.underWay.delete(change);
  }

  private async carryOutAt(kind: ChangeKind, index: number, prng: Prng): Promise<void> {
    this.begins(kind, index);
    const departure = { fromMs: this.cluster.nowMs, untilMs: Infinity };
    if (DEPARTURES.includes(kind)) this.departures.push(departure);
    await this.doTo(kind, index, prng);
    departure.untilMs = this.cluster.nowMs;
    this.troubles.tell(`${kind} of ${this.cluster.names[index]} has ended`);
  }

  private async doTo(kind: ChangeKind, index: number, prng: Prng): Promise<void> {
    switch (kind) {
      case "leave":
        return this.leave(index);
      case "reweigh":
        return this.asked(kind, index, await this.operator.reweigh(index, prng.between(1, 3)));
      case "damage":
        return this.damage(index, prng);
      default:
        return this.lose(kind, index, prng);
    }
  }

  private begins(kind: ChangeKind, index: number): void {
    count(this.counts, kind);
    for (const state of statesOf(this.cluster, this.troubles))
      count(this.coverage, `${kind} x ${state}`);
    this.troubles.tell(`${kind} of ${this.cluster.names[index]}`);
  }

  private asked(what: string, index: number, isTaken: boolean): void {
    if (isTaken) return;
    this.refused.push(`${what} of ${this.cluster.names[index]}`);
    this.troubles.tell(`${what} of ${this.cluster.names[index]} is refused`);
  }

  /** The node that it happens to, when it may; `undefined` where it never may. */
  private async choose(kind: ChangeKind, prng: Prng): Promise<number | undefined> {
    const { cluster, troubles } = this;
    const endMs = cluster.nowMs + BEGIN_MS_MAX;
    while (cluster.nowMs < endMs && !this.isOver) {
      const free = cluster.present.filter(
        (i) => cluster.isStarted(i) && !troubles.held.has(i) && !this.leaving.has(i),
      );
      if (free.length > 0 && this.mayBegin(kind)) return prng.pick(free);
      await cluster.sleep(LOOK_EVERY_MS);
    }
    return undefined;
  }

  private mayBegin(kind: ChangeKind): boolean {
    const { cluster, troubles } = this;
    const staying = cluster.present.length - this.leaving.size - troubles.held.size;
    // Force overrules whatever else is decided at the same time.
    const others = [...this.underWay];
    if (others.some((other) => other.kind === "fence")) return false;
    if (kind === "fence" && others.length > 0) return false;
    if (["leave", "remove", "fence"].includes(kind) && staying <= N) return false;
    if (!LOSSES.includes(kind)) return true;
    return troubles.held.size === 0 && this.leaving.size === 0 && this.isCalm();
  }

  private isCalm(): boolean {
    const { cluster } = this;
    return (
      cluster.present.every((i) => cluster.isStarted(i)) &&
      cluster.isOneLayout() &&
      cluster.present.every((i) => cluster.isServing(i)) &&
      !hasLosses(cluster)
    );
  }

  private async join(): Promise<void> {
    const { cluster } = this;
    if (cluster.present.length >= NODES_MAX) return;
    const index = this.operator.join();
    this.begins("join", index);
    await this.until(() => this.isMember(index));
    this.troubles.tell(`join of ${cluster.names[index]} has ended`);
  }

  private isMember(index: number): boolean {
    const { cluster } = this;
    if (!cluster.isStarted(index)) return false;
    const { view } = cluster.clusterOf(index);
    return view.readLayout.members.some(({ id }) => id === view.self);
  }

  private async leave(index: number): Promise<void> {
    this.leaving.add(index);
    this.asked("leave", index, await this.operator.leave(index));
    await this.until(() => this.cluster.gone.has(index));
    this.leaving.delete(index);
  }

  /** Found by a read or by the scrub; or at the next start, which comes at once in half of the cases. */
  private async damage(index: number, prng: Prng): Promise<void> {
    const { cluster, troubles } = this;
    const hit = tablesOf(cluster, index).filter(() => prng.chance(0.7));
    if (hit.length === 0) return;
    this.noteLoss(index);
    this.damaged.add(index);
    for (const path of hit) damageTable(cluster, index, path, prng.pick(TABLE_DAMAGES), prng);
    if (prng.chance(0.5)) {
      cluster.crash(index);
      troubles.disturbed(index, 0);
      cluster.restart(index);
    }
    await cluster.sleep(prng.between(0, 4000));
  }

  private noteLoss(index: number, isSilent = false, atMs = this.cluster.nowMs): void {
    const { cluster } = this;
    this.losses.push({ atMs, known: knownWithout(cluster, index), isSilent });
  }

  /** A disk goes, or what is on it; the node is held until it, or somebody in its place, has what it should. */
  private async lose(kind: ChangeKind, index: number, prng: Prng): Promise<void> {
    const { troubles } = this;
    troubles.held.add(index);
    const disturbance = troubles.disturbed(index, Infinity);
    await this.loseOne(kind, index, prng);
    disturbance.untilMs = this.cluster.nowMs;
    troubles.held.delete(index);
  }

  private async loseOne(kind: ChangeKind, index: number, prng: Prng): Promise<void> {
    const { cluster, operator } = this;
    const name = cluster.names[index]!;
    const pauseMs = prng.between(0, 3000);
    switch (kind) {
      case "remove":
        this.noteLoss(index);
        cluster.destroy(index);
        await cluster.sleep(pauseMs);
        this.asked(kind, index, await operator.remove(index));
        return this.until(() => this.isOut(index));
      case "fence":
        return this.fence(index, prng);
      case "replace": {
        this.noteLoss(index);
        cluster.destroy(index);
        await cluster.sleep(pauseMs);
        const heir = operator.join({ replace: name });
        return this.operator.follow(() => this.isMember(heir), FOLLOW_MS_MAX);
      }
      case "wipe":
        this.noteLoss(index);
        cluster.powerLoss(index);
        cluster.replaceDisk(index);
        await cluster.sleep(pauseMs);
        cluster.restart(index, { replace: name });
        return this.operator.follow(() => this.isMember(index), FOLLOW_MS_MAX);
      default:
        return this.restore(index, prng);
    }
  }

  /**
   * It is declared dead and is not: it was away, or is even there. It must not come back. Until it has ended it may acknowledge what it alone has.
   */
  private async fence(index: number, prng: Prng): Promise<void> {
    const { cluster, operator } = this;
    const isAway = prng.chance(0.5);
    if (isAway) cluster.crash(index);
    cluster.mayEnd.add(index);
    await cluster.sleep(prng.between(0, 2000));
    this.asked("fence", index, await operator.remove(index, { force: !isAway }));
    await this.until(() => this.isOut(index));
    if (isAway) cluster.restart(index);
    await this.until(() => !cluster.isUp(index));
    cluster.goes(index);
    // It may have gone long before all others have followed (seeds 70496 and 70805).
    this.noteLoss(index, false, cluster.goneMs.get(index));
  }

  /**
   * The disk is put back to what it was some time ago. The process was another one then, and its peers know that; or it was the same, and nothing tells the node
   * that it lacks what it has taken since (row 93).
   */
  private async restore(index: number, prng: Prng): Promise<void> {
    const { cluster } = this;
    const image = cluster.imageOf(index);
    await cluster.sleep(prng.between(100, 1500));
    const isNoticed = prng.chance(0.5);
    const noticedMs = isNoticed ? cluster.nowMs : -Infinity;
    if (isNoticed) {
      cluster.crash(index);
      cluster.restart(index);
      await cluster.sleep(prng.between(100, 2500));
    }
    if (!cluster.isUp(index)) return;
    this.noteLoss(index, !isNoticed);
    cluster.powerLoss(index);
    cluster.replaceDisk(index, image);
    await cluster.sleep(prng.between(0, 500));
    // Lives are told apart by the second in which they begin: no disk is put back faster than that (seed 74493).
    const tooSoonMs = noticedMs + LIFE_MS_MIN - cluster.nowMs;
    if (tooSoonMs > 0) await cluster.sleep(tooSoonMs);
    cluster.restart(index);
    await this.until(() => this.isMember(index));
  }

  /** Nobody waits for it any more: no active layout names it. */
  private isOut(index: number): boolean {
    const { cluster } = this;
    const name = cluster.names[index]!;
    return cluster.present
      .filter((i) => i !== index && cluster.isStarted(i))
      .every((i) =>
        cluster
          .clusterOf(i)
          .view.layouts.every(({ members }) => members.every((member) => member.name !== name)),
      );
  }

  private async until(isSo: () => boolean): Promise<void> {
    const endMs = this.cluster.nowMs + FOLLOW_MS_MAX;
    while (!isSo() && this.cluster.nowMs < endMs) await this.cluster.sleep(LOOK_EVERY_MS);
  }
}
