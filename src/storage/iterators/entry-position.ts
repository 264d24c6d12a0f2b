/** The fields of an `EntryIterator`, in one order and of one type for life, and how to stand where another one stands. */
import { EMPTY_BYTES } from "../../base/bytes.ts";
import { type EntryIterator, type EntryKind, PUT_ENTRY } from "./entry-iterator.ts";

export abstract class EntryPosition {
  isValid = false;
  keyBytes: Uint8Array = EMPTY_BYTES;
  keyStart = 0;
  keyEnd = 0;
  kind: EntryKind = PUT_ENTRY;
  sequence = 0;
  valueBytes: Uint8Array = EMPTY_BYTES;
  valueStart = 0;
  valueEnd = 0;

  /** Takes over `source`'s entry; `source` is valid. The ranges stay valid until `source` moves. */
  protected standWith(source: EntryIterator): void {
    this.isValid = true;
    this.keyBytes = source.keyBytes;
    this.keyStart = source.keyStart;
    this.keyEnd = source.keyEnd;
    this.kind = source.kind;
    this.sequence = source.sequence;
    this.valueBytes = source.valueBytes;
    this.valueStart = source.valueStart;
    this.valueEnd = source.valueEnd;
  }
}
