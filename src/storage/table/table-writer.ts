/**
 * Writes one table, key by key, by ordinary appends (C12d), under a temporary name until it is whole:
 *
 *   1. NAME.tmp: data blocks as they fill up, then index, bloom filter, properties, footer
 *   2. sync of the file, rename to NAME, sync of the directory (C7)
 *   3. only then does `finish` return what the manifest may refer to
 *
 * A power loss before 3 leaves a `.tmp` or an orphan, which start-up removes. Any error leaves the writer of no use:
 * call `abandon`.
 *
 * A block is closed before the entry that would take it past `blockBytes`, so a large value gets a block to itself
 * and does not make its small neighbours dear to read.
 */
import { assert } from "../../base/assert.ts";
import { ByteWriter } from "../../base/byte-writer.ts";
import { compareRanges } from "../../base/bytes.ts";
import { BlockBuilder } from "../../kernels/block-kernels.ts";
import { bloomAdd, bloomBytesFor, hashKey } from "../../kernels/kernels.ts";
import { type Disk, DiskError, type DiskFile } from "../../ports/disk.ts";
import { fileName, temporaryName } from "../file-names.ts";
import { DELETE_ENTRY, type EntryKind } from "../iterators/entry-iterator.ts";
import { BlockIndexWriter } from "./block-index.ts";
import {
  BLOCK_BYTES_MAX,
  type Compression,
  compressContent,
  UNCOMPRESSED,
  ZSTD,
} from "./compression.ts";
import { encodeFooter, FOOTER_BYTES } from "./footer.ts";
import { sectionChecksum, tableSalt, TRAILER_BYTES } from "./section.ts";
import type { TableMetadata } from "./table-metadata.ts";
import { encodeProperties, type TableOrigin } from "./table-properties.ts";

export interface TableWriterOptions {
  /** Content of a data block before compression; 2 KiB. Larger: better compression, fewer index entries, dearer point reads. */
  readonly blockBytes: number;
  /** For blocks where it saves an eighth; `undefined` stores all as they are, which is what a map serves fastest. */
  readonly compression: Compression | undefined;
  readonly origin: TableOrigin;
  /** Unix time for the properties; for people. */
  readonly createdMs: number;
  /** Makes room for their hashes at once, 16 bytes each; more keys or fewer are fine. */
  readonly keyCountExpected: number;
}

export const TABLE_WRITER_DEFAULTS: TableWriterOptions = {
  blockBytes: 2048,
  compression: undefined,
  origin: "flush",
  createdMs: 0,
  keyCountExpected: 1024,
};

/** Appends are collected to about this much: a system call per block would cost more than the block. */
const APPEND_BYTES = 256 * 1024;
/** Synced every so often, so that the last sync is short and does not hold up the log on the same file system. */
const SYNC_BYTES = 8 * 1024 * 1024;
/** Key and value; leaves room for what a block adds to its only entry. */
const ENTRY_BYTES_MAX = BLOCK_BYTES_MAX - 64;
const PROPERTIES_BYTES_ESTIMATE = 128;
const HASH_WORDS = 4;

export class TableWriter {
  private readonly disk: Disk;
  private readonly id: number;
  private readonly options: TableWriterOptions;
  private readonly path: string;
  private readonly file: DiskFile;
  private readonly salt: number;
  private readonly block = new BlockBuilder();
  private readonly index = new BlockIndexWriter();
  private readonly output = new ByteWriter(2 * APPEND_BYTES);
  /** The stored checksums of all sections so far, for the whole-file checksum. */
  private readonly checksums = new ByteWriter(4096);
  private readonly keyHash = new Uint32Array(HASH_WORDS);
  private hashes: Uint32Array;
  private appendedBytes = 0;
  private unsyncedBytes = 0;
  private contentBytes = 0;
  private deletionCount = 0;
  private smallestKey: Uint8Array | undefined;
  private smallestSequence = Number.MAX_SAFE_INTEGER;
  private largestSequence = 0;
  private lastKey = new Uint8Array(256);
  private lastKeyLength = 0;
  private state: "writing" | "renamed" | "done" = "writing";
  entryCount = 0;

  constructor(disk: Disk, id: number, options: Partial<TableWriterOptions> = {}) {
    this.disk = disk;
    this.id = id;
    this.options = { ...TABLE_WRITER_DEFAULTS, ...options };
    this.path = fileName("table", id);
    this.salt = tableSalt(id);
    this.hashes = new Uint32Array(HASH_WORDS * Math.max(1, this.options.keyCountExpected));
    this.file = disk.create(temporaryName(this.path));
  }

  /** What the file would have if it were finished now; exact to within a block and compression. */
  get fileBytes(): number {
    return (
      this.writtenBytes +
      this.block.sizeBytes +
      this.index.bytes +
      bloomBytesFor(this.entryCount) +
      4 * TRAILER_BYTES +
      PROPERTIES_BYTES_ESTIMATE +
      FOOTER_BYTES
    );
  }

  /** Sections handed to the file or waiting in `output`. */
  private get writtenBytes(): number {
    return this.appendedBytes + this.output.length;
  }

  /** Adds an entry of up to 32 MiB; keys ascend strictly. Bytes are copied. Throws `DiskError`. */
  add(
    keyBytes: Uint8Array,
    keyStart: number,
    keyEnd: number,
    kind: EntryKind,
    sequence: number,
    valueBytes: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void {
    this.expectAscending(keyBytes, keyStart, keyEnd);
    const entryBytes = keyEnd - keyStart + (valueEnd - valueStart);
    assert(entryBytes <= ENTRY_BYTES_MAX, "an entry fits into a block");
    if (this.block.count > 0 && this.block.sizeBytes + entryBytes > this.options.blockBytes)
      this.endBlock();
    if (this.block.count === 0)
      this.index.begin(keyBytes, keyStart, keyEnd - keyStart, this.lastKey, this.lastKeyLength);
    this.block.add(keyBytes, keyStart, keyEnd, kind, sequence, valueBytes, valueStart, valueEnd);
    this.rememberHash(keyBytes, keyStart, keyEnd);
    this.rememberKey(keyBytes, keyStart, keyEnd);
    if (sequence < this.smallestSequence) this.smallestSequence = sequence;
    if (sequence > this.largestSequence) this.largestSequence = sequence;
    if (kind === DELETE_ENTRY) this.deletionCount++;
    this.entryCount++;
  }

  /**
   * Writes the rest and makes the table durable under its name. Requires at least one entry. Throws `DiskError`;
   * after a failed sync nothing is known about the file (C15), and `abandon` is all that is left.
   */
  finish(): TableMetadata {
    assert(
      this.state === "writing" && this.entryCount > 0,
      "a table is finished once, with entries",
    );
    if (this.block.count > 0) this.endBlock();
    const { checksum, fileBytes } = this.writeTail();
    this.append();
    this.file.syncNow();
    this.file.close();
    this.disk.rename(temporaryName(this.path), this.path);
    this.state = "renamed";
    this.disk.syncDirectory("");
    this.state = "done";
    return this.metadata(fileBytes, checksum);
  }

  /** Removes what was written, as far as the disk lets us; the first error is the caller's to report. Does nothing after `finish`. */
  abandon(): void {
    if (this.state === "done") return;
    const path = this.state === "renamed" ? this.path : temporaryName(this.path);
    this.state = "done";
    try {
      this.file.close();
      this.disk.unlink(path);
    } catch (thrown) {
      // Start-up removes what stays behind (C23).
      if (!(thrown instanceof DiskError)) throw thrown;
    }
  }

  private expectAscending(keyBytes: Uint8Array, keyStart: number, keyEnd: number): void {
    const { lastKey, lastKeyLength } = this;
    assert(
      this.entryCount === 0 ||
        compareRanges(lastKey, 0, lastKeyLength, keyBytes, keyStart, keyEnd) < 0,
      "keys of a table ascend strictly",
    );
  }

  private rememberHash(keyBytes: Uint8Array, keyStart: number, keyEnd: number): void {
    const { keyHash } = this;
    hashKey(keyBytes, keyStart, keyEnd, keyHash);
    const at = this.entryCount * HASH_WORDS;
    if (at === this.hashes.length) {
      const larger = new Uint32Array(at * 2);
      larger.set(this.hashes);
      this.hashes = larger;
    }
    this.hashes[at] = keyHash[0]!;
    this.hashes[at + 1] = keyHash[1]!;
    this.hashes[at + 2] = keyHash[2]!;
    this.hashes[at + 3] = keyHash[3]!;
  }

  private rememberKey(keyBytes: Uint8Array, keyStart: number, keyEnd: number): void {
    const length = keyEnd - keyStart;
    if (this.entryCount === 0) this.smallestKey = keyBytes.slice(keyStart, keyEnd);
    if (length > this.lastKey.length) this.lastKey = new Uint8Array(length * 2);
    const { lastKey } = this;
    for (let at = 0; at < length; at++) lastKey[at] = keyBytes[keyStart + at]!;
    this.lastKeyLength = length;
  }

  private endBlock(): void {
    const content = this.block.finish();
    const { compression } = this.options;
    const packed = compression === undefined ? undefined : compressContent(compression, content);
    const bytes =
      packed === undefined
        ? this.writeSection(content, UNCOMPRESSED)
        : this.writeSection(packed, ZSTD);
    this.index.end(bytes);
    this.contentBytes += content.length;
    this.block.reset();
    if (this.output.length >= APPEND_BYTES) this.append();
  }

  /** Puts a section with its trailer into the output; returns its length. */
  private writeSection(content: Uint8Array, type: number): number {
    const { output } = this;
    const offset = this.writtenBytes;
    const start = output.length;
    output.raw(content);
    output.u8(type);
    const checksum = sectionChecksum(output.view().subarray(start), this.salt, offset);
    output.u32(checksum);
    this.checksums.u32(checksum);
    return output.length - start;
  }

  private writeTail(): { checksum: number; fileBytes: number } {
    const indexOffset = this.writtenBytes;
    const indexBytes = this.writeSection(this.index.content(), UNCOMPRESSED);
    const bloomBytes = this.writeSection(this.bloomFilter(), UNCOMPRESSED);
    const propertiesBytes = this.writeSection(this.properties(), UNCOMPRESSED);
    const fileBytes = this.writtenBytes + FOOTER_BYTES;
    const { id: tableId, checksums } = this;
    const { blockCount } = this.index;
    const { bytes, checksum } = encodeFooter(
      { tableId, fileBytes, blockCount, indexOffset, indexBytes, bloomBytes, propertiesBytes },
      checksums.view(),
    );
    this.output.raw(bytes);
    return { checksum, fileBytes };
  }

  private bloomFilter(): Uint8Array {
    const filter = new Uint8Array(bloomBytesFor(this.entryCount));
    const { hashes } = this;
    const end = this.entryCount * HASH_WORDS;
    for (let at = 0; at < end; at += HASH_WORDS)
      bloomAdd(filter, hashes[at]!, hashes[at + 1]!, hashes[at + 2]!, hashes[at + 3]!);
    return filter;
  }

  private properties(): Uint8Array {
    const { contentBytes } = this;
    const { origin, createdMs } = this.options;
    return encodeProperties({ ...this.metadata(0, 0), origin, contentBytes, createdMs });
  }

  private metadata(fileBytes: number, checksum: number): TableMetadata {
    return {
      id: this.id,
      fileBytes,
      entryCount: this.entryCount,
      deletionCount: this.deletionCount,
      smallestKey: this.smallestKey!,
      largestKey: this.lastKey.slice(0, this.lastKeyLength),
      smallestSequence: this.smallestSequence,
      largestSequence: this.largestSequence,
      checksum,
    };
  }

  private append(): void {
    const bytes = this.output.view();
    this.file.append(bytes);
    this.appendedBytes += bytes.length;
    this.unsyncedBytes += bytes.length;
    this.output.reset();
    if (this.unsyncedBytes < SYNC_BYTES) return;
    this.file.syncNow();
    this.unsyncedBytes = 0;
  }
}
