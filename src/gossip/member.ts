/**
 * A node as gossip knows it. Identity is the node id; an address is only where it was last seen (R52).
 *
 *   alive -> suspect -> down        one observer's opinion: routing, hints and read order follow it, ownership never does (R50)
 *   left                            a durable fact: the node is no longer in the layout and never comes back under this id (R51)
 */

/** Eight bytes as 16 lower-case hex digits, as in `causality/actor.ts`. */
export type NodeId = string;

export interface Zone {
  readonly dc: string;
  readonly rack: string;
  readonly host: string;
}

/** What a node says of itself. Replaced as a whole by whatever has the greater (incarnation, version). */
export interface MemberRecord {
  readonly id: NodeId;
  /** As people know it, `n1`. */
  readonly name: string;
  /** Where peers reach it, `host:port`, TCP and UDP. */
  readonly peerAddress: string;
  /** Where clients reach it. */
  readonly clientAddress: string;
  readonly zone: Zone;
  readonly weight: number;
  /**
   * Grows with every start and every refutation: generation x 2^16 + refutations, an exact integer. Only the node itself raises it (N13).
   */
  readonly incarnation: number;
  /** Grows with every change of what follows, within one incarnation. */
  readonly version: number;
  /** `syncing`: it may miss writes, hints for it are out, its absences prove nothing (D4). */
  readonly phase: "syncing" | "serving" | "leaving" | "left";
  readonly layoutVersion: number;
  /** 32 bits of the hash of the layout it holds. */
  readonly layoutHash: number;
  /** 32 bits of the hash of the bucket properties it holds. */
  readonly bucketsHash: number;
}

export type Liveness = "alive" | "suspect" | "down";

/** What one observer thinks of a node. */
export interface Member {
  readonly record: MemberRecord;
  readonly liveness: Liveness;
}

/** The start of a process: what stays the same under refutations. */
export function generationOf(incarnation: number): number {
  return Math.floor(incarnation / REFUTATIONS);
}

export const REFUTATIONS = 65_536;

/** The order of a node's records: what it said later wins. */
export function isLater(record: MemberRecord, than: MemberRecord): boolean {
  if (record.incarnation !== than.incarnation) return record.incarnation > than.incarnation;
  return record.version > than.version;
}

/** A member as the layout names it; `LayoutMember` of `ring/layout.ts` fits. */
export interface NamedMember {
  readonly id: NodeId;
  readonly name: string;
  readonly zone: Zone;
  readonly weight: number;
  /** Where it was when the layout was made. */
  readonly peerAddress: string;
}
