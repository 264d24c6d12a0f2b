/** The JSON body of a request: its type, its encoding, its size, its text, its shape, in this order (rows 23 to 27). */
import type { z } from "zod";
import { utf8 } from "../base/bytes.ts";
import { HutchError, type RestCode } from "../base/errors.ts";
import { mediaTypeOf } from "./accept.ts";
import type { Exchange } from "./exchange.ts";
import { CURL_DEFAULT_TYPE } from "./header-values.ts";
import { parseJson } from "./json-text.ts";
import { schemaError } from "./schema-error.ts";

export const JSON_BODY_TYPES: readonly string[] = ["application/json"];

/**
 * @param code what a wrong shape is called; an unknown field is always `unknown-field`
 * @param nothing the text that an empty body stands for
 * @throws HutchError 400, 408, 413, 415
 */
export async function readJson<Schema extends z.ZodType>(
  exchange: Exchange,
  schema: Schema,
  bytesMax: number,
  code: RestCode = "bad-request",
  nothing = "",
): Promise<z.output<Schema>> {
  checkBodyType(exchange, JSON_BODY_TYPES);
  const bytes = await exchange.services.bodies.read(exchange, bytesMax);
  const text = bytes.length === 0 ? utf8(nothing) : bytes;
  const result = schema.safeParse(parseJson(text));
  if (!result.success) throw schemaError("the body", result.error.issues, code);
  return result.data;
}

/** Throws 415 unless the body is of one of `types`, or of none, and not compressed. */
export function checkBodyType(exchange: Exchange, types: readonly string[]): void {
  const given = exchange.header("content-type") ?? "";
  if (given !== "" && given !== CURL_DEFAULT_TYPE && !types.includes(mediaTypeOf(given))) {
    throw new HutchError(
      "unsupported-media-type",
      `Cannot take a body of "${given.slice(0, 64)}": want ${types.join(", ")}`,
    );
  }
  const encoding = exchange.header("content-encoding") ?? "identity";
  if (encoding !== "" && encoding.toLowerCase() !== "identity") {
    throw new HutchError(
      "unsupported-encoding",
      `Cannot take a body encoded as "${encoding.slice(0, 64)}": want identity`,
    );
  }
}
