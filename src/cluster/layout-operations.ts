/**
 * Changes of the ring as operators make them (R57): staged, shown with what they would move, applied as the next version, followed to their end.
 *
 *   in one step (leave, remove, replace)    check -> stage -> apply; refused where others have something staged, which would go along unseen
 *   in several                              stage .. stage -> show -> apply {version} or revert
 *
 * Applying settles when the nodes have agreed; the job that it leaves behind ends when all have followed, or when the change was taken back. The
 * layout itself, and who does what for it, is `LayoutControl`'s.
 */
import type { RestCode } from "../base/errors.ts";
import { HutchError } from "../base/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Layout } from "../ring/layout.ts";
import type { LayoutState } from "../ring/layout-state.ts";
import { changedNode } from "../ring/staged-changes.ts";
import type { AdminJobs, ChangeKind, JobRecord, OnProgress } from "./admin-jobs.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { ChangeProgress, LayoutChange, LayoutControl } from "./layout-control.ts";
import type { CopyBytes } from "./layout-plan.ts";
import { previewOf } from "./layout-plan.ts";
import { describeLayout } from "./layout-report.ts";
import type { ChangeRequest, Objection } from "./layout-requests.ts";
import { changeOf, objectionsTo } from "./layout-requests.ts";

const FOLLOWED_NO_MORE =
  "Cannot follow the change any more: the node stops; the change goes on without it";
/** How often a job looks how far its change is. */
const FOLLOW_INTERVAL_MS = 200;

export interface LayoutOperationsParts {
  /** Left out in a cluster of one, whose ring cannot change. */
  readonly control?: LayoutControl;
  /** There with `control`. */
  readonly clock?: Clock;
  readonly jobs: AdminJobs;
  view(): ClusterView;
  copyBytes(): Promise<CopyBytes>;
}

export interface ChangeOptions {
  readonly isForced: boolean;
}

export interface NodeChangeRequest {
  readonly id: string;
  readonly action: "leave" | "remove" | "replace";
  readonly with?: string | undefined;
}

export type LayoutDescription = ReturnType<typeof describeLayout>;

/** What would be applied. */
interface Plan {
  readonly next: Layout;
  readonly objections: readonly Objection[];
}

export class LayoutOperations {
  readonly #parts: LayoutOperationsParts;
  #isClosed = false;

  constructor(parts: LayoutOperationsParts) {
    this.#parts = parts;
  }

  /** Jobs end; what they followed goes on. */
  close(): void {
    this.#isClosed = true;
  }

  show(): Promise<LayoutDescription> {
    return this.#describe(this.#state());
  }

  /** The layout as it would be shown with `requests` staged too; nothing is staged. */
  async preview(requests: readonly ChangeRequest[]): Promise<LayoutDescription> {
    return this.#describe(this.#stateWith(this.#changesOf(requests, "bad-request")));
  }

  async stage(requests: readonly ChangeRequest[]): Promise<LayoutDescription> {
    const control = this.#control();
    const changes = this.#changesOf(requests, "bad-request");
    // What would be no layout at all is refused before anybody sees it.
    this.#plan(this.#stateWith(changes));
    await control.stage(changes);
    return this.show();
  }

  async apply(version: number, { isForced }: ChangeOptions): Promise<JobRecord> {
    this.#control();
    const plan = this.#plan(this.#state());
    if (plan === undefined) throw conflict(`to version ${version}`, "nothing is staged");
    if (plan.next.version !== version)
      throw conflict(`to version ${version}`, `the next one is version ${plan.next.version}`);
    return this.#apply("layout", plan, isForced);
  }

  async revert(): Promise<LayoutDescription> {
    await this.#control().revert();
    return this.show();
  }

  /** Stages one change and applies it; where that fails nothing stays staged. */
  async changeNode(request: NodeChangeRequest, { isForced }: ChangeOptions): Promise<JobRecord> {
    const control = this.#control();
    const wanted = this.#changesOf([request], "no-such-route");
    this.#expectNothingElse(wanted, request.id);
    const changes = [...this.#joinsPutOff(wanted), ...wanted];
    const plan = this.#plan(this.#stateWith(changes))!; // a change is staged there
    refuse(plan.objections, isForced);
    await control.stage(changes);
    try {
      return await this.#apply(request.action, plan, isForced);
    } catch (error) {
      const taken = wanted.map((change) => ({ kind: "none", node: changedNode(change) }) as const);
      // The first error says why; what stays staged is seen and can be reverted.
      await control.stage(taken).catch(() => undefined);
      throw error;
    }
  }

  /** Joins may wait for a change that waits for the very node that is to go. Nodes that join ask again until they are in. */
  #joinsPutOff(changes: readonly LayoutChange[]): LayoutChange[] {
    const own = new Set(changes.map(changedNode));
    const joins = [...this.#state().staged].filter(([node]) => !own.has(node));
    return joins.map(([node]) => ({ kind: "none", node }));
  }

  #expectNothingElse(changes: readonly LayoutChange[], name: string): void {
    const own = new Set(changes.map(changedNode));
    const staged = [...this.#state().staged];
    const others = staged.flatMap(([node, { kind }]) =>
      own.has(node) || kind === "join" ? [] : [node],
    );
    if (others.length === 0) return;
    const names = others.map((node) => this.#parts.view().nameOf(node)).join(", ");
    throw conflict(
      `for node "${name}"`,
      `something is staged for ${names} and would go along; apply or revert that first`,
    );
  }

  async #apply(kind: ChangeKind, { next, objections }: Plan, isForced: boolean) {
    refuse(objections, isForced);
    const before = this.#state().newest;
    const applied = await this.#control().apply(next.version, { isForced });
    return this.#parts.jobs.start(kind, (onProgress) => this.#follow(applied, before, onProgress));
  }

  /** Until all nodes have followed; rejects where a later version is again what was before. */
  async #follow(applied: Layout, before: Layout, onProgress: OnProgress): Promise<string> {
    const { control, clock } = this.#parts;
    for (;;) {
      const progress = control?.progress();
      if (progress === undefined || clock === undefined) break;
      if (this.#isClosed) throw new HutchError("shutting-down", FOLLOWED_NO_MORE);
      onProgress(shareOf(progress), this.#wordsFor(progress));
      await clock.sleep(FOLLOW_INTERVAL_MS);
    }
    const { layout } = this.#parts.view();
    if (layout.version > applied.version && isSameAssignment(layout, before))
      throw conflict(`to version ${applied.version}`, `version ${layout.version} took it back`);
    return `all nodes have followed to version ${layout.version}`;
  }

  #wordsFor(progress: ChangeProgress): string {
    const { version, nodes, acknowledged, synced, transfersDone, transfersTotal } = progress;
    const waiting = progress.waitingFor.map((node) => this.#parts.view().nameOf(node));
    const held = waiting.length === 0 ? "" : `; waiting for ${waiting.join(", ")}`;
    return `version ${version}: ${acknowledged} of ${nodes} nodes have acknowledged, ${synced} have handed over, this one ${transfersDone} of ${transfersTotal} copies${held}`;
  }

  #control(): LayoutControl {
    const { control } = this.#parts;
    if (control !== undefined) return control;
    throw conflict("", "the node is a cluster of one; start others with --seeds");
  }

  #state(): LayoutState {
    return this.#parts.control?.state() ?? this.#parts.view().state;
  }

  /** As it would be with `changes` staged, whatever was staged before. */
  #stateWith(changes: readonly LayoutChange[]): LayoutState {
    const { self } = this.#parts.view();
    return this.#control().state().stage(changes, { hlc: Number.MAX_SAFE_INTEGER, node: self });
  }

  #changesOf(requests: readonly ChangeRequest[], unknown: RestCode): LayoutChange[] {
    const context = { view: this.#parts.view(), staged: this.#state().staged, unknown };
    return requests.map((request) => changeOf(request, context));
  }

  /** What `apply` would make of it; `undefined` where nothing is staged. */
  #plan(state: LayoutState): Plan | undefined {
    const { control, view } = this.#parts;
    if (control === undefined || state.staged.size === 0) return undefined;
    const changes = [...state.staged.values()];
    const next = state.next(control.n);
    const moved = { current: state.newest, next, n: control.n };
    return { next, objections: objectionsTo(changes, moved, view()) };
  }

  async #describe(state: LayoutState): Promise<LayoutDescription> {
    const { control, view, copyBytes } = this.#parts;
    const plan = state.conflicts.size > 0 ? undefined : this.#plan(state);
    const { objections } = plan ?? {};
    const moved = plan && previewOf(state.newest, plan.next, await copyBytes());
    return describeLayout({
      view: view(),
      state,
      progress: control?.progress(),
      preview: moved && objections && { ...moved, objections },
    });
  }
}

/** Acknowledging is quick, handing over is the work: a node's own part is known to the copy, the others' by the node. */
function shareOf(progress: ChangeProgress): number {
  const { nodes, acknowledged, synced, transfersDone, transfersTotal } = progress;
  const own = transfersTotal === 0 ? synced / nodes : transfersDone / transfersTotal;
  return ACK_PART * (acknowledged / nodes) + (1 - ACK_PART) * ((own + synced / nodes) / 2);
}

const ACK_PART = 0.1;

function isSameAssignment(a: Layout, b: Layout): boolean {
  const ids = ({ members }: Layout): string => members.map(({ id }) => id).join();
  return ids(a) === ids(b) && a.owners.every((owner, at) => owner === b.owners[at]);
}

function refuse([first]: readonly Objection[], isForced: boolean): void {
  if (first !== undefined && !isForced) throw new HutchError(first.code, first.detail);
}

/** @param what "" or what the layout was to be changed to or for */
function conflict(what: string, why: string): HutchError {
  const change = what === "" ? "the layout" : `the layout ${what}`;
  return new HutchError("layout-conflict", `Cannot change ${change}: ${why}`);
}
