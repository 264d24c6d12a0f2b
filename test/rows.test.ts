/** The table of acceptance rows in docs/testing.md tells the truth: each of the 116 rows is held by tests that name it, or the page says why it is not. */
import { expect, test } from "bun:test";
import * as fs from "node:fs";

const ROWS = 116;
const root = new URL("..", import.meta.url).pathname;
const page = fs.readFileSync(`${root}docs/testing.md`, "utf8");

/** `"row 12, rows 5 to 7 and 9"` -> 12, 5, 6, 7, 9 */
function numbersIn(text: string): number[] {
  const ranges = [...text.matchAll(/(\d+) to (\d+)/g)].flatMap(([, from, to]) =>
    Array.from({ length: Number(to) - Number(from) + 1 }, (_, i) => Number(from) + i),
  );
  return [...ranges, ...[...text.matchAll(/\d+/g)].map(Number)];
}

/** Rows by the tests that name them, as `http/bad-input.test.ts`. */
function rowsOf(file: string): Set<number> {
  const text = fs.readFileSync(`${root}test/${file}`, "utf8");
  const named = text.matchAll(/rows? ((?:\d+(?:, | and | to )?)+)/g);
  return new Set([...named].flatMap(([, numbers]) => numbersIn(numbers!)));
}

const held = new Map<number, string[]>();
for (const [, rows, files] of page.matchAll(/^\| (\d+(?: to \d+)?) \| (`.*) \|$/gm))
  for (const row of new Set(numbersIn(rows!)))
    held.set(
      row,
      [...files!.matchAll(/`([^`]+)`/g)].map(([, file]) => file!),
    );

const [, excused = ""] = /^Not held yet: (.*(?:\n.+)*)/m.exec(page) ?? [];

test("every acceptance row is in the table, or the page says why it is not held", () => {
  const absent = new Set(numbersIn(excused));
  const missing = Array.from({ length: ROWS }, (_, i) => i + 1).filter(
    (row) => !held.has(row) && !absent.has(row),
  );
  expect(missing).toEqual([]);
});

test("every test in the table names the row", () => {
  const wrong = [...held].flatMap(([row, files]) =>
    files.filter((file) => !rowsOf(file).has(row)).map((file) => `${row}: ${file}`),
  );
  expect(wrong).toEqual([]);
});
