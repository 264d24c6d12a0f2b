/**
 * JSON from a client, read with suspicion (FAULTS.md Q15, row 26).
 *
 * `JSON.parse` takes any depth, keeps the last of two equal keys in silence, and makes an own `__proto__`. So one pass over
 * the text comes first: it counts depth and compares the keys of every object; only then the text is parsed.
 */
import { utf8Text } from "../base/bytes.ts";
import { HutchError, messageOf } from "../base/errors.ts";

export const JSON_DEPTH_MAX = 32;
const FORBIDDEN_KEYS: readonly string[] = ["__proto__", "constructor", "prototype"];

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const SPACES: readonly number[] = [0x20, 0x09, 0x0a, 0x0d];

/** @throws HutchError `bad-json` */
export function parseJson(bytes: Uint8Array): unknown {
  const text = utf8Text(bytes);
  if (text === undefined) throw badJson("the text is not UTF-8");
  return parseJsonText(text);
}

/** @throws HutchError `bad-json` */
export function parseJsonText(text: string): unknown {
  inspect(text);
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw badJson(messageOf(error).slice(0, 128));
  }
}

/** Throws for depth and keys; other mistakes are left to the parser. */
function inspect(text: string): void {
  /** Keys of the objects that are open; `undefined` for an array. */
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x7b: // {
      case 0x5b: // [
        open.push(text.charCodeAt(at) === 0x7b ? new Set() : undefined);
        if (open.length > JSON_DEPTH_MAX)
          throw badJson(`it is more than ${JSON_DEPTH_MAX} levels deep`);
        break;
      case 0x7d: // }
      case 0x5d: // ]
        open.pop();
        break;
      case QUOTE: {
        const end = endOfString(text, at);
        const keys = open[open.length - 1];
        if (keys !== undefined && isFollowedByColon(text, end)) checkKey(text.slice(at, end), keys);
        at = end - 1;
        break;
      }
    }
  }
}

/** Behind the closing quote. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; at++) {
    const quote = text.indexOf('"', at);
    if (quote < 0) throw badJson("a string has no end");
    let escapes = quote;
    while (text.charCodeAt(escapes - 1) === BACKSLASH) escapes--;
    // An even run of backslashes escapes itself only.
    if ((quote - escapes) % 2 === 0) return quote + 1;
    at = quote;
  }
}

function isFollowedByColon(text: string, end: number): boolean {
  let at = end;
  while (SPACES.includes(text.charCodeAt(at))) at++;
  return text.charCodeAt(at) === COLON;
}

/** `literal` is the key as it stands, quotes and escapes included; two spellings of one key are one key. */
function checkKey(literal: string, keys: Set<string>): void {
  const key = literal.includes("\\") ? unescape(literal) : literal.slice(1, -1);
  if (FORBIDDEN_KEYS.includes(key)) throw badJson(`the key "${key}" is not allowed`);
  if (keys.has(key)) throw badJson(`the key "${key.slice(0, 64)}" is given twice`);
  keys.add(key);
}

function unescape(literal: string): string {
  try {
    return JSON.parse(literal) as string;
  } catch (error) {
    throw badJson(messageOf(error).slice(0, 128));
  }
}

function badJson(why: string): HutchError {
  return new HutchError("bad-json", `Cannot read the JSON: ${why}`);
}
