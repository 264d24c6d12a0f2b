/**
 * The kinds of value that a knob can have: how each is read from a flag, a variable or a file, checked, and printed.
 *
 * Every kind reads text (flags and variables are always text) and, where a file can say it more naturally, the JSON or
 * TOML type too. `show` is the inverse: what it prints reads back as the same value.
 */

import { z } from "zod";

/** How one kind of value is read and written. */
export interface Kind<Value> {
  /** What the value looks like, for help texts: `DURATION`, `always|group|os`. Empty for a switch. */
  readonly placeholder: string;
  readonly schema: z.ZodType<Value>;
  show(value: Value): string;
}

/** Where a node listens or is reached. IPv6 hosts are kept without brackets. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Reads a raw value or returns the sentence that says what is wrong with it. */
type Reader<Value> = (raw: unknown) => Value | Complaint;

class Complaint {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

function schemaOf<Value>(read: Reader<Value>): z.ZodType<Value> {
  return z.unknown().transform((raw, context) => {
    const value = read(raw);
    if (!(value instanceof Complaint)) return value;
    context.addIssue({ code: "custom", message: value.message });
    return z.NEVER;
  });
}

function quoted(raw: unknown): string {
  return JSON.stringify(raw) ?? String(raw);
}

const MS_PER_UNIT = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Milliseconds of `500ms`, `10s`, `5m`, `3h`, `14d` or a bare `0`; `undefined` where the text is none of these. */
export function parseDurationMs(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim());
  if (match === null) return text.trim() === "0" ? 0 : undefined;
  return Math.round(Number(match[1]) * MS_PER_UNIT[match[2] as keyof typeof MS_PER_UNIT]);
}

/** The shortest exact text of a duration: 5,400,000 is `90m`. */
export function formatDurationMs(ms: number): string {
  for (const unit of ["d", "h", "m", "s"] as const)
    if (ms >= MS_PER_UNIT[unit] && ms % MS_PER_UNIT[unit] === 0)
      return `${ms / MS_PER_UNIT[unit]}${unit}`;
  return ms === 0 ? "0" : `${ms}ms`;
}

const BYTES_PER_UNIT = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 } as const;

/** Bytes of `4KiB`, `64MiB`, `1GiB`, `512B` or a bare number; `undefined` where the text is none of these. */
export function parseSizeBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(B|KiB|MiB|GiB|TiB)?$/.exec(text.trim());
  if (match === null) return undefined;
  return Math.round(
    Number(match[1]) * BYTES_PER_UNIT[(match[2] ?? "B") as keyof typeof BYTES_PER_UNIT],
  );
}

/** The shortest exact text of a size: 65,536 is `64KiB`. */
export function formatSizeBytes(bytes: number): string {
  for (const unit of ["TiB", "GiB", "MiB", "KiB"] as const)
    if (bytes >= BYTES_PER_UNIT[unit] && bytes % BYTES_PER_UNIT[unit] === 0)
      return `${bytes / BYTES_PER_UNIT[unit]}${unit}`;
  return `${bytes}`;
}

interface Range {
  readonly min: number;
  readonly max: number;
}

function inRange(value: number, range: Range, show: (value: number) => string): number | Complaint {
  if (value >= range.min && value <= range.max) return value;
  return new Complaint(`${show(value)} is outside ${show(range.min)} to ${show(range.max)}`);
}

/** A span of time in milliseconds. */
export function duration(min: string, max: string): Kind<number> {
  const range = { min: parseDurationMs(min)!, max: parseDurationMs(max)! };
  const read: Reader<number> = (raw) => {
    const ms = typeof raw === "string" ? parseDurationMs(raw) : raw === 0 ? 0 : undefined;
    if (ms === undefined)
      return new Complaint(
        `${quoted(raw)} is not a duration; write one such as 500ms, 10s, 5m or 3h`,
      );
    return inRange(ms, range, formatDurationMs);
  };
  return { placeholder: "DURATION", schema: schemaOf(read), show: formatDurationMs };
}

/** A number of bytes. */
export function size(min: string, max: string): Kind<number> {
  const range = { min: parseSizeBytes(min)!, max: parseSizeBytes(max)! };
  const read: Reader<number> = (raw) => {
    const isWhole = typeof raw === "number" && Number.isSafeInteger(raw);
    const bytes = typeof raw === "string" ? parseSizeBytes(raw) : isWhole ? raw : undefined;
    if (bytes === undefined)
      return new Complaint(`${quoted(raw)} is not a size; write one such as 4096, 4KiB or 64MiB`);
    return inRange(bytes, range, formatSizeBytes);
  };
  return { placeholder: "SIZE", schema: schemaOf(read), show: formatSizeBytes };
}

/** A whole number. */
export function count(min: number, max: number): Kind<number> {
  const read: Reader<number> = (raw) => {
    const value = typeof raw === "string" && /^-?\d{1,15}$/.test(raw.trim()) ? Number(raw) : raw;
    if (typeof value !== "number" || !Number.isSafeInteger(value))
      return new Complaint(`${quoted(raw)} is not a whole number`);
    return inRange(value, { min, max }, String);
  };
  return { placeholder: "NUMBER", schema: schemaOf(read), show: String };
}

/** A power of two. */
export function powerOfTwo(min: number, max: number): Kind<number> {
  const whole = count(min, max);
  const schema = whole.schema.refine((value) => (value & (value - 1)) === 0, {
    error: (issue) => `${String(issue.input)} is not a power of two`,
  });
  return { ...whole, schema };
}

/** One word of a closed list. */
export function choice<const Word extends string>(...words: readonly Word[]): Kind<Word> {
  const read: Reader<Word> = (raw) =>
    words.find((word) => word === raw) ??
    new Complaint(`${quoted(raw)} is not one of ${words.join(", ")}`);
  return { placeholder: words.join("|"), schema: schemaOf(read), show: (word) => word };
}

/** Text of a given form; `form` says it in words. */
export function text(placeholder: string, pattern: RegExp, form: string): Kind<string> {
  const read: Reader<string> = (raw) =>
    typeof raw === "string" && pattern.test(raw)
      ? raw
      : new Complaint(`${quoted(raw)} is not ${form}`);
  return { placeholder, schema: schemaOf(read), show: (value) => value };
}

/** On or off; a flag of this kind takes no value. */
export function toggle(): Kind<boolean> {
  const read: Reader<boolean> = (raw) => {
    if (raw === true || raw === "true" || raw === "1") return true;
    if (raw === false || raw === "false" || raw === "0") return false;
    return new Complaint(`${quoted(raw)} is neither true nor false`);
  };
  return { placeholder: "", schema: schemaOf(read), show: String };
}

/** `host:port` or `[ipv6]:port`; a complaint otherwise. */
function readAddress(raw: unknown): Address | Complaint {
  const match =
    typeof raw === "string" ? /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s[\]]+)):(\d{1,9})$/.exec(raw) : null;
  if (match === null) return new Complaint(`${quoted(raw)} is not an address; write HOST:PORT`);
  const port = Number(match[3]);
  if (port < 1 || port > 65_535)
    return new Complaint(`port ${port} of ${quoted(raw)} is outside 1 to 65535`);
  return { host: match[1] ?? match[2]!, port };
}

/** `host:port`, with brackets around an IPv6 host. */
export function formatAddress(address: Address): string {
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}

export function address(): Kind<Address> {
  return { placeholder: "HOST:PORT", schema: schemaOf(readAddress), show: formatAddress };
}

/** An address in its text form, or "" for none. */
export function optionalAddress(): Kind<string> {
  const read: Reader<string> = (raw) => {
    if (raw === "") return "";
    const one = readAddress(raw);
    return one instanceof Complaint ? one : formatAddress(one);
  };
  return { placeholder: "HOST:PORT", schema: schemaOf(read), show: (text) => text };
}

/** Addresses separated by commas, or an array in a file. At most `max`. */
export function addresses(max: number): Kind<readonly Address[]> {
  const read: Reader<readonly Address[]> = (raw) => {
    const parts = typeof raw === "string" ? raw.split(",").filter((part) => part !== "") : raw;
    if (!Array.isArray(parts)) return new Complaint(`${quoted(raw)} is not a list of addresses`);
    if (parts.length > max) return new Complaint(`${parts.length} addresses are more than ${max}`);
    const read: Address[] = [];
    for (const part of parts) {
      const one = readAddress(typeof part === "string" ? part.trim() : part);
      if (one instanceof Complaint) return one;
      read.push(one);
    }
    return read;
  };
  const show = (list: readonly Address[]) => list.map(formatAddress).join(",");
  return { placeholder: "HOST:PORT,...", schema: schemaOf(read), show };
}
