/**
 * When a node may speak with authority again (D4): after every start, after the others had given it up, after a pause or a time alone on its side of a
 * partition it may have missed writes that are kept for it as hints. It is `syncing` then, and the others count neither its absences nor its replies.
 *
 *   ask every other node: do you hold hints for me?
 *     none                       done with this one
 *     some                       they are on their way; ask again
 *     some were dropped          fetch all that the other owners have of our partitions (`anti-entropy.ts`), then done
 *     nobody there               not up, so nothing to wait for; once it is there, its hints come by themselves
 *   all done                     `serving`
 *
 * Whole-cluster restarts and clusters of one pass at once: nobody holds anything.
 */
import { messageOf } from "../base/errors.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { HintsHeldReply, Peers } from "./peer-messages.ts";

const ASK_TIMEOUT_MS = 1000;
/** Between the first two rounds of questions; each further pause is twice as long, up to `intervalMs`. */
const FIRST_PAUSE_MS = 25;

export interface SyncingOptions {
  readonly peers: Peers;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Longest pause between two rounds of questions. */
  readonly intervalMs: number;
  view(): ClusterView;
  /** This node's present one, as gossip tells it. */
  incarnation(): number;
  /** Tells the others. */
  setPhase(phase: "syncing" | "serving"): void;
  /** Fetches what this node's partitions may lack from their other owners; false where that has to be tried again. */
  pull(hasForgotten: boolean): Promise<boolean>;
  /** Of the last start before this one, as our own disk knows it. */
  readonly previousGeneration: number;
  /** Others have seen a life of this node that its disk knows nothing of (row 93): what it minted then is forgotten. */
  onRolledBack(): void;
}

export class Syncing {
  private readonly options: SyncingOptions;
  /** `undefined` while serving. */
  private session: SyncSession | undefined;
  private wasAlone = false;
  /** It has, and has not served since. */
  private hasForgotten = false;
  /** The last life of this node of which its disk has everything: those that others told of are repaired when it serves. */
  private knownGeneration: number;
  /** Called when it serves, each time. */
  onServing: () => void = () => undefined;
  private isStopped = false;

  constructor(options: SyncingOptions) {
    this.options = options;
    this.knownGeneration = options.previousGeneration;
  }

  get isSyncing(): boolean {
    return this.session !== undefined;
  }

  /**
   * From now on this node may have missed something. Begins anew where it is syncing already.
   *
   * @param hasForgotten what it has is not all that it had: whatever the others hold for it, it serves only after it has fetched what it lacks
   */
  enter(reason: string, hasForgotten = false): void {
    if (this.isStopped) return;
    this.hasForgotten ||= hasForgotten;
    this.options.logger.info("syncing", { reason });
    this.session?.stop();
    this.options.setPhase("syncing");
    const { knownGeneration } = this;
    const known = { hasForgotten: this.hasForgotten, knownGeneration };
    const session = new SyncSession({ ...this.options, ...known }, () => {
      if (this.session === session) this.leave(session.lastGeneration);
    });
    this.session = session;
    session.start();
  }

  private leave(lastGeneration: number): void {
    this.session = undefined;
    this.hasForgotten = false;
    this.knownGeneration = Math.max(this.knownGeneration, lastGeneration);
    this.options.logger.info("serving");
    this.options.setPhase("serving");
    this.onServing();
  }

  /** Who has seen fewer than half of the nodes was on the small side; when the others are back they may have gone on without us. */
  viewChanged(view: ClusterView): void {
    const members = [...view.planned.keys()];
    const upCount = members.filter((id) => view.isUp(id)).length;
    const isAlone = upCount * 2 <= members.length && members.length > 1;
    const isBack = this.wasAlone && !isAlone;
    // Before `enter`, which changes the view and comes back here.
    this.wasAlone = isAlone;
    if (isBack && !this.isSyncing) this.enter("was_alone");
  }

  stop(): void {
    this.isStopped = true;
    this.session?.stop();
  }
}

interface SessionOptions extends SyncingOptions {
  readonly hasForgotten: boolean;
  /** Later ones are of a life that this disk does not know. */
  readonly knownGeneration: number;
}

/** One time of catching up. */
class SyncSession {
  /** The last of our generations that others have told of. */
  lastGeneration = 0;
  private readonly options: SessionOptions;
  private readonly onDone: () => void;
  private readonly done = new Set<NodeId>();
  private mustPull: boolean;
  private hasForgotten: boolean;
  private isStopped = false;
  private timer: Timer | undefined;
  private pauseMs = FIRST_PAUSE_MS;

  constructor(options: SessionOptions, onDone: () => void) {
    this.options = options;
    this.mustPull = options.hasForgotten;
    this.hasForgotten = options.hasForgotten;
    this.onDone = onDone;
  }

  start(): void {
    this.timer = this.options.clock.after(0, () => void this.round());
  }

  stop(): void {
    this.isStopped = true;
    this.timer?.cancel();
  }

  private async round(): Promise<void> {
    const view = this.options.view();
    const others = [...view.planned.keys()].filter((id) => id !== view.self);
    const open = others.filter((id) => !this.done.has(id));
    const outcomes = await Promise.all(open.map((id) => this.ask(id)));
    if (this.isStopped) return;
    if (outcomes.every((isDone) => isDone) && (await this.pullIfNeeded())) {
      if (!this.isStopped) this.onDone();
      return;
    }
    if (this.isStopped) return;
    this.timer = this.options.clock.after(this.pauseMs, () => void this.round());
    this.pauseMs = Math.min(this.options.intervalMs, this.pauseMs * 2);
  }

  /** True where there is nothing to wait for from this node. */
  private async ask(node: NodeId): Promise<boolean> {
    const { peers, incarnation } = this.options;
    const message = { kind: "hints-held", incarnation: incarnation(), isRepaired: false } as const;
    try {
      const reply = await peers.call(node, message, ASK_TIMEOUT_MS, "replica");
      return reply.kind === "hints-held" && this.heard(node, reply);
    } catch {
      // No answer: either nobody is there, or the next round finds it.
      return !this.options.view().isUp(node) || peers.isConnectionRefused(node);
    }
  }

  private heard(node: NodeId, { count, isIncomplete, lastGeneration }: HintsHeldReply): boolean {
    this.lastGeneration = Math.max(this.lastGeneration, lastGeneration);
    if (lastGeneration > this.options.knownGeneration) this.rolledBack(node, lastGeneration);
    if (isIncomplete) this.mustPull = true;
    if (count === 0) this.done.add(node);
    return count === 0;
  }

  private rolledBack(node: NodeId, lastGeneration: number): void {
    if (this.hasForgotten) return;
    this.mustPull = true;
    this.hasForgotten = true;
    this.options.logger.error("rolled_back", { toldBy: node, generation: lastGeneration });
    this.options.onRolledBack();
  }

  private async pullIfNeeded(): Promise<boolean> {
    if (!this.mustPull) return true;
    const { logger, pull } = this.options;
    try {
      if (!(await pull(this.hasForgotten))) return false;
      await this.tellRepaired();
      return true;
    } catch (thrown) {
      logger.warn("pull_failed", { reason: messageOf(thrown) });
      return false;
    }
  }

  /** Those that had to drop hints for us need not tell us again. */
  private async tellRepaired(): Promise<void> {
    const { peers, incarnation } = this.options;
    const message = { kind: "hints-held", incarnation: incarnation(), isRepaired: true } as const;
    const told = [...this.done].map((node) => peers.call(node, message, ASK_TIMEOUT_MS, "replica"));
    await Promise.allSettled(told);
  }
}
