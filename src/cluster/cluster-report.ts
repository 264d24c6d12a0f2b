/**
 * What a node tells people of its cluster (REST.md section 4): one `ClusterView` in words and numbers, the nodes by the names that people gave them.
 *
 * Ownership and states are this node's own view and cost nothing. What only a node itself knows (keys, bytes, hints that it holds for others) is asked
 * of all of them at once; whoever does not answer in time is shown as it last answered, or with zeros.
 */

import type { Member, NodeId } from "../gossip/member.ts";
import { LayoutState } from "../ring/layout-state.ts";
import type { LayoutMember } from "../ring/layout.ts";
import { ownedCounts } from "../ring/transfer-plan.ts";
import type { StoreStats } from "../storage/store.ts";
import { NO_PEERS } from "./alone.ts";
import { ClusterView } from "./cluster-view.ts";
import type { CopyBytes } from "./layout-plan.ts";
import type { Peers, StatusReply } from "./peer-messages.ts";

/** A person waits for the slowest of them. */
const STATUS_TIMEOUT_MS = 300;

/** The detector's doubt grows without bound after a death, and JSON has no word for infinity. */
const PHI_SHOWN_MAX = 100;

/** What does not change while a node runs. */
export interface NodeFacts {
  readonly nodeId: string;
  readonly clusterName: string;
  readonly clusterId: Uint8Array;
  /** Partitions of the ring. */
  readonly q: number;
  /** Copies of each key that buckets ask for unless they say otherwise. */
  readonly n: number;
  readonly address: string;
  readonly peerAddress: string;
  readonly zone: { readonly dc: string; readonly rack: string; readonly host: string };
  readonly weight: number;
  readonly incarnation: number;
}

export type HeldHints = StatusReply["hints"][number];

/** Where a report takes its facts from. */
export interface ReportParts {
  /** The present one. */
  view(): ClusterView;
  readonly peers: Peers;
  /** The failure detector's doubt about a node; 0 for none. */
  phiOf(node: NodeId): number;
  /** What this node holds for others, each target once. */
  hints(): readonly HeldHints[];
  /** The bucket's n. */
  copiesOf(bucket: string): number;
}

export type NodeState = "up" | "syncing" | "suspect" | "down" | "leaving" | "left";

export interface NodeReport {
  readonly id: string;
  readonly address: string;
  readonly peerAddress: string;
  readonly zone: NodeFacts["zone"];
  readonly weight: number;
  readonly state: NodeState;
  readonly phi: number;
  readonly incarnation: number;
  readonly partitions: number;
  readonly keys: number;
  readonly bytes: number;
  readonly hintsFor: number;
}

export interface HintsReport {
  readonly node: string;
  readonly count: number;
  readonly bytes: number;
  /** Unix ms. */
  readonly oldestMs: number;
}

export class ClusterReport {
  readonly #parts: ReportParts;
  readonly #facts: NodeFacts;
  readonly #storeStats: () => StoreStats;
  /** The last answer of each node of the present view. */
  readonly #lastReplies = new Map<NodeId, StatusReply>();
  /** Everybody who asks while a survey is under way gets that one. */
  #survey: Promise<ReadonlyMap<NodeId, StatusReply>> | undefined;

  constructor(parts: ReportParts, facts: NodeFacts, storeStats: () => StoreStats) {
    this.#parts = parts;
    this.#facts = facts;
    this.#storeStats = storeStats;
  }

  summary() {
    const view = this.#parts.view();
    const nodes = { up: 0, suspect: 0, down: 0 };
    for (const { id, member } of nodesOf(view)) {
      if (isGone(id, view)) continue;
      nodes[member === undefined ? "down" : COUNTED_AS[member.liveness]]++;
    }
    const { version, q } = view.layout;
    const serving = partitionStates(view).filter((isServing) => isServing).length;
    return { layoutVersion: version, q, nodes, partitions: { serving, syncing: q - serving } };
  }

  /** @param isDraining this node takes no new work */
  async nodes(isDraining: boolean): Promise<readonly NodeReport[]> {
    const view = this.#parts.view();
    const replies = await this.#ask();
    const partitions = ownedCounts(view.layout);
    const hintsFor = sumByTarget([...replies.values()]);
    return nodesOf(view).map((node) => {
      const status = replies.get(node.id) ?? this.#lastReplies.get(node.id);
      const isLeaving = isDraining && node.id === view.self;
      return {
        ...describe(node),
        state: isLeaving ? ("leaving" as const) : stateOf(node, view),
        phi: node.id === view.self ? 0 : shownPhi(this.#parts.phiOf(node.id)),
        incarnation: status?.dataIncarnation ?? 0,
        partitions: partitions.get(node.id) ?? 0,
        keys: status?.keys ?? 0,
        bytes: status?.bytes ?? 0,
        hintsFor: hintsFor.get(node.id)?.count ?? 0,
      };
    });
  }

  ring() {
    const view = this.#parts.view();
    const { version, q, n, owners } = view.layout;
    const names = view.layout.members.map(({ id }) => view.nameOf(id));
    const isServing = partitionStates(view);
    const partitions = Array.from({ length: q }, (_, partition) => ({
      partition,
      owners: Array.from(
        owners.subarray(partition * n, partition * n + n),
        (owner) => names[owner]!,
      ),
      state: isServing[partition] === true ? "serving" : "syncing",
    }));
    return { layoutVersion: version, q, partitions };
  }

  /** Preference list of a key of `bucket` in `partition`. */
  route(bucket: string, partition: number) {
    const view = this.#parts.view();
    const names = view.walk(partition).map((id) => view.nameOf(id));
    const copies = view.effectiveN(this.#parts.copiesOf(bucket));
    return { partition, owners: names.slice(0, copies), fallbacks: names.slice(copies) };
  }

  /** What a copy of a partition takes on each node, on average; the mean of all where a node never answered. */
  async copyBytes(): Promise<CopyBytes> {
    await this.#ask();
    const copies = ownedCounts(this.#parts.view().layout);
    const known = [...this.#lastReplies].filter(([id]) => (copies.get(id) ?? 0) > 0);
    const bytes = known.reduce((sum, [, reply]) => sum + reply.bytes, 0);
    const count = known.reduce((sum, [id]) => sum + copies.get(id)!, 0);
    const mean = count === 0 ? 0 : bytes / count;
    const own = new Map(known.map(([id, reply]) => [id, reply.bytes / copies.get(id)!]));
    return (node) => own.get(node) ?? mean;
  }

  /** What all that answered hold for others. */
  async hints(): Promise<readonly HintsReport[]> {
    const view = this.#parts.view();
    const sums = [...sumByTarget([...(await this.#ask()).values()]).values()];
    return sums
      .map(({ target, ...sum }) => ({ node: view.nameOf(target), ...sum }))
      .sort((a, b) => byName(a.node, b.node));
  }

  /** What this node answers when another one asks. */
  statusReply(): StatusReply {
    const { entryCount, tableBytes, walBytes } = this.#storeStats();
    return {
      kind: "status",
      keys: entryCount,
      bytes: tableBytes + walBytes,
      dataIncarnation: this.#facts.incarnation,
      hints: this.#parts.hints(),
    };
  }

  /** The answers of all nodes that give one, this node's included. */
  #ask(): Promise<ReadonlyMap<NodeId, StatusReply>> {
    this.#survey ??= this.#askAll().finally(() => (this.#survey = undefined));
    return this.#survey;
  }

  async #askAll(): Promise<ReadonlyMap<NodeId, StatusReply>> {
    const view = this.#parts.view();
    const known = new Set(nodesOf(view).map(({ id }) => id));
    for (const id of this.#lastReplies.keys()) if (!known.has(id)) this.#lastReplies.delete(id);
    const others = [...known].filter((id) => id !== view.self && view.isUp(id));
    const replies = new Map([[view.self, this.statusReply()]]);
    await Promise.all(
      others.map(async (id) => {
        const reply = await this.#askOne(id);
        if (reply !== undefined) replies.set(id, reply);
      }),
    );
    for (const [id, reply] of replies) this.#lastReplies.set(id, reply);
    return replies;
  }

  async #askOne(node: NodeId): Promise<StatusReply | undefined> {
    try {
      const request = { kind: "status" } as const;
      const reply = await this.#parts.peers.call(node, request, STATUS_TIMEOUT_MS, "client");
      return reply.kind === "status" ? reply : undefined;
    } catch {
      // Why it does not answer is for the log of whoever needs it; here it is one node that is shown as it was.
      return undefined;
    }
  }
}

const COUNTED_AS = { alive: "up", suspect: "suspect", down: "down" } as const;

/** A node of the layout, of gossip, or of both. */
interface KnownNode {
  readonly id: NodeId;
  readonly member: Member | undefined;
  readonly planned: LayoutMember | undefined;
}

/** All nodes, n2 before n10. */
function nodesOf(view: ClusterView): KnownNode[] {
  const { planned } = view;
  const ids = new Set([...planned.keys(), ...view.members.keys()]);
  return [...ids]
    .map((id) => ({ id, member: view.members.get(id), planned: planned.get(id) }))
    .sort((a, b) => byName(view.nameOf(a.id), view.nameOf(b.id)) || (a.id < b.id ? -1 : 1));
}

/** n2 before n10: by what stands before the last number, then by that number. */
export function byName(one: string, other: string): number {
  const [, oneStem = "", oneNumber] = NAME_PARTS.exec(one) ?? [];
  const [, otherStem = "", otherNumber] = NAME_PARTS.exec(other) ?? [];
  if (oneStem !== otherStem) return oneStem < otherStem ? -1 : 1;
  return Number(oneNumber) - Number(otherNumber);
}

const NAME_PARTS = /^(.*?)(\d*)$/;

/** Gossip knows better than the layout, which knows something of nodes never heard of since the start. */
function describe({ id, member, planned }: KnownNode) {
  const source = member?.record ?? planned;
  return {
    id: source?.name ?? id,
    address: member?.record.clientAddress ?? "",
    peerAddress: source?.peerAddress ?? "",
    zone: source?.zone ?? { dc: "", rack: "", host: "" },
    weight: source?.weight ?? 0,
  };
}

function stateOf({ id, member, planned }: KnownNode, view: ClusterView): NodeState {
  if (isGone(id, view)) return "left";
  if (member === undefined) return "down";
  if (member.liveness !== "alive") return member.liveness;
  const { phase } = member.record;
  if (phase !== "serving") return phase;
  return planned !== undefined && isOnItsWayOut(id, view) ? "leaving" : "up";
}

/** It said so itself, or the others have declared it lost. */
function isGone(node: NodeId, { members, state }: ClusterView): boolean {
  return members.get(node)?.record.phase === "left" || state.removed.has(node);
}

/** A member that still hands over what the newest layout gives to others. */
function isOnItsWayOut(node: NodeId, { layout, isChanging }: ClusterView): boolean {
  return isChanging && !layout.members.some(({ id }) => id === node);
}

function shownPhi(phi: number): number {
  return Math.round(Math.min(phi, PHI_SHOWN_MAX) * 100) / 100;
}

/** Per partition: whether all its owners are up and serving. A plain loop: it is asked for once a second, of up to 65,536 partitions. */
function partitionStates(view: ClusterView): boolean[] {
  const { q, n, owners, members } = view.layout;
  const isServing = members.map(({ id }) => view.isServing(id));
  const states = new Array<boolean>(q).fill(true);
  for (let index = 0; index < q * n; index++)
    if (isServing[owners[index]!] !== true) states[Math.floor(index / n)] = false;
  return states;
}

function sumByTarget(replies: readonly StatusReply[]): ReadonlyMap<NodeId, HeldHints> {
  const sums = new Map<NodeId, HeldHints>();
  for (const { target, count, bytes, oldestMs } of replies.flatMap(({ hints }) => hints)) {
    if (count === 0) continue;
    const sum = sums.get(target);
    sums.set(target, {
      target,
      count: count + (sum?.count ?? 0),
      bytes: bytes + (sum?.bytes ?? 0),
      oldestMs: Math.min(oldestMs, sum?.oldestMs ?? oldestMs),
    });
  }
  return sums;
}

/** The parts of a node that is a cluster of one: it owns every partition, nobody suspects it, no hints are held. */
export function partsOfOne(facts: NodeFacts): ReportParts {
  const { nodeId: name, address, peerAddress, zone, weight, incarnation, q } = facts;
  // Any id will do: there is nobody to take it for another.
  const id = "0".repeat(16);
  const planned = { id, name, zone, weight, peerAddress };
  const layout = { version: 1, q, n: 1, members: [planned], owners: new Uint16Array(q) };
  const record = {
    ...planned,
    clientAddress: address,
    incarnation,
    version: 0,
    phase: "serving",
    layoutVersion: layout.version,
    layoutHash: 0,
    bucketsHash: 0,
  } as const;
  const view = new ClusterView(
    LayoutState.first(layout),
    id,
    new Map([[id, { record, liveness: "alive" }]]),
  );
  return { view: () => view, peers: NO_PEERS, phiOf: () => 0, hints: () => [], copiesOf: () => 1 };
}
