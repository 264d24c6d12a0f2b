/** Many operations in one request: the body of `POST /v1/batch`, and its results. */

import type { Codec } from "./codecs.ts";
import { toBase64url } from "./base64.ts";
import {
  absentEntry,
  bytesOf,
  isList,
  listIn,
  problemIn,
  type SiblingJson,
  siblingsOf,
  unreadable,
} from "./readings.ts";
import type { BatchOperation, BatchResult } from "./types.ts";

export interface BatchResultJson extends SiblingJson {
  readonly status: number;
  readonly context?: string;
  readonly etag?: string;
  readonly siblings?: readonly SiblingJson[];
  readonly problem?: Readonly<Record<string, unknown>> | null;
}

export async function batchBody<Value, Input>(
  bucket: string,
  operations: readonly BatchOperation<Input>[],
  codec: Codec<Value, Input>,
): Promise<string> {
  const ops = operations.map(async (operation) => {
    if (operation.op !== "put") return { bucket, ...operation };
    const { value, ...others } = operation;
    const encoded = await codec.encode(value);
    return typeof encoded === "string"
      ? { bucket, ...others, value: encoded }
      : { bucket, ...others, valueB64: toBase64url(encoded) };
  });
  return JSON.stringify({ ops: await Promise.all(ops) });
}

export function batchResults<Value, Input>(
  answer: unknown,
  operations: readonly BatchOperation<Input>[],
  codec: Codec<Value, Input>,
): Promise<BatchResult<Value>[]> {
  const results = listIn<BatchResultJson>(answer, "results");
  if (results.length !== operations.length)
    throw unreadable(`${results.length} results of ${operations.length} operations`);
  return Promise.all(results.map((result, index) => resultOf(result, operations[index]!, codec)));
}

async function resultOf<Value, Input>(
  result: BatchResultJson,
  { op, key }: BatchOperation<Input>,
  codec: Codec<Value, Input>,
): Promise<BatchResult<Value>> {
  const { problem, context = "", etag = "", status } = result;
  if (problem !== undefined && problem !== null) {
    const error = problemIn(problem, status);
    return error.code === "key-not-found"
      ? absentEntry(key, error.context)
      : { kind: "failed", key, error };
  }
  if (op !== "get") return { kind: "written", key, context, etag };
  if (result.siblings !== undefined) {
    if (!isList(result.siblings)) throw unreadable("siblings are no list");
    return {
      kind: "siblings",
      key,
      context,
      etag,
      siblings: await siblingsOf(result.siblings, codec, 200),
    };
  }
  const value = await codec.decode(bytesOf(result));
  const { contentType = "", meta: metadata = {} } = result;
  return { kind: "value", key, value, context, etag, expiresAt: undefined, metadata, contentType };
}
