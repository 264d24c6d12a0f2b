import { describe, expect, test } from "bun:test";
import { bar, cutTo, shareBar, sizeText, tableLines } from "../../src/cli/table.ts";

const COLUMNS = [
  { title: "node" },
  { title: "address", widthMin: 6 },
  { title: "phi", align: "right", dropRank: 1 },
  { title: "keys", align: "right", dropRank: 2 },
] as const;
const ROWS = [
  ["n1", "127.0.0.1:7001", "0.1", "12"],
  ["n10", "127.0.0.1:7010", "10.0", "1,200"],
];

describe("tableLines()", () => {
  test("lines columns up, numbers to the right", () => {
    expect(tableLines(COLUMNS, ROWS, 80)).toEqual([
      "node  address          phi   keys",
      "n1    127.0.0.1:7001   0.1     12",
      "n10   127.0.0.1:7010  10.0  1,200",
    ]);
  });

  test("gives up columns by rank, then cuts the longest cells, and never those that are all needed", () => {
    expect(tableLines(COLUMNS, ROWS, 32)[0]).toBe("node  address          phi");
    expect(tableLines(COLUMNS, ROWS, 20)).toEqual([
      "node  address",
      "n1    127.0.0.1:7001",
      "n10   127.0.0.1:7010",
    ]);
    expect(tableLines(COLUMNS, ROWS, 14)[1]).toBe("n1    127.0.0…");
    expect(tableLines(COLUMNS, ROWS, 1)[1]).toBe("n1    127.0…");
  });

  test("no line is wider than the terminal while there is something to give up", () => {
    for (let width = 12; width < 60; width++)
      for (const line of tableLines(COLUMNS, ROWS, width))
        expect(Bun.stringWidth(line)).toBeLessThanOrEqual(width);
  });

  test("counts places, not characters, and obeys no control character", () => {
    const lines = tableLines([{ title: "a" }, { title: "b" }], [["東京", "x\u001b[2J"]], 80);
    expect(lines).toEqual(["a     b", "東京  x\\x1b[2J"]);
    expect(tableLines([{ title: "a" }], [], 80)).toEqual(["a"]);
  });
});

describe("figures", () => {
  test("a bar has an eighth of a place as its smallest part, and the same length for all shares", () => {
    expect([bar(0, 4), bar(1 / 32, 4), bar(0.5, 4), bar(1, 4), bar(7, 4)]).toEqual([
      "    ",
      "▏   ",
      "██  ",
      "████",
      "████",
    ]);
    expect(shareBar(1 / 3, 3)).toBe("█    33.3 %");
    expect(shareBar(1, 3)).toBe("███ 100.0 %");
  });

  test("sizes and cuts are for people", () => {
    expect([sizeText(0), sizeText(1023), sizeText(1536), sizeText(5e15)]).toEqual([
      "0 B",
      "1023 B",
      "1.5 KiB",
      "4.4 PiB",
    ]);
    expect([cutTo("abc", 3), cutTo("abcd", 3), cutTo("東京都", 4)]).toEqual(["abc", "ab…", "東…"]);
  });
});
