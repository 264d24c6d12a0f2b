/** The bytes of a value as people read them: text, indented JSON, hexadecimal; each up to a limit that a page can bear. */
import { utf8Text } from "../../base/bytes.ts";

export type ValueForm = "text" | "json" | "hex";

/** More makes a page slow; who wants all of it downloads it. */
export const SHOWN_CHARACTERS_MAX = 64 * 1024;
export const SHOWN_HEX_BYTES_MAX = 4 * 1024;
/** What fits into an editor. */
export const EDITED_BYTES_MAX = 256 * 1024;
const HEX_LINE_BYTES = 16;

/** The best form first. */
export function formsOf(bytes: Uint8Array): readonly ValueForm[] {
  const text = utf8Text(bytes);
  if (text === undefined) return ["hex"];
  return jsonOf(text) === undefined ? ["text", "hex"] : ["json", "text", "hex"];
}

/** Objects and arrays indented; a bare number or word is better shown as it is. */
export function jsonOf(text: string): string | undefined {
  if (!/^\s*[[{]/.test(text)) return undefined;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return undefined;
  }
}

export interface ShownValue {
  readonly text: string;
  readonly isCut: boolean;
}

export function shownAs(bytes: Uint8Array, form: ValueForm): ShownValue {
  if (form === "hex") return { text: hexLines(bytes), isCut: bytes.length > SHOWN_HEX_BYTES_MAX };
  const plain = utf8Text(bytes) ?? "";
  const text = form === "json" ? (jsonOf(plain) ?? plain) : plain;
  return { text: text.slice(0, SHOWN_CHARACTERS_MAX), isCut: text.length > SHOWN_CHARACTERS_MAX };
}

/** `00000010  68 65 6c 6c 6f ...  hello` */
export function hexLines(bytes: Uint8Array): string {
  const end = Math.min(bytes.length, SHOWN_HEX_BYTES_MAX);
  const lines: string[] = [];
  for (let offset = 0; offset < end; offset += HEX_LINE_BYTES)
    lines.push(hexLine(bytes.subarray(offset, Math.min(offset + HEX_LINE_BYTES, end)), offset));
  return lines.join("\n");
}

function hexLine(part: Uint8Array, offset: number): string {
  const pairs = Array.from(part, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const letters = Array.from(part, (byte) =>
    byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".",
  ).join("");
  return `${offset.toString(16).padStart(8, "0")}  ${pairs.padEnd(3 * HEX_LINE_BYTES - 1)}  ${letters}`;
}
