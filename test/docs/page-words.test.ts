/** What counts as the same, and what does not, when a page is held against a run. */
import { describe, expect, test } from "bun:test";
import { compare } from "../support/page-words.ts";
import { blocksOf, stepsOf } from "../support/pages.ts";

const isSame = (page: string, run: string, command = "curl x"): boolean =>
  compare(command, page.split("\n"), run).difference === "";

describe("compare()", () => {
  test("words have to be the same, in the same order, and all of them", () => {
    expect(isSame("X-Acks: ok=2", "X-Acks: ok=2\n")).toBe(true);
    expect(isSame("X-Acks: ok=2", "X-Acks: ok=3")).toBe(false);
    expect(isSame("HTTP/1.1 204", "HTTP/1.1 200")).toBe(false);
    expect(isSame("a\nb", "b\na")).toBe(false);
    expect(isSame("a", "a\nb")).toBe(false);
    expect(isSame("", "a")).toBe(false);
    expect(isSame("a", "")).toBe(false);
  });

  test("`...` stands for any lines, or for a part of one", () => {
    expect(isSame("a\n...\nd", "a\nb\nc\nd")).toBe(true);
    expect(isSame("a\n...\nd", "a\nb\nc")).toBe(false);
    expect(isSame('{"a":1,...,"z":2}', '{"a":1,"b":[],"z":2}')).toBe(true);
    expect(isSame('{"a":1,...,"z":2}', '{"a":1,"b":[],"z":3}')).toBe(false);
  });

  test("names, times and sizes of a run are of the kind that the page shows", () => {
    expect(isSame("took 3.8 ms, 1.2 KiB", "took   17 ms, 48 B")).toBe(true);
    expect(isSame("took 3.8 ms", "took 48 B")).toBe(false);
    expect(isSame('ETag: "6bdef842660ee308"', 'ETag: "8acfacd1c0ff9a22"')).toBe(true);
    expect(isSame('ETag: "6bdef842660ee308"', 'ETag: ""')).toBe(false);
  });

  test("words of the page are bound to those of the run", () => {
    const { bound } = compare(
      "hutch cluster",
      ["up  n1  pid 3665", "up  n2  pid 3666"],
      "up n1 pid 7\nup n2 pid 8",
    );
    expect([bound.get("3665"), bound.get("3666")]).toEqual(["7", "8"]);
  });

  test("owners come in any order, and not less of them", () => {
    expect(isSame('"owners":["n2","n1"]', '"owners":["n1","n3"]', "curl ring")).toBe(true);
    expect(isSame('"owners":["n2","n1"]', '"owners":["n1"]', "curl ring")).toBe(false);
  });
});

test("blocks and their steps", () => {
  const page = "words\n```console stays\n$ one \\\n  more\nprinted\n\n$ two\n```\n";
  const [block] = blocksOf(page);
  expect(block).toMatchObject({ language: "console", info: "stays", line: 2 });
  expect(stepsOf(block!)).toEqual([
    { command: "one \\\n  more", expected: ["printed", ""], line: 3 },
    { command: "two", expected: [], line: 7 },
  ]);
  expect(() => blocksOf("```sh\nnever ends")).toThrow("line 1");
  expect(() => stepsOf(blocksOf("```console\nno command\n```\n")[0]!)).toThrow("no command yet");
});
