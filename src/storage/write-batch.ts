/**
 * Puts and deletes that become visible and durable together.
 *
 * The payload of a log record of type `batch`:
 *   count varint, then for each entry: kind u8 | key length varint | key | value length varint | value
 */
import { assert } from "../base/assert.ts";
import { ByteReader, DecodeError } from "../base/byte-reader.ts";
import type { ByteWriter } from "../base/byte-writer.ts";
import { varintLength } from "../base/byte-writer.ts";
import { DELETE_ENTRY, PUT_ENTRY } from "./iterators/entry-iterator.ts";
import type { EntryKind } from "./iterators/entry-iterator.ts";
import { KEY_BYTES_MAX, VALUE_BYTES_MAX } from "./options.ts";
import { EMPTY_BYTES } from "../base/bytes.ts";

/** Keys and values are read when the batch is applied; the caller leaves them alone until then. */
export class WriteBatch {
  readonly keys: Uint8Array[] = [];
  readonly values: Uint8Array[] = [];
  readonly kinds: EntryKind[] = [];

  get count(): number {
    return this.keys.length;
  }

  put(key: Uint8Array, value: Uint8Array): this {
    assert(value.length <= VALUE_BYTES_MAX, "a value fits into a table");
    return this.add(PUT_ENTRY, key, value);
  }

  delete(key: Uint8Array): this {
    return this.add(DELETE_ENTRY, key, EMPTY_BYTES);
  }

  private add(kind: EntryKind, key: Uint8Array, value: Uint8Array): this {
    assert(key.length > 0 && key.length <= KEY_BYTES_MAX, "a key has 1..KEY_BYTES_MAX bytes");
    this.kinds.push(kind);
    this.keys.push(key);
    this.values.push(value);
    return this;
  }
}

/** Upper bound of what the batch takes in the log. */
export function encodedBatchBytes(batch: WriteBatch): number {
  let bytes = varintLength(batch.count);
  for (let i = 0; i < batch.count; i++)
    bytes += 13 + batch.keys[i]!.length + batch.values[i]!.length;
  return bytes;
}

export function encodeBatch(writer: ByteWriter, batch: WriteBatch): void {
  writer.varint(batch.count);
  for (let i = 0; i < batch.count; i++) {
    writer.u8(batch.kinds[i]!);
    writer.bytes(batch.keys[i]!);
    writer.bytes(batch.values[i]!);
  }
}

/** The batch in `bytes[start, end)` as views; `DecodeError` unless it is exactly one. */
export function decodeBatch(bytes: Uint8Array, start: number, end: number): WriteBatch {
  const reader = new ByteReader(bytes, start, end);
  const batch = new WriteBatch();
  const count = reader.varint();
  if (count > end - start)
    throw new DecodeError(`Cannot read batch: ${count} entries in ${end - start} bytes`);
  for (let i = 0; i < count; i++) {
    const kind = reader.u8();
    const key = reader.view();
    const value = reader.view();
    if (key.length === 0 || key.length > KEY_BYTES_MAX)
      throw new DecodeError(`Cannot read batch: key of ${key.length} bytes`);
    if (kind === PUT_ENTRY) batch.put(key, value);
    else if (kind === DELETE_ENTRY) batch.delete(key);
    else throw new DecodeError(`Cannot read batch: entry kind ${kind}`);
  }
  reader.expectEnd();
  return batch;
}
