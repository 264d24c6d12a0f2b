/**
 * All entries of one block, decoded into arrays, for moving backwards. One object serves any number of blocks.
 * Keys are copied one after the other; values stay where they are in the block.
 */
import { compareRanges } from "../../base/bytes.ts";
import type { BlockCursor } from "../../kernels/block-kernels.ts";

export class DecodedBlock {
  count = 0;
  keys: Uint8Array = new Uint8Array(4096);
  /** Key `i` is `keys[keyStarts[i], keyStarts[i + 1])`. */
  readonly keyStarts: number[] = [];
  readonly kinds: number[] = [];
  readonly sequences: number[] = [];
  readonly valueStarts: number[] = [];
  readonly valueEnds: number[] = [];
  private readonly entryOffsets: number[] = [];

  /** Decodes the block in `block[start, end)` with the help of `cursor`, which is left at its end. Throws `DecodeError`. */
  decode(block: Uint8Array, start: number, end: number, cursor: BlockCursor): void {
    let count = 0;
    let keyEnd = 0;
    this.count = 0;
    this.keyStarts[0] = 0;
    for (let more = cursor.seekToFirst(block, start, end); more; more = cursor.next()) {
      this.appendKey(keyEnd, cursor);
      keyEnd += cursor.keyLength;
      this.kinds[count] = cursor.kind;
      this.sequences[count] = cursor.sequence;
      this.valueStarts[count] = cursor.valueStart;
      this.valueEnds[count] = cursor.valueEnd;
      this.entryOffsets[count] = cursor.entryOffset;
      this.keyStarts[++count] = keyEnd;
    }
    this.count = count;
  }

  /** The index of the entry that begins at `offset` of the block's array. */
  positionOf(offset: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.entryOffsets[middle]! < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** How many keys sort before `key`. */
  countBefore(key: Uint8Array): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const start = this.keyStarts[middle]!;
      const end = this.keyStarts[middle + 1]!;
      if (compareRanges(this.keys, start, end, key, 0, key.length) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private appendKey(at: number, cursor: BlockCursor): void {
    const { keyBytes, keyLength } = cursor;
    if (at + keyLength > this.keys.length) {
      const larger = new Uint8Array((at + keyLength) * 2);
      larger.set(this.keys.subarray(0, at));
      this.keys = larger;
    }
    const { keys } = this;
    for (let from = 0; from < keyLength; from++) keys[at + from] = keyBytes[from]!;
  }
}
