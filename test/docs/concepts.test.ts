/** The pictures of docs/concepts.md are those that the script draws, and each is on the page. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { IMAGES, drawings } from "../../scripts/draw-concepts.ts";
import { pageText } from "../support/pages.ts";

test.each([...drawings()])(
  "docs/images/%s is what `bun scripts/draw-concepts.ts` draws",
  (name, text) => {
    expect(readFileSync(join(IMAGES, name), "utf8")).toBe(text);
    expect(pageText("docs/concepts.md")).toContain(`(images/${name})`);
    expect(text).toContain("prefers-color-scheme: dark");
  },
);
