import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { ByteWriter } from "../../../src/base/byte-writer.ts";
import { hex, utf8 } from "../../../src/base/bytes.ts";
import { SimDisk } from "../../../src/sim/disk.ts";
import { fileName } from "../../../src/storage/file-names.ts";
import {
  beginRecord,
  encodeLogHeader,
  endRecord,
  RECORD_TYPES,
} from "../../../src/storage/log/log-format.ts";
import { encodeBatch, WriteBatch } from "../../../src/storage/write-batch.ts";
import { readBytes } from "../../../src/storage/table/table-file.ts";
import { put, remove, writeTable } from "./support.ts";

test("the worked example of FORMATS.md is what the writer writes", () => {
  const disk = new SimDisk();
  const entries = [put("apple", 7, "red"), put("apricot", 8, "orange"), remove("fig", 9)];
  const { fileBytes } = writeTable(disk, 1, entries, { createdMs: Date.UTC(2026, 0, 1) });
  const actual = hex(readBytes(disk.open(fileName("table", 1), "read"), 0, fileBytes));
  expect(exampleOf("### Worked example\n\nTable 1 ")).toBe(actual);
});

test("the worked example of a log in FORMATS.md is what the log writes", () => {
  const owner = { clusterId: new Uint8Array(16).fill(0xc1), nodeId: new Uint8Array(8).fill(0xa0) };
  const writer = new ByteWriter();
  writer.raw(encodeLogHeader("wal", 7, owner, 0, 41, 0x5a5a5a5a));
  const start = beginRecord(writer);
  encodeBatch(writer, new WriteBatch().put(utf8("k1"), utf8("v")).delete(utf8("k2")));
  endRecord(writer, start, RECORD_TYPES.batch, 0x5a5a5a5a, 42, 41);
  expect(exampleOf("### Worked example of a log")).toBe(hex(writer.finish()));
});

/** The hex digits of the dump under `heading`: lines of an offset and up to 16 bytes. */
function exampleOf(heading: string): string {
  const text = readFileSync(new URL("../../../src/storage/FORMATS.md", import.meta.url), "utf8");
  const start = text.indexOf(heading);
  const section = text.slice(start, text.indexOf("\n## ", start));
  const lines = section.matchAll(/^ {4}[0-9a-f]{4} ((?:[0-9a-f]{2} ){1,16})/gm);
  return [...lines].map((line) => line[1]!.replaceAll(" ", "")).join("");
}
