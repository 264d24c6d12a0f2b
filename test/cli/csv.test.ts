import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CsvReader, formatCsvRecord } from "../../src/cli/csv.ts";

function readAll(chunks: readonly string[]): string[][] {
  const reader = new CsvReader();
  return [...chunks.flatMap((chunk) => reader.push(chunk)), ...reader.finish()];
}

describe("CsvReader", () => {
  test("reads back what formatCsvRecord() wrote, however the text is cut", () => {
    const field = fc.string({ unit: fc.constantFrom("a", "é", ",", '"', "\n", "\r", " ") });
    const records = fc.array(fc.array(field, { minLength: 2, maxLength: 4 }));
    fc.assert(
      fc.property(records, fc.array(fc.nat(), { maxLength: 8 }), (written, cuts) => {
        const text = written.map(formatCsvRecord).join("");
        const places = cuts.map((cut) => cut % (text.length + 1)).sort((a, b) => a - b);
        const chunks = [...places, text.length].map((end, i) =>
          text.slice(places[i - 1] ?? 0, end),
        );
        expect(readAll(chunks)).toEqual(written);
      }),
    );
  });

  test("takes both line ends, no line end at the last record, and skips empty lines", () => {
    expect(readAll(["a,b\r\n\r\n1,2\n\n3,4"])).toEqual([
      ["a", "b"],
      ["1", "2"],
      ["3", "4"],
    ]);
    expect(readAll(["a,\n,b"])).toEqual([
      ["a", ""],
      ["", "b"],
    ]);
  });

  test("keeps what stands after a closing quote", () => {
    expect(readAll(['"a"x,b\n'])).toEqual([["ax", "b"]]);
  });
});
