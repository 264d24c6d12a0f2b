/** docs/snapshots.md: its commands in their order, on one cluster that is lost and restored. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { withDirectory } from "../e2e/node-process.ts";
import { blocksOf, pageText } from "../support/pages.ts";
import { CAN_WALK, Walk } from "../support/walk.ts";

/** Whole programs start and stop here, on a machine that may be busy. */
setDefaultTimeout(120_000);

test.skipIf(!CAN_WALK)(
  "docs/snapshots.md: take, restore one node, restore a whole cluster",
  async () => {
    await withDirectory(async (directory) => {
      const walk = new Walk(directory, { HUTCH_PRESET: "local" });
      try {
        await walk.run(blocksOf(pageText("docs/snapshots.md")));
        expect(walk.count).toBeGreaterThan(10);
      } finally {
        await walk.close();
      }
    });
  },
);
