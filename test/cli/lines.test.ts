import { describe, expect, test } from "bun:test";
import { LINE_LENGTH_MAX, eachLine } from "../../src/cli/lines.ts";

async function linesOf(...chunks: readonly (string | Uint8Array)[]): Promise<string[]> {
  const lines: string[] = [];
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks)
        controller.enqueue(typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk);
      controller.close();
    },
  });
  await eachLine(stream, (line) => lines.push(line));
  return lines;
}

describe("eachLine()", () => {
  test("joins pieces, keeps empty lines, and gives a last line without an end", async () => {
    expect(await linesOf("a", "b\nc\n\n", "d")).toEqual(["ab", "c", "", "d"]);
    expect(await linesOf()).toEqual([]);
    expect(await linesOf("a\n")).toEqual(["a"]);
  });

  test("a character cut in two is one", async () => {
    const bytes = new TextEncoder().encode("東\n");
    expect(await linesOf(bytes.slice(0, 2), bytes.slice(2))).toEqual(["東"]);
  });

  test("holds no more than a line may have", async () => {
    const piece = "x".repeat(LINE_LENGTH_MAX);
    expect(await linesOf(piece, piece, "y\n")).toEqual([piece, piece, "y"]);
  });
});
