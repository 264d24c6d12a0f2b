/**
 * `hutch import`: a file into a bucket, in chunks, resumable.
 *
 * After each chunk that the node has acknowledged, FILE.hutch-progress says which line comes next. A chunk whose answer
 * was lost is sent again; importing a line twice leaves the same as importing it once. The position belongs to this very
 * file (size and time of change) and bucket; for any other it is ignored.
 */

import { readFileSync, renameSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { HutchError, messageOf } from "../base/errors.ts";
import type { Client } from "../client/client.ts";
import type { ImportAnswer } from "../client/messages.ts";
import { isAwayOrBusy, withRetries } from "../client/retry.ts";
import { connect } from "./connect.ts";
import { EXIT } from "./exit-codes.ts";
import type { ImportRecord } from "./import-records.ts";
import { hasPlainValue, readRecords } from "./import-records.ts";
import { positiveNumber } from "./keys.ts";
import { startProgress } from "./progress.ts";
import { note } from "./terminal.ts";

/** One request: repeated cheaply, fills group commits, and the node reports as many bad lines one by one. */
const CHUNK_RECORDS_MAX = 1000;
const CHUNK_LENGTH_MAX = 4 * 1024 * 1024;
/** Bad lines shown one by one; the rest is counted. */
const ERRORS_SHOWN_MAX = 20;

type Options = Readonly<Record<string, string | boolean | undefined>>;
type Mode = "merge" | "write";

interface Chunk {
  readonly records: ImportRecord[];
  length: number;
}

interface Totals {
  imported: number;
  failed: number;
}

export async function importFile(bucket: string, file: string, options: Options): Promise<void> {
  const position = positionOf(bucket, file);
  const client = connect(options);
  const firstLine =
    options["fromLine"] === undefined ? position.load() : positiveNumber(options, "fromLine");
  if (firstLine > 1) note(`going on at line ${firstLine}`);
  const totals: Totals = { imported: 0, failed: 0 };
  const progress = startProgress(statSync(file).size, "lines");
  try {
    for await (const chunk of chunks(file, formatOf(file, options), firstLine)) {
      report(await send(client, bucket, chunk, options), chunk, totals);
      const last = chunk.records.at(-1)!;
      position.save(last.line + 1);
      progress.update(last.endBytes, last.line);
    }
  } finally {
    progress.stop(`imported ${totals.imported}, failed ${totals.failed}`);
  }
  position.clear();
  if (totals.failed > 0) process.exitCode = EXIT.refused;
}

export function formatOf(file: string, options: Options): "ndjson" | "csv" {
  if (options["format"] !== undefined) return options["format"] === "csv" ? "csv" : "ndjson";
  return file.endsWith(".csv") ? "csv" : "ndjson";
}

async function* chunks(
  file: string,
  format: "ndjson" | "csv",
  firstLine: number,
): AsyncGenerator<Chunk> {
  let chunk: Chunk = { records: [], length: 0 };
  for await (const record of readRecords(file, format)) {
    if (record.line < firstLine) continue;
    chunk.records.push(record);
    chunk.length += record.json.length;
    if (chunk.records.length < CHUNK_RECORDS_MAX && chunk.length < CHUNK_LENGTH_MAX) continue;
    yield chunk;
    chunk = { records: [], length: 0 };
  }
  if (chunk.records.length > 0) yield chunk;
}

function send(
  client: Client,
  bucket: string,
  chunk: Chunk,
  options: Options,
): Promise<ImportAnswer> {
  const lines = chunk.records.map(({ json }) => `${json}\n`).join("");
  const mode = modeFor(options["mode"], chunk.records[0]!);
  return withRetries(() => client.importLines(bucket, lines, mode), {
    shouldRetry: isAwayOrBusy,
    sleep: Bun.sleep,
    onPause: (error, pauseMs) => note(`${messageOf(error)}; trying again in ${pauseMs} ms`),
  });
}

/** Lines with a value are written as new; exported lines carry their history and are merged. */
function modeFor(asked: string | boolean | undefined, first: ImportRecord): Mode {
  if (asked === "merge" || asked === "write") return asked;
  return hasPlainValue(first.json) ? "write" : "merge";
}

function report(answer: ImportAnswer, chunk: Chunk, totals: Totals): void {
  for (const { line, code, detail } of answer.errors) {
    const place = chunk.records[line - 1]?.line ?? line;
    if (totals.failed < ERRORS_SHOWN_MAX) note(`line ${place}: ${code}: ${detail}`);
    else if (totals.failed === ERRORS_SHOWN_MAX) note("more bad lines are counted, not shown");
  }
  totals.imported += answer.imported;
  totals.failed += answer.failed;
}

/** Where the import of `file` into `bucket` stands, in a file beside it. */
function positionOf(bucket: string, file: string) {
  const path = `${file}.hutch-progress`;
  const { size, mtimeMs } = statFile(file);
  return {
    load(): number {
      try {
        const saved = JSON.parse(readFileSync(path, "utf8"));
        const isOurs = saved.bucket === bucket && saved.size === size && saved.mtimeMs === mtimeMs;
        return isOurs && Number.isSafeInteger(saved.nextLine) ? saved.nextLine : 1;
      } catch {
        // No earlier import, or one whose position cannot be read: from the start, which is always right.
        return 1;
      }
    },
    save(nextLine: number): void {
      writeFileSync(`${path}.tmp`, JSON.stringify({ bucket, size, mtimeMs, nextLine }));
      renameSync(`${path}.tmp`, path);
    },
    clear(): void {
      try {
        unlinkSync(path);
      } catch {
        // The file was so short that no position was ever saved.
      }
    },
  };
}

function statFile(file: string): { readonly size: number; readonly mtimeMs: number } {
  try {
    return statSync(file);
  } catch (error) {
    throw new HutchError("usage", `Cannot read "${file}": ${messageOf(error)}`);
  }
}
