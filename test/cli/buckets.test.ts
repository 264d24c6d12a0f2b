/** What `hutch buckets` asks for and shows. */
import { describe, expect, test } from "bun:test";
import { bucketsLines, changeFrom } from "../../src/cli/buckets.ts";

describe("hutch buckets", () => {
  test("a change names only what was given, in the units of the interface", () => {
    const options = { ttl: "7d", n: "2", strict: "true", valueBytesMax: "64KiB", conflicts: "lww" };
    expect(changeFrom(options)).toEqual({
      ttl: 604_800,
      n: 2,
      strict: true,
      valueBytesMax: 65_536,
      conflicts: "lww",
    });
    expect(changeFrom({ ttl: "0" })).toEqual({ ttl: 0 });
    expect(changeFrom({})).toEqual({});
  });

  test("row 98: what is no such value is refused with its flag", () => {
    for (const [name, value] of [
      ["n", "two"],
      ["ttl", "1500ms"],
      ["strict", "yes"],
      ["valueBytesMax", "big"],
    ] as const)
      expect(() => changeFrom({ [name]: value })).toThrow(
        /^Cannot use --(n|ttl|strict|value-bytes-max) "/,
      );
  });

  test("the table fits 80 columns with the longest name", () => {
    const bucket = {
      name: "a".repeat(63),
      n: 3,
      conflicts: "siblings",
      blindPut: "supersede",
      consistency: "QUORUM",
      strict: false,
      ttl: 60,
      siblingsMax: 50,
      valueBytesMax: 1_048_576,
    };
    const lines = bucketsLines({ buckets: [bucket] }, 80);
    for (const line of lines) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(80);
    expect(lines[1]).toContain("1m");
    expect(bucketsLines({ buckets: [] }, 80)).toHaveLength(1);
  });
});
