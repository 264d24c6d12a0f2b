/**
 * `POST /v1/batch`: many operations in one request (REST.md section 3). Not atomic; operations on one key run in the order
 * given, others side by side.
 *
 * All operations are looked at before the first one runs: one that can never work refuses the batch and nothing is
 * written. One that fails when it runs fails alone.
 *
 * An `Idempotency-Key` of the batch holds for each put and delete as `<key>#<index>`: a retry repeats the answer of what
 * was written before and writes the rest; another value for the key of an operation is 422 for that operation alone.
 */
import { z } from "zod";
import { EMPTY_BYTES, base64url, fromBase64url, utf8 } from "../base/bytes.ts";
import { HutchError } from "../base/errors.ts";
import type { Condition, Expiry, ReadResult, WriteRequest } from "../quorum/operation.ts";
import { requireType } from "./accept.ts";
import { jsonAnswer } from "./answers.ts";
import type { Exchange } from "./exchange.ts";
import { TTL_MS_MAX, parseCondition } from "./header-values.ts";
import {
  checkSession,
  consistencyOf,
  idempotencyKeyOf,
  observed,
  readRequestOf,
  timeoutOf,
} from "./headers.ts";
import { readJson } from "./json-body.ts";
import { envelopeJson, metadataJson, valueJson } from "./key-json.ts";
import { KeyLanes } from "./key-lanes.ts";
import { checkBucket, checkKey } from "./key-path.ts";
import { problemDocument } from "./problem.ts";

const operation = z.strictObject({
  op: z.enum(["get", "put", "delete"]),
  bucket: z.string(),
  key: z.string().optional(),
  keyB64: z.string().optional().describe("base64url or base64, instead of `key`"),
  value: z.string().optional(),
  valueB64: z.string().optional().describe("base64url or base64, instead of `value`"),
  context: z.string().optional(),
  ttl: z
    .number()
    .int()
    .min(1)
    .max(TTL_MS_MAX / 1000)
    .optional()
    .describe("seconds"),
  ifMatch: z.string().optional().describe("* or quoted ETags"),
});

export const BATCH_BODY = z.strictObject({ ops: z.array(operation) });

type OperationInput = z.output<typeof operation>;

/** An operation that can work. */
interface Operation {
  readonly op: "get" | "put" | "delete";
  readonly bucket: string;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly context: string;
  readonly expiry: Expiry;
  readonly condition: Condition;
  /** "" for none. */
  readonly idempotencyKey: string;
}

export async function postBatch(exchange: Exchange): Promise<Response> {
  requireType(exchange.header("accept"), ["application/json"]);
  const { limits } = exchange.services;
  const body = await readJson(exchange, BATCH_BODY, limits.batchBytesMax);
  if (body.ops.length > limits.batchOperationsMax) {
    throw new HutchError(
      "value-too-large",
      `Cannot take a batch of ${body.ops.length} operations: want at most ${limits.batchOperationsMax}`,
    );
  }
  const idempotencyKey = idempotencyKeyOf(exchange);
  timeoutOf(exchange);
  checkSession(exchange);
  const operations = body.ops.map((input, index) =>
    checkOperation(
      exchange,
      input,
      index,
      idempotencyKey === "" ? "" : `${idempotencyKey}#${index}`,
    ),
  );
  return jsonAnswer(exchange, { results: await runAll(exchange, operations) });
}

function checkOperation(
  exchange: Exchange,
  input: OperationInput,
  index: number,
  idempotencyKey: string,
): Operation {
  try {
    const operation = operationOf(exchange, input, idempotencyKey);
    // Whatever the options of the batch ask of this bucket is refused now, before anything is written.
    const { kv } = exchange.services;
    const { bucket, key, context } = operation;
    if (operation.op === "get") exchange.grant?.requireRole("read");
    exchange.grant?.requirePrefix(bucket, key);
    consistencyOf(exchange, bucket);
    if (context !== "") kv.checkContext(bucket, key, context);
    return operation;
  } catch (thrown) {
    if (!(thrown instanceof HutchError)) throw thrown;
    // 414 is for a path; here a malformed operation refuses the whole with 400.
    const code = thrown.code === "key-too-long" ? "bad-key" : thrown.code;
    throw new HutchError(code, `Cannot take operation ${index}: ${thrown.message}`, {
      data: { ...thrown.data, operation: index },
    });
  }
}

function operationOf(exchange: Exchange, input: OperationInput, idempotencyKey: string): Operation {
  const isPut = input.op === "put";
  if (!isPut && (input.value ?? input.valueB64 ?? input.ttl) !== undefined) {
    throw new HutchError("bad-request", `"${input.op}" takes no value and no ttl`);
  }
  if (input.op === "get" && (input.context ?? input.ifMatch) !== undefined) {
    throw new HutchError("bad-request", '"get" takes no context and no ifMatch');
  }
  return {
    op: input.op,
    bucket: checkBucket(input.bucket),
    key: checkKey(bytesOf(input, "key", "bad-key"), exchange.services.limits.keyBytesMax),
    value: isPut ? bytesOf(input, "value", "bad-request") : EMPTY_BYTES,
    context: input.context ?? "",
    expiry:
      input.ttl === undefined ? { kind: "default" } : { kind: "after", ttlMs: input.ttl * 1000 },
    condition: parseCondition(input.ifMatch, undefined),
    idempotencyKey,
  };
}

/** `name` as text or `nameB64` as base64, exactly one of them. Of base64 both alphabets, with padding or without. */
export function bytesOf(
  input: Readonly<Record<string, unknown>>,
  name: "key" | "value",
  code: "bad-key" | "bad-request",
): Uint8Array {
  // The schema has made both a string or left them out.
  const text = input[name] as string | undefined;
  const encoded = input[`${name}B64`] as string | undefined;
  if ((text === undefined) === (encoded === undefined)) {
    throw new HutchError(code, `want "${name}" or "${name}B64", exactly one of them`);
  }
  if (text !== undefined) return utf8(text);
  const bytes = fromBase64url(encoded!.replaceAll("+", "-").replaceAll("/", "_"));
  if (bytes === undefined) throw new HutchError(code, `"${name}B64" is not base64`);
  return bytes;
}

async function runAll(exchange: Exchange, operations: readonly Operation[]): Promise<unknown[]> {
  const lanes = new KeyLanes(exchange.services.limits.concurrentWritesMax);
  const results: unknown[] = new Array(operations.length);
  const room: AnswerRoom = { leftBytes: exchange.services.limits.batchAnswerBytesMax };
  for (const [index, operation] of operations.entries()) {
    const lane = `${operation.bucket}/${base64url(operation.key)}`;
    await lanes.add(lane, async () => {
      results[index] = await run(exchange, operation, room);
    });
  }
  await lanes.drained();
  return results;
}

/** What the values that were read may still take: all are in memory until the batch is answered. */
interface AnswerRoom {
  leftBytes: number;
}

/** Never throws: what goes wrong is the operation's result. */
async function run(exchange: Exchange, operation: Operation, room: AnswerRoom): Promise<unknown> {
  const { bucket, key } = operation;
  try {
    return operation.op === "get"
      ? await runRead(exchange, operation, room)
      : await runWrite(exchange, operation);
  } catch (thrown) {
    const subject = { instance: exchange.path, requestId: exchange.id, bucket, key };
    const problem = problemDocument(thrown, subject);
    exchange.services.counters.problem(problem.code);
    return { status: problem.status, problem };
  }
}

async function runRead(
  exchange: Exchange,
  { bucket, key }: Operation,
  room: AnswerRoom,
): Promise<unknown> {
  if (room.leftBytes < 0) throw noRoom(exchange);
  const { kv } = exchange.services;
  const result = await kv.read(bucket, key, readRequestOf(exchange, bucket));
  for (const { value } of result.siblings) room.leftBytes -= value.length;
  if (room.leftBytes < 0) throw noRoom(exchange);
  return readResultJson(result);
}

function noRoom({ services }: Exchange): HutchError {
  return new HutchError(
    "value-too-large",
    `Cannot answer with more than ${services.limits.batchAnswerBytesMax} bytes of values in one batch: want this one asked for in another`,
  );
}

function readResultJson(result: ReadResult): Record<string, unknown> {
  const [only, second] = result.siblings;
  if (only === undefined || result.siblings.every((sibling) => sibling.isDeleted)) {
    throw new HutchError("key-not-found", "The key is not there", {
      data: result.context === "" ? {} : { context: result.context },
    });
  }
  const etag = `"${result.etag}"`;
  if (second !== undefined) return { status: 300, etag, ...envelopeJson(result, result.siblings) };
  return {
    status: 200,
    etag,
    context: result.context,
    contentType: only.contentType || "application/octet-stream",
    ...(only.meta.length === 0 ? {} : { meta: metadataJson(only.meta) }),
    ...valueJson(only.value),
  };
}

async function runWrite(exchange: Exchange, operation: Operation): Promise<unknown> {
  const { kv } = exchange.services;
  const properties = kv.bucket(operation.bucket);
  if (operation.value.length > properties.valueBytesMax) {
    throw new HutchError(
      "value-too-large",
      `Cannot store ${operation.value.length} bytes: want at most ${properties.valueBytesMax}`,
    );
  }
  const request = observed<WriteRequest>(exchange, {
    kind: operation.op === "put" ? "put" : "delete",
    value: operation.value,
    contentType: "",
    contentEncoding: "",
    meta: [],
    expiry: operation.expiry,
    context: operation.context,
    condition: operation.condition,
    idempotencyKey: operation.idempotencyKey,
    consistency: consistencyOf(exchange, operation.bucket),
    timeoutMs: timeoutOf(exchange),
    session: exchange.option("x-session", "session", "bad-session") ?? "",
  });
  const { context, state } = await kv.write(operation.bucket, operation.key, request);
  return { status: 204, context, etag: `"${state.etag}"` };
}
