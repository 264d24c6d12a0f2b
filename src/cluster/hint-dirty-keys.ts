/**
 * Keys that a node which is up did not acknowledge in time. Storing hints for it would add load where there is too much already (R25), so
 * only the keys are kept, in memory: what it gets later is the state of that time. At most `DIRTY_KEYS_MAX` for all nodes together.
 */
import { hex } from "../base/bytes.ts";
import type { NodeId } from "../gossip/member.ts";

/** Keys have up to 4 KiB, mostly far less: 40 MiB at the very worst, and a megabyte as a rule. */
export const DIRTY_KEYS_MAX = 10_000;

export interface DirtyKey {
  readonly internalKey: Uint8Array;
}

export class DirtyKeys {
  /** By target, then by the key's text, in the order of their last note. */
  private readonly byTarget = new Map<NodeId, Map<string, DirtyKey>>();
  private total = 0;

  get count(): number {
    return this.total;
  }

  targets(): NodeId[] {
    return [...this.byTarget.keys()];
  }

  countOf(target: NodeId): number {
    return this.byTarget.get(target)?.size ?? 0;
  }

  /** False where there is no room. */
  note(target: NodeId, internalKey: Uint8Array): boolean {
    const text = hex(internalKey);
    const keys = this.byTarget.get(target) ?? new Map<string, DirtyKey>();
    if (keys.delete(text)) this.total--;
    if (this.total >= DIRTY_KEYS_MAX) return false;
    this.byTarget.set(target, keys);
    // A new object each time: `settle` sees whether the key was noted again.
    keys.set(text, { internalKey: internalKey.slice() });
    this.total++;
    return true;
  }

  /** The `countMax` that have waited longest. */
  first(target: NodeId, countMax: number): DirtyKey[] {
    const keys = this.byTarget.get(target);
    return keys === undefined ? [] : [...keys.values().take(countMax)];
  }

  /** The target has what the key held after `dirty` was noted. */
  settle(target: NodeId, dirty: DirtyKey): void {
    const keys = this.byTarget.get(target);
    const text = hex(dirty.internalKey);
    if (keys?.get(text) !== dirty) return;
    keys.delete(text);
    this.total--;
    if (keys.size === 0) this.byTarget.delete(target);
  }

  forget(target: NodeId): void {
    this.total -= this.countOf(target);
    this.byTarget.delete(target);
  }
}
