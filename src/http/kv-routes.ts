/**
 * One key: `GET`, `HEAD`, `PUT`, `DELETE` under `/v1/kv` and `/v1/kv64`, and `POST` with a key of ours.
 *
 * The hot path. A read that the node can answer from memory passes here without a promise; options are parsed only where
 * the request has them; the header block of an answer is one literal.
 */
import { HutchError } from "../base/errors.ts";
import { utf8 } from "../base/bytes.ts";
import type {
  AckCounts,
  BucketProperties,
  ReadResult,
  WriteRequest,
  WriteResult,
} from "../quorum/operation.ts";
import { type HeaderBlock, emptyAnswer, jsonAnswer } from "./answers.ts";
import type { Exchange } from "./exchange.ts";
import { readRequestOf, writeRequestOf } from "./headers.ts";
import { keyMember } from "./problem.ts";
import { allowedKey, base64KeyOf, bucketOf, textKeyOf } from "./key-path.ts";
import { percentEncode } from "./percent.ts";
import { addStateHeaders, answerRead, answerState } from "./read-answer.ts";
import { beginOperation, endOperation, restartOperation } from "./request-times.ts";
import { GENERATIONS_MAX, idempotentKey, timeOrderedKey } from "./server-keys.ts";
import { rfc3339 } from "./dates.ts";

const KV = "/v1/kv/";
const KV64 = "/v1/kv64/";

export function getKey(exchange: Exchange): Response | Promise<Response> {
  return read(exchange, bucketOf(exchange, KV), seenKeyOf(exchange, "GET"));
}

export function getKey64(exchange: Exchange): Response | Promise<Response> {
  return read(exchange, bucketOf(exchange, KV64), base64KeyOf(exchange));
}

export function putKey(exchange: Exchange): Promise<Response> {
  return put(exchange, bucketOf(exchange, KV), seenKeyOf(exchange, "PUT"));
}

export function putKey64(exchange: Exchange): Promise<Response> {
  return put(exchange, bucketOf(exchange, KV64), base64KeyOf(exchange));
}

export function deleteKey(exchange: Exchange): Promise<Response> {
  return remove(exchange, bucketOf(exchange, KV), seenKeyOf(exchange, "DELETE"));
}

export function deleteKey64(exchange: Exchange): Promise<Response> {
  return remove(exchange, bucketOf(exchange, KV64), base64KeyOf(exchange));
}

/** Who may not touch a key does not decide either that it is shown as asked for. */
function seenKeyOf(exchange: Exchange, method: string): Uint8Array {
  const key = textKeyOf(exchange);
  exchange.services.hotKeys.see(method, exchange.url);
  return key;
}

function read(exchange: Exchange, bucket: string, key: Uint8Array): Response | Promise<Response> {
  const { kv, counters } = exchange.services;
  beginOperation(exchange, "read");
  const properties = kv.bucket(bucket);
  const request = readRequestOf(exchange, bucket);
  if (exchange.hasQuery && exchange.query.flag("explain")) return explain(exchange, bucket, key);
  const answer = (result: ReadResult): Response => {
    endOperation(exchange);
    counters.replied(request.consistency, result.replies);
    counters.siblings.record(result.siblings.length);
    return answerRead(exchange, properties.n, result, request.consistency);
  };
  const result = kv.read(bucket, key, request);
  return result instanceof Promise ? result.then(answer) : answer(result);
}

async function explain(exchange: Exchange, bucket: string, key: Uint8Array): Promise<Response> {
  const { isEqual, ...explanation } = await exchange.services.kv.explain(bucket, key);
  return jsonAnswer(exchange, { ...keyMember(key), ...explanation, equal: isEqual });
}

async function put(exchange: Exchange, bucket: string, key: Uint8Array): Promise<Response> {
  const { kv, bodies, counters } = exchange.services;
  const properties = kv.bucket(bucket);
  beginOperation(exchange, "write");
  const request = writeRequestOf(exchange, bucket, "put");
  request.value = await bodies.read(exchange, properties.valueBytesMax);
  restartOperation(exchange);
  const result = await kv.write(bucket, key, request);
  endOperation(exchange);
  counters.acknowledged(request.consistency, result.acks);
  const headers = writeHeaders(exchange, properties, result, request);
  if (!wantsRepresentation(exchange)) return new Response(null, { status: 204, headers });
  headers["Preference-Applied"] = "return=representation";
  return answerState(exchange, result.state, headers);
}

async function remove(exchange: Exchange, bucket: string, key: Uint8Array): Promise<Response> {
  const { kv, counters } = exchange.services;
  const properties = kv.bucket(bucket);
  beginOperation(exchange, "delete");
  const request = writeRequestOf(exchange, bucket, "delete");
  const result = await kv.write(bucket, key, request);
  endOperation(exchange);
  counters.acknowledged(request.consistency, result.acks);
  const headers = writeHeaders(exchange, properties, result, request);
  return new Response(null, { status: 204, headers });
}

function writeHeaders(
  exchange: Exchange,
  properties: BucketProperties,
  result: WriteResult,
  request: WriteRequest,
): HeaderBlock {
  const { acks, state } = result;
  const headers: HeaderBlock = {
    ETag: `"${state.etag}"`,
    "X-Causal-Context": result.context,
    "X-Acks": acksText(acks),
    "X-Conflict-Mode": state.conflictMode,
    "X-Request-Id": exchange.id,
    "X-Node": exchange.services.kv.nodeId,
  };
  if (acks.n < properties.n) headers["X-Effective-N"] = String(acks.n);
  if (result.session !== "") headers["X-Session"] = result.session;
  if (request.condition.kind !== "none") headers["X-Condition"] = "advisory";
  const only = state.siblings.length === 1 ? state.siblings[0]! : undefined;
  if (only !== undefined && !only.isDeleted && only.expiresAtMs !== 0) {
    headers["X-Expires-At"] = rfc3339(only.expiresAtMs);
  }
  addStateHeaders(headers, state);
  return headers;
}

const ONE_ACK = "n=1, ok=1, primary=1, hinted=0, durable=1";

function acksText({ n, ok, primary, hinted, durable }: AckCounts): string {
  if (n === 1 && ok === 1 && primary === 1 && hinted === 0 && durable === 1) return ONE_ACK;
  return `n=${n}, ok=${ok}, primary=${primary}, hinted=${hinted}, durable=${durable}`;
}

/** `Prefer` is a list of preferences, each with parameters (RFC 7240). A token that may not read is not shown what others wrote beside it. */
function wantsRepresentation(exchange: Exchange): boolean {
  const prefer = exchange.header("prefer");
  if (prefer === null || exchange.grant?.has("read") === false) return false;
  return prefer
    .split(/[,;]/)
    .some((preference) => /^return\s*=\s*"?representation"?$/i.test(preference.trim()));
}

/** A new key for every request, or one key for all retries of a request that has an `Idempotency-Key`. */
export async function postKey(exchange: Exchange): Promise<Response> {
  const bucket = bucketOf(exchange, KV);
  const { kv, bodies } = exchange.services;
  const properties = kv.bucket(bucket);
  const request = writeRequestOf(exchange, bucket, "put");
  if (request.condition.kind !== "none") {
    throw new HutchError("bad-request", "Cannot use a condition with a key that is not made yet");
  }
  request.value = await bodies.read(exchange, properties.valueBytesMax);
  const [key, result] =
    request.idempotencyKey === ""
      ? await writeNewKey(exchange, bucket, request)
      : await writeIdempotentKey(exchange, bucket, request);
  return emptyAnswer(exchange, 201, {
    ...writeHeaders(exchange, properties, result, request),
    Location: KV + bucket + "/" + percentEncode(utf8(key)),
  });
}

async function writeNewKey(
  exchange: Exchange,
  bucket: string,
  request: WriteRequest,
): Promise<[string, WriteResult]> {
  const { kv, clock, random } = exchange.services;
  const key = timeOrderedKey(clock.wallMs(), random);
  return [key, await kv.write(bucket, serverKey(exchange, key), request)];
}

/**
 * The retry of a write is known under its key and answered as the first one was, whatever the condition says. A key that
 * is taken though its record has run out belongs to an earlier use, which the condition keeps from being overwritten.
 */
async function writeIdempotentKey(
  exchange: Exchange,
  bucket: string,
  request: WriteRequest,
): Promise<[string, WriteResult]> {
  const onlyNew: WriteRequest = { ...request, condition: { kind: "if-none-match", etags: "*" } };
  for (let generation = 0; generation < GENERATIONS_MAX; generation++) {
    const key = idempotentKey(request.idempotencyKey, generation);
    try {
      return [key, await exchange.services.kv.write(bucket, serverKey(exchange, key), onlyNew)];
    } catch (thrown) {
      if (!(thrown instanceof HutchError && thrown.code === "precondition-failed")) throw thrown;
    }
  }
  throw new HutchError(
    "idempotency-mismatch",
    `Cannot make a key for Idempotency-Key "${request.idempotencyKey}": ${GENERATIONS_MAX} keys were made for it already`,
  );
}

function serverKey(exchange: Exchange, key: string): Uint8Array {
  return allowedKey(exchange, utf8(key));
}
