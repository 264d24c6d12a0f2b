/**
 * A `HutchError` on its way from the node that threw it to the node that asked: code, message, retry and data survive the way, whatever else
 * was thrown does not (it is logged where it happened).
 */
import { type ByteReader, DecodeError } from "../base/byte-reader.ts";
import type { ByteWriter } from "../base/byte-writer.ts";
import {
  type ErrorCode,
  HutchError,
  PEER_CODES,
  PROCESS_CODES,
  REST_CODES,
  type Retry,
} from "../base/errors.ts";
import { readChoice, readText, writeChoice, writeText } from "./peer-codec-fields.ts";
import type { FailedReply } from "./peer-messages.ts";

/** Longer messages are cut. */
const MESSAGE_LENGTH_MAX = 2048;
/** Facts whose JSON is longer stay behind. */
const DATA_LENGTH_MAX = 8192;

/** Frozen: positions travel; append only. */
const RETRIES: readonly Retry[] = ["safe", "safe-with-idempotency-key", "no"];
const CODES = new Set<string>([...REST_CODES, ...PROCESS_CODES, ...PEER_CODES]);

const NO_DATA: Readonly<Record<string, unknown>> = {};

export function failedReply(
  code: ErrorCode,
  message: string,
  retry: Retry = "safe",
  data = NO_DATA,
): FailedReply {
  return { kind: "failed", code, message, retry, data };
}

/** What the asker is told of anything that a handler threw. */
export function failedReplyOf(thrown: unknown): FailedReply {
  if (!(thrown instanceof HutchError))
    return failedReply("internal", "Cannot answer: the node failed, its log says why", "no");
  return failedReply(thrown.code, thrown.message, thrown.retry, thrown.data);
}

/** The error that the other node threw, to be thrown here. */
export function errorOfReply({ code, message, retry, data }: FailedReply): HutchError {
  return new HutchError(code, message, { retry, data });
}

export function encodeFailed(writer: ByteWriter, reply: FailedReply): void {
  writeChoice(writer, RETRIES, reply.retry);
  writeText(writer, reply.code);
  writeText(writer, reply.message.slice(0, MESSAGE_LENGTH_MAX));
  writeText(writer, jsonOf(reply.data));
}

/** "" for no facts, and for what is too long or cannot be told. */
function jsonOf(data: Readonly<Record<string, unknown>>): string {
  if (data === NO_DATA) return "";
  try {
    const text = JSON.stringify(data);
    return text === "{}" || text.length > DATA_LENGTH_MAX ? "" : text;
  } catch {
    return "";
  }
}

export function decodeFailed(reader: ByteReader): FailedReply {
  const retry = readChoice(reader, RETRIES, "retry");
  const code = readText(reader);
  const message = readText(reader);
  const data = parseData(readText(reader));
  return { kind: "failed", code: isErrorCode(code) ? code : "internal", message, retry, data };
}

/** A newer peer may know codes that we do not. */
function isErrorCode(code: string): code is ErrorCode {
  return CODES.has(code);
}

function parseData(text: string): Readonly<Record<string, unknown>> {
  if (text === "") return NO_DATA;
  const data = parseJson(text);
  if (typeof data !== "object" || data === null || Array.isArray(data))
    throw new DecodeError("Cannot read failure: its data is no JSON object");
  return data as Record<string, unknown>; // just checked
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new DecodeError("Cannot read failure: its data is no JSON");
  }
}
