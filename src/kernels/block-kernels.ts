/**
 * The content of a table block: sorted entries with prefix-compressed keys and restart points (the
 * scheme of LevelDB's `table/block.cc`). Frozen: these bytes are stored.
 *
 *   entry    | shared varint | unshared varint | value length varint | kind u8 | sequence varint |
 *            | key suffix (unshared bytes) | value |
 *   block    | entry ... | restart offset u32 LE ... | restart count u32 LE |
 *
 * `shared` bytes of the key are those of the entry before. Every 16th entry is a restart: it shares
 * nothing, and its offset from the start of the block is in the list. Equal keys may follow each
 * other (newest first is the caller's order). Varints are base 128, low group first, below 2^53.
 *
 * A search runs over the restarts by halves, then along at most 17 entries, and compares with the
 * target without building keys. It keeps `matched`, the length that the entry before, which is
 * smaller than the target, has in common with the target:
 *
 *   shared >  matched   the entry differs from the target where the one before did: smaller, skip it
 *   shared <= matched   its first `shared` bytes are the target's: compare from there on
 *
 * so the key of the entry that is found is `shared` bytes of the target plus its own suffix.
 *
 * Damage (blocks carry a checksum; this is the second line): no read leaves the given range, every
 * step moves forward by at least five bytes, and what does not fit is a `DecodeError`.
 */

import { assert } from "../base/assert.ts";
import { DecodeError, readU32 } from "../base/byte-reader.ts";
import { EMPTY_BYTES } from "../base/bytes.ts";

/** Every so many entries one is stored with its whole key. */
export const RESTART_INTERVAL = 16;

/** What an entry needs besides key and value, at most: lengths of 5 + 5 + 5 bytes, kind, sequence of 8. */
const ENTRY_OVERHEAD_BYTES_MAX = 24;

/** From this length on, a view and a bulk copy cost less than a byte loop. */
const BULK_COPY_BYTES = 64;

function copyRange(
  target: Uint8Array,
  at: number,
  source: Uint8Array,
  start: number,
  end: number,
): void {
  if (end - start >= BULK_COPY_BYTES) target.set(source.subarray(start, end), at);
  else for (let from = start; from < end; from++) target[at++] = source[from]!;
}

/** Writes `value` (an integer below 2^53) at `at` and returns the offset behind it. */
function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  while (value >= 0x80000000) {
    bytes[at++] = (value % 128) | 128;
    value = Math.floor(value / 128);
  }
  while (value >= 128) {
    bytes[at++] = (value & 127) | 128;
    value >>>= 7;
  }
  bytes[at] = value;
  return at + 1;
}

/** `bytes`, or a copy with room for `lengthMin`, at least twice as large. */
function withRoom(bytes: Uint8Array, lengthMin: number): Uint8Array {
  if (lengthMin <= bytes.length) return bytes;
  const larger = new Uint8Array(Math.max(lengthMin, bytes.length * 2));
  larger.set(bytes);
  return larger;
}

/** Writes one block after the other into a buffer that it keeps. */
export class BlockBuilder {
  private bytes: Uint8Array = new Uint8Array(8192);
  private length = 0;
  private previousKey: Uint8Array = new Uint8Array(256);
  private previousLength = 0;
  private readonly restarts: number[] = [];
  private entryCount = 0;

  /** Entries added since the last `reset`. */
  get count(): number {
    return this.entryCount;
  }

  /** The length that `finish` would give now. */
  get sizeBytes(): number {
    return this.length + this.restarts.length * 4 + 4;
  }

  /**
   * Appends an entry. Precondition: the key does not sort before the one added last.
   *
   * @param sequence an integer below 2^53
   */
  add(
    keyBytes: Uint8Array,
    keyStart: number,
    keyEnd: number,
    kind: number,
    sequence: number,
    valueBytes: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void {
    const keyLength = keyEnd - keyStart;
    const valueLength = valueEnd - valueStart;
    const shared = this.takeShared(keyBytes, keyStart, keyLength);
    const lengthMax = this.length + ENTRY_OVERHEAD_BYTES_MAX + keyLength + valueLength;
    const bytes = (this.bytes = withRoom(this.bytes, lengthMax));
    let at = writeVarint(bytes, this.length, shared);
    at = writeVarint(bytes, at, keyLength - shared);
    at = writeVarint(bytes, at, valueLength);
    bytes[at] = kind;
    at = writeVarint(bytes, at + 1, sequence);
    copyRange(bytes, at, keyBytes, keyStart + shared, keyEnd);
    at += keyLength - shared;
    copyRange(bytes, at, valueBytes, valueStart, valueEnd);
    this.length = at + valueLength;
    this.rememberKey(keyBytes, keyStart, keyLength, shared);
    this.entryCount++;
  }

  /** The prefix to leave out for the next key: none, and a new restart, at every 16th entry. */
  private takeShared(key: Uint8Array, keyStart: number, keyLength: number): number {
    const previous = this.previousKey;
    const limit = keyLength < this.previousLength ? keyLength : this.previousLength;
    let shared = 0;
    while (shared < limit && key[keyStart + shared] === previous[shared]) shared++;
    const isInOrder =
      shared < limit ? key[keyStart + shared]! > previous[shared]! : shared === this.previousLength;
    assert(isInOrder, "keys of a block are added in ascending order");
    if (this.entryCount % RESTART_INTERVAL !== 0) return shared;
    this.restarts.push(this.length);
    return 0;
  }

  private rememberKey(key: Uint8Array, keyStart: number, keyLength: number, shared: number): void {
    if (keyLength > this.previousKey.length)
      this.previousKey = withRoom(this.previousKey, keyLength);
    copyRange(this.previousKey, shared, key, keyStart + shared, keyStart + keyLength);
    this.previousLength = keyLength;
  }

  /** Ends the block: a view of it, valid until the next `reset`. Nothing may be added before that. */
  finish(): Uint8Array {
    const size = this.sizeBytes;
    this.bytes = withRoom(this.bytes, size);
    const view = new DataView(this.bytes.buffer);
    let at = this.length;
    for (const restart of this.restarts) {
      view.setUint32(at, restart, true);
      at += 4;
    }
    view.setUint32(at, this.restarts.length, true);
    return this.bytes.subarray(0, size);
  }

  /** Starts an empty block in the same buffer. */
  reset(): void {
    this.length = 0;
    this.previousLength = 0;
    this.restarts.length = 0;
    this.entryCount = 0;
  }
}

/**
 * A place in a block: the entry it stands on, by offsets into the array that was given. One cursor
 * serves any number of blocks and allocates only where a key is longer than all before.
 */
export class BlockCursor {
  /** The array that the block is in; `valueStart` and the other offsets count from its beginning. */
  bytes: Uint8Array = EMPTY_BYTES;
  /** True while the cursor stands on an entry; the fields below mean something only then. */
  isValid = false;
  /** True where `searchBlock` met the very key. */
  exact = false;
  /** The key is the first `keyLength` of these bytes; overwritten by the next move. */
  keyBytes: Uint8Array = new Uint8Array(256);
  keyLength = 0;
  kind = 0;
  sequence = 0;
  valueStart = 0;
  valueEnd = 0;
  /** Where the entry begins, and where the next one does. */
  entryOffset = 0;
  nextOffset = 0;

  /** Range of the entries and number of restarts, whose list begins at `entriesEnd`. */
  start = 0;
  entriesEnd = 0;
  restartCount = 0;

  /** The header last read. */
  shared = 0;
  unshared = 0;
  suffixStart = 0;
  private sequenceOffset = 0;
  private varintEnd = 0;

  /** Takes up the block content in `block[start, end)`, standing on no entry yet. */
  open(block: Uint8Array, start: number, end: number): void {
    this.isValid = false;
    this.exact = false;
    if (start < 0 || end > block.length || end - start < 4) throw damaged("block", start);
    const restartCount = readU32(block, end - 4);
    if (restartCount > (end - start - 4) / 4) throw damaged("restart count", end - 4);
    this.bytes = block;
    this.start = start;
    this.entriesEnd = end - 4 - restartCount * 4;
    this.restartCount = restartCount;
    this.keyLength = 0;
    this.nextOffset = start;
    if (restartCount === 0 && this.entriesEnd !== start) throw damaged("restart count", end - 4);
  }

  /** Stands on the first entry of the block content in `block[start, end)`; false where it is empty. */
  seekToFirst(block: Uint8Array, start: number, end: number): boolean {
    this.open(block, start, end);
    return this.next();
  }

  /** Moves to the next entry; false at the end. */
  next(): boolean {
    this.isValid = false;
    if (this.nextOffset >= this.entriesEnd) return false;
    this.readHeader(this.nextOffset);
    if (this.shared > this.keyLength) throw damaged("shared length", this.entryOffset);
    this.exact = false;
    this.stand();
    return true;
  }

  /** The offset of the entry at restart `index`, inside the entries. */
  restartOffset(index: number): number {
    const offset = readU32(this.bytes, this.entriesEnd + index * 4);
    if (offset >= this.entriesEnd - this.start) throw damaged("restart offset", index);
    return this.start + offset;
  }

  /**
   * Reads the lengths of the entry at `at`, inside the entries, and finds where its parts are. A header that
   * runs past the entries is stopped by the restart list (8 bytes at least, the last one a zero) and
   * then refused with its length, so one comparison does for all fields.
   */
  readHeader(at: number): void {
    const { bytes, entriesEnd } = this;
    this.entryOffset = at;
    let shared = bytes[at++]!;
    if (shared >= 128) {
      shared = this.longVarint(at - 1);
      at = this.varintEnd;
    }
    let unshared = bytes[at++]!;
    if (unshared >= 128) {
      unshared = this.longVarint(at - 1);
      at = this.varintEnd;
    }
    let valueLength = bytes[at++]!;
    if (valueLength >= 128) {
      valueLength = this.longVarint(at - 1);
      at = this.varintEnd;
    }
    this.kind = bytes[at++]!;
    this.sequenceOffset = at;
    while (bytes[at++]! >= 128);
    if (unshared + valueLength > entriesEnd - at) throw damaged("entry length", this.entryOffset);
    this.shared = shared;
    this.unshared = unshared;
    this.suffixStart = at;
    this.valueStart = at + unshared;
    this.valueEnd = this.nextOffset = at + unshared + valueLength;
  }

  /** Makes the entry whose header was read the current one; its first `shared` key bytes are in `keyBytes`. */
  stand(): void {
    const { shared, unshared, suffixStart } = this;
    const keyLength = shared + unshared;
    if (keyLength > this.keyBytes.length) this.keyBytes = withRoom(this.keyBytes, keyLength);
    copyRange(this.keyBytes, shared, this.bytes, suffixStart, suffixStart + unshared);
    this.keyLength = keyLength;
    this.sequence = this.bytes[this.sequenceOffset]!;
    if (this.sequence >= 128) this.sequence = this.longVarint(this.sequenceOffset);
    this.isValid = true;
  }

  /** The varint at `at`, which must end inside the entries. */
  private longVarint(at: number): number {
    const { bytes } = this;
    const limit = Math.min(at + 8, this.entriesEnd);
    let value = 0;
    let scale = 1;
    while (at < limit) {
      const byte = bytes[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) {
        this.varintEnd = at;
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      scale *= 128;
    }
    throw damaged("varint", at);
  }
}

function damaged(what: string, offset: number): DecodeError {
  return new DecodeError(`Cannot read block: ${what} at ${offset} does not fit`);
}

/**
 * Moves `cursor` to the first entry with a key >= `key` in the block content in `block[start, end)`; false
 * where there is none. `cursor.exact` tells whether the keys are equal.
 *
 * @throws DecodeError where the bytes are not a block
 */
export function searchBlock(
  block: Uint8Array,
  start: number,
  end: number,
  key: Uint8Array,
  cursor: BlockCursor,
): boolean {
  cursor.open(block, start, end);
  if (cursor.restartCount === 0) return false;
  const keyLength = key.length;
  let at = lastRestartBefore(block, key, cursor);
  let matched = 0;
  let previousLength = 0;
  while (at < cursor.entriesEnd) {
    cursor.readHeader(at);
    const shared = cursor.shared;
    if (shared > previousLength) throw damaged("shared length", at);
    const entryLength = (previousLength = shared + cursor.unshared);
    if (shared <= matched) {
      const limit = entryLength < keyLength ? entryLength : keyLength;
      const suffix = cursor.suffixStart - shared;
      matched = shared;
      while (matched < limit && block[suffix + matched] === key[matched]) matched++;
      const order =
        matched < limit ? block[suffix + matched]! - key[matched]! : entryLength - keyLength;
      if (order >= 0) return standOnFound(key, order === 0, cursor);
    }
    at = cursor.nextOffset;
  }
  return false;
}

/** The offset of the last restart whose key is smaller than `key`, or of the first one. */
function lastRestartBefore(block: Uint8Array, key: Uint8Array, cursor: BlockCursor): number {
  let low = 0;
  let high = cursor.restartCount - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    cursor.readHeader(cursor.restartOffset(middle));
    if (cursor.shared !== 0) throw damaged("restart", cursor.entryOffset);
    if (isSuffixBefore(block, key, cursor)) low = middle;
    else high = middle - 1;
  }
  return cursor.restartOffset(low);
}

/** True where the key of the restart just read sorts before `key`. */
function isSuffixBefore(block: Uint8Array, key: Uint8Array, cursor: BlockCursor): boolean {
  const { suffixStart, unshared } = cursor;
  const limit = unshared < key.length ? unshared : key.length;
  let index = 0;
  while (index < limit && block[suffixStart + index] === key[index]) index++;
  return index < limit ? block[suffixStart + index]! < key[index]! : unshared < key.length;
}

/** Ends a search on the entry just read, whose first `shared` bytes are those of the target. */
export function standOnFound(key: Uint8Array, exact: boolean, cursor: BlockCursor): boolean {
  const { shared } = cursor;
  if (shared > cursor.keyBytes.length) cursor.keyBytes = withRoom(cursor.keyBytes, shared);
  copyRange(cursor.keyBytes, 0, key, 0, shared);
  cursor.stand();
  cursor.exact = exact;
  return true;
}
