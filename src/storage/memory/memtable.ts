/**
 * The newest writes, in memory.
 *
 * Entries are appended to an arena of shared memory, so that the flush worker reads the very same bytes without a copy. A hash
 * index over distinct keys answers point reads with one probe. Order is made on demand: distinct keys are kept in groups by their first two
 * bytes (in hutch: the partition), and a group is sorted when somebody iterates over it; puts never pay for order.
 *
 *   arena, in 32-bit words, one entry:
 *     0 older    the version of the same key before this one, 0 for none
 *     1 newest   first version: the key's newest version, 0 when rolled back; others: the first version
 *     2 link     (first version only) next key of the group that is not sorted yet
 *     3 kind << 16 | key bytes
 *     4 value bytes
 *     5 6 sequence, low and high; high is -1 when the entry was rolled back
 *     7.. key, value, padding to a word
 *
 * Invariants: offsets are in words, word 0 is never an entry; `newest` chains go strictly back in sequence; an entry is never changed
 * after `put` but for `newest` and `link`.
 */
import { assert } from "../../base/assert.ts";
import type { EntryKind } from "../iterators/entry-iterator.ts";

export const ENTRY_HEADER_WORDS = 7;
const ROLLED_BACK = -1;
const GROUPS = 65_536;
/** Average entry that the index is first sized for; smaller entries make it grow once or twice. */
const EXPECTED_ENTRY_BYTES = 128;

/** Where a lookup found its entry; reused between calls. */
export class MemtableLookup {
  kind: EntryKind = 0;
  sequence = 0;
  valueStart = 0;
  valueEnd = 0;
}

export class Memtable {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  /** The log segment that holds the same writes. */
  readonly walId: number;
  readonly createdMs: number;
  usedWords = 1;
  /** Distinct keys, rolled back ones included. */
  keyCount = 0;
  entryCount = 0;
  /** Group -> first unsorted key, 0 for none. */
  readonly groupLinks = new Int32Array(GROUPS);
  /** Group -> number of keys ever added. */
  readonly groupCounts = new Int32Array(GROUPS);
  private readonly sortedGroups = new Map<number, Int32Array>();
  private slots: Int32Array;
  /** The hash of the key in each slot; its low bits are the slot where the search starts. */
  private hashes: Int32Array;
  private mask: number;

  /** `capacityBytes` of address space are taken; pages are used as they fill. */
  constructor(capacityBytes: number, walId: number, createdMs: number) {
    const words = (capacityBytes + 3) >>> 2;
    const memory = new SharedArrayBuffer(words * 4);
    this.bytes = new Uint8Array(memory);
    this.words = new Int32Array(memory);
    this.walId = walId;
    this.createdMs = createdMs;
    let slotCount = 1024;
    while (slotCount < (capacityBytes / EXPECTED_ENTRY_BYTES) * 2) slotCount *= 2;
    this.slots = new Int32Array(slotCount);
    this.hashes = new Int32Array(slotCount);
    this.mask = slotCount - 1;
  }

  get usedBytes(): number {
    return this.usedWords * 4;
  }

  /** Memory besides the arena's unused tail. */
  get heapBytes(): number {
    return this.usedBytes + this.slots.length * 8 + GROUPS * 8;
  }

  hasRoomFor(entryCount: number, contentBytes: number): boolean {
    const words = entryCount * (ENTRY_HEADER_WORDS + 1) + ((contentBytes + 3) >>> 2);
    return this.usedWords + words <= this.words.length;
  }

  /**
   * Adds a version. Requires room, and a `sequence` above all before it; `hash` is a word of the key's hash.
   */
  put(kind: EntryKind, key: Uint8Array, value: Uint8Array, sequence: number, hash: number): void {
    const offset = this.append(kind, key, value, sequence);
    const words = this.words;
    const slot = this.slotOf(key, hash);
    const first = this.slots[slot]!;
    if (first !== 0) {
      words[offset] = words[first + 1]!;
      words[offset + 1] = first;
      words[first + 1] = offset;
      return;
    }
    this.slots[slot] = offset;
    this.hashes[slot] = hash;
    words[offset + 1] = offset;
    this.linkIntoGroup(key, offset);
    this.keyCount++;
    if (this.keyCount * 10 > this.slots.length * 7) this.growIndex();
  }

  /** The newest version of `key` into `result`; false when there is none. */
  find(key: Uint8Array, hash: number, result: MemtableLookup): boolean {
    const first = this.slots[this.slotOf(key, hash)]!;
    if (first === 0) return false;
    const newest = this.words[first + 1]!;
    if (newest === 0) return false;
    this.describe(newest, result);
    return true;
  }

  /** The newest version of `key` with a sequence of at most `sequenceMax`. */
  findAt(key: Uint8Array, hash: number, sequenceMax: number, result: MemtableLookup): boolean {
    const first = this.slots[this.slotOf(key, hash)]!;
    const offset = first === 0 ? 0 : this.versionAt(first, sequenceMax);
    if (offset === 0) return false;
    this.describe(offset, result);
    return true;
  }

  /** Of the key whose first version is `first`: the newest version visible at `sequenceMax`, 0 for none. */
  versionAt(first: number, sequenceMax: number): number {
    let offset = this.words[first + 1]!;
    while (offset !== 0 && this.sequenceOf(offset) > sequenceMax) offset = this.words[offset]!;
    return offset;
  }

  sequenceOf(offset: number): number {
    return this.words[offset + 6]! * 4294967296 + (this.words[offset + 5]! >>> 0);
  }

  describe(offset: number, result: MemtableLookup): void {
    const packed = this.words[offset + 3]!;
    result.kind = (packed >>> 16) as EntryKind;
    result.sequence = this.sequenceOf(offset);
    result.valueStart = (offset + ENTRY_HEADER_WORDS) * 4 + (packed & 0xffff);
    result.valueEnd = result.valueStart + this.words[offset + 4]!;
  }

  /**
   * Takes back every version with a sequence above `sequenceMax`: their log write failed and nobody was told otherwise. The newest versions
   * are the last of the arena, so only its tail is walked.
   */
  rollback(sequenceMax: number, fromWord: number): void {
    const { words } = this;
    const offsets: number[] = [];
    for (let offset = fromWord; offset < this.usedWords; offset = this.following(offset))
      if (this.sequenceOf(offset) > sequenceMax) offsets.push(offset);
    for (const offset of offsets.reverse()) {
      const first = this.firstOf(offset);
      assert(words[first + 1] === offset, "rollback meets the newest version first");
      words[first + 1] = first === offset ? 0 : words[offset]!;
      words[offset + 6] = ROLLED_BACK;
    }
  }

  /** The arena offset right behind the entry at `offset`. */
  following(offset: number): number {
    const content = (this.words[offset + 3]! & 0xffff) + this.words[offset + 4]!;
    return offset + ENTRY_HEADER_WORDS + ((content + 3) >>> 2);
  }

  /** First versions of the keys of `group` in byte order. The array is never changed: a later call may return another. */
  sortedGroup(group: number): Int32Array {
    const before = this.sortedGroups.get(group) ?? EMPTY_GROUP;
    if (this.groupLinks[group] === 0) return before;
    const added: number[] = [];
    for (let offset = this.groupLinks[group]!; offset !== 0; offset = this.words[offset + 2]!)
      added.push(offset);
    this.groupLinks[group] = 0;
    added.sort((a, b) => this.compareKeys(a, b));
    const merged = this.mergeSorted(before, added);
    this.sortedGroups.set(group, merged);
    return merged;
  }

  private mergeSorted(before: Int32Array, added: readonly number[]): Int32Array {
    const merged = new Int32Array(before.length + added.length);
    let i = 0;
    let j = 0;
    for (let k = 0; k < merged.length; k++) {
      const takeBefore =
        j === added.length || (i < before.length && this.compareKeys(before[i]!, added[j]!) < 0);
      merged[k] = takeBefore ? before[i++]! : added[j++]!;
    }
    return merged;
  }

  private compareKeys(a: number, b: number): number {
    return compareEntryKeys(this.bytes, this.words, a, b);
  }

  private append(kind: EntryKind, key: Uint8Array, value: Uint8Array, sequence: number): number {
    const offset = this.usedWords;
    const { words, bytes } = this;
    words[offset] = 0;
    words[offset + 1] = 0;
    words[offset + 2] = 0;
    words[offset + 3] = (kind << 16) | key.length;
    words[offset + 4] = value.length;
    words[offset + 5] = sequence | 0;
    words[offset + 6] = Math.floor(sequence / 4294967296);
    const keyStart = (offset + ENTRY_HEADER_WORDS) * 4;
    for (let i = 0; i < key.length; i++) bytes[keyStart + i] = key[i]!;
    bytes.set(value, keyStart + key.length);
    this.usedWords = this.following(offset);
    this.entryCount++;
    return offset;
  }

  /** The slot of `key`, or the empty one where it would go. */
  private slotOf(key: Uint8Array, hash: number): number {
    const { slots, hashes, mask } = this;
    const wanted = hash | 0;
    let slot = wanted & mask;
    for (;;) {
      const first = slots[slot]!;
      if (first === 0) return slot;
      if (hashes[slot] === wanted && this.hasKey(first, key)) return slot;
      slot = (slot + 1) & mask;
    }
  }

  private hasKey(offset: number, key: Uint8Array): boolean {
    const length = this.words[offset + 3]! & 0xffff;
    if (length !== key.length) return false;
    const bytes = this.bytes;
    const start = (offset + ENTRY_HEADER_WORDS) * 4;
    for (let i = 0; i < length; i++) if (bytes[start + i] !== key[i]) return false;
    return true;
  }

  private firstOf(offset: number): number {
    const link = this.words[offset + 1]!;
    const isLater = this.words[offset] !== 0 || (link !== 0 && link < offset);
    return isLater ? link : offset;
  }

  private linkIntoGroup(key: Uint8Array, offset: number): void {
    const group = groupOf(key);
    this.words[offset + 2] = this.groupLinks[group]!;
    this.groupLinks[group] = offset;
    this.groupCounts[group]!++;
  }

  private growIndex(): void {
    const { slots, hashes } = this;
    const grown = new Int32Array(slots.length * 2);
    const grownHashes = new Int32Array(slots.length * 2);
    const mask = grown.length - 1;
    for (let old = 0; old < slots.length; old++) {
      if (slots[old] === 0) continue;
      let slot = hashes[old]! & mask;
      while (grown[slot] !== 0) slot = (slot + 1) & mask;
      grown[slot] = slots[old]!;
      grownHashes[slot] = hashes[old]!;
    }
    this.slots = grown;
    this.hashes = grownHashes;
    this.mask = mask;
  }
}

const EMPTY_GROUP = new Int32Array(0);

/** Keys that share their first two bytes sort together; a missing byte counts as zero. */
export function groupOf(key: Uint8Array): number {
  return (key[0]! << 8) | (key.length > 1 ? key[1]! : 0);
}

/** Byte order of the keys of two entries of one arena. */
export function compareEntryKeys(
  bytes: Uint8Array,
  words: Int32Array,
  a: number,
  b: number,
): number {
  const aLength = words[a + 3]! & 0xffff;
  const bLength = words[b + 3]! & 0xffff;
  const shared = aLength < bLength ? aLength : bLength;
  const aStart = (a + ENTRY_HEADER_WORDS) * 4;
  const bStart = (b + ENTRY_HEADER_WORDS) * 4;
  for (let i = 0; i < shared; i++) {
    const difference = bytes[aStart + i]! - bytes[bStart + i]!;
    if (difference !== 0) return difference;
  }
  return aLength - bLength;
}
