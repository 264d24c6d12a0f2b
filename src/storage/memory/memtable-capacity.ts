/** How much address space a memtable takes: its threshold, room for the last batches past it, and always room for the batch at hand. */
import type { StoreOptions } from "../options.ts";
import { ENTRY_HEADER_WORDS } from "./memtable.ts";

const SLACK_BYTES = 64 * 1024;

export function memtableCapacity(
  options: StoreOptions,
  entryCount: number,
  contentBytes: number,
): number {
  const wanted = contentBytes + (entryCount + 1) * (ENTRY_HEADER_WORDS + 1) * 4;
  return Math.max(
    options.memtableBytes + (options.memtableBytes >>> 3) + SLACK_BYTES,
    wanted + SLACK_BYTES,
  );
}
