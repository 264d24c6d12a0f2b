/** A write that one node has minted twice, and writes that may have two dots. */
import { describe, expect, test } from "bun:test";
import { DotBook } from "../../src/checkers/dots.ts";
import { checkMintedOnce } from "../../src/checkers/minted-once.ts";
import { A, B, Story, seen } from "../support/story.ts";

describe("a write is minted once by one minter", () => {
  const blame = (...dots: readonly string[]): string[] => {
    const story = new Story();
    story.put("x", dots[0]!, seen({}));
    story.delete(`${A}.90`, seen({}));
    const book = new DotBook();
    for (const dot of dots) book.note(dot, "x", "b/k");
    for (const dot of [`${A}.90`, `${A}.91`]) book.note(dot, "(deleted)", "b/k");
    return checkMintedOnce(story.history, book).map(
      ({ invariant, message, key }) => `${invariant} ${key}: ${message.split("one node: ")[1]}`,
    );
  };

  test("R9, row 35: two dots of one actor for one value are found", () => {
    expect(blame(`${A}.1`)).toEqual([]);
    expect(blame(`${A}.1`, `${A}.1`)).toEqual([]);
    expect(blame(`${A}.1`, `${B}.2`, `${A}.3`)).toEqual([`R9 b/k: ${A}.1 and ${A}.3`]);
  });

  test("two minters, or two lives of one, may each have minted it", () => {
    const otherLife = A.replace(/1$/, "2");
    expect(blame(`${A}.1`, `${B}.2`, `${otherLife}.3`)).toEqual([]);
  });
});
