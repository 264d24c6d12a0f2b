/**
 * From values to bytes and back. A codec is an object with two functions; these are the usual ones.
 *
 *   bytes()  text()  json<Cart>()  json(schema)
 *
 * With a schema, what is written is checked and stored as it was given; what is read is checked and comes as the schema makes it
 * (defaults filled in, texts turned into dates). So `Input` of a write and `Value` of a read may differ.
 */

import { ValueError, type ValueIssue } from "./errors.ts";
import type { InputOf, OutputOf, SchemaIssue, StandardSchema } from "./standard-schema.ts";

export interface Codec<Value, Input = Value> {
  /** Stored with the value; "" for none. */
  readonly contentType: string;
  encode(value: Input): Uint8Array | string | Promise<Uint8Array | string>;
  decode(bytes: Uint8Array): Value | Promise<Value>;
}

const decoder = new TextDecoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true });

/** Values as they are. */
export function bytes(contentType = "application/octet-stream"): Codec<Uint8Array> {
  return { contentType, encode: (value) => value, decode: (value) => value };
}

/** UTF-8. Throws `ValueError` on reading what is not. */
export function text(contentType = "text/plain; charset=utf-8"): Codec<string> {
  return {
    contentType,
    encode: (value) => value,
    decode: (value) => {
      try {
        return strictDecoder.decode(value);
      } catch (cause) {
        throw new ValueError("Cannot read the value as text: it is not UTF-8", [], cause);
      }
    },
  };
}

/** JSON whose shape is taken on trust. */
export function json<Value = unknown>(): Codec<Value>;
/** JSON that is checked by a schema on the way in and out. */
export function json<Schema extends StandardSchema<any, any>>(
  schema: Schema,
): Codec<OutputOf<Schema>, InputOf<Schema>>;
export function json(schema?: StandardSchema<unknown, unknown>): Codec<unknown> {
  const contentType = "application/json";
  if (schema === undefined) return { contentType, encode: encodeJson, decode: decodeJson };
  return {
    contentType,
    async encode(value) {
      await checked(schema, value, "write");
      return encodeJson(value);
    },
    decode: (value) => checked(schema, decodeJson(value), "read"),
  };
}

function encodeJson(value: unknown): string {
  let encoded: string | undefined;
  try {
    encoded = JSON.stringify(value);
  } catch (cause) {
    throw new ValueError("Cannot write the value as JSON", [], cause);
  }
  if (encoded !== undefined) return encoded;
  throw new ValueError(`Cannot write the value as JSON: JSON has no ${typeof value}`);
}

function decodeJson(value: Uint8Array): unknown {
  const encoded = decoder.decode(value);
  try {
    return JSON.parse(encoded);
  } catch (cause) {
    throw new ValueError(
      `Cannot read the value as JSON: it begins with "${encoded.slice(0, 32)}"; pass the codec it was written with`,
      [],
      cause,
    );
  }
}

async function checked(
  schema: StandardSchema<unknown, unknown>,
  value: unknown,
  what: "read" | "write",
): Promise<unknown> {
  const result = await schema["~standard"].validate(value);
  if (result.issues === undefined) return result.value;
  const issues = result.issues.map(issueOf);
  const first = issues[0];
  const at = first === undefined || first.path === "" ? "" : `${first.path}: `;
  throw new ValueError(
    `Cannot ${what} the value: it is not what the schema wants: ${at}${first?.message ?? "no reason given"}`,
    issues,
  );
}

function issueOf({ message, path = [] }: SchemaIssue): ValueIssue {
  const parts = path.map((part) => String(typeof part === "object" ? part.key : part));
  return { message, path: parts.join(".") };
}
