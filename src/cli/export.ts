/**
 * `hutch export`: a bucket into a file.
 *
 * NDJSON has one line per key with its whole causal state, in byte order, so the last whole line of the file says where to go
 * on: an export that was interrupted, or a connection that broke, continues behind that key. The parts then come from different
 * moments; each key is whole. CSV has keys and values only and starts anew each time.
 */

import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readSync,
  statSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { fromBase64url, utf8 } from "../base/bytes.ts";
import { HutchError, messageOf } from "../base/errors.ts";
import type { Client } from "../client/client.ts";
import type { ListedKeyAnswer } from "../client/messages.ts";
import { isAwayOrBusy, withRetries } from "../client/retry.ts";
import { connect } from "./connect.ts";
import { formatCsvRecord } from "./csv.ts";
import { formatOf } from "./import.ts";
import type { Progress } from "./progress.ts";
import { startProgress } from "./progress.ts";
import { note } from "./terminal.ts";

type Options = Readonly<Record<string, string | boolean | undefined>>;

const NEWLINE = 0x0a;
const TAIL_BLOCK_BYTES = 64 * 1024;
const PAGE_KEYS = 1000;
const CSV_COLUMNS = ["key", "keyB64", "value", "valueB64", "contentType"] as const;

export async function exportFile(bucket: string, file: string, options: Options): Promise<void> {
  const client = connect(options);
  const isCsv = formatOf(file, options) === "csv";
  const goesOn = !isCsv && options["fresh"] !== true && existsSync(file);
  const target = new ExportTarget(file, goesOn);
  // Nobody knows the number of keys before all have been read.
  const progress = startProgress(0, "keys");
  try {
    if (isCsv) await exportCsv(client, bucket, target, progress);
    else await exportLines(client, bucket, target, progress);
    progress.stop(`exported ${target.recordCount} keys`);
  } finally {
    target.close();
  }
}

/** The file, always ending in a whole record from the point of view of the next start. */
class ExportTarget {
  recordCount = 0;
  /** Key of the last whole line; `undefined` at the start. */
  lastKey: Uint8Array | undefined;
  readonly #descriptor: number;

  constructor(file: string, goesOn: boolean) {
    try {
      if (goesOn) this.lastKey = cutToWholeLine(file);
      this.#descriptor = openSync(file, goesOn ? "a" : "w", 0o600);
    } catch (error) {
      if (error instanceof HutchError) throw error;
      throw new HutchError("usage", `Cannot write "${file}": ${messageOf(error)}`);
    }
    if (this.lastKey !== undefined) note("going on behind the last key of the file");
  }

  write(bytes: Uint8Array): void {
    for (let offset = 0; offset < bytes.length;)
      offset += writeSync(this.#descriptor, bytes, offset);
  }

  close(): void {
    fsyncSync(this.#descriptor);
    closeSync(this.#descriptor);
  }
}

function exportLines(
  client: Client,
  bucket: string,
  target: ExportTarget,
  progress: Progress,
): Promise<void> {
  return withRetries(
    async () => {
      for await (const lines of wholeLines(await client.export(bucket, target.lastKey))) {
        target.write(lines.bytes);
        target.lastKey = keyOfLine(lines.lastLine);
        target.recordCount += lines.count;
        progress.update(0, target.recordCount);
      }
    },
    {
      shouldRetry: isAwayOrBusy,
      sleep: Bun.sleep,
      onPause: (error, pauseMs) => note(`${messageOf(error)}; going on in ${pauseMs} ms`),
    },
  );
}

/** Only whole lines reach the file: what a broken connection left of one is asked for again. */
async function* wholeLines(stream: ReadableStream<Uint8Array>) {
  let pending: Uint8Array = new Uint8Array(0);
  for await (const chunk of stream) {
    pending = Buffer.concat([pending, chunk]);
    const end = pending.lastIndexOf(NEWLINE) + 1;
    if (end === 0) continue;
    const bytes = pending.subarray(0, end);
    const lastLine = bytes.subarray(bytes.subarray(0, end - 1).lastIndexOf(NEWLINE) + 1, end);
    yield { bytes, lastLine, count: countOf(bytes) };
    pending = pending.subarray(end);
  }
  if (pending.length > 0) throw new Error("the export ended in the middle of a line");
}

function countOf(bytes: Uint8Array): number {
  let count = 0;
  for (const byte of bytes) if (byte === NEWLINE) count++;
  return count;
}

function keyOfLine(line: Uint8Array): Uint8Array {
  const { key, keyB64 } = JSON.parse(new TextDecoder().decode(line)) as {
    key?: unknown;
    keyB64?: unknown;
  };
  if (typeof key === "string") return utf8(key);
  const bytes = typeof keyB64 === "string" ? fromBase64url(keyB64) : undefined;
  if (bytes === undefined) throw new HutchError("bad-json", "the line has no key");
  return bytes;
}

/** Cuts what follows the last line end and returns the key of the last line; `undefined` in a file without one. */
function cutToWholeLine(file: string): Uint8Array | undefined {
  const { size } = statSync(file);
  const lineEnd = lastNewline(file, size);
  if (lineEnd < 0) {
    truncateSync(file, 0);
    return undefined;
  }
  const lineStart = lastNewline(file, lineEnd) + 1;
  try {
    const key = keyOfLine(readRange(file, lineStart, lineEnd));
    truncateSync(file, lineEnd + 1);
    return key;
  } catch (error) {
    throw new HutchError(
      "bad-config",
      `Cannot go on with "${file}": its last line is not of an export (${messageOf(error)}); --fresh overwrites it`,
    );
  }
}

/** Offset of the last line end before `end`; -1 without one. */
function lastNewline(file: string, end: number): number {
  for (let start = end; start > 0;) {
    const blockStart = Math.max(0, start - TAIL_BLOCK_BYTES);
    const found = readRange(file, blockStart, start).lastIndexOf(NEWLINE);
    if (found >= 0) return blockStart + found;
    start = blockStart;
  }
  return -1;
}

function readRange(file: string, start: number, end: number): Uint8Array {
  const descriptor = openSync(file, "r");
  try {
    const bytes = new Uint8Array(end - start);
    return bytes.subarray(0, readSync(descriptor, bytes, 0, bytes.length, start));
  } finally {
    closeSync(descriptor);
  }
}

async function exportCsv(
  client: Client,
  bucket: string,
  target: ExportTarget,
  progress: Progress,
): Promise<void> {
  target.write(utf8(formatCsvRecord(CSV_COLUMNS)));
  let cursor: string | undefined;
  do {
    const page = await withRetries(
      () => client.list(bucket, { cursor, withValues: true, limit: PAGE_KEYS }),
      { shouldRetry: isAwayOrBusy, sleep: Bun.sleep },
    );
    if (page.partial)
      throw new HutchError("unavailable", "Cannot export: a partition could not be read");
    target.write(utf8(page.keys.map(csvRecord).join("")));
    target.recordCount += page.keys.length;
    progress.update(0, target.recordCount);
    cursor = page.complete ? undefined : page.cursor;
  } while (cursor !== undefined);
}

/** @throws HutchError where a key has several values, which a table cannot show without dropping some. */
function csvRecord(listed: ListedKeyAnswer): string {
  const { key = "", keyB64 = "", value = "", valueB64 = "", contentType = "" } = listed;
  if (listed.value === undefined && listed.valueB64 === undefined)
    throw new HutchError(
      "bad-request",
      `Cannot export key "${key || keyB64}" as CSV: it has several values; resolve them, or export NDJSON`,
    );
  return formatCsvRecord([key, keyB64, value, valueB64, contentType]);
}
