/**
 * A client's write on its way to the node that mints it, whole: what the REST face understood travels as it is.
 *
 *   flags u8          bit 0 delete · bit 1 sloppy · bits 2-3 expiry kind · bits 4-5 condition kind · bit 6 condition "*"
 *   consistency       level u8 | n r w pr pw dw as varints
 *   timeoutMs varint
 *   expiry            varint ms, only for `after` and `at`
 *   value bytes | content type | content encoding | context | idempotency key | session          texts
 *   metadata          count varint, then name and value texts
 *   condition         count varint and texts, only for a list of ETags
 */
import { type ByteReader, DecodeError } from "../base/byte-reader.ts";
import type { ByteWriter } from "../base/byte-writer.ts";
import type { Consistency } from "../quorum/consistency.ts";
import type { Condition, Expiry, Metadata, WriteRequest } from "../quorum/operation.ts";
import {
  choiceAt,
  readChoice,
  readCount,
  readFlags,
  readText,
  writeChoice,
  writeText,
  writeWhole,
} from "./peer-codec-fields.ts";

/** Pairs of metadata and ETags of a condition; the REST face stops both long before (4 KiB of metadata, 16 KiB of headers). */
const PAIRS_MAX = 4096;

/** Frozen: positions travel; append only. */
const LEVELS: readonly Consistency["level"][] = ["", "ONE", "QUORUM", "ALL"];
const EXPIRIES: readonly Expiry["kind"][] = ["default", "after", "at", "keep"];
const CONDITIONS: readonly Condition["kind"][] = ["none", "if-match", "if-none-match"];

const IS_DELETE = 1;
const IS_SLOPPY = 1 << 1;
const EXPIRY_SHIFT = 2;
const CONDITION_SHIFT = 4;
const IS_ANY_ETAG = 1 << 6;
const KNOWN_FLAGS = 0b111_1111;

const DEFAULT_EXPIRY: Expiry = { kind: "default" };
const NO_CONDITION: Condition = { kind: "none" };
const NO_METADATA: Metadata = [];

export function encodeWriteRequest(writer: ByteWriter, request: WriteRequest): void {
  writer.u8(flagsOf(request));
  writeConsistency(writer, request.consistency);
  writeWhole(writer, request.timeoutMs);
  writeExpiry(writer, request.expiry);
  writer.bytes(request.value);
  writeText(writer, request.contentType);
  writeText(writer, request.contentEncoding);
  writeText(writer, request.context);
  writeText(writer, request.idempotencyKey);
  writeText(writer, request.session);
  writeMetadata(writer, request.meta);
  writeEtags(writer, request.condition);
}

function flagsOf({ kind, consistency, expiry, condition }: WriteRequest): number {
  return (
    (kind === "delete" ? IS_DELETE : 0) |
    (consistency.isSloppy ? IS_SLOPPY : 0) |
    (EXPIRIES.indexOf(expiry.kind) << EXPIRY_SHIFT) |
    (CONDITIONS.indexOf(condition.kind) << CONDITION_SHIFT) |
    (condition.kind !== "none" && condition.etags === "*" ? IS_ANY_ETAG : 0)
  );
}

function writeConsistency(writer: ByteWriter, consistency: Consistency): void {
  writeChoice(writer, LEVELS, consistency.level);
  writer.varint(consistency.n);
  writer.varint(consistency.r);
  writer.varint(consistency.w);
  writer.varint(consistency.pr);
  writer.varint(consistency.pw);
  writer.varint(consistency.dw);
}

function writeExpiry(writer: ByteWriter, expiry: Expiry): void {
  if (expiry.kind === "after") writeWhole(writer, expiry.ttlMs);
  else if (expiry.kind === "at") writeWhole(writer, expiry.wallMs);
}

function writeMetadata(writer: ByteWriter, meta: Metadata): void {
  writer.varint(meta.length);
  for (const [name, value] of meta) {
    writeText(writer, name);
    writeText(writer, value);
  }
}

function writeEtags(writer: ByteWriter, condition: Condition): void {
  if (condition.kind === "none" || condition.etags === "*") return;
  writer.varint(condition.etags.length);
  for (const etag of condition.etags) writeText(writer, etag);
}

export function decodeWriteRequest(reader: ByteReader): WriteRequest {
  const flags = readFlags(reader, KNOWN_FLAGS);
  return {
    kind: (flags & IS_DELETE) === 0 ? "put" : "delete",
    consistency: readConsistency(reader, (flags & IS_SLOPPY) !== 0),
    timeoutMs: reader.varint(),
    expiry: readExpiry(reader, (flags >>> EXPIRY_SHIFT) & 0b11),
    value: reader.view(),
    contentType: readText(reader),
    contentEncoding: readText(reader),
    context: readText(reader),
    idempotencyKey: readText(reader),
    session: readText(reader),
    meta: readMetadata(reader),
    condition: readCondition(reader, flags),
  };
}

function readConsistency(reader: ByteReader, isSloppy: boolean): Consistency {
  const level = readChoice(reader, LEVELS, "consistency level");
  const n = reader.varint();
  const r = reader.varint();
  const w = reader.varint();
  const pr = reader.varint();
  const pw = reader.varint();
  const dw = reader.varint();
  if (r < 1 || r > n || w < 1 || w > n || pr > r || pw > w || dw > w)
    throw new DecodeError(`Cannot read consistency: its counts contradict each other`);
  return { level, n, r, w, pr, pw, dw, isSloppy };
}

function readExpiry(reader: ByteReader, code: number): Expiry {
  const kind = choiceAt(EXPIRIES, code, "expiry");
  switch (kind) {
    case "default":
      return DEFAULT_EXPIRY;
    case "after":
      return { kind, ttlMs: reader.varint() };
    case "at":
      return { kind, wallMs: reader.varint() };
    case "keep":
      return { kind };
  }
}

function readMetadata(reader: ByteReader): Metadata {
  const count = readCount(reader, PAIRS_MAX, 2);
  if (count === 0) return NO_METADATA;
  const meta: [string, string][] = [];
  for (let i = 0; i < count; i++) meta.push([readText(reader), readText(reader)]);
  return meta;
}

function readCondition(reader: ByteReader, flags: number): Condition {
  const kind = choiceAt(CONDITIONS, (flags >>> CONDITION_SHIFT) & 0b11, "condition");
  const isAny = (flags & IS_ANY_ETAG) !== 0;
  if (kind !== "none") return { kind, etags: isAny ? "*" : readEtags(reader) };
  if (isAny) throw new DecodeError("Cannot read condition: any ETag of none");
  return NO_CONDITION;
}

function readEtags(reader: ByteReader): string[] {
  const count = readCount(reader, PAIRS_MAX, 1);
  const etags: string[] = [];
  for (let i = 0; i < count; i++) etags.push(readText(reader));
  return etags;
}
