/** What the fuzzer knows of one decoder: how valid input looks, what it may throw, and what it promises. */
import { drainMicrotasks } from "bun:jsc";
import type fc from "fast-check";
import { ByteReader } from "../../src/base/byte-reader.ts";
import { ByteWriter } from "../../src/base/byte-writer.ts";

/** For decoders that refuse by their answer instead of an error. */
export const REFUSED = Symbol("refused");

/** `decode` for `DecodeError`, or a code of `HutchError`. */
export type Refusal = string;

export interface Decoder {
  readonly name: string;
  /** Functions of `src` that it goes through: `cluster/peer-protocol.ts decodeHello`. */
  readonly covers: readonly string[];
  readonly valid: fc.Arbitrary<Uint8Array>;
  /** What it makes of `bytes`, or `REFUSED`. Views on `bytes` are fine. */
  decode(bytes: Uint8Array): unknown;
  readonly refusals: readonly Refusal[];
  /**
   * A checksum or seal covers all of the bytes: whatever is accepted has to be what one of the valid inputs says. `whole`: the very same. Else a function
   * that says whether `value` may come of a damaged `origin`.
   */
  readonly sealed?: "whole" | ((origin: Uint8Array, value: unknown) => boolean);
  /** Makes damaged bytes pass checksum and seal, so that what lies behind these is tried, too. */
  readonly reseal?: (bytes: Uint8Array) => Uint8Array;
  /** Bytes for what was decoded, as it is passed on or stored: they must decode to the same. */
  readonly encode?: (value: never) => Uint8Array;
  /** Bytes of arrays that it may ask for beside `ALLOCATION_FACTOR` for each byte of the input. */
  readonly allocationBytes?: number;
}

export const decoder = (row: Decoder): Decoder => row;

/** Is `value` a list that `whole` begins with? */
export function isBeginning(whole: unknown, value: unknown): boolean {
  if (!Array.isArray(whole) || !Array.isArray(value)) return false;
  return value.every((item, i) => Bun.deepEquals(item, whole[i], true));
}

export function encoded(write: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter(256);
  write(writer);
  return writer.finish();
}

/** What `read` makes of all of `input`. */
export function readAll<T>(input: Uint8Array, read: (reader: ByteReader) => T): T {
  const reader = new ByteReader(input);
  const value = read(reader);
  reader.expectEnd();
  return value;
}

/** What comes of `promise`, which waits for nothing but other promises: an asynchronous decoder whose input is all there. */
export function settled<T>(promise: Promise<T>): T {
  let outcome: { readonly value: T } | { readonly thrown: unknown } | undefined;
  promise.then(
    (value) => (outcome = { value }),
    (thrown: unknown) => (outcome = { thrown }),
  );
  drainMicrotasks();
  const settledAs = outcome as typeof outcome; // set by a callback
  if (settledAs === undefined) throw new Error("it waits for something that does not come");
  if ("thrown" in settledAs) throw settledAs.thrown;
  return settledAs.value;
}
