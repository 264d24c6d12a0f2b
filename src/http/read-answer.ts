/**
 * The answer of a read, and of a write that asks for the representation (REST.md section 2).
 *
 *   nothing, or deletions only      404, with the context of the tombstone
 *   one value                       200, raw
 *   several siblings                300, JSON envelope or multipart
 *   Accept: vnd.hutch.siblings      200, envelope, whatever there is
 *   ?resolve=lww, ?dot=             200, one of them, raw
 *   ?tombstones=drop                deletions beside values are not shown (R17)
 */
import { HutchError } from "../base/errors.ts";
import { wallMsOfHlc } from "../causality/hlc.ts";
import type { Consistency } from "../quorum/consistency.ts";
import type { KeyState, ReadResult, Sibling } from "../quorum/operation.ts";
import { preferredType, requireType, mediaTypeOf } from "./accept.ts";
import { type HeaderBlock, bytesAnswer, keyNotFound } from "./answers.ts";
import { httpDate, rfc3339 } from "./dates.ts";
import type { Exchange } from "./exchange.ts";
import { conditionHolds, headerOfText } from "./header-values.ts";
import { conditionOf } from "./headers.ts";
import { envelopeJson } from "./key-json.ts";
import { multipartOf } from "./multipart.ts";

export const SIBLINGS_TYPE = "application/vnd.hutch.siblings+json";
const MULTIPART_TYPE = "multipart/mixed";
const JSON_TYPE = "application/json";
const ENVELOPE_TYPES = [JSON_TYPE, SIBLINGS_TYPE, MULTIPART_TYPE];
const UNTYPED = "application/octet-stream";
/** Answers `GET` and `HEAD`; throws what becomes 404, 406 and 412. */
export function answerRead(
  exchange: Exchange,
  bucketN: number,
  result: ReadResult,
  consistency: Consistency,
): Response {
  const headers = readHeaders(exchange, bucketN, result);
  exchange.readHeaders = headers;
  const notModified = checkCondition(exchange, result, headers);
  if (notModified !== undefined) return notModified;
  const response = answerState(exchange, result, headers);
  // `headers` is complete now, and of a plain request with one value the body is that value.
  if (result.freshness >= 0)
    exchange.services.hotAnswers.offer(exchange, consistency, result, headers);
  return response;
}

/** In one literal, because this is the hot path. */
function readHeaders(exchange: Exchange, bucketN: number, result: ReadResult): HeaderBlock {
  const { replies } = result;
  const headers: HeaderBlock = {
    "Content-Type": UNTYPED,
    ETag: `"${result.etag}"`,
    "X-Causal-Context": result.context,
    "X-Replies": `n=${replies.n}, ok=${replies.ok}, primary=${replies.primary}`,
    "X-Conflict-Mode": result.conflictMode,
    "X-Content-Type-Options": "nosniff",
    "X-Request-Id": exchange.id,
    "X-Node": exchange.services.kv.nodeId,
  };
  if (replies.n < bucketN) headers["X-Effective-N"] = String(replies.n);
  if (result.session !== "") headers["X-Session"] = result.session;
  if (result.readRepair !== "") headers["X-Read-Repair"] = result.readRepair;
  addStateHeaders(headers, result);
  return headers;
}

/** What a read and a write say of the state alike. */
export function addStateHeaders(headers: HeaderBlock, state: KeyState): void {
  if (state.siblings.length > 1) headers["X-Siblings"] = String(state.siblings.length);
  if (state.conflictDropped > 0) headers["X-Conflict-Dropped"] = String(state.conflictDropped);
}

/** 304 where `If-None-Match` fails on a read, 412 where `If-Match` does. */
function checkCondition(
  exchange: Exchange,
  state: KeyState,
  headers: HeaderBlock,
): Response | undefined {
  const condition = conditionOf(exchange);
  if (condition.kind === "none") return undefined;
  const isAbsent = state.siblings.every((sibling) => sibling.isDeleted);
  if (conditionHolds(condition, isAbsent ? "" : state.etag)) return undefined;
  if (condition.kind === "if-match") {
    throw new HutchError(
      "precondition-failed",
      "Cannot read under If-Match: the key has another version",
      {
        data: { etag: state.etag, context: state.context },
      },
    );
  }
  delete headers["Content-Type"];
  headers["Last-Modified"] = lastModified(state.siblings[0]!);
  return new Response(null, { status: 304, headers });
}

/** The body for `state`, with `headers` completed; throws where there is nothing to show. */
export function answerState(exchange: Exchange, state: KeyState, headers: HeaderBlock): Response {
  const accept = exchange.header("accept");
  if (exchange.hasQuery) {
    const chosen = chosenSibling(exchange, state);
    if (chosen !== undefined) return answerRaw(exchange, state, chosen, accept, headers);
  }
  const siblings = visibleSiblings(exchange, state);
  const only = siblings.length === 1 ? siblings[0]! : undefined;
  if (only === undefined) return answerSeveral(exchange, state, siblings, accept, headers);
  if (only.isDeleted) throw absent(state);
  if (accept === null || accept === "*/*") return answerRaw(exchange, state, only, null, headers);
  return answerOne(exchange, state, only, accept, headers);
}

/** Deletions fall away where all are, or where the reader says so. */
function visibleSiblings(exchange: Exchange, state: KeyState): readonly Sibling[] {
  const { siblings } = state;
  if (siblings.length === 1) return siblings;
  const live = siblings.filter((sibling) => !sibling.isDeleted);
  if (live.length === 0) throw absent(state);
  const isDropping = exchange.hasQuery && exchange.query.text("tombstones") === "drop";
  return isDropping ? live : siblings;
}

/** `?dot=` and `?resolve=lww`. The newest version of all decides; when it is a deletion, the key is deleted. */
function chosenSibling(exchange: Exchange, state: KeyState): Sibling | undefined {
  const { query } = exchange;
  const dot = query.text("dot");
  if (dot !== undefined) {
    const named = state.siblings.find((sibling) => sibling.dot === dot);
    if (named?.isDeleted === true) throw deletedSibling(state, "The sibling is a deletion");
    if (named === undefined)
      throw keyNotFound(
        `Cannot read sibling "${dot.slice(0, 64)}": the key has no such value`,
        dataOf(state),
      );
    return named;
  }
  const resolve = query.text("resolve");
  if (resolve === undefined) return undefined;
  if (resolve !== "lww") {
    throw new HutchError("bad-request", `Cannot resolve by "${resolve.slice(0, 32)}": want lww`);
  }
  const newest = visibleSiblings(exchange, state)[0]!;
  if (state.isTombstone) throw absent(state);
  if (newest.isDeleted) {
    throw deletedSibling(state, "The newest sibling is a deletion, older ones hold values");
  }
  return newest;
}

/** One of several siblings is asked for and is a deletion; `X-Siblings` says that there are others. */
function deletedSibling(state: KeyState, detail: string): HutchError {
  return keyNotFound(detail, { ...dataOf(state), tombstone: true });
}

function absent(state: KeyState): HutchError {
  const detail = state.isTombstone ? "The key is deleted or expired" : "The key is not there";
  return keyNotFound(detail, dataOf(state));
}

function dataOf(state: KeyState): Record<string, unknown> {
  return {
    ...(state.context === "" ? {} : { context: state.context }),
    ...(state.isTombstone ? { tombstone: true } : {}),
  };
}

/** One value for a client that has an opinion. */
function answerOne(
  exchange: Exchange,
  state: KeyState,
  sibling: Sibling,
  accept: string,
  headers: HeaderBlock,
): Response {
  const own = mediaTypeOf(sibling.contentType);
  const type = preferredType(accept, [own || UNTYPED, SIBLINGS_TYPE, MULTIPART_TYPE]);
  if (type === SIBLINGS_TYPE || type === MULTIPART_TYPE) {
    return answerEnvelope(exchange, state, [sibling], type, headers, 200);
  }
  return answerRaw(exchange, state, sibling, accept, headers);
}

function answerSeveral(
  exchange: Exchange,
  state: KeyState,
  siblings: readonly Sibling[],
  accept: string | null,
  headers: HeaderBlock,
): Response {
  const type = isDone(exchange)
    ? (preferredType(accept, ENVELOPE_TYPES) ?? JSON_TYPE)
    : requireType(accept, ENVELOPE_TYPES);
  return answerEnvelope(
    exchange,
    state,
    siblings,
    type,
    headers,
    type === SIBLINGS_TYPE ? 200 : 300,
  );
}

/** A write was done already when its representation is made: it is never refused for its form. */
function isDone({ request }: Exchange): boolean {
  return request.method === "PUT";
}

function answerEnvelope(
  exchange: Exchange,
  state: KeyState,
  siblings: readonly Sibling[],
  type: string,
  headers: HeaderBlock,
  status: number,
): Response {
  headers["Last-Modified"] = lastModified(siblings[0]!);
  if (type === MULTIPART_TYPE) {
    const { boundary, body } = multipartOf(siblings, exchange.services.random);
    headers["Content-Type"] = `${MULTIPART_TYPE}; boundary=${boundary}`;
    return bytesAnswer(exchange, status, body, headers);
  }
  headers["Content-Type"] = type;
  const json = JSON.stringify(envelopeJson(state, siblings));
  return bytesAnswer(exchange, status, `${json}\n`, headers);
}

/** A value as it was stored. A browser must not run it in our name, whatever type it claims. */
function answerRaw(
  exchange: Exchange,
  _state: KeyState,
  sibling: Sibling,
  accept: string | null,
  headers: HeaderBlock,
): Response {
  if (sibling.contentType !== "") {
    if (accept !== null && !isDone(exchange))
      requireType(accept, [mediaTypeOf(sibling.contentType)]);
    headers["Content-Type"] = sibling.contentType;
    headers["Content-Security-Policy"] = "sandbox";
    // Nor may a page of another site have it as its script, style or picture, which browsers load without asking us.
    headers["Cross-Origin-Resource-Policy"] = "same-origin";
  }
  headers["Last-Modified"] = lastModified(sibling);
  if (sibling.contentEncoding !== "") headers["Content-Encoding"] = sibling.contentEncoding;
  if (sibling.expiresAtMs !== 0) headers["X-Expires-At"] = rfc3339(sibling.expiresAtMs);
  for (const [name, value] of sibling.meta) headers[`X-Meta-${name}`] = headerOfText(value);
  return bytesAnswer(exchange, 200, sibling.value, headers);
}

function lastModified(sibling: Sibling): string {
  return httpDate(wallMsOfHlc(sibling.hlc));
}
