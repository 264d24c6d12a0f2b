/**
 * Asks the others whether they are there (SWIM 4.1), and asks for others who ask.
 *
 *   0        0.4                       0.7                       1 interval
 *   ping --- ping, k helpers ping ---- ping, k helpers ping ---- failed: suspect     any ack, direct or brought by a helper, ends it well
 *
 * A helper that does not reach the target says so, which tells a lonely prober from a dead target (Lifeguard).
 */
import type { Beliefs, Turn } from "./beliefs.ts";
import type { Courier } from "./courier.ts";
import type { LocalHealth } from "./local-health.ts";
import type { NodeId } from "./member.ts";
import type { Entry } from "./member-table.ts";
import type { Message } from "./message.ts";
import { type Probe, Probes, type Relay } from "./probes.ts";

/** SWIM's k. */
const HELPERS = 3;
/** Parts of an interval: until the helpers are asked, and again, how long a helper waits, until the probe has failed. */
const DIRECT_SHARE = 0.4;
const AGAIN_SHARE = 0.3;
const RELAY_SHARE = 0.35;
const PROBE_SHARE = 1;
/** Silence this suspicious is looked into at once (R53). */
const PHI_SUSPICIOUS = 8;
const EARLY_PROBES_MAX = 1;
/** Other nodes. */
const SMALL_CLUSTER = 8;

export interface ProbeCounters {
  probes: number;
  probesFailed: number;
  earlyProbes: number;
}

export class Prober {
  readonly counters: ProbeCounters = { probes: 0, probesFailed: 0, earlyProbes: 0 };
  readonly #beliefs: Beliefs;
  readonly #courier: Courier;
  readonly #health: LocalHealth;
  readonly #intervalMs: number;
  readonly #probes: Probes;

  constructor(
    beliefs: Beliefs,
    courier: Courier,
    health: LocalHealth,
    intervalMs: number,
    firstSequence: number,
  ) {
    this.#beliefs = beliefs;
    this.#courier = courier;
    this.#health = health;
    this.#intervalMs = intervalMs;
    this.#probes = new Probes(firstSequence);
  }

  /** When something here is due; `Infinity` for never. */
  get dueMs(): number {
    return this.#probes.dueMs;
  }

  /** Probes the next in turn; in a small cluster two, for there are few who could be the first to notice. */
  probeNext(turn: Turn): void {
    const { schedule, size } = this.#beliefs.table;
    const count = size <= SMALL_CLUSTER ? 2 : 1;
    for (let i = 0; i < count; i++) {
      const next = schedule.next(({ isProbed, liveness }) => !isProbed && liveness !== "down");
      if (next === undefined) return;
      this.probe(next, turn);
    }
  }

  /** This process stood still: silence until now proves nothing. */
  abandon(): void {
    this.#probes.abandon();
  }

  forget(id: NodeId): void {
    this.#probes.forget(id);
  }

  /** The most silent members by phi, unless they are being probed or have just been. */
  probeSilent(turn: Turn): void {
    let entry = this.#beliefs.table.oldest;
    for (let looked = 0; looked < EARLY_PROBES_MAX && entry !== undefined; looked++) {
      const phi = entry.phi.phi(turn.nowMs, this.#beliefs.resumedMs);
      const isDue = turn.nowMs - entry.probedMs >= this.#beliefs.heartbeatMs;
      if (phi >= PHI_SUSPICIOUS && isDue && !entry.isProbed) {
        this.counters.earlyProbes++;
        this.probe(entry, turn);
      }
      entry = entry.newer;
    }
  }

  probe(entry: Entry, turn: Turn): void {
    if (!this.#probes.canProbe) return;
    this.counters.probes++;
    const unitMs = this.#intervalMs * this.#health.factor;
    const probe = this.#probes.begin(
      entry,
      turn.nowMs,
      DIRECT_SHARE * unitMs,
      AGAIN_SHARE * unitMs,
      PROBE_SHARE * unitMs,
    );
    this.#courier.sendTo(entry, "ping", turn, probe.sequence);
  }

  continue(turn: Turn): void {
    for (const probe of this.#probes.takeUnanswered(turn.nowMs)) this.#askHelpers(probe, turn);
    for (const probe of this.#probes.takeFailed(turn.nowMs)) this.#fail(probe, turn);
    for (const relay of this.#probes.takeOverdueRelays(turn.nowMs))
      this.#answerRelay(relay, false, turn);
  }

  #askHelpers(probe: Probe, turn: Turn): void {
    const { entry, sequence } = probe;
    const helpers = this.#beliefs.table.schedule.sample(
      HELPERS,
      (other) => other !== entry && other.liveness === "alive",
    );
    probe.helperCount = Math.max(probe.helperCount, helpers.length);
    for (const receiver of helpers) {
      const to = receiver.record.peerAddress;
      const letter = { kind: "ping-request", to, target: entry.id, sequence, receiver } as const;
      this.#courier.send(letter, turn);
    }
    this.#courier.sendTo(entry, "ping", turn, sequence);
  }

  /** Where not even a helper answers, the fault may be here (Lifeguard). */
  #fail({ entry, incarnation, helperCount, hasAnswer }: Probe, turn: Turn): void {
    if (incarnation !== entry.incarnation) return;
    this.counters.probesFailed++;
    this.#beliefs.suspect(entry, this.#beliefs.self.id, turn);
    if (helperCount > 0 && !hasAnswer) this.#health.worsen();
  }

  #succeed(probe: Probe): void {
    this.#probes.end(probe);
    this.#health.improve();
  }

  #answerRelay(relay: Relay, isReached: boolean, turn: Turn): void {
    const receiver = this.#beliefs.table.get(relay.requester);
    if (receiver === undefined) return;
    const { target, requesterSequence: sequence } = relay;
    const to = receiver.record.peerAddress;
    const kind = "indirect-ack";
    this.#courier.send({ kind, to, target, sequence, receiver, isReached }, turn);
  }

  help(requester: Entry, target: NodeId, sequence: number, turn: Turn): void {
    const entry = this.#beliefs.table.get(target);
    if (entry === undefined || !this.#probes.canRelay) return;
    const endMs = turn.nowMs + RELAY_SHARE * this.#intervalMs;
    const relay = this.#probes.relay(requester.id, sequence, target, endMs);
    this.#courier.sendTo(entry, "ping", turn, relay.sequence);
  }

  hearAck(entry: Entry, sequence: number, turn: Turn): void {
    const probe = this.#probes.find(sequence, entry.id);
    if (probe !== undefined) return this.#succeed(probe);
    const relay = this.#probes.endRelay(sequence, entry.id);
    if (relay !== undefined) this.#answerRelay(relay, true, turn);
  }

  hearIndirectAck({ sequence, target, isReached }: Message): void {
    const probe = this.#probes.find(sequence, target);
    if (probe === undefined) return;
    if (isReached) this.#succeed(probe);
    else probe.hasAnswer = true;
  }
}
