/**
 * Ids that are not members: those that have left, for ever (R51), and those that speak for this cluster though no layout names them yet. The latter
 * are shown to the operator and nothing else; a flood of them ends at a cap (row 70).
 */
import { isLater, type MemberRecord, type NodeId } from "./member.ts";

export const CANDIDATES_MAX = 1024;
/** A full table gives the place of one that has been silent for so long to a new one. */
const CANDIDATE_SILENCE_MS_MAX = 60_000;

interface Candidate {
  readonly record: MemberRecord;
  readonly heardMs: number;
}

export class Strangers {
  readonly #left: Set<NodeId>;
  /** In the order in which they were heard of last. */
  readonly #candidates = new Map<NodeId, Candidate>();
  dropped = 0;

  constructor(left: Iterable<NodeId>) {
    this.#left = new Set(left);
  }

  hasLeft(id: NodeId): boolean {
    return this.#left.has(id);
  }

  markLeft(id: NodeId): void {
    this.#left.add(id);
    this.#candidates.delete(id);
  }

  left(): NodeId[] {
    return [...this.#left];
  }

  candidates(): MemberRecord[] {
    return [...this.#candidates.values()].map(({ record }) => record);
  }

  hear(record: MemberRecord, nowMs: number): void {
    const { id } = record;
    const known = this.#candidates.get(id);
    if (known === undefined && !this.#makeRoom(nowMs)) {
      this.dropped++;
      return;
    }
    const latest = known === undefined || isLater(record, known.record) ? record : known.record;
    this.#candidates.delete(id);
    this.#candidates.set(id, { record: latest, heardMs: nowMs });
  }

  /** The layout names it now: what was heard of it so far. */
  take(id: NodeId): MemberRecord | undefined {
    const record = this.#candidates.get(id)?.record;
    this.#candidates.delete(id);
    return record;
  }

  #makeRoom(nowMs: number): boolean {
    if (this.#candidates.size < CANDIDATES_MAX) return true;
    for (const [id, { heardMs }] of this.#candidates) {
      if (nowMs - heardMs < CANDIDATE_SILENCE_MS_MAX) return false;
      this.#candidates.delete(id);
      return true;
    }
    return true;
  }
}
