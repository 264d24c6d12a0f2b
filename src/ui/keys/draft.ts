/**
 * What somebody is about to write: a text with its type, metadata and lifetime, and the context of the read that it follows.
 *
 * The context is what makes it an answer to what was on the page: the write replaces exactly that, and whatever somebody else
 * has written meanwhile stays as a sibling beside it.
 */
import { utf8, utf8Text } from "../../base/bytes.ts";
import type { NewValue, Sibling } from "./key-client.ts";
import { unionOf } from "./line-diff.ts";
import { EDITED_BYTES_MAX } from "./value-text.ts";

export interface Draft {
  readonly text: string;
  readonly contentType: string;
  /** One `name: value` per line. */
  readonly meta: string;
  /** `60`, `5m`, `7d`, `keep`, or empty for never. */
  readonly ttl: string;
}

export const NEW_DRAFT: Draft = { text: "", contentType: "text/plain", meta: "", ttl: "" };

/** A value that an editor of text can hold without changing it. */
export function isEditable({ bytes, contentEncoding, isDeleted }: Sibling): boolean {
  if (isDeleted || contentEncoding !== "" || bytes.length > EDITED_BYTES_MAX) return false;
  const text = utf8Text(bytes);
  // An editor of a page has "\n" as its only end of a line.
  return text !== undefined && !text.includes("\r");
}

export function draftOf(sibling: Sibling): Draft {
  return {
    text: utf8Text(sibling.bytes) ?? "",
    contentType: sibling.contentType,
    meta: metaLines(sibling.meta),
    ttl: sibling.expiresAt === undefined ? "" : "keep",
  };
}

/** All values in one text, and all metadata; the newest sibling stands first and gives the rest. */
export function mergedDraft(siblings: readonly Sibling[]): Draft {
  const values = siblings.filter(isEditable);
  const newest = values[0];
  if (newest === undefined) return NEW_DRAFT;
  const meta = new Map(values.toReversed().flatMap((value) => value.meta));
  return {
    text: unionOf(values.map(({ bytes }) => utf8Text(bytes) ?? "")),
    contentType: newest.contentType,
    meta: metaLines([...meta]),
    ttl: "",
  };
}

const metaLines = (meta: Sibling["meta"]): string =>
  meta.map(([name, value]) => `${name}: ${value}`).join("\n");

export function metaOf(lines: string): Sibling["meta"] {
  return lines
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const colon = line.indexOf(":");
      if (colon < 1) throw new Error(`Cannot read the metadata line "${line}": want name: value`);
      return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
    });
}

export function valueOfDraft(draft: Draft, context: string): NewValue {
  return {
    bytes: utf8(draft.text),
    contentType: draft.contentType.trim(),
    contentEncoding: "",
    meta: metaOf(draft.meta),
    ttl: draft.ttl.trim(),
    expiresAt: "",
    context,
  };
}

/** The sibling as it is, in place of all that the context covers. */
export function valueOfSibling(sibling: Sibling, context: string): NewValue {
  const { bytes, contentType, contentEncoding, meta, expiresAt = "" } = sibling;
  return { bytes, contentType, contentEncoding, meta, ttl: "", expiresAt, context };
}
