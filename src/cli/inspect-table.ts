/** `hutch inspect sstable`: what is in a table file, as lines of text. Reads everything, changes nothing, and goes on past damage. */
import { readU32 } from "../base/byte-reader.ts";
import { hex, utf8Text } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import type { Disk } from "../ports/disk.ts";
import type { BlockIndex } from "../storage/table/block-index.ts";
import { UNCOMPRESSED } from "../storage/table/compression.ts";
import { bloomOffset, type Footer, propertiesOffset } from "../storage/table/footer.ts";
import { TRAILER_BYTES } from "../storage/table/section.ts";
import { TableFile } from "../storage/table/table-file.ts";

const KEY_TEXT_LENGTH_MAX = 64;

/** The description of the table at `path`; damage is a line of it. */
export function inspectTable(disk: Disk, path: string): string[] {
  let tableFile: TableFile;
  try {
    tableFile = TableFile.openPath(disk, path, -1);
  } catch (thrown) {
    return [`table ${path}`, `  damaged: ${messageOf(thrown)}`];
  }
  try {
    return [
      `table ${path}`,
      ...footerLines(tableFile.footer),
      ...lines("bloom filter", () => {
        const filter = tableFile.readBloomFilter();
        return [`  bloom filter ok: ${filter.length} bytes`];
      }),
      ...lines("properties", () => propertyLines(tableFile)),
      ...lines("index", () => blockLines(tableFile, tableFile.readIndex())),
    ];
  } finally {
    tableFile.close();
  }
}

/** What `describe` says, or that it cannot. */
function lines(part: string, describe: () => string[]): string[] {
  try {
    return describe();
  } catch (thrown) {
    return [`  ${part} DAMAGED: ${messageOf(thrown)}`];
  }
}

function footerLines(footer: Footer): string[] {
  return [
    `  id ${footer.tableId}, ${footer.fileBytes} bytes, checksum ${footer.checksum.toString(16).padStart(8, "0")}`,
    `  data blocks ${footer.blockCount} in [0, ${footer.indexOffset})`,
    `  index at ${footer.indexOffset} (${footer.indexBytes})`,
    `  bloom filter at ${bloomOffset(footer)} (${footer.bloomBytes})`,
    `  properties at ${propertiesOffset(footer)} (${footer.propertiesBytes})`,
  ];
}

function propertyLines(tableFile: TableFile): string[] {
  const properties = tableFile.readProperties();
  return [
    `  origin ${properties.origin}, created ${properties.createdMs} ms after 1970`,
    `  entries ${properties.entryCount}, of them deletes ${properties.deletionCount}`,
    `  keys ${keyText(properties.smallestKey)} to ${keyText(properties.largestKey)}`,
    `  sequences ${properties.smallestSequence} to ${properties.largestSequence}`,
    `  block content ${properties.contentBytes} bytes before compression`,
  ];
}

function blockLines(tableFile: TableFile, index: BlockIndex): string[] {
  const described: string[] = [];
  for (let at = 0; at < index.blockCount; at++) {
    const offset = index.blockOffset(at);
    const length = index.blockEnd(at) - offset;
    const place = `block ${at} at ${offset} (${length}) from ${keyText(index.separator(at))}`;
    described.push(
      ...lines(place, () => {
        const section = tableFile.readSection(offset, length);
        return [`  ${place}: ${sectionText(section)}`];
      }),
    );
  }
  return described;
}

function sectionText(section: Uint8Array): string {
  if (section[section.length - TRAILER_BYTES] === UNCOMPRESSED) return "plain, ok";
  return `zstd of ${readU32(section, 0)} bytes, ok`;
}

/** Text where the key is printable, else hex; internal keys begin with two bytes of partition. */
function keyText(key: Uint8Array): string {
  const text = utf8Text(key);
  const isPrintable = text !== undefined && /^[\x20-\x7e]*$/.test(text);
  const full = isPrintable ? JSON.stringify(text) : `0x${hex(key)}`;
  if (full.length <= KEY_TEXT_LENGTH_MAX) return full;
  return `${full.slice(0, KEY_TEXT_LENGTH_MAX)}... (${key.length} bytes)`;
}
