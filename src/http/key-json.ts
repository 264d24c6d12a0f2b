/** A key's state as JSON: the sibling envelope of REST.md section 2, also used by listings and batches. */
import { base64url, utf8Text } from "../base/bytes.ts";
import { hlcText } from "../causality/hlc.ts";
import type { KeyState, Metadata, Sibling } from "../quorum/operation.ts";
import { rfc3339 } from "./dates.ts";

export interface SiblingJson {
  readonly dot: string;
  readonly hlc: string;
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly meta?: Readonly<Record<string, string>>;
  readonly expiresAt?: string;
  readonly value?: string;
  readonly valueB64?: string;
  readonly deleted?: true;
}

export interface EnvelopeJson {
  readonly context: string;
  readonly siblings: readonly SiblingJson[];
}

export function envelopeJson(state: KeyState, siblings: readonly Sibling[]): EnvelopeJson {
  return { context: state.context, siblings: siblings.map(siblingJson) };
}

export function siblingJson(sibling: Sibling): SiblingJson {
  const name = { dot: sibling.dot, hlc: hlcText(sibling.hlc) };
  if (sibling.isDeleted) return { ...name, deleted: true };
  return {
    ...name,
    contentType: sibling.contentType || "application/octet-stream",
    ...(sibling.contentEncoding === "" ? {} : { contentEncoding: sibling.contentEncoding }),
    meta: metadataJson(sibling.meta),
    ...(sibling.expiresAtMs === 0 ? {} : { expiresAt: rfc3339(sibling.expiresAtMs) }),
    ...valueJson(sibling.value),
  };
}

/** `value` where the bytes are UTF-8, else `valueB64`. */
export function valueJson(value: Uint8Array): { value: string } | { valueB64: string } {
  const text = utf8Text(value);
  return text === undefined ? { valueB64: base64url(value) } : { value: text };
}

/** A null prototype, because names are the client's: `__proto__` is a name like any other. */
export function metadataJson(meta: Metadata): Readonly<Record<string, string>> {
  const json: Record<string, string> = Object.create(null);
  for (const [name, value] of meta) json[name] = value;
  return json;
}
