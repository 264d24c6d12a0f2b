/**
 * Every decoder of the program under damaged input: it ends, throws nothing but what it says, asks for no more memory than its input can back, lets no
 * changed byte through a checksum or seal, and accepts nothing that it could not pass on. `bun run fuzz` does the same for as long as it is told to.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import * as fs from "node:fs";
import "../../src/bun/native-kernels.ts";
import { DecodeError } from "../../src/base/byte-reader.ts";
import { HutchError } from "../../src/base/errors.ts";
import { crc32 } from "../../src/kernels/kernels.ts";
import { readSource, type SourceText } from "../support/source-text.ts";
import { coverageComplaints } from "./coverage.ts";
import { decoder, type Decoder } from "./decoder.ts";
import { DECODERS } from "./decoders.ts";
import { DecoderRun, Finding } from "./run.ts";

/** Fresh damage in every run; a finding names its input, so the seed need not be known. */
const SEED = Number(process.env["HUTCH_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const INPUTS = 700;
/** Of one decoder, on a machine that is busy. */
const TIMEOUT_MS = 60_000;
/** Those that build disks for every input; only `bun run fuzz` tries every small damage to them. */
const SLOW: Readonly<Record<string, number>> = { table: 200, manifest: 300, flag: 200, CSV: 300 };

describe("decoders under mutation", () => {
  test.each(DECODERS.map((row) => [row.name, row] as const))(
    "%s",
    (name, row) => {
      const run = new DecoderRun(row, SEED);
      run.tryValid();
      if (!(name in SLOW)) run.tryEverySmallDamage();
      run.tryDamage(SLOW[name] ?? INPUTS);
      // A run in which everything is refused proves nothing.
      expect(run.totals.accepted).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );

  test("every name is that of one row", () => {
    expect(new Set(DECODERS.map(({ name }) => name)).size).toBe(DECODERS.length);
  });

  test("a seed gives the same inputs again", () => {
    const inputs = (seed: number): string[] => {
      const seen: string[] = [];
      new DecoderRun(DECODERS[0]!, seed, (input) => seen.push(input.toHex())).tryDamage(20);
      return seen;
    };
    expect(inputs(7)).toEqual(inputs(7));
    expect(inputs(7)).not.toEqual(inputs(8));
  });
});

const root = new URL("../..", import.meta.url).pathname;
const sources = (): SourceText[] =>
  [...new Bun.Glob("src/**/*.ts").scanSync(root)]
    .sort()
    .map((path) => readSource(path, fs.readFileSync(root + path, "utf8")));

describe("the table of decoders", () => {
  test("has every decoder of the source, and none that is not there", () => {
    expect(coverageComplaints(sources(), DECODERS).join("\n")).toBe("");
  });

  test.each([
    ["an exported function", "export function decodeNothing(bytes: Uint8Array): void {}"],
    ["a reader", "export class NothingReader {"],
    ["a static method", "  static decode(bytes: Uint8Array): void {}"],
    ["bytes taken apart in private", "  const reader = new ByteReader(bytes);"],
    ["text taken apart in private", "  return JSON.parse(text);"],
  ])("complains about %s", (_, line) => {
    const planted = readSource("src/cluster/planted.ts", `${line}\n`);
    expect(coverageComplaints([planted], []).join("\n")).toContain("cluster/planted.ts");
  });
});

/** One byte: how many follow, then a checksum over all. With a defect each. */
const CHECKSUM_BYTES = 4;
function planted(defect: Partial<Decoder>): DecoderRun {
  const sum = (bytes: Uint8Array): Uint8Array => {
    const whole = new Uint8Array(bytes.length + CHECKSUM_BYTES);
    whole.set(bytes);
    new DataView(whole.buffer).setUint32(bytes.length, crc32(bytes), true);
    return whole;
  };
  const content = (bytes: Uint8Array): Uint8Array =>
    bytes.subarray(0, Math.max(0, bytes.length - CHECKSUM_BYTES));
  const row = decoder({
    name: "planted",
    covers: [],
    valid: fc.uint8Array({ minLength: 1, maxLength: 20 }).map(sum),
    decode: (input) => {
      if (!Bun.deepEquals(new Uint8Array(input), sum(content(input)))) throw new DecodeError("sum");
      return content(input);
    },
    refusals: ["decode"],
    sealed: "whole",
    reseal: (damaged) => sum(content(damaged)),
    ...defect,
  });
  return new DecoderRun(row, 1);
}

function findingOf(run: DecoderRun): string {
  try {
    run.tryValid();
    run.tryEverySmallDamage();
    run.tryDamage(500);
    return "none";
  } catch (thrown) {
    if (thrown instanceof Finding) return thrown.message;
    throw thrown;
  }
}

describe("the fuzzer bites", () => {
  test("not where nothing is wrong", () => {
    expect(findingOf(planted({}))).toBe("none");
  });

  test.each<[string, Partial<Decoder>, string]>([
    ["valid input is refused", { valid: fc.constant(new Uint8Array(9)) }, "refuses valid input"],
    ["a checksum is not looked at", { decode: (input) => input[0] }, "lets changed bytes through"],
    ["another error is thrown", { refusals: ["bad-context"] }, 'throws DecodeError "sum"'],
    [
      "another code is thrown",
      {
        decode: (input) => {
          if (input.length > 12) throw new HutchError("internal", "too long");
          return input;
        },
      },
      "throws HutchError internal",
    ],
    [
      "a length is believed",
      {
        sealed: undefined as never,
        decode: (input) => new Uint32Array((input[0] ?? 0) * 10_000).length,
      },
      "bytes of arrays for",
    ],
    [
      "a count is believed",
      {
        sealed: undefined as never,
        decode: (input) => Array.from({ length: (input[0] ?? 0) * 10_000 }, () => 0).length,
      },
      "bytes of arrays for",
    ],
    [
      "what is accepted cannot be encoded",
      {
        encode: () => {
          throw new RangeError("never");
        },
      },
      'cannot be passed on: RangeError "never"',
    ],
    [
      "what is encoded is something else",
      { encode: () => new Uint8Array(4) },
      "says something else",
    ],
  ])("where %s", (_, defect, message) => {
    const found = findingOf(planted(defect));
    expect(found).toContain(message);
    expect(found).toMatch(/again: bun run fuzz --only "planted" --input [0-9a-f]* --from/);
  });
});
