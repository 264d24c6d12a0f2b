/** `Accept` (RFC 9110 section 12.5.1): which of the forms that we have the client wants. */
import { HutchError } from "../base/errors.ts";

/** Ranges in one header that are looked at; the rest is ignored. */
const RANGES_MAX = 64;

interface MediaRange {
  readonly type: string;
  readonly quality: number;
}

function parseAccept(text: string): MediaRange[] {
  return text.split(",", RANGES_MAX).map((part) => {
    const [type = "", ...parameters] = part.split(";");
    const quality = parameters.map((p) => p.trim().toLowerCase()).find((p) => p.startsWith("q="));
    const value = quality === undefined ? 1 : Number(quality.slice(2));
    return { type: type.trim().toLowerCase(), quality: value >= 0 && value <= 1 ? value : 0 };
  });
}

/** 3 for the type itself, 2 for `type/*`, 1 for everything, 0 where the range does not cover it. */
function precisionOf(range: string, type: string): number {
  if (range === type) return 3;
  if (range === "*/*") return 1;
  return range.endsWith("/*") && type.startsWith(range.slice(0, -1)) ? 2 : 0;
}

function qualityOf(ranges: readonly MediaRange[], type: string): number {
  let precision = 0;
  let quality = 0;
  for (const range of ranges) {
    const found = precisionOf(range.type, type);
    if (found <= precision) continue;
    precision = found;
    quality = range.quality;
  }
  return quality;
}

/**
 * The offered type that the client likes best, the earlier one on a tie; `undefined` for none.
 *
 * @param accept the header, or null for "anything"
 * @param offered media types without parameters, in the server's order of liking
 */
export function preferredType(
  accept: string | null,
  offered: readonly string[],
): string | undefined {
  if (accept === null || accept === "" || accept === "*/*") return offered[0];
  const ranges = parseAccept(accept);
  let best: string | undefined;
  let bestQuality = 0;
  for (const type of offered) {
    const quality = qualityOf(ranges, type);
    if (quality > bestQuality) [best, bestQuality] = [type, quality];
  }
  return best;
}

/** `preferredType`, or the refusal that names what there is. */
export function requireType(accept: string | null, offered: readonly string[]): string {
  const type = preferredType(accept, offered);
  if (type !== undefined) return type;
  throw new HutchError(
    "not-acceptable",
    `Cannot answer as "${accept?.slice(0, 64)}": want one of ${offered.join(", ")}`,
  );
}

/** `text/plain;charset=utf-8` without its parameters, in lower case. */
export function mediaTypeOf(contentType: string): string {
  const semicolon = contentType.indexOf(";");
  return (semicolon < 0 ? contentType : contentType.slice(0, semicolon)).trim().toLowerCase();
}
