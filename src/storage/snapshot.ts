/**
 * The store as of one moment: reads and scans see what was applied before it and nothing later. Pins its view; close it.
 */
import { assert } from "../base/assert.ts";
import type { EntryIterator } from "./iterators/entry-iterator.ts";
import { LevelIterator } from "./iterators/level-iterator.ts";
import { MergingIterator } from "./iterators/merging-iterator.ts";
import { VisibleIterator } from "./iterators/visible-iterator.ts";
import type { LostRange } from "./levels/lost-ranges.ts";
import { MemtableIterator } from "./memory/memtable-iterator.ts";
import type { StoreRead } from "./read-path.ts";
import { ReadPath } from "./read-path.ts";
import type { StoreView, ViewOwner } from "./store-view.ts";

export class Snapshot {
  private readonly views: ViewOwner;
  private readonly view: StoreView;
  private readonly sequenceMax: number;
  private readonly reader = new ReadPath();
  private isOpen = true;

  constructor(views: ViewOwner, sequenceMax: number) {
    this.views = views;
    this.view = views.pin();
    this.sequenceMax = sequenceMax;
  }

  /** As `Store.get`. */
  get(key: Uint8Array): StoreRead | undefined {
    assert(this.isOpen, "a snapshot is open while it is read");
    return this.reader.get(this.view, key, this.sequenceMax);
  }

  /** Key ranges whose entries may be missing from `iterator()`: a scan that meets one must say so. */
  get lostRanges(): readonly LostRange[] {
    return this.view.lostRanges;
  }

  /** Newest entry of each key, deleted ones hidden; on no entry until one of the seeks. Throws `CorruptionError` at a damaged block. */
  iterator(): EntryIterator {
    return this.visible(this.view.lostRanges);
  }

  /**
   * The same with what was left in lost ranges. An entry there whose sequence is not above that of its range may have been overwritten or deleted by what was
   * lost: what is known of its key has to be asked of others (`lostRangeOf`).
   */
  iteratorWithLost(): EntryIterator {
    return this.visible([]);
  }

  private visible(lostRanges: readonly LostRange[]): EntryIterator {
    assert(this.isOpen, "a snapshot is open while it is read");
    const { active, frozen, levels } = this.view;
    const runs: EntryIterator[] = [active, ...frozen].map(
      (table) => new MemtableIterator(table, this.sequenceMax),
    );
    for (const table of levels[0]!) runs.push(table.iterator());
    for (const tables of levels.slice(1)) {
      if (tables.length === 0) continue;
      const ranges = tables.map((table) => table.metadata);
      runs.push(new LevelIterator(ranges, (index) => tables[index]!.iterator()));
    }
    return new VisibleIterator(new MergingIterator(runs), Number.MAX_SAFE_INTEGER, lostRanges);
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.views.release(this.view);
  }
}
