import { describe, expect, test } from "bun:test";
import { zstdCompression } from "../../src/bun/compression.ts";
import { inspectTable } from "../../src/cli/inspect-table.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { fileName } from "../../src/storage/file-names.ts";
import { TableFile } from "../../src/storage/table/table-file.ts";
import { put, remove, writeTable } from "../storage/table/support.ts";

const PATH = fileName("table", 12);

function sample(): { disk: SimDisk; lines: () => string[] } {
  const disk = new SimDisk();
  const entries = [put("\u0001bin", 1, "x"), put("a", 2, "y".repeat(500)), remove("b", 3)];
  writeTable(disk, 12, entries, { blockBytes: 64, compression: zstdCompression, createdMs: 1000 });
  return { disk, lines: () => inspectTable(disk, PATH) };
}

describe("inspectTable()", () => {
  test("prints footer, properties and each block", () => {
    const { lines } = sample();
    expect(lines()).toMatchSnapshot();
  });

  test("names what is damaged and prints the rest", () => {
    const { disk, lines } = sample();
    const intact = lines();
    disk.damage.flipBit(PATH, 0);
    const damaged = lines().filter((line, at) => line !== intact[at]);
    expect(damaged.length).toBe(1);
    expect(damaged[0]).toContain("block 0 at 0");
    expect(damaged[0]).toContain("DAMAGED");
    const { footer } = TableFile.openPath(disk, PATH, 12);
    disk.damage.flipBit(PATH, 8 * footer.indexOffset);
    expect(lines().at(-1)).toContain("index DAMAGED");
  });

  test("says that a file is no table", () => {
    const { disk } = sample();
    disk.create("other").append(new Uint8Array(100));
    expect(inspectTable(disk, "other").join("\n")).toContain("damaged: Cannot read footer");
    expect(inspectTable(disk, "missing").join("\n")).toContain("missing");
  });
});
