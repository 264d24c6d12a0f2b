/**
 * Many `Membership`s over a simulated network, and nothing else: a discrete-event loop in which a datagram takes some time, is lost by chance or by a
 * cut, and a node may stand still, die and come back. Everything from one seed.
 */
import { Prng } from "../../src/base/prng.ts";
import {
  type Member,
  type MemberRecord,
  type NodeId,
  REFUTATIONS,
} from "../../src/gossip/member.ts";
import type { Effects, Stale } from "../../src/gossip/effects.ts";
import { MessageWriter } from "../../src/gossip/message.ts";
import { encodeUpdate, type Opinion } from "../../src/gossip/update.ts";
import { Membership, type MembershipCounters } from "../../src/gossip/membership.ts";
import { EventHeap } from "../../src/sim/event-heap.ts";

export const CLUSTER_ID = new Uint8Array(16).fill(7);
const WALL_START_MS = 1_767_225_600_000;
/** Bytes of IPv4 and UDP headers. */
const HEADER_BYTES = 28;

export interface GossipRunOptions {
  readonly seed: number | string;
  readonly nodes: number;
  readonly intervalMs: number;
  /** Chance that a datagram is lost. */
  readonly loss?: number;
  /** Every datagram arrives twice with this chance. */
  readonly duplication?: number;
  readonly latencyMs?: readonly [number, number];
  /** `pull` by HTTP/2, as the service does it; default true. */
  readonly exchanges?: boolean;
}

export interface RunChange {
  readonly atMs: number;
  readonly observer: number;
  readonly subject: number;
  readonly liveness: Member["liveness"];
  readonly incarnation: number;
}

export class RunNode {
  readonly index: number;
  membership: Membership;
  isUp = true;
  /** Nothing of it runs until then; datagrams wait for it. */
  frozenUntilMs = -1;
  armedMs = Infinity;
  life = 0;
  bytesSent = 0;
  datagramsSent = 0;
  exchanges = 0;
  timesDeclaredDown = 0;
  stale: Stale[] = [];

  constructor(index: number, membership: Membership) {
    this.index = index;
    this.membership = membership;
  }
}

export class GossipRun {
  readonly options: GossipRunOptions;
  readonly nodes: RunNode[] = [];
  readonly changes: RunChange[] = [];
  readonly prng: Prng;
  nowMs = 0;
  /** Receives the bytes of each datagram when set; for tests that replay. */
  onSend: ((from: number, to: number, bytes: Uint8Array) => void) | undefined = undefined;
  /** False: the datagram is lost. */
  isOpen: (from: number, to: number, nowMs: number) => boolean = () => true;
  #network: Prng;
  #heap = new EventHeap();
  #sequence = 0;

  constructor(options: GossipRunOptions) {
    this.options = options;
    this.prng = new Prng(options.seed);
    this.#network = this.prng.fork("network");
    const { nodes } = options;
    for (let i = 0; i < nodes; i++) this.nodes.push(new RunNode(i, this.#newMembership(i, 0)));
    for (const node of this.nodes) {
      // As after a forming cluster: all know the layout and each other's records.
      node.membership.setNamed(
        this.nodes.map(({ membership }) => membership.self),
        0,
      );
    }
    const all = this.nodes.map(({ membership }) => ({
      record: membership.self,
      liveness: "alive" as const,
    }));
    for (const node of this.nodes) {
      node.membership.learn(all, "", 0);
      this.#arm(node);
    }
  }

  /** Lets time pass. */
  run(forMs: number): void {
    const untilMs = this.nowMs + forMs;
    for (;;) {
      const event = this.#heap.peek();
      if (event === undefined || event.timeUs > untilMs * 1000) break;
      this.#heap.pop();
      this.nowMs = event.timeUs / 1000;
      event.run();
    }
    this.nowMs = untilMs;
  }

  /** Runs until `isTrue`, looking every `stepMs`; the time it took, or `Infinity`. */
  runUntil(isTrue: () => boolean, limitMs: number, stepMs = 10): number {
    const startMs = this.nowMs;
    while (!isTrue()) {
      if (this.nowMs - startMs >= limitMs) return Infinity;
      this.run(stepMs);
    }
    return this.nowMs - startMs;
  }

  membership(index: number): Membership {
    return this.nodes[index]!.membership;
  }

  kill(index: number): void {
    this.nodes[index]!.isUp = false;
    this.nodes[index]!.life++;
  }

  /** A new process on the same machine, a later generation. */
  restart(index: number): void {
    const node = this.nodes[index]!;
    node.life++;
    node.isUp = true;
    node.armedMs = Infinity;
    node.membership = this.#newMembership(index, node.life);
    this.#carryOut(
      node,
      node.membership.setNamed(
        this.nodes.map(({ membership }) => membership.self),
        this.nowMs,
      ),
    );
    this.#arm(node);
  }

  /** SIGSTOP for `forMs`. */
  freeze(index: number, forMs: number): void {
    this.nodes[index]!.frozenUntilMs = this.nowMs + forMs;
  }

  /** What `observer` thinks of `subject`. */
  liveness(observer: number, subject: number): Member["liveness"] {
    return this.membership(observer).member(idOf(subject))?.liveness ?? "alive";
  }

  /** As text, one word per up node: what it thinks of all. */
  picture(): string {
    const words = { alive: "+", suspect: "?", down: "-" } as const;
    return this.nodes
      .filter(({ isUp }) => isUp)
      .map(({ index }) => this.nodes.map((_, j) => words[this.liveness(index, j)]).join(""))
      .join(" ");
  }

  sum(counter: keyof MembershipCounters): number {
    return this.nodes.reduce((sum, { membership }) => sum + membership.counters[counter], 0);
  }

  act(index: number, what: (membership: Membership, nowMs: number) => Effects): void {
    const node = this.nodes[index]!;
    this.#carryOut(node, what(node.membership, this.nowMs));
    this.#arm(node);
  }

  /** `from` sends `opinion` to `to`, whatever it believes itself. */
  slander(from: number, to: number, opinion: Opinion): void {
    const writer = new MessageWriter(CLUSTER_ID);
    const { id: sender, incarnation, version } = this.membership(from).self;
    const flags = { wantsRecord: false, isReached: false, sequence: 0, heartbeat: 0, digest: 0 };
    writer.begin({ kind: "news", sender, target: idOf(to), incarnation, version, ...flags });
    writer.addUpdate(encodeUpdate(opinion));
    this.replay(from, to, writer.finish([]));
  }

  /** The bytes arrive at `to` now. */
  replay(from: number, to: number, bytes: Uint8Array): void {
    this.#deliver(from, this.nodes[to]!, bytes);
  }

  #newMembership(index: number, life: number): Membership {
    return new Membership({
      self: recordOf(index, life),
      clusterId: CLUSTER_ID,
      intervalMs: this.options.intervalMs,
      prng: this.prng.fork(`node/${index}/${life}`),
      left: [],
      nowMs: this.nowMs,
      wallMs: WALL_START_MS + this.nowMs,
    });
  }

  #at(timeMs: number, run: () => void): void {
    let timeUs = Math.max(Math.ceil(timeMs * 1000), Math.round(this.nowMs * 1000));
    while (timeUs / 1000 < timeMs) timeUs++; // rounding must not make a timer early, or time stands still
    this.#heap.push({ timeUs, tieBreak: 0, sequence: this.#sequence++, run });
  }

  #arm(node: RunNode): void {
    const dueMs = node.membership.nextTickMs;
    if (node.armedMs <= dueMs) return;
    node.armedMs = dueMs;
    const { life } = node;
    const fire = (): void => {
      if (!node.isUp || node.life !== life || node.armedMs !== dueMs) return;
      if (node.frozenUntilMs > this.nowMs) return this.#at(node.frozenUntilMs, fire);
      node.armedMs = Infinity;
      if (this.nowMs >= node.membership.nextTickMs)
        this.#carryOut(node, node.membership.tick(this.nowMs, WALL_START_MS + this.nowMs));
      this.#arm(node);
    };
    this.#at(dueMs, fire);
  }

  #carryOut(node: RunNode, effects: Effects): void {
    for (const { to, bytes } of effects.datagrams) {
      node.bytesSent += bytes.length + HEADER_BYTES;
      node.datagramsSent++;
      this.#send(node.index, indexOf(to), bytes);
    }
    for (const { id, before, after } of effects.changes)
      if (after !== undefined && before?.liveness !== after.liveness)
        this.changes.push({
          atMs: this.nowMs,
          observer: node.index,
          subject: indexOfId(id),
          liveness: after.liveness,
          incarnation: after.record.incarnation,
        });
    if (effects.wasDeclaredDown) node.timesDeclaredDown++;
    for (const stale of effects.stale) this.#exchange(node, stale);
  }

  #exchange(node: RunNode, stale: Stale): void {
    if (stale.topic !== "members") {
      if (node.stale.length < 100) node.stale.push(stale);
      return;
    }
    if (this.options.exchanges === false) return;
    const other = this.nodes[indexOfId(stale.node)]!;
    if (!other.isUp || !this.isOpen(node.index, other.index, this.nowMs)) return;
    node.exchanges++;
    const [mine, theirs] = [node.membership.snapshot(), other.membership.snapshot()];
    const { id } = node.membership.self;
    this.#carryOut(other, other.membership.learn(mine, id, this.nowMs));
    this.#carryOut(node, node.membership.learn(theirs, stale.node, this.nowMs));
    this.#arm(other);
  }

  #send(from: number, to: number, bytes: Uint8Array): void {
    this.onSend?.(from, to, bytes);
    const { loss = 0, duplication = 0, latencyMs = [0.2, 2] } = this.options;
    const network = this.#network;
    if (network.chance(loss) || !this.isOpen(from, to, this.nowMs)) return;
    const copies = network.chance(duplication) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const delayMs = latencyMs[0] + network.float() * (latencyMs[1] - latencyMs[0]);
      this.#at(this.nowMs + delayMs, () => this.#deliver(from, this.nodes[to]!, bytes));
    }
  }

  #deliver(from: number, node: RunNode, bytes: Uint8Array): void {
    if (!node.isUp) return;
    if (node.frozenUntilMs > this.nowMs) {
      this.#at(node.frozenUntilMs, () => this.#deliver(from, node, bytes));
      return;
    }
    this.#carryOut(node, node.membership.receive(bytes, addressOf(from), this.nowMs));
    this.#arm(node);
  }
}

export function idOf(index: number): NodeId {
  return (index + 1).toString(16).padStart(16, "0");
}

export function addressOf(index: number): string {
  return `10.0.${index >>> 8}.${index & 255}:${7000}`;
}

export function indexOf(address: string): number {
  const [, , high, low] = address.split(":")[0]!.split(".").map(Number);
  return (high! << 8) | low!;
}

function indexOfId(id: NodeId): number {
  return Number.parseInt(id, 16) - 1;
}

export function recordOf(index: number, life = 0): MemberRecord {
  return {
    id: idOf(index),
    name: `n${index + 1}`,
    peerAddress: addressOf(index),
    clientAddress: addressOf(index).replace("7000", "8000"),
    zone: { dc: "dc1", rack: `r${index % 3}`, host: `h${index}` },
    weight: 1,
    incarnation: (WALL_START_MS / 1000 + life) * REFUTATIONS,
    version: 1,
    phase: "serving",
    layoutVersion: 1,
    layoutHash: 0x12345678,
    bucketsHash: 0x9abcdef0,
  };
}
