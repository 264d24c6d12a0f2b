/**
 * This node's part in a change of the ring (R57, R58): keeps what is known of layouts, takes the steps that are its own, and tells the others.
 *
 *   a newer version is met   swap the view: writes go to its owners as well     writes that began before have ended, it is on disk:   ack
 *   all have acknowledged    hand over what its new owners lack (`handover.ts`) all of it is there:                                   sync
 *   all have synced          reads use it from now on; what it says of a bucket is written down                                        syncAck
 *   all know that            older versions retire; what is nobody's business here any more is dropped
 *
 * Each step is on disk before it is told, and follows from the state alone: a node that crashed at any point takes up where it was. What is told
 * spreads at once to whoever is up, and by gossip to the rest.
 */
import { HutchError, messageOf } from "../base/errors.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import type { Progress } from "../ring/layout-trackers.ts";
import type { LayoutState } from "../ring/layout-state.ts";
import { type CopiesChange, type Layout, layoutHash } from "../ring/layout.ts";
import type { LayoutChange } from "../ring/staged-changes.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { Handover } from "./handover.ts";
import type { ChangeProgress, LayoutControl } from "./layout-control.ts";
import { LayoutSpread } from "./layout-spread.ts";
import { saveLayouts } from "./layout-store.ts";
import { LayoutVotes, type Proposal } from "./layout-vote.ts";
import type { Peers } from "./peer-messages.ts";
import type { ReplicaStore } from "./replica-store.ts";

/** How often it looks whether there is a step to take; every news is a reason to look as well. */
const LOOK_EVERY_MS = 500;
/** How often one of those that seem to be down is asked whether that is so. */
const ASK_EVERY_MS = 2000;
/** From when a node is leaving to when it may be gone: two looks of a load balancer. */
const LINGER_MS = 2000;
/** After a step that failed. */
const AGAIN_MS = 1000;

export interface LayoutManagerOptions {
  readonly self: NodeId;
  /** Copies wanted per partition. */
  readonly n: number;
  readonly state: LayoutState;
  readonly store: ReplicaStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly peers: Peers;
  readonly handover: Handover;
  view(): ClusterView;
  /** A stamp for a change that somebody stages here. */
  tick(): number;
  /** Swaps the view and tells the others by gossip. */
  setLayouts(state: LayoutState): void;
  /** Settles when no write is under way that began before the call. */
  olderWritesEnded(): Promise<void>;
  /** What buckets there are, as somebody else knows them; rejects where nobody says. */
  learnBuckets(): Promise<void>;
  /** All nodes go by it: the bucket has so many copies since that version. Settles when it is on disk. */
  adoptCopies(bucket: string, n: number, since: number): Promise<void>;
  /** What `node` knows of layouts. */
  learnLayouts(body: Uint8Array, node: NodeId): Promise<void>;
  /** This node is of the cluster no more, and must not come back with its data. */
  onGone(): void;
}

export class LayoutManager implements LayoutControl {
  readonly n: number;
  readonly votes: LayoutVotes;
  private readonly options: LayoutManagerOptions;
  private readonly spreading: LayoutSpread;
  private current: LayoutState;
  /** What the disk has. */
  private saved: LayoutState;
  private saving: Promise<void> = Promise.resolve();
  /** The version for which foreign partitions have been dropped. */
  private droppedFor = 0;
  private leavingSinceMs = Infinity;
  private isStepping = false;
  private isGone = false;
  /** Somebody else knows that this node is of the cluster no more. */
  private isKnownGone = false;
  private isStopped = false;
  private timer: Timer | undefined;
  private asking: Timer | undefined;

  constructor(options: LayoutManagerOptions) {
    this.options = options;
    this.n = options.n;
    this.current = options.state;
    this.saved = options.state;
    this.spreading = new LayoutSpread(options, () => this.current);
    this.votes = new LayoutVotes(options, () => this.current);
  }

  state(): LayoutState {
    return this.current;
  }

  start(): void {
    this.look(0);
    this.askLater();
    this.votes.start();
  }

  private askLater(): void {
    this.asking = this.options.clock.after(ASK_EVERY_MS, () => {
      void this.spreading.askOneDown();
      this.askLater();
    });
  }

  stop(): void {
    this.isStopped = true;
    this.timer?.cancel();
    this.asking?.cancel();
    this.options.handover.stop();
  }

  /** Another node's state joins ours; settles when the result is on disk. */
  async merge(theirs: LayoutState): Promise<void> {
    // Whoever says so knows it.
    if (theirs.removed.has(this.options.self)) this.isKnownGone = true;
    const next = this.current.merge(theirs);
    if (next.hash === this.current.hash) return;
    for (const version of next.conflicts.keys())
      this.options.logger.error("layout_conflict", { version });
    await this.become(next);
  }

  async stage(changes: readonly LayoutChange[]): Promise<void> {
    const stamp = { hlc: this.options.tick(), node: this.options.self };
    await this.become(this.current.stage(changes, stamp));
    void this.spreading.tell();
  }

  async apply(version: number, options: { readonly isForced?: boolean } = {}): Promise<Layout> {
    const next = this.current.next(this.n);
    if (version !== next.version)
      throw new HutchError(
        "layout-conflict",
        `Cannot apply layout version ${version}: the next one is ${next.version}; want the staged changes looked at again`,
        { retry: "safe", data: { version: next.version } },
      );
    const proposal = { layout: next, lost: this.current.lost };
    return this.adopt(proposal, options.isForced === true);
  }

  async revert(): Promise<void> {
    const { current } = this;
    // Two contents of one version come only of force, and only force settles them: neither counts, the layout before goes on.
    if (current.conflicts.size > 0)
      return void (await this.adopt({ layout: current.nextAs(current.newest), lost: [] }, true));
    if (current.staged.size > 0) {
      const none = [...current.staged.keys()].map((node) => ({ kind: "none", node }) as const);
      return this.stage(none);
    }
    if (current.layouts.length === 1)
      throw new HutchError(
        "layout-conflict",
        "Cannot revert: nothing is staged, and no change is under way",
      );
    const { copies } = current.newest;
    if (copies !== undefined)
      throw new HutchError(
        "layout-conflict",
        `Cannot revert: bucket "${copies.bucket}" is on its way from ${copies.before} to ${copies.n} copies; want that finished, and n changed back`,
      );
    await this.adopt({ layout: current.nextAs(current.readLayout), lost: [] }, false);
  }

  /**
   * A bucket gets another number of copies, with a version that changes nothing else (row 107). Rejects with `layout-conflict` while anything is staged or
   * under way, and where a majority of the members does not agree.
   */
  async changeCopies(change: CopiesChange): Promise<void> {
    const { current } = this;
    const { layouts, newest, staged, conflicts } = current;
    if (layouts.length > 1 || staged.size > 0 || conflicts.size > 0)
      throw new HutchError(
        "layout-conflict",
        `Cannot change n of bucket "${change.bucket}": another change of n or of the ring is staged or under way; want that finished first`,
        { retry: "safe", data: { version: newest.version } },
      );
    await this.adopt({ layout: current.nextAs(newest, change), lost: [] }, false);
  }

  /** By vote, because two contents of one version would be two rings. */
  private async adopt(wanted: Proposal, isForced: boolean): Promise<Layout> {
    const { layout, lost } = await this.elected(wanted, isForced);
    await this.become(this.current.withLayout(layout, lost));
    this.options.logger.info("layout_applied", { version: layout.version });
    await this.spreading.tell();
    if (layoutHash(layout) === layoutHash(wanted.layout)) return layout;
    throw new HutchError(
      "layout-conflict",
      `Cannot apply the layout: another change came first, as version ${layout.version}; want the change staged again on top of it`,
      { retry: "safe", data: { version: layout.version } },
    );
  }

  /** Force overrules only a majority that cannot be had: where there is one, two forced changes at once are still one after the other. */
  private async elected(wanted: Proposal, isForced: boolean): Promise<Proposal> {
    try {
      return await this.votes.elect(wanted);
    } catch (thrown) {
      if (!isForced) throw thrown;
      this.options.logger.warn("layout_forced", { version: wanted.layout.version });
      return wanted;
    }
  }

  progress(): ChangeProgress | undefined {
    const { layouts, newest, readLayout, trackers } = this.current;
    if (layouts.length === 1) return undefined;
    const { version } = newest;
    const nodes = [...trackers.nodes];
    const count = (isThere: (progress: Progress) => boolean): number =>
      nodes.filter((node) => isThere(trackers.of(node))).length;
    const view = this.options.view();
    const { done, total, bytesSent } = this.options.handover;
    return {
      version,
      readVersion: readLayout.version,
      nodes: nodes.length,
      acknowledged: count(({ ack }) => ack >= version),
      synced: count(({ sync }) => sync >= version),
      transfersDone: done,
      transfersTotal: total,
      bytesSent,
      waitingFor: nodes.filter((node) => !view.isUp(node) && trackers.of(node).syncAck < version),
    };
  }

  /** In use at once; settles when it is on disk. */
  private async become(next: LayoutState): Promise<void> {
    if (next.hash === this.current.hash) return;
    this.current = next;
    this.options.setLayouts(next);
    this.look(0);
    await this.save();
  }

  private save(): Promise<void> {
    const turn = this.saving.then(async () => {
      const state = this.current;
      if (state === this.saved) return;
      await saveLayouts(this.options.store, state);
      this.saved = state;
    });
    this.saving = turn.catch(() => undefined);
    return turn;
  }

  private look(afterMs: number): void {
    this.timer?.cancel();
    if (this.isStopped) return;
    this.timer = this.options.clock.after(afterMs, () => void this.step());
  }

  /** Takes the steps that are due, one after the other; there is one walk at a time. */
  private async step(): Promise<void> {
    if (this.isStepping || this.isStopped) return;
    this.isStepping = true;
    let pauseMs = LOOK_EVERY_MS;
    try {
      await this.save();
      while (!this.isStopped && (await this.stepOnce()));
    } catch (thrown) {
      pauseMs = AGAIN_MS;
      this.options.logger.warn("layout_step_failed", { reason: messageOf(thrown) });
    }
    this.isStepping = false;
    this.look(pauseMs);
  }

  /** False where there is nothing to do now. */
  private async stepOnce(): Promise<boolean> {
    const { self } = this.options;
    const { current } = this;
    if (current.removed.has(self)) return this.gone();
    const retired = current.retired();
    if (retired.hash !== current.hash) return this.reach(retired);
    if (current.layouts.length === 1) await this.dropForeign();
    if (!current.trackers.nodes.has(self)) return false;
    const { version } = current.newest;
    const { ack, sync, syncAck } = current.trackers.of(self);
    if (ack < version) return this.acknowledge(version, ack);
    if (sync < version && current.trackers.ackedByAll() >= version) return this.handOver(version);
    const known = current.trackers.syncedByAll();
    if (known <= syncAck || this.isLingering()) return false;
    await this.adoptCopies(known);
    return this.reach(current.report(self, { syncAck: known }));
  }

  /** A node on its way out is not ready any more, and gives its clients the time to notice: with its last word it is gone. */
  private isLingering(): boolean {
    const { clock, view } = this.options;
    if (!view().isLeaving) {
      this.leavingSinceMs = Infinity;
      return false;
    }
    this.leavingSinceMs = Math.min(this.leavingSinceMs, clock.monoMs());
    return clock.monoMs() < this.leavingSinceMs + LINGER_MS;
  }

  /** What versions say of buckets is to outlast them: a version retires only when all nodes have it written down. */
  private async adoptCopies(version: number): Promise<void> {
    for (const { copies, version: since } of this.current.layouts)
      if (copies !== undefined && since <= version)
        await this.options.adoptCopies(copies.bucket, copies.n, since);
  }

  private async reach(next: LayoutState): Promise<boolean> {
    await this.become(this.current.merge(next));
    void this.spreading.tell();
    return true;
  }

  /** Once for each layout, and at the start. */
  private async dropForeign(): Promise<void> {
    const { version } = this.current.newest;
    if (this.droppedFor === version) return;
    await this.options.handover.dropForeign();
    this.droppedFor = version;
  }

  private async acknowledge(version: number, before: number): Promise<boolean> {
    await this.options.handover.dropLeftOver(before);
    // Who has just come knows of none yet; in a cluster that begins there are none.
    if (this.current.layouts.length > 1) await this.options.learnBuckets();
    await this.options.olderWritesEnded();
    if (this.current.newest.version !== version) return true;
    return this.reach(this.current.report(this.options.self, { ack: version }));
  }

  /** False where it has to be tried again later. */
  private async handOver(version: number): Promise<boolean> {
    const { handover, self } = this.options;
    if (!(await handover.run(version, () => this.current.newest.version === version))) return false;
    if (this.current.newest.version !== version) return true;
    return this.reach(this.current.report(self, { sync: version }));
  }

  /** Somebody else has to know what we know before nobody can ask us any more. */
  private async gone(): Promise<boolean> {
    if (this.isGone) return false;
    await this.save();
    // The others may ignore it already, and it takes them for down.
    const isKnown =
      this.isKnownGone || (await this.spreading.tell()) || (await this.spreading.askOneDown());
    if (!isKnown) return false;
    this.isGone = true;
    this.options.logger.warn("gone_from_the_cluster", { version: this.current.newest.version });
    this.options.onGone();
    return false;
  }
}
