/**
 * A position in a sorted run of entries: memtable, table, level, or several merged. Keys are distinct within a run.
 *
 * Fields describe the current entry and are meaningful only while `isValid`; the byte ranges stay valid until the iterator
 * moves. No views are made on the way: whoever needs one makes it at the end.
 */
export interface EntryIterator {
  isValid: boolean;
  keyBytes: Uint8Array;
  keyStart: number;
  keyEnd: number;
  kind: EntryKind;
  /** Storage order: the entry with the highest sequence is the newest of its key. */
  sequence: number;
  valueBytes: Uint8Array;
  valueStart: number;
  valueEnd: number;

  seekToFirst(): void;
  seekToLast(): void;
  /** The first entry >= `key`. */
  seek(key: Uint8Array): void;
  /** The last entry < `key`. */
  seekBefore(key: Uint8Array): void;
  /** Requires `isValid`. */
  next(): void;
  /** Requires `isValid`. */
  previous(): void;
}

/** Frozen: written to disk. */
export const PUT_ENTRY = 0;
/** The key is gone as far as storage is concerned; hides older entries, dropped at the bottom. */
export const DELETE_ENTRY = 1;
export type EntryKind = typeof PUT_ENTRY | typeof DELETE_ENTRY;
