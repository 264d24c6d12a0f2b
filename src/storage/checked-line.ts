/**
 * A small file that is one line of text and knows whether it is whole: IDENTITY, SNAPSHOT, CURRENT.
 *
 *   file = line, newline, CRC-32 of the line in eight hex digits, newline
 */
import { utf8, utf8Text } from "../base/bytes.ts";
import { crc32 } from "../kernels/kernels.ts";

export function checkedLine(line: string): Uint8Array {
  return utf8(`${line}\n${checksumText(line)}\n`);
}

/** The line of such a file; `undefined` where the checksum does not match. */
export function lineIn(bytes: Uint8Array): string | undefined {
  const [line = "", checksum, rest] = (utf8Text(bytes) ?? "").split("\n");
  return checksum === checksumText(line) && rest === "" ? line : undefined;
}

const checksumText = (line: string): string => crc32(utf8(line)).toString(16).padStart(8, "0");
