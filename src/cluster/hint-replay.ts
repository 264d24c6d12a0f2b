/**
 * The delivery to one target: everything that is held for it, then the keys it did not acknowledge.
 *
 *   pass     hints in key order, page by page: send, wait for the acknowledgement, remove
 *            a target that does not answer or has no room ends the pass; a single hint that is refused does not
 *   after    nothing left: the end. Otherwise another pass, after a pause that doubles while passes fail
 *
 * A hint goes to its target as long as that owns the key, else to all owners, and is removed when a majority of those has it (R28). It is
 * removed only when it is acknowledged and still what was sent, so neither a crash nor a concurrent write loses anything; delivering
 * twice is harmless (N3).
 */
import { ByteWriter } from "../base/byte-writer.ts";
import { CorruptionError, type ErrorCode, HutchError, messageOf } from "../base/errors.ts";
import { encodeRecord } from "../causality/record.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { DirtyKey, DirtyKeys } from "./hint-dirty-keys.ts";
import { Pace, type Slots } from "./hint-pace.ts";
import type { StoredHint } from "./hint-page.ts";
import type { HintStore } from "./hint-store.ts";
import { type MergeMessage, PeerError, type PeerReply, type SideEntry } from "./peer-messages.ts";
import type { ReplicaStore } from "./replica-store.ts";

const PAGE_HINTS = 128;
const PAGE_BYTES = 1024 * 1024;
/** Between pages while hints for the target are being written: whoever writes them finds it in trouble (R25). */
const SUSPEND_MS = 1000;
const PAUSE_MS = 100;
const BACKOFF_MS_MAX = 30_000;

export interface HandoffCounters {
  delivered: number;
  /** Given to the owners, because the target is none any more. */
  rerouted: number;
  /** Attempts without an acknowledgement. */
  failed: number;
  /** Keys that a target which was up did not acknowledge. */
  unacknowledged: number;
  /** Of those, sent again with success. */
  resent: number;
  /** Of those, not kept for want of room. */
  forgotten: number;
}

/** What all deliveries of a node share. */
export interface ReplayContext {
  readonly hints: HintStore;
  readonly dirty: DirtyKeys;
  readonly store: Pick<ReplicaStore, "get">;
  readonly slots: Slots;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly counters: HandoffCounters;
  readonly bytesPerSecond: number;
  view(): ClusterView;
  /** Owners of a key, as many as its bucket wants. */
  ownersOf(internalKey: Uint8Array): readonly NodeId[];
  /** The node itself included. */
  call(node: NodeId, message: MergeMessage): Promise<PeerReply>;
}

/** `busy`: nothing more should be sent now. `refused`: this one was not taken. */
type Outcome = "stored" | "busy" | "refused";

export class HintReplay {
  private readonly context: ReplayContext;
  private readonly target: NodeId;
  private readonly ended: () => void;
  private readonly pace = new Pace();
  private timer: Timer | undefined;
  private resume: (() => void) | undefined;
  private failures = 0;
  private isStopped = false;
  /** Within a pass: it was told to stop sending. */
  private isBusy = false;
  private refusedCount = 0;

  /** @param ended called when nothing is left to deliver */
  constructor(context: ReplayContext, target: NodeId, ended: () => void) {
    this.context = context;
    this.target = target;
    this.ended = ended;
    void this.run();
  }

  /** Nothing is sent or removed after this; what is under way may still arrive. */
  stop(): void {
    this.isStopped = true;
    this.timer?.cancel();
    this.resume?.();
  }

  private async run(): Promise<void> {
    while (!this.isStopped) {
      await this.tryPass();
      if (this.isStopped) return;
      if (this.isDone()) return this.ended();
      await this.pause(this.pauseMs());
    }
  }

  private isDone(): boolean {
    const { hints, dirty } = this.context;
    return hints.heldFor(this.target).count === 0 && dirty.countOf(this.target) === 0;
  }

  private pauseMs(): number {
    const longMs = Math.min(BACKOFF_MS_MAX, PAUSE_MS * 2 ** Math.min(this.failures, 20));
    return jittered(longMs, this.context.random);
  }

  private async tryPass(): Promise<void> {
    this.isBusy = false;
    this.refusedCount = 0;
    try {
      await this.sendHints();
      await this.resendDirty();
    } catch (thrown) {
      this.fail(thrown);
    }
    if (this.isBusy || this.refusedCount > 0) this.failures++;
    else this.failures = 0;
  }

  private fail(thrown: unknown): void {
    this.isBusy = true;
    if (this.isStopped) return;
    const { target } = this;
    this.context.logger.warn("handoff_failed", { target, reason: messageOf(thrown) });
  }

  private async sendHints(): Promise<void> {
    const { hints } = this.context;
    let after: Uint8Array | undefined;
    while (this.maySend) {
      const page = hints.page(this.target, after, PAGE_HINTS, PAGE_BYTES);
      if (page.length === 0) return;
      const additions = hints.additionsFor(this.target);
      await this.each(
        page,
        ({ value }) => value.length,
        (stored) => this.deliver(stored),
      );
      after = page.at(-1)!.internalKey;
      if (additions !== hints.additionsFor(this.target)) await this.pause(SUSPEND_MS);
    }
  }

  private get maySend(): boolean {
    return !this.isStopped && !this.isBusy;
  }

  /** Begins with each item in turn, as fast as slots and pace allow; ends when all that began have ended. */
  private async each<T>(
    items: readonly T[],
    bytesOf: (item: T) => number,
    send: (item: T) => Promise<void>,
  ): Promise<void> {
    const { slots, clock } = this.context;
    const bytesPerSecond = this.bytesPerSecond();
    const flights: Promise<void>[] = [];
    for (const item of items) {
      await this.pause(this.pace.spend(bytesOf(item), bytesPerSecond, clock.monoMs()));
      await slots.take();
      if (!this.maySend) {
        slots.giveBack();
        break;
      }
      const flight = send(item).catch((thrown: unknown) => this.fail(thrown));
      flights.push(flight.finally(() => slots.giveBack()));
    }
    await Promise.all(flights);
  }

  /** All that may hold hints for the target send at the same time. */
  private bytesPerSecond(): number {
    const view = this.context.view();
    const senders = [...view.planned.keys()].filter((id) => id !== this.target && view.isUp(id));
    return this.context.bytesPerSecond / Math.max(1, senders.length);
  }

  private async deliver(stored: StoredHint): Promise<void> {
    const { hints, counters } = this.context;
    // The sweep drops it (R27).
    if (hints.isExpired(stored)) return;
    const recipients = this.recipientsOf(stored.internalKey);
    const outcomes = await Promise.all(recipients.map((node) => this.sendHint(node, stored)));
    const storedCount = outcomes.filter((outcome) => outcome === "stored").length;
    if (this.isStopped) return;
    if (storedCount >= Math.floor(recipients.length / 2) + 1) {
      if (recipients.length === 1 && recipients[0] === this.target) counters.delivered++;
      else counters.rerouted++;
      await hints.remove(this.target, stored);
      return;
    }
    counters.failed++;
    if (outcomes.includes("busy") && recipients.includes(this.target)) this.isBusy = true;
    else this.refusedCount++;
  }

  /** The target, or in its stead all owners. A target that is up and in no layout we know is in a later one. */
  private recipientsOf(internalKey: Uint8Array): readonly NodeId[] {
    const { layout } = this.context.view();
    const isMember = layout.members.some(({ id }) => id === this.target);
    if (!isMember && this.context.view().isUp(this.target)) return [this.target];
    const owners = this.context.ownersOf(internalKey);
    return owners.includes(this.target) ? [this.target] : owners;
  }

  private async sendHint(node: NodeId, { internalKey, hint }: StoredHint): Promise<Outcome> {
    const sides = hint.sides.length === 0 ? [undefined] : hint.sides;
    for (const side of sides) {
      const outcome = await this.send(node, internalKey, hint.record, "handoff", side);
      if (outcome !== "stored") return outcome;
    }
    return "stored";
  }

  private async send(
    node: NodeId,
    internalKey: Uint8Array,
    record: Uint8Array,
    purpose: MergeMessage["purpose"],
    side: SideEntry | undefined,
  ): Promise<Outcome> {
    const kind = "merge";
    const message = { kind, internalKey, record, purpose, isConditional: false, side } as const;
    try {
      return outcomeOf(await this.context.call(node, message));
    } catch (thrown) {
      if (thrown instanceof PeerError) return "busy";
      if (thrown instanceof HutchError) return outcomeOfError(thrown.code);
      throw thrown;
    }
  }

  private async resendDirty(): Promise<void> {
    if (!this.maySend) return;
    const keys = this.context.dirty.first(this.target, PAGE_HINTS);
    await this.each(
      keys,
      ({ internalKey }) => internalKey.length,
      (dirty) => this.resend(dirty),
    );
  }

  private async resend(dirty: DirtyKey): Promise<void> {
    const { counters } = this.context;
    const record = currentRecord(this.context, this.target, dirty);
    if (record !== undefined) {
      const outcome = await this.send(this.target, dirty.internalKey, record, "repair", undefined);
      if (outcome === "busy") this.isBusy = true;
      if (outcome === "refused") this.refusedCount++;
      if (outcome !== "stored") return void counters.failed++;
      counters.resent++;
    }
    this.context.dirty.settle(this.target, dirty);
  }

  /** Ends early when the replay stops. */
  private async pause(durationMs: number): Promise<void> {
    if (durationMs <= 0 || this.isStopped) return;
    await new Promise<void>((resolve) => {
      this.resume = resolve;
      this.timer = this.context.clock.after(durationMs, resolve);
    });
  }
}

/** `stored` is the target's word that it is as safe as its fsync mode promises; more than that no write gets. */
function outcomeOf(reply: PeerReply): Outcome {
  if (reply.kind === "stored") return "stored";
  return reply.kind === "failed" ? outcomeOfError(reply.code) : "refused";
}

function outcomeOfError(code: ErrorCode): Outcome {
  return BUSY_CODES.has(code) ? "busy" : "refused";
}

/** The next hint would fare no better. */
const BUSY_CODES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "overloaded",
  "unavailable",
  "shutting-down",
  "disk-full",
]);

/** What this node holds of the key now, as a copy: its own, or as a fallback that of its hints. Damaged: nothing, and whoever was to get it has to be repaired. */
export function currentRecord(
  { store, hints }: Pick<ReplayContext, "store" | "hints">,
  target: NodeId,
  { internalKey }: DirtyKey,
): Uint8Array | undefined {
  try {
    const stored = store.get(internalKey);
    if (stored !== undefined) return stored.value.slice();
    const hinted = hints.read(internalKey);
    if (hinted === undefined) return undefined;
    const writer = new ByteWriter();
    encodeRecord(writer, hinted.record);
    return writer.finish();
  } catch (thrown) {
    if (!(thrown instanceof CorruptionError)) throw thrown;
    hints.markIncomplete(target, "damaged");
    return undefined;
  }
}

/** 80 to 120 %, so that many nodes do not do the same at once (R30). */
export function jittered(durationMs: number, random: Random): number {
  return durationMs * (0.8 + (0.4 * random.u32()) / 2 ** 32);
}
