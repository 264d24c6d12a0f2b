/**
 * Plans of `test/plans` that were shrunk from a run with a planted bug find their bug again. Where hutch has changed so that one does not, it is made anew:
 * `shrink.ts` says how. That they find nothing without the bug is in `test/sim/plans.test.ts`.
 */
import { existsSync } from "node:fs";
import { describe, expect, test } from "bun:test";
import { BUGS } from "./bugs.ts";

const HERE = new URL(".", import.meta.url).pathname;
const planOf = (bug: string): string => `${HERE}../plans/planted-${bug}.json`;
const kept = BUGS.map(({ name }) => name).filter((name) => existsSync(planOf(name)));

/** What the plan of a bug breaks with `planted` in the source. */
async function broken(bug: string, planted: string): Promise<string[]> {
  const child = Bun.spawn(
    ["bun", "--preload", `${HERE}plant.ts`, `${HERE}run-plan.ts`, planOf(bug)],
    { env: { ...process.env, HUTCH_PLANTED_BUG: planted }, stdout: "pipe", stderr: "pipe" },
  );
  const [text, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw new Error(errors);
  return JSON.parse(text) as string[];
}

describe("plans of planted bugs", () => {
  test("are there", () => expect(kept.length).toBeGreaterThan(5));

  test.each(kept)(
    "%s is found by its plan",
    async (bug) => {
      expect(await broken(bug, bug)).not.toEqual([]);
    },
    60_000,
  );
});
