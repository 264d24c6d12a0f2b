import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasPlainValue, readRecords } from "../../src/cli/import-records.ts";

async function read(format: "ndjson" | "csv", content: string): Promise<[number, string][]> {
  const directory = mkdtempSync(join(tmpdir(), "hutch-"));
  try {
    const file = join(directory, "file");
    writeFileSync(file, content);
    const records: [number, string][] = [];
    for await (const { line, json } of readRecords(file, format)) records.push([line, json]);
    return records;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe("readRecords()", () => {
  test("numbers the lines of NDJSON as an editor does, blank ones and CRLF included", async () => {
    expect(await read("ndjson", '{"key":"a"}\r\n\n{"key":"b"}')).toEqual([
      [1, '{"key":"a"}'],
      [3, '{"key":"b"}'],
    ]);
  });

  test("makes lines of CSV records", async () => {
    const csv = 'key,value,ttl\r\na,"1,2",\r\nb,,60\r\n';
    expect(await read("csv", csv)).toEqual([
      [2, '{"key":"a","value":"1,2"}'],
      [3, '{"key":"b","ttl":60,"value":""}'],
    ]);
  });

  test("passes a CSV record of another width on as a line that the node refuses", async () => {
    expect(await read("csv", "key,value\na,1,2\nb,3\n")).toEqual([
      [2, '{"fields":["a","1","2"]}'],
      [3, '{"key":"b","value":"3"}'],
    ]);
  });

  test("refuses columns that would be lost, and a heading without keys or values", async () => {
    await expect(read("csv", "key,value,colour\n")).rejects.toThrow('column "colour"');
    await expect(read("csv", "value\n")).rejects.toThrow("no column is named key");
    await expect(read("csv", "key\n")).rejects.toThrow("no column is named value");
  });
});

describe("hasPlainValue()", () => {
  test("tells lines to write from exported ones", () => {
    expect(hasPlainValue('{"key":"a","value":"1"}')).toBe(true);
    expect(hasPlainValue('{"key":"a","valueB64":"MQ=="}')).toBe(true);
    expect(hasPlainValue('{"key":"a","v":1,"entries":[]}')).toBe(false);
  });
});
