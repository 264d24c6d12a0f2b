/**
 * The ETag of a state (R19): a 64-bit hash of its whole causal context and of the dots of its values, so it changes whenever the
 * siblings change and never says anything about value bytes.
 *
 *   input: for each entry: node id 8, incarnation u32 | counterMax u64 | value count u32 | counters u64 ...
 *   ETag: 16 hex digits of the first half of the key hash (MurmurHash3 x64 128)
 */
import { ByteWriter } from "../base/byte-writer.ts";
import { hex } from "../base/bytes.ts";
import { hashKey } from "../kernels/kernels.ts";
import { type Actor, incarnationOf, writeNode } from "./actor.ts";
import type { Siblings } from "./siblings.ts";

const scratch = new ByteWriter(512);
const words = new Uint32Array(4);
const hash = new Uint8Array(8);

export function etagOf<P>(state: Siblings<P>): string {
  scratch.reset();
  for (const { actor, counterMax, values } of state) {
    writeEntryHead(actor, counterMax, values.length);
    for (const { counter } of values) scratch.u64(counter);
  }
  return hashScratch();
}

/** `etagOf` a state with one entry and one value. */
export function etagOfSingle(actor: Actor, counter: number): string {
  scratch.reset();
  writeEntryHead(actor, counter, 1);
  scratch.u64(counter);
  return hashScratch();
}

function writeEntryHead(actor: Actor, counterMax: number, count: number): void {
  writeNode(scratch, actor);
  scratch.u32(incarnationOf(actor));
  scratch.u64(counterMax);
  scratch.u32(count);
}

function hashScratch(): string {
  hashKey(scratch.buffer, 0, scratch.length, words);
  for (let i = 0; i < 4; i++) {
    hash[i] = words[1]! >>> (24 - 8 * i);
    hash[i + 4] = words[0]! >>> (24 - 8 * i);
  }
  return hex(hash);
}
