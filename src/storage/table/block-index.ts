/**
 * The index of a table: for each data block a *separator*, and the block's length.
 *
 *   index content | (separator bytes | block bytes varint) per block        block bytes include the trailer
 *
 * separator(0) is the smallest key; separator(i) is the shortest prefix of the first key of block i that sorts after the
 * last key of block i - 1. So block i holds exactly the keys of the table in [separator(i), separator(i + 1)).
 *
 * In memory: all separators in one array with offsets, because 16,000 objects per table would be what costs.
 * The search halves [low, high) and skips what the key has in common with both ends (Manber and Myers, "Suffix arrays"): after
 * a few steps it compares one or two bytes per step, however long the common prefix of a table's keys is.
 */
import { assert } from "../../base/assert.ts";
import { ByteReader, DecodeError } from "../../base/byte-reader.ts";
import { ByteWriter } from "../../base/byte-writer.ts";
import { TRAILER_BYTES } from "./section.ts";

export class BlockIndex {
  readonly blockCount: number;
  private readonly keys: Uint8Array;
  /** Separator i is `keys[keyOffsets[i], keyOffsets[i + 1])`. */
  private readonly keyOffsets: Uint32Array;
  /** Block i with its trailer is at `[blockOffsets[i], blockOffsets[i + 1])` of the file. */
  private readonly blockOffsets: Float64Array;

  private constructor(keys: Uint8Array, keyOffsets: Uint32Array, blockOffsets: Float64Array) {
    this.blockCount = keyOffsets.length - 1;
    this.keys = keys;
    this.keyOffsets = keyOffsets;
    this.blockOffsets = blockOffsets;
  }

  /** Throws `DecodeError` unless `content` describes `blockCount` blocks that end at `dataEnd`. */
  static decode(content: Uint8Array, blockCount: number, dataEnd: number): BlockIndex {
    // Each block takes two bytes at least, so a damaged count cannot make us allocate.
    if (blockCount < 1 || blockCount > content.length / 2)
      throw new DecodeError(`Cannot read table index: ${blockCount} blocks`);
    const reader = new ByteReader(content);
    const keys = new ByteWriter(content.length);
    const keyOffsets = new Uint32Array(blockCount + 1);
    const blockOffsets = new Float64Array(blockCount + 1);
    for (let index = 0; index < blockCount; index++) {
      keys.raw(reader.view());
      keyOffsets[index + 1] = keys.length;
      const blockBytes = reader.varint();
      if (blockBytes <= TRAILER_BYTES)
        throw new DecodeError(`Cannot read table index: block of ${blockBytes} bytes`);
      blockOffsets[index + 1] = blockOffsets[index]! + blockBytes;
    }
    reader.expectEnd();
    if (blockOffsets[blockCount] !== dataEnd)
      throw new DecodeError("Cannot read table index: blocks do not fill the file");
    return new BlockIndex(keys.finish(), keyOffsets, blockOffsets);
  }

  /** Heap bytes of the three arrays. */
  get memoryBytes(): number {
    return this.keys.length + this.keyOffsets.byteLength + this.blockOffsets.byteLength;
  }

  blockOffset(index: number): number {
    return this.blockOffsets[index]!;
  }

  /** The end of the block's trailer. */
  blockEnd(index: number): number {
    return this.blockOffsets[index + 1]!;
  }

  separator(index: number): Uint8Array {
    return this.keys.slice(this.keyOffsets[index], this.keyOffsets[index + 1]);
  }

  /** The block that holds `key` if any does: the last one whose separator is <= `key`, or -1. */
  find(key: Uint8Array): number {
    const { keys, keyOffsets } = this;
    const keyLength = key.length;
    let low = -1;
    let high = this.blockCount;
    let lowShared = 0;
    let highShared = 0;
    // separator(low) <= key < separator(high), and the key shares that many bytes with each.
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      const start = keyOffsets[middle]!;
      const length = keyOffsets[middle + 1]! - start;
      const limit = length < keyLength ? length : keyLength;
      let shared = lowShared < highShared ? lowShared : highShared;
      while (shared < limit && keys[start + shared] === key[shared]) shared++;
      const order = shared < limit ? keys[start + shared]! - key[shared]! : length - keyLength;
      if (order <= 0) {
        low = middle;
        lowShared = shared;
      } else {
        high = middle;
        highShared = shared;
      }
    }
    return low;
  }

  /** The last block that can hold keys < `key`: the last one whose separator is < `key`, or -1. */
  findBefore(key: Uint8Array): number {
    const index = this.find(key);
    return index >= 0 && this.isSeparator(index, key) ? index - 1 : index;
  }

  private isSeparator(index: number, key: Uint8Array): boolean {
    const start = this.keyOffsets[index]!;
    if (this.keyOffsets[index + 1]! - start !== key.length) return false;
    for (let at = 0; at < key.length; at++) if (this.keys[start + at] !== key[at]) return false;
    return true;
  }
}

/** Collects the index while the blocks are written. */
export class BlockIndexWriter {
  private readonly writer = new ByteWriter(4096);
  private isBlockOpen = false;
  blockCount = 0;

  get bytes(): number {
    return this.writer.length;
  }

  /** A block begins whose first key is `key[0, length)`; the one before it ended with `previous[0, previousLength)`. */
  begin(
    key: Uint8Array,
    start: number,
    length: number,
    previous: Uint8Array,
    previousLength: number,
  ): void {
    assert(!this.isBlockOpen, "the index knows the length of the block before");
    let shared = 0;
    while (shared < previousLength && key[start + shared] === previous[shared]) shared++;
    const separatorLength = this.blockCount === 0 ? length : shared + 1;
    this.writer.bytes(key.subarray(start, start + separatorLength));
    this.isBlockOpen = true;
    this.blockCount++;
  }

  /** The block that began last takes `bytes` bytes, trailer included. */
  end(bytes: number): void {
    assert(this.isBlockOpen, "a block has begun");
    this.writer.varint(bytes);
    this.isBlockOpen = false;
  }

  /** The content of the index section. */
  content(): Uint8Array {
    assert(!this.isBlockOpen, "the last block has ended");
    return this.writer.view();
  }
}
