/**
 * Who owns what: one immutable version of the assignment of all partitions (D1, D5, R57).
 *
 * Owners are indexes into `members`, N per partition, the first one minting blind writes (D3). Members are in byte order of their ids, so equal
 * layouts have equal bytes.
 */

/** A bucket with a smaller n uses the first n owners; one with a greater n goes on along the preference list (`preference-list.ts`). */
export interface LayoutMember {
  /** 16 hex digits. */
  readonly id: string;
  /** As people know it. */
  readonly name: string;
  readonly zone: { readonly dc: string; readonly rack: string; readonly host: string };
  readonly weight: number;
  /** Where it was when the layout was made; gossip knows better. */
  readonly peerAddress: string;
}

export interface Layout {
  /** 1 for the first. */
  readonly version: number;
  /** Partitions. */
  readonly q: number;
  /** Owners per partition: min(the N it was made for, members). */
  readonly n: number;
  readonly members: readonly LayoutMember[];
  /** Index into `members` of owner `i` of partition `p` at `p * n + i`. */
  readonly owners: Uint16Array;
}
