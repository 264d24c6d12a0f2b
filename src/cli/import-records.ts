/**
 * The records of a file to import, each as the line of JSON that the node takes.
 *
 * NDJSON passes through as it is: the node judges each line. CSV has a first record with the names of its columns, of
 * which `key` (or `keyB64`) and `value` (or `valueB64`) are needed, `contentType` and `ttl` may be there; other columns
 * are refused, because dropping them silently would lose data.
 */

import { HutchError } from "../base/errors.ts";
import { CsvReader } from "./csv.ts";

export interface ImportRecord {
  /** Counting from 1: lines of NDJSON, records of CSV with the heading as the first. */
  readonly line: number;
  readonly json: string;
  /** Bytes of the file that were read when this record came, for the progress bar. */
  readonly endBytes: number;
}

const COLUMNS: readonly string[] = ["key", "keyB64", "value", "valueB64", "contentType", "ttl"];

export function readRecords(file: string, format: "ndjson" | "csv"): AsyncGenerator<ImportRecord> {
  return format === "csv" ? readCsv(file) : readLines(file);
}

async function* textOf(file: string): AsyncGenerator<{ text: string; bytes: number }> {
  const decoder = new TextDecoder();
  let bytes = 0;
  for await (const chunk of Bun.file(file).stream()) {
    bytes += chunk.length;
    yield { text: decoder.decode(chunk, { stream: true }), bytes };
  }
}

async function* readLines(file: string): AsyncGenerator<ImportRecord> {
  let pending = "";
  let line = 0;
  let endBytes = 0;
  for await (const { text, bytes } of textOf(file)) {
    const lines = (pending + text).split("\n");
    pending = lines.pop()!;
    endBytes = bytes;
    for (const json of lines) {
      line++;
      if (json.trim() !== "") yield { line, json: json.trimEnd(), endBytes };
    }
  }
  if (pending.trim() !== "") yield { line: line + 1, json: pending.trimEnd(), endBytes };
}

/** True where a line has a value of its own, false where it is an exported one with its history. */
export function hasPlainValue(json: string): boolean {
  try {
    const record: unknown = JSON.parse(json);
    return (
      typeof record === "object" && record !== null && ("value" in record || "valueB64" in record)
    );
  } catch {
    // The node reports the line; what matters here is only how the chunk is sent.
    return true;
  }
}

async function* readCsv(file: string): AsyncGenerator<ImportRecord> {
  const reader = new CsvReader();
  let columns: readonly string[] | undefined;
  let line = 0;
  const convert = function* (
    records: readonly string[][],
    endBytes: number,
  ): Generator<ImportRecord> {
    for (const fields of records) {
      line++;
      if (columns === undefined) columns = checkedColumns(file, fields);
      else yield { line, json: csvRecordAsJson(columns, fields), endBytes };
    }
  };
  let endBytes = 0;
  for await (const { text, bytes } of textOf(file)) {
    endBytes = bytes;
    yield* convert(reader.push(text), bytes);
  }
  yield* convert(reader.finish(), endBytes);
}

function checkedColumns(file: string, names: readonly string[]): readonly string[] {
  const columns = names.map((name) => name.trim().replace(/^\ufeff/, ""));
  const refuse = (why: string) => new HutchError("bad-config", `Cannot import "${file}": ${why}`);
  const unknown = columns.find((column) => !COLUMNS.includes(column));
  if (unknown !== undefined) throw refuse(`column "${unknown}" is none of ${COLUMNS.join(", ")}`);
  if (!columns.includes("key") && !columns.includes("keyB64"))
    throw refuse("no column is named key or keyB64");
  if (!columns.includes("value") && !columns.includes("valueB64"))
    throw refuse("no column is named value or valueB64");
  return columns;
}

/**
 * Empty fields count as not given; a record with neither value has the empty value. A record with more fields than the
 * heading becomes a line that the node refuses, so that it is reported by number like any other bad line.
 */
function csvRecordAsJson(columns: readonly string[], fields: readonly string[]): string {
  if (fields.length !== columns.length) return JSON.stringify({ fields });
  const given: Record<string, string | number> = {};
  for (const [index, column] of columns.entries()) {
    const field = fields[index]!;
    if (field !== "")
      given[column] = column === "ttl" && /^\d+$/.test(field) ? Number(field) : field;
  }
  if (given["valueB64"] === undefined) given["value"] ??= "";
  return JSON.stringify(given);
}
