import { describe, expect, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import { BunRandom } from "../../src/bun/random.ts";
import type { Random } from "../../src/ports/random.ts";
import { SimRandom } from "../../src/sim/random.ts";

function randomSuite(fresh: () => Random): void {
  test("u32() is a whole number below 2^32, and every bit is set about half of the time", () => {
    const random = fresh();
    const draws = 4000;
    const ones = new Array<number>(32).fill(0);
    for (let i = 0; i < draws; i++) {
      const word = random.u32();
      expect(Number.isInteger(word) && word >= 0 && word < 2 ** 32).toBe(true);
      for (let bit = 0; bit < 32; bit++) ones[bit]! += (word >>> bit) & 1;
    }
    // Six standard deviations (sqrt(4000) / 2 = 31.6) around the middle.
    for (const count of ones) expect(Math.abs(count - draws / 2)).toBeLessThan(190);
  });

  test("bytes() has the length asked for, above the limit of one system call too, and no dead stretch", () => {
    const random = fresh();
    expect(random.bytes(0)).toEqual(new Uint8Array(0));
    const bytes = random.bytes(200_001);
    expect(bytes.length).toBe(200_001);
    for (let start = 0; start + 64 <= bytes.length; start += 64) {
      expect(bytes.subarray(start, start + 64).some((byte) => byte !== 0)).toBe(true);
    }
  });

  test("two draws of 16 bytes differ", () => {
    const random = fresh();
    expect(random.bytes(16)).not.toEqual(random.bytes(16));
  });
}

describe("BunRandom", () => randomSuite(() => new BunRandom()));
describe("SimRandom", () => {
  randomSuite(() => new SimRandom(new Prng(1)));

  test("equal seeds draw equally", () => {
    expect(new SimRandom(new Prng(5)).bytes(100)).toEqual(new SimRandom(new Prng(5)).bytes(100));
  });
});
