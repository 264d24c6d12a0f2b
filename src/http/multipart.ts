/** Siblings as `multipart/mixed` (RFC 2046): each part a value with its own headers, or an empty part with `X-Deleted`. */
import { concatBytes, hex, utf8 } from "../base/bytes.ts";
import { hlcText } from "../causality/hlc.ts";
import type { Random } from "../ports/random.ts";
import type { Sibling } from "../quorum/operation.ts";
import { rfc3339 } from "./dates.ts";

const BOUNDARY_BYTES = 16;

/** The boundary is 128 random bits, so that no value can hold it by design. */
export function multipartOf(
  siblings: readonly Sibling[],
  random: Random,
): { readonly boundary: string; readonly body: Uint8Array } {
  const boundary = hex(random.bytes(BOUNDARY_BYTES));
  const parts: Uint8Array[] = [];
  for (const sibling of siblings) {
    parts.push(utf8(`--${boundary}\r\n${partHeaders(sibling)}\r\n`), sibling.value, utf8("\r\n"));
  }
  return { boundary, body: concatBytes(...parts, utf8(`--${boundary}--\r\n`)) };
}

function partHeaders(sibling: Sibling): string {
  const lines = [`X-Dot: ${sibling.dot}`, `X-HLC: ${hlcText(sibling.hlc)}`];
  if (sibling.isDeleted) lines.push("X-Deleted: true");
  else lines.push(`Content-Type: ${sibling.contentType || "application/octet-stream"}`);
  if (sibling.contentEncoding !== "") lines.push(`Content-Encoding: ${sibling.contentEncoding}`);
  if (sibling.expiresAtMs !== 0) lines.push(`X-Expires-At: ${rfc3339(sibling.expiresAtMs)}`);
  for (const [name, value] of sibling.meta) lines.push(`X-Meta-${name}: ${value}`);
  return `${lines.join("\r\n")}\r\n`;
}
