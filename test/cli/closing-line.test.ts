import { describe, expect, test } from "bun:test";
import { closing, readSummary } from "../../scripts/test.ts";

describe("the closing line of bun run test", () => {
  test("is read from the summary of bun test, with and without colours", () => {
    expect(readSummary("\n 16 pass\n 0 fail\n 324 expect() calls\n")).toEqual({
      passed: 16,
      failed: 0,
    });
    expect(
      readSummary("\u001b[32m 5 pass\u001b[0m\n 2 skip\n\u001b[31m 1 fail\u001b[0m\n"),
    ).toEqual({
      passed: 5,
      failed: 1,
    });
    expect(readSummary("error: cannot find module\n")).toBeUndefined();
  });

  test("counts a failure where the run broke without saying so", () => {
    expect(closing({ passed: 3, failed: 0 }, 0)).toEqual({ passed: 3, failed: 0 });
    expect(closing({ passed: 3, failed: 2 }, 1)).toEqual({ passed: 3, failed: 2 });
    expect(closing({ passed: 3, failed: 0 }, 1)).toEqual({ passed: 3, failed: 1 });
    expect(closing({ passed: 3, failed: 2 }, 0)).toEqual({ passed: 3, failed: 3 });
    expect(closing(undefined, 1)).toEqual({ passed: 0, failed: 1 });
    expect(closing(undefined, 0)).toEqual({ passed: 0, failed: 1 });
  });
});
