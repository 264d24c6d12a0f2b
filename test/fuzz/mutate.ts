/**
 * Damage to bytes, as disks, networks and people do it: from one or two valid inputs one that is probably not valid.
 *
 *   flip      1 to 8 bits turned               cut       truncated anywhere
 *   set       a byte with a telling value      extend    bytes behind the end
 *   number    a length that lies: 0, one more or less, 2^16, 2^31, 2^32 - 1, 2^53 - 1 as fixed width or varint
 *   drop      a range taken out                repeat    a range twice
 *   splice    the head of one, the tail of another
 *   random    nothing of the input left
 *
 * Most inputs get one of these, one in four several. Everything is drawn from `prng`, so a seed gives the same bytes again.
 */
import { concatBytes } from "../../src/base/bytes.ts";
import { ByteWriter } from "../../src/base/byte-writer.ts";
import type { Prng } from "../../src/base/prng.ts";

const STEPS_MAX = 5;
const EXTENSION_BYTES_MAX = 32;
const RANDOM_BYTES_MAX = 200;
/** Where formats have their edges: signs, continuation bits, quotes, separators. */
const TELLING_BYTES = [0, 1, 2, 0x0a, 0x22, 0x25, 0x2c, 0x2f, 0x3d, 0x7f, 0x80, 0xfe, 0xff];
const TELLING_NUMBERS = [
  0,
  1,
  0x7f,
  0x80,
  0xffff,
  0x10000,
  0x7fffffff,
  0x80000000,
  0xffffffff,
  2 ** 32,
  Number.MAX_SAFE_INTEGER,
];

type Mutation = (prng: Prng, bytes: Uint8Array, other: Uint8Array) => Uint8Array;

function flip(prng: Prng, bytes: Uint8Array): Uint8Array {
  const damaged = bytes.slice();
  if (damaged.length === 0) return damaged;
  for (let left = prng.between(1, 8); left > 0; left--)
    damaged[prng.below(damaged.length)]! ^= 1 << prng.below(8);
  return damaged;
}

function set(prng: Prng, bytes: Uint8Array): Uint8Array {
  const damaged = bytes.slice();
  if (damaged.length > 0) damaged[prng.below(damaged.length)] = prng.pick(TELLING_BYTES);
  return damaged;
}

function cut(prng: Prng, bytes: Uint8Array): Uint8Array {
  return bytes.slice(0, prng.below(bytes.length + 1));
}

function extend(prng: Prng, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  const length = prng.between(1, EXTENSION_BYTES_MAX);
  const more = prng.chance(0.5) ? prng.bytes(length) : other.slice(0, length);
  return concatBytes(bytes, more);
}

/** Writes a lying number over what is there, or in its place. */
function number(prng: Prng, bytes: Uint8Array): Uint8Array {
  const lie = encodedNumber(prng);
  const at = prng.below(bytes.length + 1);
  const replaced = prng.chance(0.5) ? lie.length : 1;
  return concatBytes(
    bytes.subarray(0, at),
    lie,
    bytes.subarray(Math.min(bytes.length, at + replaced)),
  );
}

function encodedNumber(prng: Prng): Uint8Array {
  const writer = new ByteWriter(16);
  const value = prng.pick(TELLING_NUMBERS);
  switch (prng.below(4)) {
    case 0:
      writer.u16(value & 0xffff);
      break;
    case 1:
      writer.u32(value % 2 ** 32);
      break;
    case 2:
      writer.u64(value);
      break;
    default:
      writer.varint(value);
  }
  return writer.finish();
}

function drop(prng: Prng, bytes: Uint8Array): Uint8Array {
  const [start, end] = range(prng, bytes);
  return concatBytes(bytes.subarray(0, start), bytes.subarray(end));
}

function repeat(prng: Prng, bytes: Uint8Array): Uint8Array {
  const [start, end] = range(prng, bytes);
  return concatBytes(bytes.subarray(0, end), bytes.subarray(start));
}

function range(prng: Prng, bytes: Uint8Array): [start: number, end: number] {
  const start = prng.below(bytes.length + 1);
  return [start, prng.between(start, Math.min(bytes.length, start + 16))];
}

function splice(prng: Prng, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  const at = prng.below(bytes.length + 1);
  const from = prng.chance(0.5) ? at : prng.below(other.length + 1);
  return concatBytes(bytes.subarray(0, at), other.subarray(Math.min(from, other.length)));
}

function random(prng: Prng): Uint8Array {
  return prng.bytes(prng.below(RANDOM_BYTES_MAX));
}

/** Those that leave most of the input as it was stand more than once: what gets past the first check is where faults hide. */
const MUTATIONS: readonly Mutation[] = [
  flip,
  flip,
  flip,
  set,
  set,
  cut,
  extend,
  number,
  number,
  drop,
  repeat,
  splice,
  splice,
  random,
];

/** @param other another valid input, for splices */
export function mutated(prng: Prng, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  let damaged = prng.pick(MUTATIONS)(prng, bytes, other);
  if (!prng.chance(0.25)) return damaged;
  for (let left = prng.between(1, STEPS_MAX - 1); left > 0; left--)
    damaged = prng.pick(MUTATIONS)(prng, damaged, other);
  return damaged;
}

/** Every proper prefix of `bytes`, and `bytes` with each of its bits turned by itself. */
export function* everySmallDamage(bytes: Uint8Array): Generator<Uint8Array> {
  for (let length = 0; length < bytes.length; length++) yield bytes.slice(0, length);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const damaged = bytes.slice();
    damaged[bit >>> 3]! ^= 1 << (bit & 7);
    yield damaged;
  }
}
