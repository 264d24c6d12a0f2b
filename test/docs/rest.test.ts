/** docs/rest.md is made from the routes, and its examples answer as it says. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { EXAMPLES } from "../../scripts/rest-examples.ts";
import { restPage } from "../../scripts/rest-doc.ts";
import { withDirectory } from "../e2e/node-process.ts";
import { blocksOf, pageText } from "../support/pages.ts";
import { CAN_WALK, Walk } from "../support/walk.ts";

/** Whole programs start and stop here, on a machine that may be busy. */
setDefaultTimeout(120_000);

describe("docs/rest.md", () => {
  test("is what `bun scripts/rest-doc.ts` makes", () => {
    const page = restPage();
    expect(pageText("docs/rest.md")).toBe(page);
    for (const call of Object.keys(EXAMPLES)) expect(page).toContain(`\n### ${call}\n`);
  });

  test.skipIf(!CAN_WALK)(
    "every example, in its order, and those of docs/consistency.md after them",
    async () => {
      await withDirectory(async (directory) => {
        const walk = new Walk(directory);
        try {
          await walk.run(blocksOf(pageText("docs/rest.md")));
          await walk.run(blocksOf(pageText("docs/consistency.md")));
          expect(walk.count).toBeGreaterThan(25);
        } finally {
          await walk.close();
        }
      });
    },
  );
});
