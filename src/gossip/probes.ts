/**
 * Probes under way, and pings on behalf of others. Bookkeeping only: what follows from an outcome is decided in `prober.ts`.
 *
 *   0        direct                direct + step         end
 *   ping --- ping, k helpers ----- ping, k helpers --- failed         any ack ends it well
 */
import type { NodeId } from "./member.ts";
import type { Entry } from "./member-table.ts";

/** Probes and relays each; beyond it new ones are not begun. */
export const PROBES_MAX = 64;

export interface Probe {
  readonly entry: Entry;
  readonly sequence: number;
  /** The target's when it was asked: a later one has never seen the question. */
  readonly incarnation: number;
  /** The next time to ask helpers. */
  askMs: number;
  readonly stepMs: number;
  readonly endMs: number;
  helperCount: number;
  /** A helper has said that it did not reach the target: at least the helper hears us. */
  hasAnswer: boolean;
}

/** A ping that somebody else asked for. */
export interface Relay {
  readonly requester: NodeId;
  readonly requesterSequence: number;
  readonly target: NodeId;
  readonly sequence: number;
  readonly endMs: number;
}

export class Probes {
  #nextSequence: number;
  #probes: Probe[] = [];
  #relays: Relay[] = [];

  constructor(firstSequence: number) {
    this.#nextSequence = firstSequence >>> 0;
  }

  get canProbe(): boolean {
    return this.#probes.length < PROBES_MAX;
  }

  get canRelay(): boolean {
    return this.#relays.length < PROBES_MAX;
  }

  /** When something here is due; `Infinity` for never. */
  get dueMs(): number {
    let dueMs = Infinity;
    for (const probe of this.#probes) dueMs = Math.min(dueMs, probe.askMs, probe.endMs);
    for (const { endMs } of this.#relays) dueMs = Math.min(dueMs, endMs);
    return dueMs;
  }

  sequence(): number {
    this.#nextSequence = (this.#nextSequence + 1) >>> 0;
    return this.#nextSequence;
  }

  /** Helpers are asked after `directMs` and then every `stepMs`; after `endMs` it has failed. */
  begin(entry: Entry, nowMs: number, directMs: number, stepMs: number, endMs: number): Probe {
    const state = { helperCount: 0, hasAnswer: false };
    const times = { askMs: nowMs + directMs, stepMs, endMs: nowMs + endMs };
    const { incarnation } = entry;
    const probe = { entry, incarnation, sequence: this.sequence(), ...times, ...state };
    this.#probes.push(probe);
    entry.isProbed = true;
    entry.probedMs = nowMs;
    return probe;
  }

  relay(requester: NodeId, requesterSequence: number, target: NodeId, endMs: number): Relay {
    const relay = { requester, requesterSequence, target, sequence: this.sequence(), endMs };
    this.#relays.push(relay);
    return relay;
  }

  find(sequence: number, target: NodeId): Probe | undefined {
    return this.#probes.find((probe) => probe.sequence === sequence && probe.entry.id === target);
  }

  end(probe: Probe): void {
    this.#probes.splice(this.#probes.indexOf(probe), 1);
    probe.entry.isProbed = false;
  }

  endRelay(sequence: number, target: NodeId): Relay | undefined {
    const at = this.#relays.findIndex((it) => it.sequence === sequence && it.target === target);
    return at < 0 ? undefined : this.#relays.splice(at, 1)[0];
  }

  /** Those for which helpers are to be asked now. */
  takeUnanswered(nowMs: number): Probe[] {
    const due = this.#probes.filter(({ askMs, endMs }) => askMs <= nowMs && nowMs < endMs);
    for (const probe of due) probe.askMs = nowMs + probe.stepMs;
    return due;
  }

  takeFailed(nowMs: number): Probe[] {
    const failed = this.#probes.filter(({ endMs }) => endMs <= nowMs);
    for (const probe of failed) this.end(probe);
    return failed;
  }

  takeOverdueRelays(nowMs: number): Relay[] {
    const overdue = this.#relays.filter(({ endMs }) => endMs <= nowMs);
    if (overdue.length > 0) this.#relays = this.#relays.filter(({ endMs }) => endMs > nowMs);
    return overdue;
  }

  /** This process stood still: silence until now proves nothing. */
  abandon(): void {
    for (const { entry } of this.#probes) entry.isProbed = false;
    this.#probes = [];
    this.#relays = [];
  }

  forget(id: NodeId): void {
    this.#probes = this.#probes.filter(({ entry }) => entry.id !== id);
  }
}
