/**
 * The reading side of one table: point lookups and iterators over an immutable file, mapped or read.
 *
 *   get:  bloom filter (heap) -> index (heap) -> one block, checksum verified -> search inside the block
 *
 * Invariants:
 * - A block is verified on *every* read from the map or the file (C11): the page cache drops and re-reads pages, so a bit
 *   may flip at any time. Only blocks in the heap cache skip it: they were verified on their way in.
 * - Damage is never "absent" and never wrong bytes: it is a `CorruptionError`. A damaged bloom filter alone is not fatal:
 *   it says "maybe" to every key from then on (C14), and `isBloomDamaged` tells the owner to rewrite the table.
 * - Index and bloom filter are copies in the heap for the same reason: nothing that decides "absent" stays on a map unverified.
 */
import { assert } from "../../base/assert.ts";
import { DecodeError } from "../../base/byte-reader.ts";
import { EMPTY_BYTES } from "../../base/bytes.ts";
import { CorruptionError } from "../../base/errors.ts";
import { BlockCursor, searchBlock } from "../../kernels/block-kernels.ts";
import { bloomMayContain } from "../../kernels/kernels.ts";
import { type Disk, DiskError } from "../../ports/disk.ts";
import { type EntryKind, PUT_ENTRY } from "../iterators/entry-iterator.ts";
import type { BlockCache } from "./block-cache.ts";
import type { BlockIndex } from "./block-index.ts";
import { type Compression, UNCOMPRESSED } from "./compression.ts";
import { isSectionIntact, TRAILER_BYTES } from "./section.ts";
import { damagedSection, TableFile, unpackBlock } from "./table-file.ts";
import { TableIterator } from "./table-iterator.ts";
import type { TableMetadata } from "./table-metadata.ts";

/** `map`: uncompressed blocks are served from the page cache. `read`: every block by `pread`, for files not yet verified (C12g). */
export type ReadMode = "map" | "read";

export interface TableOptions {
  readonly mode: ReadMode;
  readonly cache: BlockCache;
  readonly compression: Compression;
}

/** What a lookup found; one object serves any number of lookups. */
export class TableLookup {
  kind: EntryKind = PUT_ENTRY;
  sequence = 0;
  /** The map or a heap block: copy the range before the next await (C27). */
  valueBytes: Uint8Array = EMPTY_BYTES;
  valueStart = 0;
  valueEnd = 0;
}

export class Table {
  readonly metadata: TableMetadata;
  /** The filter did not verify and is not used; the table answers rightly, but slowly, until it is rewritten. */
  readonly isBloomDamaged: boolean;
  readonly index: BlockIndex;
  /** Unix ms. */
  readonly createdMs: number;
  /** Where the block that `loadBlock` loaded last begins and ends, trailer excluded. */
  loadedBytes: Uint8Array = EMPTY_BYTES;
  loadedStart = 0;
  loadedEnd = 0;
  private readonly disk: Disk;
  private readonly tableFile: TableFile;
  private readonly path: string;
  private readonly salt: number;
  private readonly bloom: Uint8Array;
  private readonly cache: BlockCache;
  private readonly cacheKey: number;
  private readonly compression: Compression;
  private readonly cursor = new BlockCursor();
  /** Empty while blocks are read by `pread`. */
  private map: Uint8Array = EMPTY_BYTES;
  private isOpen = true;

  private constructor(
    disk: Disk,
    tableFile: TableFile,
    metadata: TableMetadata,
    options: TableOptions,
  ) {
    this.disk = disk;
    this.tableFile = tableFile;
    this.metadata = metadata;
    this.path = tableFile.path;
    this.salt = tableFile.salt;
    this.cache = options.cache;
    this.cacheKey = options.cache.tableKey();
    this.compression = options.compression;
    this.index = tableFile.readIndex();
    this.createdMs = tableFile.readProperties().createdMs;
    const bloom = readBloomFilter(tableFile);
    this.isBloomDamaged = bloom === undefined;
    this.bloom = bloom ?? EMPTY_BYTES;
  }

  /** Opens the table that `metadata` describes. Throws `CorruptionError`, `HutchError` `data-refused` (C21), or `DiskError`. */
  static open(disk: Disk, metadata: TableMetadata, options: TableOptions): Table {
    const tableFile = TableFile.open(disk, metadata);
    try {
      const table = new Table(disk, tableFile, metadata, options);
      if (options.mode === "map") table.switchToMap();
      return table;
    } catch (thrown) {
      tableFile.close();
      throw thrown;
    }
  }

  get isMapped(): boolean {
    return this.map.length > 0;
  }

  /** Heap bytes that an open table holds besides cached blocks. */
  get memoryBytes(): number {
    return this.bloom.length + this.index.memoryBytes;
  }

  /**
   * Serves uncompressed blocks from a map from now on; iterators and views on blocks stay good. Where the file cannot be
   * mapped (a read-only file system), reading goes on: `isMapped` tells.
   */
  switchToMap(): void {
    assert(this.isOpen, "the table is open");
    if (this.isMapped) return;
    // The size once more, right before the map: reading a map past the end of its file is SIGBUS (C12a).
    if (this.disk.sizeOf(this.path) !== this.metadata.fileBytes)
      throw new CorruptionError(
        `Cannot map table "${this.path}": its size has changed`,
        this.path,
        -1,
      );
    try {
      this.map = this.disk.map(this.path);
    } catch (thrown) {
      if (!(thrown instanceof DiskError)) throw thrown;
    }
  }

  /**
   * Looks `key` up; `h0..h3` are its hash words. True: `result` describes the entry, which may be a delete.
   * False: the table has no entry of that key. Throws `CorruptionError` where it cannot tell.
   */
  get(
    key: Uint8Array,
    h0: number,
    h1: number,
    h2: number,
    h3: number,
    result: TableLookup,
  ): boolean {
    if (!bloomMayContain(this.bloom, h0, h1, h2, h3)) return false;
    const blockIndex = this.index.find(key);
    if (blockIndex < 0) return false;
    this.loadBlock(blockIndex, true);
    const { cursor } = this;
    try {
      if (!searchBlock(this.loadedBytes, this.loadedStart, this.loadedEnd, key, cursor))
        return false;
    } catch (thrown) {
      throw this.blockError(blockIndex, thrown);
    }
    if (!cursor.exact) return false;
    // Only kinds 0 and 1 are ever written, and the block has passed its checksum.
    result.kind = cursor.kind as EntryKind;
    result.sequence = cursor.sequence;
    result.valueBytes = this.loadedBytes;
    result.valueStart = cursor.valueStart;
    result.valueEnd = cursor.valueEnd;
    return true;
  }

  /** A new iterator, on no entry yet. It reads past the cache without filling it: one scan must not drive out the hot blocks. */
  iterator(): TableIterator {
    return new TableIterator(this);
  }

  /** Releases the descriptor and the map. No lookup or iterator may be used afterwards; views on blocks stay good. */
  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.map = EMPTY_BYTES;
    this.loadedBytes = EMPTY_BYTES;
    this.cursor.bytes = EMPTY_BYTES;
    this.tableFile.close();
  }

  /** Leaves the verified, uncompressed content of block `index` in `loadedBytes[loadedStart, loadedEnd)`. */
  loadBlock(index: number, isCached: boolean): void {
    assert(this.isOpen, "the table is open");
    const offset = this.index.blockOffset(index);
    const end = this.index.blockEnd(index);
    if (this.map.length > 0 && this.map[end - TRAILER_BYTES] === UNCOMPRESSED) {
      this.expectIntact(offset, end);
      this.setLoaded(this.map, offset, end - TRAILER_BYTES);
      return;
    }
    let content = this.cache.get(this.cacheKey, index);
    if (content === undefined) {
      content = this.readBlock(index, offset, end);
      if (isCached) this.cache.add(this.cacheKey, index, content);
    }
    this.setLoaded(content, 0, content.length);
  }

  /** The error to throw for what went wrong in block `index`: a `DecodeError` is damage. */
  blockError(index: number, thrown: unknown): unknown {
    if (!(thrown instanceof DecodeError)) return thrown;
    return damagedSection(this.path, this.index.blockOffset(index), thrown);
  }

  /** A block that is compressed or not mapped, as content in the heap. */
  private readBlock(index: number, offset: number, end: number): Uint8Array {
    if (this.map.length === 0) return this.tableFile.readBlock(this.index, index, this.compression);
    this.expectIntact(offset, end);
    return unpackBlock(this.map.subarray(offset, end), this.compression, this.path, offset);
  }

  private expectIntact(offset: number, end: number): void {
    if (!isSectionIntact(this.map, offset, end, this.salt, offset))
      throw damagedSection(this.path, offset);
  }

  private setLoaded(bytes: Uint8Array, start: number, end: number): void {
    this.loadedBytes = bytes;
    this.loadedStart = start;
    this.loadedEnd = end;
  }
}

/** The filter, or `undefined` where it is damaged, which only costs time. */
function readBloomFilter(tableFile: TableFile): Uint8Array | undefined {
  try {
    return tableFile.readBloomFilter();
  } catch (thrown) {
    if (thrown instanceof CorruptionError) return undefined;
    throw thrown;
  }
}
