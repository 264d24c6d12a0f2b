import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { HutchError } from "../../src/base/errors.ts";
import { type BucketProperties, DEFAULT_BUCKET_PROPERTIES } from "../../src/quorum/operation.ts";
import {
  checkDefaultConsistency,
  consistencyAmong,
  consistencyFor,
  parseConsistency,
  quorumOf,
} from "../../src/quorum/parse-consistency.ts";

const bucket = (changes: Partial<BucketProperties> = {}): BucketProperties => ({
  ...DEFAULT_BUCKET_PROPERTIES,
  ...changes,
});

function codeOf(run: () => unknown): string {
  try {
    run();
    return "none";
  } catch (error) {
    return error instanceof HutchError ? error.code : String(error);
  }
}

describe("consistencyFor()", () => {
  test("R3: QUORUM is the default, sloppy, a majority of N", () => {
    expect(consistencyFor(undefined, bucket(), 3)).toEqual({
      n: 3,
      r: 2,
      w: 2,
      pr: 0,
      pw: 0,
      dw: 0,
      isSloppy: true,
      level: "QUORUM",
    });
    expect([1, 2, 3, 4, 5].map(quorumOf)).toEqual([1, 2, 2, 3, 3]);
  });

  test("R3: ALL counts owners only and is never sloppy", () => {
    const all = consistencyFor("ALL", bucket(), 3);
    expect(all).toMatchObject({ r: 3, w: 3, pr: 3, pw: 3, isSloppy: false, level: "ALL" });
  });

  test("level words are taken in any case", () => {
    expect(consistencyFor("one", bucket(), 3)).toMatchObject({ r: 1, w: 1, level: "ONE" });
    expect(consistencyFor(" Quorum ", bucket(), 3).level).toBe("QUORUM");
  });

  test("R3: a strict bucket switches sloppiness off and every reply is an owner's", () => {
    const quorum = consistencyFor(undefined, bucket({ strict: true }), 3);
    expect(quorum).toMatchObject({ r: 2, pr: 2, w: 2, pw: 2, isSloppy: false });
    expect(codeOf(() => consistencyFor("r=2, sloppy=?1", bucket({ strict: true }), 3))).toBe(
      "bad-consistency",
    );
  });

  test("a dictionary sets counts, the bucket's default fills the rest", () => {
    expect(consistencyFor("r=1, w=3", bucket(), 3)).toMatchObject({ r: 1, w: 3, isSloppy: true });
    expect(consistencyFor("r=3", bucket(), 3)).toMatchObject({ r: 3, w: 2, level: "" });
    expect(consistencyFor("sloppy=?0", bucket(), 3)).toMatchObject({
      r: 2,
      pr: 2,
      isSloppy: false,
    });
  });

  test("a part raises the whole that was left out, and contradicts one that was given", () => {
    expect(consistencyFor("pw=3", bucket(), 3)).toMatchObject({ w: 3, pw: 3 });
    expect(codeOf(() => consistencyFor("w=1, pw=2", bucket(), 3))).toBe("bad-consistency");
    expect(codeOf(() => consistencyFor("w=1, dw=2", bucket(), 3))).toBe("bad-consistency");
    expect(codeOf(() => consistencyFor("r=1, pr=2", bucket(), 3))).toBe("bad-consistency");
  });

  test("R6: n must be the bucket's, counts must be in 1..min(n, nodes)", () => {
    expect(consistencyFor("n=3, r=1", bucket(), 1)).toMatchObject({ n: 1, r: 1 });
    expect(codeOf(() => consistencyFor("n=2", bucket(), 3))).toBe("bad-consistency");
    expect(codeOf(() => consistencyFor("r=2", bucket(), 1))).toBe("bad-consistency");
  });

  test("R6: the bucket's own default is clamped to a smaller cluster instead of refused", () => {
    const default3 = bucket({ consistency: "r=3, w=2, pw=2" });
    expect(consistencyFor(undefined, default3, 3)).toMatchObject({ r: 3, w: 2, pw: 2 });
    expect(consistencyFor(undefined, default3, 1)).toMatchObject({ n: 1, r: 1, w: 1, pw: 1 });
  });

  test("row 28: an unknown word is refused, never a silent default", () => {
    for (const text of ["banana", "", " ", "QUORUMS", "2", "r", "x=1", "ONE, ALL", "?1"]) {
      expect(`${text}: ${codeOf(() => consistencyFor(text, bucket(), 3))}`).toBe(
        `${text}: bad-consistency`,
      );
    }
  });

  test("row 29: two values joined by the header rules are refused", () => {
    for (const text of ["ONE, QUORUM", "r=1, r=2", "QUORUM, r=2", "r=2, ALL", "sloppy, sloppy"]) {
      expect(`${text}: ${codeOf(() => consistencyFor(text, bucket(), 3))}`).toBe(
        `${text}: bad-consistency`,
      );
    }
  });

  test("row 30: counts of zero, below, above N and in other notations are refused", () => {
    for (const value of [
      "0",
      "-1",
      "4",
      "1e3",
      "2.5",
      "+2",
      "02",
      "0x2",
      "",
      "?1",
      "two",
      "2;a=1",
    ]) {
      for (const key of ["r", "w", "pr", "pw", "dw"]) {
        const text = `${key}=${value}`;
        expect(`${text}: ${codeOf(() => consistencyFor(text, bucket(), 3))}`).toBe(
          `${text}: bad-consistency`,
        );
      }
    }
  });

  test("reserved levels are not implemented, in any case", () => {
    for (const level of ["ANY", "local_one", "LOCAL_QUORUM", "EACH_QUORUM", "Strong"]) {
      expect(codeOf(() => parseConsistency(level))).toBe("not-implemented");
    }
  });

  test("whatever is accepted keeps 1 <= r, w <= n, pr <= r, pw and dw <= w", () => {
    const count = fc.integer({ min: 1, max: 5 });
    const members = fc.record(
      { r: count, w: count, pr: count, pw: count, dw: count },
      { requiredKeys: [] },
    );
    let accepted = 0;
    fc.assert(
      fc.property(members, count, fc.boolean(), (given, n, strict) => {
        const text = Object.entries(given)
          .map(([key, value]) => `${key}=${value}`)
          .join(", ");
        if (text === "") return;
        try {
          const c = consistencyFor(text, bucket({ n: 5, strict }), n);
          accepted++;
          expect(c.r >= 1 && c.r <= n && c.w >= 1 && c.w <= n).toBe(true);
          expect(c.pr <= c.r && c.pw <= c.w && c.dw <= c.w).toBe(true);
          for (const [key, value] of Object.entries(given)) {
            if (key === "r" || key === "w" || key === "dw") expect(c[key]).toBe(value);
          }
        } catch (error) {
          if (!(error instanceof HutchError)) throw error;
          expect(error.code).toBe("bad-consistency");
        }
      }),
      { numRuns: 1000 },
    );
    expect(accepted).toBeGreaterThan(20);
  });

  test("R6, row 107: among another number of owners reads and writes that met still meet, and a level is that level", () => {
    const size = fc.integer({ min: 1, max: 7 });
    fc.assert(
      fc.property(size, size, fc.nat(6), fc.nat(6), fc.boolean(), (before, n, r, w, strict) => {
        const text = `r=${(r % before) + 1}, w=${(w % before) + 1}${strict ? ", sloppy=?0" : ""}`;
        const c = consistencyFor(text, bucket({ n: before }), before);
        const among = consistencyAmong(c, n);
        expect(among.r <= n && among.w <= n && among.pr <= among.r && among.pw <= among.w).toBe(
          true,
        );
        if (c.r + c.w > before) expect(among.r + among.w).toBeGreaterThan(n);
        if (c.pr + c.pw > before) expect(among.pr + among.pw).toBeGreaterThan(n);
        for (const level of ["ONE", "QUORUM", "ALL"])
          expect(consistencyAmong(consistencyFor(level, bucket({ n: before }), before), n)).toEqual(
            consistencyFor(level, bucket({ n }), n),
          );
      }),
    );
    // R18: what a condition needs of owners stays a quorum of them.
    const quorum = consistencyFor("QUORUM", bucket(), 3);
    expect(consistencyAmong({ ...quorum, pw: 2 }, 5)).toMatchObject({ w: 3, pw: 3 });
  });

  test("no text at all makes it throw anything but a refusal", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(["none", "bad-consistency", "not-implemented"]).toContain(
          codeOf(() => consistencyFor(text, bucket(), 3)),
        );
      }),
    );
  });
});

describe("checkDefaultConsistency()", () => {
  test("refuses what the bucket's n cannot give", () => {
    expect(codeOf(() => checkDefaultConsistency("w=4", 3, false))).toBe("bad-consistency");
    expect(codeOf(() => checkDefaultConsistency("w=1, pw=2", 3, false))).toBe("bad-consistency");
    expect(codeOf(() => checkDefaultConsistency("sloppy=?1", 3, true))).toBe("bad-consistency");
    expect(codeOf(() => checkDefaultConsistency("STRONG", 3, false))).toBe("not-implemented");
    expect(codeOf(() => checkDefaultConsistency("r=3, w=1", 3, false))).toBe("none");
    expect(codeOf(() => checkDefaultConsistency("ALL", 3, false))).toBe("none");
  });
});
