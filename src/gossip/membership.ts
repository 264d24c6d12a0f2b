/**
 * SWIM membership with Lifeguard's extensions, as a value: it takes ticks and datagrams and hands back effects.
 */
import type { Prng } from "../base/prng.ts";
import type { Effects } from "./effects.ts";
import type { Member, MemberRecord, NodeId, Zone } from "./member.ts";

/** A member as the layout names it; `LayoutMember` of `ring/layout.ts` fits. */
export interface NamedMember {
  readonly id: NodeId;
  readonly name: string;
  readonly zone: Zone;
  readonly weight: number;
  readonly peerAddress: string;
}

export interface MembershipOptions {
  /** As it starts: its incarnation is `generation * REFUTATIONS`. */
  readonly self: MemberRecord;
  /** 16 bytes. */
  readonly clusterId: Uint8Array;
  readonly intervalMs: number;
  readonly prng: Prng;
  /** Ids that have left for ever (R51). */
  readonly left: Iterable<NodeId>;
  /** Monotonic. */
  readonly nowMs: number;
  /** Unix ms; only for the guard on generations (R49). */
  readonly wallMs: number;
}

/** What a node may change about itself while it runs. */
export type SelfChanges = Partial<
  Pick<MemberRecord, "phase" | "layoutVersion" | "layoutHash" | "bucketsHash" | "clientAddress">
>;

export interface MembershipCounters {
  received: number;
  malformed: number;
  wrongCluster: number;
  /** For another node id, from a node that has left, or from an older start of a node. */
  ignored: number;
  probes: number;
  probesFailed: number;
  earlyProbes: number;
  suspicions: number;
  convictions: number;
  refutations: number;
  candidatesDropped: number;
  pauses: number;
}

/** `Membership` as its driver sees it. */
export interface MembershipApi {
  readonly counters: Readonly<MembershipCounters>;
  readonly self: MemberRecord;
  /** `tick` is due then; may move forward after any call. */
  readonly nextTickMs: number;
  /** Lifeguard: 0 (well) to 8. */
  readonly health: number;
  tick(nowMs: number, wallMs: number): Effects;
  /** Never throws for what the bytes hold. */
  receive(bytes: Uint8Array, from: string, nowMs: number): Effects;
  /** Whom the layout names: nobody else is a member; who was and is no more has left for ever (R51). */
  setNamed(members: readonly NamedMember[], nowMs: number): Effects;
  /** Raises the version and tells some members at once. */
  setSelf(changes: SelfChanges, nowMs: number): Effects;
  /** First-hand evidence from the transport: its hello or reply carried this incarnation. */
  markAlive(id: NodeId, incarnation: number, nowMs: number): Effects;
  /** What `by` sent of its `snapshot`. */
  learn(members: readonly Member[], by: NodeId, nowMs: number): Effects;
  snapshot(): readonly Member[];
  /** By id, this node included; a new map each time. */
  members(): ReadonlyMap<NodeId, Member>;
  /** The local process stood still: nobody is convicted for one window (R53). `tick` and `receive` notice lateness themselves. */
  notePause(nowMs: number): void;
  /** Suspicion level of a member's heartbeats (R54); shown, and a reason to probe early. */
  phiOf(id: NodeId, nowMs: number): number;
  /** Nodes that speak for this cluster and that the layout does not name (at most 1,024, R51). */
  candidates(): readonly MemberRecord[];
  left(): readonly NodeId[];
}
