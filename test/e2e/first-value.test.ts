/** From a fresh clone to the first value, on a machine that has Node and nothing else. Downloads of earlier runs are used; `scripts/first-value.ts --cold` is without. */
import { expect, test } from "bun:test";
import { linesOf, measureFirstValue } from "../../scripts/first-value.ts";

const SECONDS_MAX = 60;

test(
  `a fresh clone answers with the first value within ${SECONDS_MAX} s, by one command and without Bun on the path`,
  async () => {
    const first = await measureFirstValue();
    console.log(linesOf("warm", first).join("\n"));
    expect(first.value).toBe("world");
    expect(first.seconds).toBeLessThan(SECONDS_MAX);
    expect(first.phases.map(({ name }) => name)).toContain("install the dependencies");
  },
  { timeout: 2 * SECONDS_MAX * 1000 },
);
