/**
 * CSV as RFC 4180 has it: fields in quotes may hold commas, quotes (doubled) and line ends.
 *
 * Records are read from any chunks of text; a record that is not complete waits for more.
 */

import { HutchError } from "../base/errors.ts";

/** Longest record; a quote that is never closed would otherwise swallow the file. */
const RECORD_LENGTH_MAX = 64 * 1024 * 1024;

/** Splits a stream of text into records of fields. */
export class CsvReader {
  #pending = "";

  /** The records that `text` completes. */
  push(text: string): string[][] {
    this.#pending += text;
    const { records, end } = parseRecords(this.#pending, false);
    this.#pending = this.#pending.slice(end);
    if (this.#pending.length > RECORD_LENGTH_MAX)
      throw new HutchError(
        "bad-config",
        "Cannot read CSV: a record longer than 64 MiB, a quote may be missing",
      );
    return records;
  }

  /** The last record where no line end follows it. */
  finish(): string[][] {
    const { records } = parseRecords(this.#pending, true);
    this.#pending = "";
    return records;
  }
}

function parseRecords(text: string, isLast: boolean): { records: string[][]; end: number } {
  const records: string[][] = [];
  let fields: string[] = [];
  let end = 0;
  let position = 0;
  while (position < text.length || fields.length > 0) {
    const field = parseField(text, position);
    const isComplete =
      field.end < text.length && !(text[field.end] === "\r" && field.end + 1 === text.length);
    if (!isComplete && !isLast) break;
    fields.push(field.value);
    if (text[field.end] === ",") {
      position = field.end + 1;
      continue;
    }
    position = lineStartAfter(text, field.end);
    // An empty line is not a record.
    if (fields.length > 1 || fields[0] !== "") records.push(fields);
    fields = [];
    end = position;
  }
  return { records, end };
}

function lineStartAfter(text: string, end: number): number {
  return text[end] === "\r" && text[end + 1] === "\n" ? end + 2 : end + 1;
}

/** The field at `start`; `end` is where its comma or line end is, or the end of the text. */
function parseField(text: string, start: number): { value: string; end: number } {
  if (text[start] !== '"') {
    let end = start;
    while (end < text.length && text[end] !== "," && text[end] !== "\n" && text[end] !== "\r")
      end++;
    return { value: text.slice(start, end), end };
  }
  let value = "";
  let position = start + 1;
  for (;;) {
    const quote = text.indexOf('"', position);
    if (quote === -1) return { value: value + text.slice(position), end: text.length };
    value += text.slice(position, quote);
    if (text[quote + 1] !== '"') {
      // Whatever stands between the closing quote and the comma belongs to the field, as other readers have it.
      const end = unquotedEnd(text, quote + 1);
      return { value: value + text.slice(quote + 1, end), end };
    }
    value += '"';
    position = quote + 2;
  }
}

function unquotedEnd(text: string, start: number): number {
  let end = start;
  while (end < text.length && text[end] !== "," && text[end] !== "\n" && text[end] !== "\r") end++;
  return end;
}

/** One record with its line end. */
export function formatCsvRecord(fields: readonly string[]): string {
  return `${fields.map(formatField).join(",")}\r\n`;
}

function formatField(field: string): string {
  return /[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}
