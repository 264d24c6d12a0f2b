/** All pages: every block with commands or code is run by a test, what is not says why, and every link leads somewhere. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { hutch } from "../e2e/node-process.ts";
import { anchorsOf, blocksOf, pageText, proseOf, ROOT } from "../support/pages.ts";

setDefaultTimeout(60_000);

/** Which tests run the blocks of which page. */
const RUN_BY: Readonly<Record<string, readonly string[]>> = {
  "README.md": ["docs/readme.test.ts"],
  "docs/client.md": ["e2e/client-guide.test.ts"],
  "docs/consistency.md": ["docs/rest.test.ts"],
  "docs/install.md": ["ops/install-page.test.ts"],
  "docs/operations.md": ["docs/operations.test.ts"],
  "docs/rest.md": ["docs/rest.test.ts"],
  "docs/security.md": ["e2e/security-page.test.ts", "e2e/secure-cluster.test.ts"],
  "docs/simulator.md": ["e2e/sim-command.test.ts"],
  "docs/snapshots.md": ["docs/snapshots.test.ts"],
};
/** How many blocks of each page are not run; each says why. Lower it where one is, raise it for none that could be. */
const NOT_RUN: Readonly<Record<string, number>> = {
  "README.md": 1,
  "docs/simulator.md": 3,
};
const CODE = ["sh", "console", "ts", "json"];
/** What a block without a language must not begin a line with. */
const COMMAND = /^(\$ |curl |hutch |bun |npx |npm |kill |docker |kubectl )/;

const pages = [
  "README.md",
  ...readdirSync(join(ROOT, "docs"))
    .filter((name) => name.endsWith(".md"))
    .sort()
    .map((name) => `docs/${name}`),
];
const notRunOf = (page: string) =>
  blocksOf(pageText(page)).filter(({ info }) => info.startsWith("no-run:"));

describe("every page", () => {
  test.each(pages)("%s: its blocks are run by a test that names it", (page) => {
    for (const { language, info, line, lines } of blocksOf(pageText(page))) {
      const at = `${page}:${line}`;
      if (CODE.includes(language))
        expect(`${at} ${RUN_BY[page] ?? "nobody"}`).not.toContain("nobody");
      else
        expect(`${at} ${lines.find((each) => COMMAND.test(each)) ?? "no command"}`).toBe(
          `${at} no command`,
        );
      expect(`${at} ${info}`).toMatch(/ (|stays|stops all|no-run: .{10,})$/);
    }
    for (const path of RUN_BY[page] ?? [])
      expect(readFileSync(join(ROOT, "test", path), "utf8")).toContain(page.replace("docs/", ""));
  });

  test("blocks that are not run are as many as were agreed on", () => {
    const counts = pages.map((page) => [page, notRunOf(page).length] as const);
    expect(Object.fromEntries(counts.filter(([, count]) => count > 0))).toEqual(NOT_RUN);
  });

  test("commands that are not run have options that there are", async () => {
    const lines = pages.flatMap((page) => notRunOf(page).flatMap((block) => block.lines));
    const commands = lines.flatMap((line) => {
      const [, command] = /^hutch (\w+)/.exec(line) ?? [];
      return command === undefined ? [] : [{ line, command }];
    });
    expect(commands.length).toBeGreaterThan(5);
    const names = [...new Set(commands.map(({ command }) => command))];
    const helps = new Map<string, string>();
    for (const name of names) helps.set(name, (await hutch(["help", name])).stdout);
    for (const { line, command } of commands)
      for (const [, option] of line.matchAll(/ (--[a-z-]+)/g))
        expect(`${option} of ${command}: ${helps.get(command)!.includes(`${option}`)}`).toBe(
          `${option} of ${command}: true`,
        );
  });

  test.each([...pages, "bench/README.md", "src/README.md"])(
    "%s: every link leads somewhere",
    (page) => {
      const text = proseOf(pageText(page)).replaceAll(/`[^`\n]*`/g, "");
      const links = [...text.matchAll(/(?:\]\(|src(?:set)?=")([^)"\s]+)/g)].map(
        ([, link]) => link!,
      );
      for (const link of links) {
        if (/^https?:/.test(link)) continue;
        const [path = "", anchor] = link.split("#");
        const target = path === "" ? page : relative(ROOT, join(ROOT, dirname(page), path));
        expect(`${link} ${existsSync(join(ROOT, target))}`).toBe(`${link} true`);
        if (anchor !== undefined) expect(anchorsOf(pageText(target))).toContain(anchor);
      }
    },
  );

  test("docs/README.md names every page", () => {
    const index = pageText("docs/README.md");
    for (const page of pages.filter(
      (each) => each.startsWith("docs/") && each !== "docs/README.md",
    ))
      expect(index).toContain(`(${page.slice("docs/".length)})`);
  });
});
