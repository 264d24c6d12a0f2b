/**
 * What a reader needs, as one immutable value, and the owner that swaps in the next.
 *
 * A view names the memtables and the open tables of one moment. Readers that live longer than one call (iterators, snapshots) pin the
 * view; a table that no live view names any more is closed, and its file unlinked when the manifest has forgotten it (R47).
 */
import { assert } from "../base/assert.ts";
import { compareBytes } from "../base/bytes.ts";
import type { Disk } from "../ports/disk.ts";
import { fileName } from "./file-names.ts";
import type { LostRange } from "./levels/lost-ranges.ts";
import type { Memtable } from "./memory/memtable.ts";
import type { Table } from "./table/table.ts";

export interface StoreView {
  readonly active: Memtable;
  /** Newest first. */
  readonly frozen: readonly Memtable[];
  /** By level; level 0 newest first, others in key order. */
  readonly levels: readonly (readonly Table[])[];
  readonly lostRanges: readonly LostRange[];
}

/** The table of a disjoint, sorted level whose range may hold `key`. */
export function tableFor(tables: readonly Table[], key: Uint8Array): Table | undefined {
  let low = 0;
  let high = tables.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(tables[middle]!.metadata.largestKey, key) < 0) low = middle + 1;
    else high = middle;
  }
  const table = tables[low];
  return table !== undefined && compareBytes(table.metadata.smallestKey, key) <= 0
    ? table
    : undefined;
}

export class ViewOwner {
  current: StoreView;
  private readonly disk: Disk;
  private readonly pins = new Map<StoreView, number>();
  /** Tables that the manifest has forgotten; unlinked when the last view lets go. */
  private readonly obsolete = new Set<Table>();

  constructor(disk: Disk, first: StoreView) {
    this.disk = disk;
    this.current = first;
    this.pins.set(first, 1);
  }

  /** Readers that hold a view other than the current one, for the metrics. */
  get pinnedCount(): number {
    return this.pins.size - 1;
  }

  pin(): StoreView {
    const view = this.current;
    this.pins.set(view, this.pins.get(view)! + 1);
    return view;
  }

  release(view: StoreView): void {
    const count = this.pins.get(view);
    assert(count !== undefined && count > 0, "a released view is pinned");
    if (count > 1) {
      this.pins.set(view, count - 1);
      return;
    }
    this.pins.delete(view);
    this.closeUnused(view);
  }

  /** Makes `next` current; `removed` are tables that the manifest no longer lists. */
  swap(next: StoreView, removed: readonly Table[] = []): void {
    const before = this.current;
    this.current = next;
    this.pins.set(next, 1);
    for (const table of removed) this.obsolete.add(table);
    this.release(before);
  }

  /** Closes every table of the current view; nobody may hold another. */
  closeAll(): void {
    for (const view of this.pins.keys())
      for (const level of view.levels) for (const table of level) table.close();
    this.pins.clear();
  }

  private closeUnused(released: StoreView): void {
    for (const level of released.levels)
      for (const table of level) if (!this.isUsed(table)) this.drop(table);
  }

  private isUsed(table: Table): boolean {
    for (const view of this.pins.keys())
      for (const level of view.levels) if (level.includes(table)) return true;
    return false;
  }

  private drop(table: Table): void {
    table.close();
    if (!this.obsolete.delete(table)) return;
    const name = fileName("table", table.metadata.id);
    if (this.disk.sizeOf(name) >= 0) this.disk.unlink(name);
  }
}
