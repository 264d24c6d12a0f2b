/**
 * Runs one decoder over damaged inputs and holds it to what every decoder promises:
 *
 *   - it comes to an end: within `TIME_MS_MAX`, on a machine that does other things, too
 *   - it throws what it says it throws and nothing else
 *   - it asks for no more memory than its input can back
 *   - bytes under a checksum or a seal are accepted unchanged or not at all
 *   - what it accepts can be encoded again, and then says the same
 *   - valid input is accepted
 *
 * A finding is an error that names the input in hex and the one command that tries it again.
 */
import fc from "fast-check";
import { hex } from "../../src/base/bytes.ts";
import { DecodeError } from "../../src/base/byte-reader.ts";
import { HutchError, messageOf } from "../../src/base/errors.ts";
import { Prng } from "../../src/base/prng.ts";
import { countingAllocations } from "./allocation.ts";
import { type Decoder, REFUSED } from "./decoder.ts";
import { everySmallDamage, mutated } from "./mutate.ts";

/** Most take microseconds; what takes this long does not grow with its input as it should, or does not end. */
export const TIME_MS_MAX = 2000;
const ALLOCATION_FACTOR = 64;
const ALLOCATION_BYTES = 64 * 1024;
/** Valid inputs of one seed, from which all damaged ones are made. */
const POOL = 48;
/** Of longer ones only random damage is tried. */
const EVERY_DAMAGE_BYTES_MAX = 1024;

export interface FuzzTotals {
  inputs: number;
  accepted: number;
  refused: number;
  slowestMs: number;
}

export const noTotals = (): FuzzTotals => ({ inputs: 0, accepted: 0, refused: 0, slowestMs: 0 });

/** Two valid inputs that a damaged one was made of. */
type Origins = readonly [Uint8Array, Uint8Array];

export class Finding extends Error {
  override readonly name = "Finding";
  constructor(what: string, { name }: Decoder, input: Uint8Array, origins: Origins) {
    const [bytes, other] = origins.map(hex);
    super(
      `${name}: ${what}\n  again: bun run fuzz --only "${name}" --input ${hex(input)} --from ${bytes} --with ${other}`,
    );
  }
}

/** Called with every input before it is tried; whoever watches can tell what a decoder hangs on. */
export type Watch = (input: Uint8Array) => void;
const nobody: Watch = () => {};

/** Tries one input. */
export function tryInput(
  decoder: Decoder,
  input: Uint8Array,
  origins: Origins,
  totals: FuzzTotals,
  watch: Watch = nobody,
): void {
  watch(input);
  const fail = (what: string): never => {
    throw new Finding(what, decoder, input, origins);
  };
  totals.inputs++;
  const startMs = performance.now();
  let allocatedBytes = 0;
  let value: unknown = REFUSED;
  try {
    value = countingAllocations(
      () => decoder.decode(input),
      (bytes) => (allocatedBytes = bytes),
    );
  } catch (thrown) {
    if (!isRefusal(decoder, thrown)) fail(`throws ${describe(thrown)}`);
  }
  let ms = performance.now() - startMs;
  // Others have the processor, too: slow is what is slow every time.
  for (let again = 0; again < 2 && ms > TIME_MS_MAX; again++) ms = timeOf(decoder, input);
  totals.slowestMs = Math.max(totals.slowestMs, ms);
  if (ms > TIME_MS_MAX) fail(`takes ${ms.toFixed(0)} ms for ${input.length} bytes`);
  const { allocationBytes = ALLOCATION_BYTES } = decoder;
  if (allocatedBytes > allocationBytes + ALLOCATION_FACTOR * input.length)
    fail(`asks for ${allocatedBytes} bytes of arrays for ${input.length} bytes of input`);
  if (value === REFUSED) {
    totals.refused++;
    return;
  }
  totals.accepted++;
  const complaint = complaintOn(decoder, value);
  if (complaint !== undefined) fail(complaint);
}

function timeOf(decoder: Decoder, input: Uint8Array): number {
  const startMs = performance.now();
  valueOf(decoder, input);
  return performance.now() - startMs;
}

function isRefusal({ refusals }: Decoder, thrown: unknown): boolean {
  if (thrown instanceof HutchError) return refusals.includes(thrown.code);
  return thrown instanceof DecodeError && refusals.includes("decode");
}

function describe(thrown: unknown): string {
  const code = thrown instanceof HutchError ? ` ${thrown.code}` : "";
  const name = thrown instanceof Error ? thrown.name : typeof thrown;
  return `${name}${code} "${messageOf(thrown)}"`;
}

/** What is wrong with having accepted `value`. */
function complaintOn({ encode, decode }: Decoder, value: unknown): string | undefined {
  if (encode === undefined) return undefined;
  let again: unknown;
  try {
    again = decode(encode(value as never)); // what this row's own `decode` has made
  } catch (thrown) {
    return `accepts what cannot be passed on: ${describe(thrown)}`;
  }
  return Bun.deepEquals(again, value, true)
    ? undefined
    : "accepts what says something else when it is passed on";
}

/** Holds a sealed decoder to what its valid inputs say. */
export function trySealed(
  decoder: Decoder,
  input: Uint8Array,
  origins: Origins,
  totals: FuzzTotals,
  watch: Watch = nobody,
): void {
  tryInput(decoder, input, origins, totals, watch);
  if (decoder.sealed === undefined) return;
  const value = valueOf(decoder, input);
  if (value === REFUSED) return;
  const isSaid = origins.some((origin) => mayComeOf(decoder, origin, value));
  if (!isSaid) throw new Finding("lets changed bytes through", decoder, input, origins);
}

function mayComeOf(decoder: Decoder, origin: Uint8Array, value: unknown): boolean {
  const { sealed } = decoder;
  if (typeof sealed === "function") return sealed(origin, value);
  return Bun.deepEquals(valueOf(decoder, origin), value, true);
}

function valueOf(decoder: Decoder, bytes: Uint8Array): unknown {
  try {
    return decoder.decode(bytes);
  } catch {
    return REFUSED;
  }
}

export class DecoderRun {
  readonly decoder: Decoder;
  readonly totals = noTotals();
  private readonly prng: Prng;
  private readonly pool: readonly Uint8Array[];
  private readonly watch: Watch;

  constructor(decoder: Decoder, seed: number, watch: Watch = nobody) {
    this.decoder = decoder;
    this.watch = watch;
    this.prng = new Prng(`fuzz/${decoder.name}/${seed}`);
    this.pool = fc.sample(decoder.valid, { seed: this.prng.u32() | 0, numRuns: POOL });
  }

  /** Every valid input is accepted, and means the same when it is passed on. */
  tryValid(): void {
    for (const bytes of this.pool) {
      const before = this.totals.accepted;
      tryInput(this.decoder, bytes, [bytes, bytes], this.totals, this.watch);
      if (this.totals.accepted === before)
        throw new Finding("refuses valid input", this.decoder, bytes, [bytes, bytes]);
    }
  }

  /** The shortest valid inputs cut at each place and with each bit turned. */
  tryEverySmallDamage(count = 1): void {
    const short = [...this.pool].sort((a, b) => a.length - b.length);
    for (const bytes of short.slice(short.length >> 1, (short.length >> 1) + count)) {
      if (bytes.length > EVERY_DAMAGE_BYTES_MAX) return;
      for (const damaged of everySmallDamage(bytes)) this.try(damaged, [bytes, bytes]);
    }
  }

  /** `count` random damages. */
  tryDamage(count: number): void {
    const { prng, pool } = this;
    for (let i = 0; i < count; i++) {
      const origins: Origins = [prng.pick(pool), prng.pick(pool)];
      this.try(mutated(prng, ...origins), origins);
    }
  }

  private try(damaged: Uint8Array, origins: Origins): void {
    const { decoder, totals, watch } = this;
    trySealed(decoder, damaged, origins, totals, watch);
    if (decoder.reseal === undefined) return;
    tryInput(decoder, decoder.reseal(damaged), origins, totals, watch);
  }
}
