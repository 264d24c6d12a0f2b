/**
 * Hinted handoff (Dynamo, section 4.6): when a node is back it gets the writes that others kept for it.
 *
 *   down   -> hints are stored for it (`hint-store.ts`); keys that it had left unacknowledged become hints too
 *   up     -> after `replayDelayMs`, give or take 20 %, a `HintReplay` delivers until nothing is left; at once where the target waits for little
 *   gone   -> no longer in the layout: its hints go to the owners of their keys (R28)
 *
 * What is held is known from the start, without a request coming by (R29); a look each second finds whatever has changed.
 *
 * A returning node asks every other one whether it holds hints for it, and serves when nobody does. A hint that is still on its way then,
 * sent in the belief that its last life is down, would be missed. So the answer is also a promise: from then on such a hint is not
 * admitted, and its sender, who gets no acknowledgement, learns that the node is alive (D4).
 */
import { messageOf } from "../base/errors.ts";
import { type NodeId, generationOf } from "../gossip/member.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import type { ClusterView } from "./cluster-view.ts";
import { WriteBatch } from "../storage/store.ts";
import { DirtyKeys } from "./hint-dirty-keys.ts";
import { Slots } from "./hint-pace.ts";
import {
  type HandoffCounters,
  HintReplay,
  type ReplayContext,
  currentRecord,
  jittered,
} from "./hint-replay.ts";
import type { HintStore } from "./hint-store.ts";
import type { HintsHeldReply, MergeMessage, PeerReply, Peers } from "./peer-messages.ts";
import type { ReplicaStore } from "./replica-store.ts";

export type { HandoffCounters } from "./hint-replay.ts";

/** Hints under way from this node (R30). */
const IN_FLIGHT_MAX = 128;
const BYTES_PER_SECOND = 1024 * 1024;
const CALL_TIMEOUT_MS = 10_000;
const LOOK_MS = 1000;
/** A target that waits for no more than this gets it at once: it is what one target may be sent in a second. */
const HURRIED_BYTES_MAX = BYTES_PER_SECOND;
const CHUNK_KEYS = 128;

export interface HandoffOptions {
  readonly hints: HintStore;
  readonly store: Pick<ReplicaStore, "get">;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** How long a target is up before it is sent anything. */
  readonly replayDelayMs: number;
  /** To one target, from all nodes together. */
  readonly bytesPerSecond?: number;
  view(): ClusterView;
  /** Owners of a key, as many as its bucket wants. */
  ownersOf(internalKey: Uint8Array): readonly NodeId[];
  /** A merge into this node's own replica, answered as a peer would. */
  mergeHere(message: MergeMessage): Promise<PeerReply>;
}

/** A target that may be sent to. */
interface Appearance {
  readonly generation: number;
  readonly dueMs: number;
  readonly timer: Timer;
  replay: HintReplay | undefined;
}

export class HintedHandoff {
  readonly counters: HandoffCounters = {
    delivered: 0,
    rerouted: 0,
    failed: 0,
    unacknowledged: 0,
    resent: 0,
    forgotten: 0,
  };
  private readonly options: HandoffOptions;
  private readonly hints: HintStore;
  private readonly dirty = new DirtyKeys();
  private readonly context: ReplayContext;
  private readonly appearances = new Map<NodeId, Appearance>();
  /** Incarnations that said themselves that they are alive; one entry for each node of the cluster. */
  private readonly alive = new Map<NodeId, number>();
  /** Targets with a sweep or a conversion under way. */
  private readonly housekeeping = new Set<NodeId>();
  private look: Timer | undefined;
  private isStopped = false;

  constructor(options: HandoffOptions) {
    this.options = options;
    this.hints = options.hints;
    this.context = {
      ...options,
      bytesPerSecond: options.bytesPerSecond ?? BYTES_PER_SECOND,
      dirty: this.dirty,
      counters: this.counters,
      slots: new Slots(IN_FLIGHT_MAX),
      view: () => options.view(),
      ownersOf: (internalKey) => options.ownersOf(internalKey),
      call: (node, message) => this.call(node, message),
    };
    this.lookAgain();
  }

  private call(node: NodeId, message: MergeMessage): Promise<PeerReply> {
    if (node === this.options.view().self) return this.options.mergeHere(message);
    return this.options.peers.call(node, message, CALL_TIMEOUT_MS, "repair");
  }

  /** Harmless when nothing has. */
  viewChanged(): void {
    if (this.isStopped) return;
    for (const target of new Set([...this.hints.targets(), ...this.dirty.targets()]))
      this.consider(target);
  }

  stop(): void {
    this.isStopped = true;
    this.look?.cancel();
    for (const target of [...this.appearances.keys()]) this.disappear(target);
  }

  /** `from` is alive in this incarnation and asks what it has missed. */
  answerHeld(from: NodeId, incarnation: number, lastGeneration = 0): HintsHeldReply {
    if (incarnation > (this.alive.get(from) ?? -1)) this.alive.set(from, incarnation);
    const { count, bytes } = this.hints.heldFor(from);
    if (!this.isStopped && this.isUp(from)) this.appear(from, bytes <= HURRIED_BYTES_MAX);
    return {
      kind: "hints-held",
      count,
      isIncomplete: this.hints.isIncomplete(from),
      lastGeneration,
    };
  }

  /** May a hint be taken from somebody whose last news of `target` is `targetIncarnation`? */
  admits(target: NodeId, targetIncarnation: number): boolean {
    if ((this.alive.get(target) ?? -1) > targetIncarnation) return false;
    const view = this.options.view();
    return !view.isUp(target) || view.incarnationOf(target) <= targetIncarnation;
  }

  /** `target` is up and did not acknowledge this key: no hint, another attempt (R25). */
  noteUnacknowledged(target: NodeId, internalKey: Uint8Array): void {
    if (this.isStopped) return;
    this.counters.unacknowledged++;
    if (this.dirty.note(target, internalKey)) return;
    this.counters.forgotten++;
    this.hints.markIncomplete(target, "unacknowledged");
  }

  private lookAgain(): void {
    this.look = this.options.clock.after(LOOK_MS, () => {
      this.viewChanged();
      for (const target of this.hints.targets())
        if (this.hints.isSweepDue(target)) this.keepHouse(target, () => this.hints.sweep(target));
      this.lookAgain();
    });
  }

  private consider(target: NodeId): void {
    if (this.isUp(target)) return this.appear(target);
    if (this.isGone(target)) {
      this.dirty.forget(target);
      return this.appear(target);
    }
    this.disappear(target);
    if (this.dirty.countOf(target) > 0) this.keepHouse(target, () => this.hintDirty(target));
  }

  private isUp(target: NodeId): boolean {
    const view = this.options.view();
    return view.isUp(target) || (this.alive.get(target) ?? -1) > view.incarnationOf(target);
  }

  private isGone(target: NodeId): boolean {
    return !this.options.view().layout.members.some(({ id }) => id === target);
  }

  /** @param isAwaited the target serves nobody until it has its hints, and they are few: nothing is gained by letting it settle first */
  private appear(target: NodeId, isAwaited = false): void {
    const known = this.appearanceOf(target);
    if (known.replay !== undefined) return;
    if (!isAwaited && this.options.clock.monoMs() < known.dueMs) return;
    if (this.hints.heldFor(target).count === 0 && this.dirty.countOf(target) === 0) return;
    known.replay = new HintReplay(this.context, target, () => (known.replay = undefined));
  }

  /** A new life of the target is a new appearance: it does not wait for the failures of the one before. */
  private appearanceOf(target: NodeId): Appearance {
    const incarnation = this.options.view().incarnationOf(target);
    const generation = generationOf(Math.max(this.alive.get(target) ?? 0, incarnation));
    const known = this.appearances.get(target);
    if (known !== undefined && known.generation >= generation) return known;
    this.disappear(target);
    const { clock, random, replayDelayMs } = this.options;
    const delayMs = jittered(replayDelayMs, random);
    const dueMs = clock.monoMs() + delayMs;
    const timer = clock.after(delayMs, () => this.viewChanged());
    const appearance: Appearance = { generation, dueMs, timer, replay: undefined };
    this.appearances.set(target, appearance);
    return appearance;
  }

  private disappear(target: NodeId): void {
    const known = this.appearances.get(target);
    known?.timer.cancel();
    known?.replay?.stop();
    this.appearances.delete(target);
  }

  /** The target went down: now what it left unacknowledged is kept like everything else for it. */
  private async hintDirty(target: NodeId): Promise<void> {
    for (;;) {
      const keys = this.dirty.first(target, CHUNK_KEYS);
      if (keys.length === 0 || this.isStopped || this.isUp(target)) return;
      const adding = keys.map(async (dirty) => {
        const record = currentRecord(this.options, target, dirty);
        const batch = new WriteBatch();
        if (record !== undefined)
          this.hints.addTo(batch, target, dirty.internalKey, record, undefined);
        // Empty where the hint was refused: then the target is marked instead.
        if (batch.count > 0) await this.hints.apply(batch);
        this.dirty.settle(target, dirty);
      });
      await Promise.all(adding);
    }
  }

  /** One at a time for each target; what fails is tried again at the next look. */
  private keepHouse(target: NodeId, work: () => Promise<void>): void {
    if (this.isStopped || this.housekeeping.has(target)) return;
    this.housekeeping.add(target);
    work()
      .catch((thrown: unknown) => {
        if (this.isStopped) return;
        this.options.logger.warn("hints_not_kept_up", { target, reason: messageOf(thrown) });
      })
      .finally(() => this.housekeeping.delete(target));
  }
}
