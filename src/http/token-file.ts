/**
 * The file of tokens (FAULTS.md Q2): who may come in, and what for. Only digests stand in it, so whoever reads it cannot come in with it.
 *
 *   {"tokens":[{"id":"app","sha256":"<64 hex digits>","roles":["read","write"],
 *               "scopes":[{"bucket":"users","prefix":"eu/"}],"expiresAt":"2027-01-01T00:00:00Z","requestsPerSecond":500}]}
 *
 * Without `scopes` a token is good for every bucket. `admin` implies every other role and has no scopes.
 */
import { z } from "zod";
import { HutchError } from "../base/errors.ts";
import { parseRfc3339 } from "./dates.ts";
import { parseJsonText } from "./json-text.ts";

/** Tokens in one file. Every request with an unknown token is compared with all of them. */
export const TOKENS_MAX = 1000;
const SCOPES_MAX = 64;
/** Of an empty text: what `printf "$TOKEN" | sha256sum` says where the variable is not set. */
const DIGEST_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

export const TOKEN_ROLES = ["read", "write", "admin", "metrics"] as const;
export type TokenRole = (typeof TOKEN_ROLES)[number];

const scope = z.strictObject({
  bucket: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, "want a bucket's name"),
  prefix: z.string().max(1024).optional(),
});

const entry = z.strictObject({
  id: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, "want 1 to 63 letters, digits, . _ -"),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, "want 64 hex digits in lower case"),
  roles: z.array(z.enum(TOKEN_ROLES)).min(1),
  scopes: z.array(scope).min(1).max(SCOPES_MAX).optional(),
  expiresAt: z
    .string()
    .refine((text) => parseRfc3339(text) !== undefined, "want an instant as in RFC 3339")
    .optional(),
  requestsPerSecond: z.number().int().min(1).max(1_000_000).optional(),
});

const file = z.strictObject({ tokens: z.array(entry).max(TOKENS_MAX) });

/** One line of the file. */
export type TokenEntry = z.output<typeof entry>;

/** @throws HutchError `bad-config` with the first thing that is wrong; never with a digest. */
export function parseTokenFile(text: string): TokenEntry[] {
  const result = file.safeParse(jsonOf(text));
  if (!result.success) {
    const [issue] = result.error.issues;
    throw refuse(`${issue!.path.join(".") || "the file"}: ${issue!.message}`);
  }
  const { tokens } = result.data;
  const ids = new Set<string>();
  const digests = new Set<string>();
  for (const { id, sha256, roles, scopes } of tokens) {
    if (ids.has(id)) throw refuse(`the id "${id}" is given twice`);
    if (sha256 === DIGEST_OF_NOTHING) throw refuse(`the digest of "${id}" is that of no text`);
    if (digests.has(sha256)) throw refuse(`the digest of "${id}" is given twice`);
    if (roles.includes("admin") && scopes !== undefined)
      throw refuse(`"${id}" has the role admin, which has no scopes`);
    ids.add(id);
    digests.add(sha256);
  }
  return tokens;
}

/** The text of a file with these entries. */
export function showTokenFile(tokens: readonly TokenEntry[]): string {
  return `${JSON.stringify({ tokens }, null, 2)}\n`;
}

function jsonOf(text: string): unknown {
  try {
    return parseJsonText(text);
  } catch (thrown) {
    // What a client may see of a wrong body is a start-up error here.
    throw refuse(thrown instanceof HutchError ? thrown.message : "no JSON");
  }
}

/** The parser of JSON shows what it stumbles over, and that may be a digest, or most of one. */
const DIGEST_LIKE = /[0-9a-f]{16,}/g;

function refuse(why: string): HutchError {
  const shown = why.replace(DIGEST_LIKE, "...");
  return new HutchError("bad-config", `Cannot use the file of tokens: ${shown}`);
}
