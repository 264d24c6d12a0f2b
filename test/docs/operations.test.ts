/** docs/operations.md: its commands in their order on one cluster, and a section for every alert. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { withDirectory } from "../e2e/node-process.ts";
import { anchorsOf, blocksOf, pageText } from "../support/pages.ts";
import { CAN_WALK, Walk } from "../support/walk.ts";

/** Whole programs start and stop here, on a machine that may be busy. */
setDefaultTimeout(180_000);

const page = pageText("docs/operations.md");

describe("docs/operations.md", () => {
  test.skipIf(!CAN_WALK)(
    "every command in its order: add, weigh, leave, replace, lost disk, scrub, repair, snapshot",
    async () => {
      await withDirectory(async (directory) => {
        const walk = new Walk(directory, { HUTCH_PRESET: "local" });
        try {
          await walk.run(blocksOf(page));
          expect(walk.count).toBeGreaterThan(15);
        } finally {
          await walk.close();
        }
      });
    },
  );

  test("has the section that each alert names", () => {
    const links = pageText("ops/prometheus/rules.yml").matchAll(
      /runbook_url: docs\/operations\.md#(.*)$/gm,
    );
    const named = new Set([...links].map(([, anchor]) => anchor!));
    expect(named.size).toBeGreaterThan(10);
    expect([...named].filter((anchor) => !anchorsOf(page).includes(anchor))).toEqual([]);
  });
});
