/**
 * `GET /v1/export/{bucket}` and `POST /v1/import/{bucket}`: a bucket as lines of JSON (REST.md section 3).
 *
 * Exported lines are `{"key","record"}` in byte order from one snapshot, deleted keys included; an export that broke off goes
 * on with `?after=` the last key. Importing them merges states and mints nothing, so twice is once. `?mode=write` takes plain
 * values instead and writes them.
 *
 * Memory: one line, plus at most `concurrentWritesMax` writes under way, each of which waits for a disk sync: that many go
 * into one sync. Lines of one key keep their order. When all places are taken the body is not read on.
 */
import { z } from "zod";
import { DecodeError } from "../base/byte-reader.ts";
import { EMPTY_BYTES, base64url } from "../base/bytes.ts";
import { HutchError, type RestCode, messageOf } from "../base/errors.ts";
import type { Metadata, WriteRequest } from "../quorum/operation.ts";
import { requireType } from "./accept.ts";
import { type HeaderBlock, jsonAnswer } from "./answers.ts";
import { bytesOf } from "./batch-routes.ts";
import { ClientAborted } from "./body-reader.ts";
import type { Exchange } from "./exchange.ts";
import { TTL_MS_MAX, checkContentType, checkMetadata } from "./header-values.ts";
import { checkOptions, consistencyOf, timeoutOf } from "./headers.ts";
import { checkBodyType } from "./json-body.ts";
import { parseJson } from "./json-text.ts";
import type { KvApi } from "./kv-api.ts";
import { KeyLanes } from "./key-lanes.ts";
import { bucketOf, checkKey } from "./key-path.ts";
import { type Line, NDJSON_TYPE, linesOf, ndjsonAnswer } from "./ndjson.ts";
import { causeFields, keyMember, restCodeOf } from "./problem.ts";
import { schemaError } from "./schema-error.ts";

export const EXPORT_QUERY = z.object({
  after: z.string().optional().describe("go on behind this key"),
});

export const IMPORT_QUERY = z.object({
  mode: z.enum(["merge", "write"]).optional().describe("merge, the default, takes exported lines"),
});

const IMPORT_TYPES = [NDJSON_TYPE, "application/ndjson", "application/jsonl", "application/json"];

/** Compiled, because they are asked once per line. */
const mergeLine = z.compile(
  z.strictObject({
    key: z.string().optional(),
    keyB64: z.string().optional(),
    record: z.unknown(),
  }),
);

const writeLine = z.compile(
  z.strictObject({
    key: z.string().optional(),
    keyB64: z.string().optional(),
    value: z.string().optional(),
    valueB64: z.string().optional(),
    contentType: z.string().optional(),
    meta: z.record(z.string(), z.string()).optional(),
    ttl: z
      .number()
      .int()
      .min(1)
      .max(TTL_MS_MAX / 1000)
      .optional(),
  }),
);

export function exportBucket(exchange: Exchange): Promise<Response> {
  const bucket = bucketOf(exchange, "/v1/export/");
  exchange.grant?.requirePrefix(bucket, EMPTY_BYTES);
  requireType(exchange.header("accept"), [NDJSON_TYPE, "application/json"]);
  checkOptions(exchange, bucket);
  const after = exchange.hasQuery ? exchange.query.bytes("after") : undefined;
  return ndjsonAnswer(exchange, exportLines(exchange, bucket, after ?? EMPTY_BYTES));
}

async function* exportLines(
  exchange: Exchange,
  bucket: string,
  after: Uint8Array,
): AsyncGenerator<unknown, void, undefined> {
  for await (const { key, record } of exchange.services.kv.export(bucket, after)) {
    yield { ...keyMember(key), record };
  }
}

interface ImportError {
  readonly line: number;
  readonly code: RestCode;
  readonly detail: string;
}

/** What an import did so far. */
interface ImportReport {
  imported: number;
  failed: number;
  /** Concurrent values that a lww bucket gave up for what was merged; told in a header. */
  dropped: number;
  /** In the order of lines; the first `importErrorsMax`. */
  readonly errors: ImportError[];
}

export async function importBucket(exchange: Exchange): Promise<Response> {
  const bucket = bucketOf(exchange, "/v1/import/");
  requireType(exchange.header("accept"), ["application/json"]);
  checkBodyType(exchange, IMPORT_TYPES);
  checkOptions(exchange, bucket);
  const task = importTaskOf(exchange, bucket);
  exchange.allowSilence(0);
  const report: ImportReport = { imported: 0, failed: 0, dropped: 0, errors: [] };
  try {
    await importLines(exchange, task, report);
  } catch (thrown) {
    throw withReport(thrown, report);
  }
  report.errors.sort((a, b) => a.line - b.line);
  const { imported, failed, errors, dropped } = report;
  const headers: HeaderBlock = dropped > 0 ? { "X-Conflict-Dropped": String(dropped) } : {};
  return jsonAnswer(exchange, { imported, failed, errors }, 200, headers);
}

/** One line, decoded: its key, and what writes it. */
interface ImportStep {
  readonly key: Uint8Array;
  /** Answers how many concurrent values were dropped for it. */
  readonly run: () => Promise<number>;
}

type ImportTask = (line: unknown) => ImportStep;

async function importLines(
  exchange: Exchange,
  task: ImportTask,
  report: ImportReport,
): Promise<void> {
  const { bodies, limits } = exchange.services;
  const lanes = new KeyLanes(limits.concurrentWritesMax);
  const chunks = bodies.chunks(exchange);
  try {
    for await (const line of linesOf(chunks, limits.importLineBytesMax)) {
      if (line.bytes !== undefined && isBlank(line.bytes)) continue;
      const step = decode(exchange, task, line, report);
      if (step === undefined) continue;
      await lanes.add(base64url(step.key), () => take(exchange, step, line.number, report));
    }
  } finally {
    // Also where the body broke off: what was taken is written before anything is said.
    await lanes.drained();
  }
}

/** Never throws: a line that fails is in the report. */
async function take(
  exchange: Exchange,
  step: ImportStep,
  line: number,
  report: ImportReport,
): Promise<void> {
  try {
    const dropped = await step.run();
    report.dropped += dropped;
    report.imported++;
  } catch (thrown) {
    fail(exchange, report, line, thrown);
  }
}

function isBlank(line: Uint8Array): boolean {
  return line.every((byte) => byte === 0x20 || byte === 0x09);
}

function decode(
  exchange: Exchange,
  task: ImportTask,
  line: Line,
  report: ImportReport,
): ImportStep | undefined {
  try {
    if (line.bytes === undefined) {
      const { importLineBytesMax } = exchange.services.limits;
      throw new HutchError(
        "value-too-large",
        `The line is too long: want at most ${importLineBytesMax} bytes`,
      );
    }
    return task(parseJson(line.bytes));
  } catch (thrown) {
    fail(exchange, report, line.number, thrown);
    return undefined;
  }
}

function fail(exchange: Exchange, report: ImportReport, line: number, thrown: unknown): void {
  report.failed++;
  const isDecode = thrown instanceof DecodeError;
  const code = isDecode ? "bad-request" : restCodeOf(thrown);
  if (code === "internal") {
    exchange.services.logger.error("import_line_failed", {
      requestId: exchange.id,
      line,
      ...causeFields(thrown),
    });
  }
  if (report.errors.length >= exchange.services.limits.importErrorsMax) return;
  const detail = code === "internal" ? "The node's log has the cause" : messageOf(thrown);
  report.errors.push({ line, code, detail });
}

/** An import that cannot go on says how far it came. */
function withReport(thrown: unknown, { imported, failed }: ImportReport): unknown {
  if (thrown instanceof ClientAborted || !(thrown instanceof HutchError)) return thrown;
  return new HutchError(thrown.code, thrown.message, {
    data: { ...thrown.data, imported, failed },
    retry: thrown.retry,
    cause: thrown,
  });
}

function importTaskOf(exchange: Exchange, bucket: string): ImportTask {
  const mode = exchange.hasQuery ? (exchange.query.text("mode") ?? "merge") : "merge";
  return mode === "write" ? writeTask(exchange, bucket) : mergeTask(exchange, bucket);
}

function mergeTask({ services, grant }: Exchange, bucket: string): ImportTask {
  const { kv, limits } = services;
  return (line) => {
    const input = shaped(mergeLine, line);
    const key = checkKey(bytesOf(input, "key", "bad-key"), limits.keyBytesMax);
    grant?.requirePrefix(bucket, key);
    return { key, run: () => kv.importMerge(bucket, { key, record: input.record }) };
  };
}

function writeTask(exchange: Exchange, bucket: string): ImportTask {
  const { kv, limits } = exchange.services;
  const properties = kv.bucket(bucket);
  const consistency = consistencyOf(exchange, bucket);
  const timeoutMs = timeoutOf(exchange);
  return (line) => {
    const input = shaped(writeLine, line);
    const key = checkKey(bytesOf(input, "key", "bad-key"), limits.keyBytesMax);
    exchange.grant?.requirePrefix(bucket, key);
    const value = bytesOf(input, "value", "bad-request");
    if (value.length > properties.valueBytesMax) {
      throw new HutchError(
        "value-too-large",
        `Cannot store ${value.length} bytes: want at most ${properties.valueBytesMax}`,
      );
    }
    const request: WriteRequest = {
      kind: "put",
      value,
      contentType: checkContentType(input.contentType ?? ""),
      contentEncoding: "",
      meta: checkMetadata(metadataOf(input.meta), limits.metadataBytesMax),
      expiry:
        input.ttl === undefined ? { kind: "default" } : { kind: "after", ttlMs: input.ttl * 1000 },
      context: "",
      condition: { kind: "none" },
      idempotencyKey: "",
      consistency,
      timeoutMs,
      session: "",
    };
    return { key, run: () => written(kv, bucket, key, request) };
  };
}

async function written(
  kv: KvApi,
  bucket: string,
  key: Uint8Array,
  request: WriteRequest,
): Promise<number> {
  const { state } = await kv.write(bucket, key, request);
  return state.conflictDropped;
}

function metadataOf(meta: Readonly<Record<string, string>> | undefined): Metadata {
  if (meta === undefined) return [];
  return Object.entries(meta).map(([name, value]) => [name.toLowerCase(), value]);
}

function shaped<Schema extends z.ZodType>(schema: Schema, line: unknown): z.output<Schema> {
  const result = schema.safeParse(line);
  if (!result.success) throw schemaError("the line", result.error.issues, "bad-request");
  return result.data;
}
