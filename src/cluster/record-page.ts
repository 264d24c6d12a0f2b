/** Records that travel in one message: bounded in count and bytes, beyond the bytes one record of any size. */
import { RECORDS_MAX, RECORD_BYTES_MAX } from "./exchange-codec.ts";
import type { ScannedEntry } from "./peer-messages.ts";

export class RecordPage {
  readonly records: ScannedEntry[] = [];
  private bytes = 0;

  hasRoomFor(key: Uint8Array, record: Uint8Array): boolean {
    if (this.records.length === 0) return true;
    const bytes = this.bytes + key.length + record.length;
    return this.records.length < RECORDS_MAX && bytes <= RECORD_BYTES_MAX;
  }

  add(key: Uint8Array, record: Uint8Array): void {
    this.records.push({ key, record });
    this.bytes += key.length + record.length;
  }
}
