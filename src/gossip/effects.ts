/**
 * What `Membership` wants done: it sends nothing and calls nobody, it hands back a list. The driver (`cluster/gossip-service.ts`) carries it out in
 * this order: datagrams, then the view, then everything else.
 */
import type { Member, MemberRecord, NodeId } from "./member.ts";

export interface Outgoing {
  /** `host:port`. */
  readonly to: string;
  readonly bytes: Uint8Array;
}

/** A member whose record or liveness is another one now. */
export interface MemberChange {
  readonly id: NodeId;
  /** `undefined` for one that the layout has just named. */
  readonly before: Member | undefined;
  /** `undefined` for one that has left. */
  readonly after: Member | undefined;
}

/** `node` holds another state than this node; exchange it over HTTP/2. Said again, with pauses, for as long as it is so. */
export interface Stale {
  readonly node: NodeId;
  readonly topic: "members" | "layout" | "buckets";
}

/** Somebody speaks under a node id in a way that gossip alone does not believe. */
export interface Doubt {
  readonly id: NodeId;
  readonly address: string;
  readonly incarnation: number;
  /**
   * `far-future`: its generation is more than a day ahead (R49); connect, and call `markAlive` with what its hello says.
   * `superseded`: a later start of this very node is running (R52); connect there, and stop this process if the hello says so.
   * `duplicate`: two processes say different things under one incarnation (R52).
   */
  readonly kind: "far-future" | "superseded" | "duplicate";
}

export interface Effects {
  readonly datagrams: readonly Outgoing[];
  readonly changes: readonly MemberChange[];
  readonly stale: readonly Stale[];
  readonly doubts: readonly Doubt[];
  /** Others had taken this node for down, so they hold hints for it: it must go `syncing` (D4). It has refuted already. */
  readonly wasDeclaredDown: boolean;
  /** The own record has changed by refutation; it is the one to show in hellos. */
  readonly refutedAs: MemberRecord | undefined;
}

/** Collects the effects of one call. */
export class EffectList implements Effects {
  readonly datagrams: Outgoing[] = [];
  readonly changes: MemberChange[] = [];
  readonly stale: Stale[] = [];
  readonly doubts: Doubt[] = [];
  wasDeclaredDown = false;
  refutedAs: MemberRecord | undefined = undefined;
}
