/**
 * Log lines on stderr, by LogTape: for people (in colour) on a terminal, JSON lines everywhere else.
 *
 *   12:04:31.127 WRN wal_tail_truncated file="000000000042.wal" bytes=17
 *   {"time":"2026-03-01T12:04:31.127Z","level":"warn","event":"wal_tail_truncated","file":"000000000042.wal","bytes":17}
 *
 * LogTape is configured per process: the last call of `createBunLogger` wins. Programs that embed a node hand their own
 * `Logger` in and never come here.
 */
import {
  configureSync,
  type FormattedValues,
  getAnsiColorFormatter,
  getLogger,
  getTextFormatter,
  type LogLevel,
  type LogRecord,
} from "@logtape/logtape";
import type { LogFields, Logger } from "../ports/logger.ts";

const CATEGORY = "hutch";
const LEVELS = {
  debug: "debug",
  info: "info",
  warn: "warning",
  error: "error",
} as const satisfies Record<string, LogLevel>;

export interface BunLoggerOptions {
  /** Lines below it are dropped. Default `info`. */
  readonly level?: keyof typeof LEVELS;
  /** Default `auto`: human on a terminal, otherwise json. */
  readonly format?: "auto" | "human" | "json";
  /** Default: on a terminal, unless the environment has `NO_COLOR`. */
  readonly colors?: boolean;
  /** Takes whole lines with their line end. Default: stderr. */
  readonly write?: (line: string) => void;
}

export function createBunLogger(options: BunLoggerOptions = {}): Logger {
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const format = formatterOf(options);
  configureSync({
    reset: true,
    sinks: { out: (record: LogRecord) => write(`${format(record)}\n`) },
    loggers: [
      { category: CATEGORY, sinks: ["out"], lowestLevel: LEVELS[options.level ?? "info"] },
      { category: ["logtape", "meta"], sinks: ["out"], lowestLevel: "error" },
    ],
  });
  const logger = getLogger(CATEGORY);
  return {
    debug: (event, fields = {}) => logger.debug(event, fields),
    info: (event, fields = {}) => logger.info(event, fields),
    warn: (event, fields = {}) => logger.warn(event, fields),
    error: (event, fields = {}) => logger.error(event, fields),
  };
}

type Format = (record: LogRecord) => string;

function formatterOf({ format = "auto", colors }: BunLoggerOptions): Format {
  const isTerminal = process.stderr.isTTY === true;
  if (format === "json" || (format === "auto" && !isTerminal)) return jsonLine;
  const isColored = colors ?? (isTerminal && !process.env["NO_COLOR"]);
  const textOptions = {
    timestamp: "time",
    format: ({ timestamp, level, message }: FormattedValues) => `${timestamp} ${level} ${message}`,
  } as const;
  const text = isColored ? getAnsiColorFormatter(textOptions) : getTextFormatter(textOptions);
  return (record) => humanLine(record, text);
}

function jsonLine(record: LogRecord): string {
  const time = new Date(record.timestamp).toISOString();
  const level = record.level === "warning" ? "warn" : record.level;
  const head = { time, level, event: eventOf(record) };
  // The head comes first and wins over fields of the same names.
  return escapeControls(JSON.stringify({ ...head, ...record.properties, ...head }));
}

/** LogTape draws time and level; everything that came from outside is escaped before it does. */
function humanLine(record: LogRecord, text: Format): string {
  const fields = Object.entries(record.properties as LogFields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}=${JSON.stringify(value)}`);
  const message = escapeControls(eventOf(record) + fields.join(""));
  return text({ ...record, message: [message], properties: {} }).trimEnd();
}

function eventOf(record: LogRecord): string {
  return String(record.rawMessage);
}

/**
 * Nothing in a log line may move a cursor, start a line, or turn the direction of the text: controls, line and paragraph
 * separators, bidirectional marks.
 */
function escapeControls(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
