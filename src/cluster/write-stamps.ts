/**
 * Has a key been written since it was read? One counter for each of 65,536 slots, a key's slot from its fingerprint; every write of a key
 * moves its slot's counter on, in the same turn in which the write becomes visible.
 *
 *   freshness = counter x 65,536 + slot, an exact integer: what a reader keeps and asks about later
 *
 * Two keys of one slot only cost each other a look into the store. There is no entry per key, so nothing grows.
 */
const SLOTS = 65_536;

export class WriteStamps {
  private readonly counters = new Uint32Array(SLOTS);

  /** @param fingerprint 32 bits of the key's hash */
  freshnessOf(fingerprint: number): number {
    const slot = fingerprint & (SLOTS - 1);
    return this.counters[slot]! * SLOTS + slot;
  }

  isFresh(freshness: number): boolean {
    if (freshness < 0) return false;
    const slot = freshness % SLOTS;
    return this.counters[slot]! * SLOTS + slot === freshness;
  }

  written(fingerprint: number): void {
    this.counters[fingerprint & (SLOTS - 1)]!++;
  }

  /** Something changed that answers of many keys depend on. */
  allWritten(): void {
    for (let slot = 0; slot < SLOTS; slot++) this.counters[slot]!++;
  }
}
