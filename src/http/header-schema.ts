/**
 * The request headers of REST.md section 2 as schemas: what OpenAPI shows, and the oracle that the parser of `headers.ts` is
 * held equal to. Nothing on the way of a request uses them.
 *
 * A schema sees one header block: names in lower case, each at most once. What depends on the bucket (a count above its N)
 * or on the clock (an instant in the past) is not a matter of form and not decided here.
 */
import { z } from "zod";
import {
  CURL_DEFAULT_TYPE,
  IDEMPOTENCY_KEY_LENGTH_MAX,
  TTL_MS_MAX,
  TTL_MS_MIN,
} from "./header-values.ts";

const LEVEL = /^\s*(?:ONE|QUORUM|ALL)\s*$/i;
const MEMBER = String.raw`(?:(?:n|r|w|pr|pw|dw)=[1-9][0-9]{0,3}|sloppy(?:=\?[01])?)`;
const DICTIONARY = new RegExp(String.raw`^\s*${MEMBER}(?:\s*,\s*${MEMBER})*\s*$`);

function namesAreUnique(text: string): boolean {
  if (LEVEL.test(text)) return true;
  const names = text.split(",").map((member) => member.trim().split("=")[0]);
  return new Set(names).size === names.length;
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

function ttlMs(text: string): number {
  const unit = UNIT_SECONDS[text.at(-1)!];
  return unit === undefined ? Number(text) * 1000 : Number(text.slice(0, -1)) * unit * 1000;
}

export const CONSISTENCY_HEADER = z
  .string()
  .max(256)
  .refine((text) => LEVEL.test(text) || DICTIONARY.test(text), "want a level or a dictionary")
  .refine(namesAreUnique, "want every name once")
  .describe("ONE, QUORUM, ALL, or r=2, w=2, pr=1, pw=1, dw=1, sloppy=?0");

export const TTL_HEADER = z
  .union([
    z.literal("keep"),
    z
      .string()
      .regex(/^[0-9]{1,12}[smhd]?$/)
      .refine(
        (text) => ttlMs(text) >= TTL_MS_MIN && ttlMs(text) <= TTL_MS_MAX,
        "want 1 s to 10 years",
      ),
  ])
  .describe("60, 60s, 5m, 2h, 7d, or keep");

export const TIMEOUT_HEADER = z
  .string()
  .regex(/^[0-9]{1,9}(?:ms|s)$/)
  .refine((text) => {
    const timeoutMs = text.endsWith("ms")
      ? Number(text.slice(0, -2))
      : Number(text.slice(0, -1)) * 1000;
    return timeoutMs >= 1 && timeoutMs <= 60_000;
  }, "want 1ms to 60s")
  .describe("250ms or 2s");

const printable = (lengthMax: number): z.ZodString =>
  z
    .string()
    .regex(/^[ -~]*$/)
    .max(lengthMax);

export const ETAGS_HEADER = z
  .string()
  .regex(/^\s*(?:\*|(?:W\/)?"[!#-~]*"(?:\s*,\s*(?:W\/)?"[!#-~]*")*)\s*$/)
  .refine((text) => (text.match(/"[!#-~]*"/g) ?? []).length <= 64, "want at most 64 ETags")
  .describe("* or quoted ETags");

const READ_FIELDS = {
  "x-consistency": CONSISTENCY_HEADER.optional(),
  "x-session": z.string().optional().describe("new, or the token of the last answer"),
  "x-timeout": TIMEOUT_HEADER.optional(),
  "if-match": ETAGS_HEADER.optional(),
  "if-none-match": ETAGS_HEADER.optional(),
};

export const READ_HEADERS = z.object(READ_FIELDS);

export const WRITE_HEADERS = z.object({
  ...READ_FIELDS,
  "x-causal-context": z.string().max(8192).optional().describe("opaque token of a read or a write"),
  "x-ttl": TTL_HEADER.optional(),
  "x-expires-at": z.iso.datetime({ offset: true }).optional(),
  "content-type": printable(256)
    .optional()
    .describe(`stored and given back; ${CURL_DEFAULT_TYPE} counts as not given`),
  "content-encoding": printable(64).optional().describe("stored and given back, never undone"),
  "idempotency-key": printable(IDEMPOTENCY_KEY_LENGTH_MAX).min(1).optional(),
  prefer: z.string().optional().describe("return=representation"),
});

/** What a single header cannot say: these exclude each other. */
export const EXCLUSIVE_HEADERS: readonly (readonly [string, string])[] = [
  ["if-match", "if-none-match"],
  ["x-ttl", "x-expires-at"],
];
