/**
 * Reads a log file and says where its sound part ends.
 *
 * Records follow each other without gaps; the first one that does not verify ends the sound part. What lies behind it is
 * searched, byte by byte, for records that verify, only to learn which sequences they prove durable: with that the caller tells a torn tail
 * (nothing behind it proves the damaged record synced) from damage (something does).
 */
import type { Disk } from "../../ports/disk.ts";
import { CorruptionError } from "../../base/errors.ts";
import {
  decodeLogHeader,
  recordAt,
  LOG_HEADER_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_TYPES,
} from "./log-format.ts";
import type { LogHeader, LogRecord } from "./log-format.ts";

export interface LogScan {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Or why there is none. */
  readonly header: LogHeader | string;
  readonly records: readonly LogRecord[];
  /** Where the sound part ends; `bytes.length` when all of it is sound. */
  readonly soundEnd: number;
  /** Highest sequence that any record, before or behind the damage, proves to have been synced; -1 for none. */
  readonly provenSequence: number;
  /** The writer closed the file in order. */
  readonly isClosed: boolean;
}

/** Reads the whole file; at most one segment at a time is in memory. EIO is a `CorruptionError`. */
export function readWholeFile(disk: Disk, name: string): Uint8Array {
  const file = disk.open(name, "read");
  try {
    const bytes = new Uint8Array(file.size());
    const count = file.read(bytes, 0);
    return count === bytes.length ? bytes : bytes.subarray(0, count);
  } catch (cause) {
    throw new CorruptionError(`Cannot read "${name}": the disk reports an error`, name, -1, cause);
  } finally {
    file.close();
  }
}

export function scanLog(name: string, bytes: Uint8Array): LogScan {
  const header = decodeLogHeader(bytes);
  const records: LogRecord[] = [];
  let provenSequence = typeof header === "string" ? -1 : header.durableSequence;
  let soundEnd = typeof header === "string" ? 0 : LOG_HEADER_BYTES;
  const salt = typeof header === "string" ? 0 : header.salt;
  let isClosed = false;
  while (typeof header !== "string") {
    const record = recordAt(bytes, soundEnd, salt);
    if (record === undefined) break;
    records.push(record);
    provenSequence = Math.max(provenSequence, record.durableSequence);
    isClosed = record.type === RECORD_TYPES.close;
    soundEnd = record.end;
  }
  if (typeof header !== "string" && soundEnd < bytes.length)
    provenSequence = Math.max(provenSequence, provenBehind(bytes, soundEnd + 1, salt));
  return { name, bytes, header, records, soundEnd, provenSequence, isClosed };
}

/** The highest durable sequence in records that verify anywhere from `from` on; -1 for none. */
function provenBehind(bytes: Uint8Array, from: number, salt: number): number {
  let proven = -1;
  for (const record of searchRecords(bytes, from, salt))
    proven = Math.max(proven, record.durableSequence);
  return proven;
}

/** All records that verify, also behind damage; for `repair`, which takes what there is. */
export function recordsAnywhere(scan: LogScan): readonly LogRecord[] {
  if (typeof scan.header === "string") return [];
  return [...scan.records, ...searchRecords(scan.bytes, scan.soundEnd, scan.header.salt)];
}

/** Looks for records byte by byte. The salt, which nobody outside knows, keeps stored values from posing as records. */
function* searchRecords(bytes: Uint8Array, from: number, salt: number): Generator<LogRecord> {
  let offset = from;
  while (offset <= bytes.length - RECORD_HEADER_BYTES) {
    const record = recordAt(bytes, offset, salt);
    if (record !== undefined) yield record;
    offset = record === undefined ? offset + 1 : record.end;
  }
}
