/**
 * A level of disjoint tables in key order, as one run. A table is opened only when the position gets there, and at most one is
 * open at a time: a scan of a short range of a level of 1,000 tables touches one or two.
 */
import { EntryPosition } from "./entry-position.ts";
import { assert } from "../../base/assert.ts";
import { compareBytes } from "../../base/bytes.ts";
import { type EntryIterator } from "./entry-iterator.ts";

/** What the level knows of a table before it is opened. */
export interface KeyRange {
  readonly smallestKey: Uint8Array;
  readonly largestKey: Uint8Array;
}

export class LevelIterator extends EntryPosition implements EntryIterator {
  private readonly tables: readonly KeyRange[];
  private readonly openTable: (index: number) => EntryIterator;
  private openIndex = -1;
  private current: EntryIterator | undefined;

  /**
   * @param tables ascending and disjoint
   * @param openTable a new iterator over the table at that index of `tables`
   */
  constructor(tables: readonly KeyRange[], openTable: (index: number) => EntryIterator) {
    super();
    this.tables = tables;
    this.openTable = openTable;
  }

  seekToFirst(): void {
    this.firstFrom(0);
  }

  seekToLast(): void {
    this.lastFrom(this.tables.length - 1);
  }

  seek(key: Uint8Array): void {
    const index = this.countOf((table) => compareBytes(table.largestKey, key) < 0);
    if (index === this.tables.length) return this.end();
    const iterator = this.open(index);
    iterator.seek(key);
    if (iterator.isValid) this.standWith(iterator);
    else this.firstFrom(index + 1);
  }

  seekBefore(key: Uint8Array): void {
    const index = this.countOf((table) => compareBytes(table.smallestKey, key) < 0) - 1;
    if (index < 0) return this.end();
    const iterator = this.open(index);
    iterator.seekBefore(key);
    if (iterator.isValid) this.standWith(iterator);
    else this.lastFrom(index - 1);
  }

  next(): void {
    const iterator = this.standing();
    this.isValid = false;
    iterator.next();
    if (iterator.isValid) this.standWith(iterator);
    else this.firstFrom(this.openIndex + 1);
  }

  previous(): void {
    const iterator = this.standing();
    this.isValid = false;
    iterator.previous();
    if (iterator.isValid) this.standWith(iterator);
    else this.lastFrom(this.openIndex - 1);
  }

  private standing(): EntryIterator {
    assert(this.isValid && this.current !== undefined, "the iterator stands on an entry");
    return this.current;
  }

  /** Tables hold at least one entry, so the loop ends at the first; it is a loop so that this is not relied upon. */
  private firstFrom(from: number): void {
    for (let index = from; index < this.tables.length; index++) {
      const iterator = this.open(index);
      iterator.seekToFirst();
      if (iterator.isValid) return this.standWith(iterator);
    }
    this.end();
  }

  private lastFrom(from: number): void {
    for (let index = from; index >= 0; index--) {
      const iterator = this.open(index);
      iterator.seekToLast();
      if (iterator.isValid) return this.standWith(iterator);
    }
    this.end();
  }

  private end(): void {
    this.isValid = false;
  }

  private open(index: number): EntryIterator {
    this.isValid = false;
    if (this.openIndex !== index || this.current === undefined) {
      this.current = this.openTable(index);
      this.openIndex = index;
    }
    return this.current;
  }

  /** How many of the first tables satisfy `holds`, which is true up to some table and false from there on. */
  private countOf(holds: (table: KeyRange) => boolean): number {
    let low = 0;
    let high = this.tables.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (holds(this.tables[middle]!)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
