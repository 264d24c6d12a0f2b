/** The README is the walk of a new user, and is walked here: start, put, get, conflict, kill, heal, add a node, look, stop. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { withDirectory } from "../e2e/node-process.ts";
import { blocksOf, pageText } from "../support/pages.ts";
import { CAN_WALK, Walk } from "../support/walk.ts";

/** Whole programs start and stop here, on a machine that may be busy. */
setDefaultTimeout(120_000);

const [before, after] = pageText("README.md").split(/^(?=## Stop$)/m) as [string, string];

test.skipIf(!CAN_WALK)("the README, every step in its order", async () => {
  await withDirectory(async (directory) => {
    const walk = new Walk(directory);
    try {
      await walk.run(blocksOf(before));
      const page = await fetch(`${walk.url}/ui`);
      expect([page.status, await page.text()]).toEqual([
        200,
        expect.stringContaining("<title>hutch"),
      ]);
      await walk.run(blocksOf(after));
      expect(walk.count).toBeGreaterThan(20);
    } finally {
      await walk.close();
    }
  });
});
