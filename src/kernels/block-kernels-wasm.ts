/**
 * The block kernels of `wasm/` behind the interface of `block-kernels.ts`, for the differential test and
 * the bench. Not in the facade: a block must be copied into WASM memory to be searched there, and entries to be
 * encoded, which costs more than the search (figures: README.md in this folder).
 */

import { DecodeError } from "../base/byte-reader.ts";
import { type BlockCursor, searchBlock, standOnFound } from "./block-kernels.ts";
import { copyIn, wasm } from "./kernels-wasm.ts";

const { INPUT, INPUT_BYTES, KEY, KEY_BYTES, OUTPUT, RESULT, memory, view } = wasm;

/** The entries of one block, gathered in WASM memory and encoded in one crossing. */
export class BlockBuilderWasm {
  private at = INPUT;
  private entryCount = 0;

  /** See `BlockBuilder.add`; false where the 64 KiB of INPUT cannot take the entry. */
  add(
    keyBytes: Uint8Array,
    keyStart: number,
    keyEnd: number,
    kind: number,
    sequence: number,
    valueBytes: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): boolean {
    const at = this.at;
    const keyLength = keyEnd - keyStart;
    const valueLength = valueEnd - valueStart;
    if (at + 20 + keyLength + valueLength > INPUT + INPUT_BYTES) return false;
    view.setUint32(at, keyLength, true);
    view.setUint32(at + 4, valueLength, true);
    view.setUint32(at + 8, kind, true);
    view.setFloat64(at + 12, sequence, true);
    copyIn(at + 20, keyBytes, keyStart, keyEnd);
    copyIn(at + 20 + keyLength, valueBytes, valueStart, valueEnd);
    this.at = at + 20 + keyLength + valueLength;
    this.entryCount++;
    return true;
  }

  /** The block, as a view of WASM memory that the next kernel call may overwrite; then starts anew. */
  finish(): Uint8Array {
    const length = wasm.encodeBlock(this.entryCount);
    this.at = INPUT;
    this.entryCount = 0;
    return memory.subarray(OUTPUT, OUTPUT + length);
  }
}

/** See `searchBlock`; a block above 64 KiB or a key above 16 KiB goes to the twin. */
export function searchBlockWasm(
  block: Uint8Array,
  start: number,
  end: number,
  key: Uint8Array,
  cursor: BlockCursor,
): boolean {
  if (end - start > INPUT_BYTES || key.length > KEY_BYTES)
    return searchBlock(block, start, end, key, cursor);
  cursor.open(block, start, end);
  copyIn(INPUT, block, start, end);
  copyIn(KEY, key, 0, key.length);
  const found = wasm.searchBlock(INPUT, INPUT + end - start, key.length);
  if (found === -1) return false;
  if (found === -2) throw new DecodeError(`Cannot read block: at ${start} is none`);
  cursor.readHeader(start + found - INPUT);
  return standOnFound(key, view.getUint32(RESULT, true) === 1, cursor);
}
