/**
 * A position in one table.
 *
 * Forward it moves a cursor through the block. Prefix compression has no way back, so for `previous` the whole block is
 * decoded once into arrays (`DecodedBlock`), in which the position then moves freely in both directions.
 *
 * Values are ranges of the block itself: of the map, or of a heap copy that no other block will overwrite.
 */
import { EntryPosition } from "../iterators/entry-position.ts";
import { assert } from "../../base/assert.ts";
import { EMPTY_BYTES } from "../../base/bytes.ts";
import { BlockCursor, searchBlock } from "../../kernels/block-kernels.ts";
import { type EntryIterator, type EntryKind } from "../iterators/entry-iterator.ts";
import { DecodedBlock } from "./decoded-block.ts";
import type { Table } from "./table.ts";

export class TableIterator extends EntryPosition implements EntryIterator {
  private readonly table: Table;
  private readonly cursor = new BlockCursor();
  private readonly decoded = new DecodedBlock();
  private blockIndex = -1;
  private blockBytes: Uint8Array = EMPTY_BYTES;
  private blockStart = 0;
  private blockEnd = 0;
  /** The position in `decoded`, or -1 while the cursor is the position. */
  private decodedAt = -1;

  constructor(table: Table) {
    super();
    this.table = table;
  }

  seekToFirst(): void {
    this.firstOfBlock(0);
  }

  seekToLast(): void {
    this.lastOfBlock(this.table.index.blockCount - 1);
  }

  seek(key: Uint8Array): void {
    const index = this.table.index.find(key);
    if (index < 0) return this.firstOfBlock(0);
    this.load(index);
    if (this.search(key)) this.takeFromCursor();
    else this.firstOfBlock(index + 1);
  }

  seekBefore(key: Uint8Array): void {
    const index = this.table.index.findBefore(key);
    if (index < 0) return this.end();
    this.load(index);
    this.decode();
    this.takeDecoded(this.decoded.countBefore(key) - 1);
  }

  next(): void {
    assert(this.isValid, "the iterator stands on an entry");
    if (this.decodedAt >= 0) return this.nextDecoded();
    if (this.advance()) this.takeFromCursor();
    else this.firstOfBlock(this.blockIndex + 1);
  }

  previous(): void {
    assert(this.isValid, "the iterator stands on an entry");
    if (this.decodedAt < 0) {
      const { entryOffset } = this.cursor;
      this.decode();
      this.decodedAt = this.decoded.positionOf(entryOffset);
    }
    this.takeDecoded(this.decodedAt - 1);
  }

  private nextDecoded(): void {
    if (this.decodedAt + 1 < this.decoded.count) this.takeDecoded(this.decodedAt + 1);
    else this.firstOfBlock(this.blockIndex + 1);
  }

  private firstOfBlock(index: number): void {
    if (index >= this.table.index.blockCount) return this.end();
    this.load(index);
    this.cursor.open(this.blockBytes, this.blockStart, this.blockEnd);
    if (this.advance()) this.takeFromCursor();
    else this.end();
  }

  private lastOfBlock(index: number): void {
    this.load(index);
    this.decode();
    this.takeDecoded(this.decoded.count - 1);
  }

  private end(): void {
    this.isValid = false;
    this.blockIndex = -1;
    this.decodedAt = -1;
  }

  /** Loads the block even when it is the one already loaded: on a map, a check is worth only as much as it is fresh. */
  private load(index: number): void {
    this.decodedAt = -1;
    // A block that does not load must not leave the position on the entry before it.
    this.isValid = false;
    this.blockIndex = -1;
    const { table } = this;
    table.loadBlock(index, false);
    this.blockIndex = index;
    this.blockBytes = table.loadedBytes;
    this.blockStart = table.loadedStart;
    this.blockEnd = table.loadedEnd;
  }

  private search(key: Uint8Array): boolean {
    try {
      return searchBlock(this.blockBytes, this.blockStart, this.blockEnd, key, this.cursor);
    } catch (thrown) {
      throw this.table.blockError(this.blockIndex, thrown);
    }
  }

  private advance(): boolean {
    try {
      return this.cursor.next();
    } catch (thrown) {
      throw this.table.blockError(this.blockIndex, thrown);
    }
  }

  private decode(): void {
    try {
      this.decoded.decode(this.blockBytes, this.blockStart, this.blockEnd, this.cursor);
    } catch (thrown) {
      throw this.table.blockError(this.blockIndex, thrown);
    }
  }

  private takeFromCursor(): void {
    const { cursor } = this;
    this.isValid = true;
    this.keyBytes = cursor.keyBytes;
    this.keyStart = 0;
    this.keyEnd = cursor.keyLength;
    // Only kinds 0 and 1 are ever written, and the block has passed its checksum.
    this.kind = cursor.kind as EntryKind;
    this.sequence = cursor.sequence;
    this.valueBytes = this.blockBytes;
    this.valueStart = cursor.valueStart;
    this.valueEnd = cursor.valueEnd;
  }

  /** Stands on entry `at` of the decoded block, or, where `at` is -1, on the last entry of the block before. */
  private takeDecoded(at: number): void {
    if (at < 0) {
      if (this.blockIndex === 0) return this.end();
      return this.lastOfBlock(this.blockIndex - 1);
    }
    const { decoded } = this;
    this.decodedAt = at;
    this.isValid = true;
    this.keyBytes = decoded.keys;
    this.keyStart = decoded.keyStarts[at]!;
    this.keyEnd = decoded.keyStarts[at + 1]!;
    this.kind = decoded.kinds[at]! as EntryKind;
    this.sequence = decoded.sequences[at]!;
    this.valueBytes = this.blockBytes;
    this.valueStart = decoded.valueStarts[at]!;
    this.valueEnd = decoded.valueEnds[at]!;
  }
}
