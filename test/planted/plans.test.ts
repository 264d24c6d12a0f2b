/**
 * Plans of `test/plans` that were shrunk from a run with a planted bug find their bug again; `test/sim/plans.test.ts` says that they find nothing without it.
 *
 * Asked of those only that find it under at least a sixth of all chances. Where hutch has changed so that one of them never does, it is made anew with `shrink.ts`.
 */
import { describe, expect, test } from "bun:test";

const HERE = `${import.meta.dir}/`;
const CHANCES = 24;
const STURDY = [
  "delete-ignores-context",
  "dot-reused",
  "empty-handover",
  "lww-by-arrival",
  "no-manifest-sync",
  "reads-turn-early",
  "tree-misses-update",
];

/** What the plan of a bug breaks with it. */
async function broken(bug: string): Promise<string[]> {
  const plan = `${HERE}../plans/planted-${bug}.json`;
  const run = ["--preload", `${HERE}plant.ts`, `${HERE}run-plan.ts`, plan, `--chances=${CHANCES}`];
  const child = Bun.spawn([process.execPath, ...run], {
    env: { ...process.env, BUN_BE_BUN: "1", HUTCH_PLANTED_BUG: bug },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [text, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw new Error(errors);
  return JSON.parse(text) as string[];
}

describe("plans of planted bugs", () => {
  test.each(STURDY)(
    "%s is found by its plan",
    async (bug) => {
      expect(await broken(bug)).not.toEqual([]);
    },
    120_000,
  );
});
