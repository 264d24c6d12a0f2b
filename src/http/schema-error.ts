/** What a schema finds wrong with an input, as one broken promise. */
import type { z } from "zod";
import { HutchError, type RestCode } from "../base/errors.ts";

/** Members of a body that have a code of their own, wherever a header with their name has it. */
const MEMBER_CODES: Readonly<Record<string, RestCode>> = { ttl: "bad-ttl" };

/** The first issue decides; `unknown-field` where the input has a field that nobody knows. */
export function schemaError(
  what: string,
  issues: readonly z.core.$ZodIssue[],
  code: RestCode,
): HutchError {
  const unknown = issues.find((issue) => issue.code === "unrecognized_keys");
  const issue = unknown ?? issues[0]!;
  const memberCode = code === "bad-request" ? MEMBER_CODES[String(issue.path.at(-1))] : undefined;
  const place = issue.path.length === 0 ? "" : ` at "${issue.path.join(".").slice(0, 64)}"`;
  return new HutchError(
    unknown === undefined ? (memberCode ?? code) : "unknown-field",
    `Cannot read ${what}${place}: ${issue.message.slice(0, 256)}`,
  );
}
