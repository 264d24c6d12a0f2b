/**
 * Who may come in (FAULTS.md Q2, Q3; rows 54 to 56): `Authorization: Bearer <token>` against the table of tokens.
 *
 *   no token, a malformed, unknown or expired one      401, the same answer after the same work
 *   one without the role, or for another place         403
 *   one that asks too often                            429
 *
 * A token is hashed and compared once; then its header is known by its text. The lookup by text leaks nothing useful: it compares only headers
 * whose hashes are equal already, and what is behind is 256 random bits. `replace` forgets all of them, so a revoked token is gone with the next
 * request.
 */
import { HutchError } from "../base/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Exchange } from "./exchange.ts";
import { type Grant, forbidden } from "./grant.ts";
import type { Role, Route } from "./route.ts";
import type { TokenTable } from "./token-table.ts";

/** Headers that are known by their text; with one more all are forgotten. */
const KNOWN_MAX = 1024;
/** A longer header is no token of ours. */
const HEADER_CHARACTERS_MAX = 512;

export interface AccessOptions {
  readonly table: TokenTable;
  /** SHA-256 of a text. */
  readonly digest: (text: string) => Uint8Array;
  readonly clock: Clock;
}

export class Access {
  readonly digest: (text: string) => Uint8Array;
  readonly #clock: Clock;
  readonly #known = new Map<string, Grant>();
  #table: TokenTable;

  constructor(options: AccessOptions) {
    this.digest = options.digest;
    this.#clock = options.clock;
    this.#table = options.table;
  }

  /** From the next request on. */
  replace(table: TokenTable): void {
    this.#table = table;
    this.#known.clear();
  }

  /** Whether an answer that is kept for everybody may be given: to tokens that read everywhere as often as they like. */
  readsFreely(request: Request): boolean {
    const header = request.headers.get("authorization");
    const grant = header === null ? undefined : this.#known.get(header);
    if (grant === undefined || grant.isScoped || grant.meter !== undefined) return false;
    return grant.has("read") && !this.#isOver(grant);
  }

  /**
   * Sets the grant of the exchange; nothing on a route that is open to everybody.
   *
   * @throws HutchError `unauthenticated`, `forbidden`, `rate-limited`
   */
  admit(exchange: Exchange, rule: AccessRule): void {
    if (rule.role === "none") return;
    const grant = this.#grantOf(exchange.request);
    exchange.grant = grant;
    const waitMs = grant.meter === undefined ? 0 : grant.meter.take(this.#clock.monoMs());
    if (waitMs > 0) throw tooOften(grant, waitMs);
    grant.requireRole(rule.role);
    if (grant.isScoped && !rule.checksScopes)
      throw forbidden("the token is good for some places only, and this is about all");
  }

  /** For an answer that goes on and on: asked later, whether the token that was let in with `rule` would still be. */
  standing(request: Request, rule: AccessRule): () => boolean {
    const header = request.headers.get("authorization") ?? "";
    return () => {
      const grant = this.#known.get(header) ?? this.#find(tokenOf(header));
      if (grant === undefined || this.#isOver(grant)) return false;
      return (
        rule.role === "none" || (grant.has(rule.role) && (!grant.isScoped || rule.checksScopes))
      );
    };
  }

  #grantOf(request: Request): Grant {
    const header = request.headers.get("authorization") ?? "";
    const known = this.#known.get(header);
    const grant = known ?? this.#find(tokenOf(header));
    if (grant === undefined || this.#isOver(grant)) throw unauthenticated();
    if (known === undefined) this.#remember(header, grant);
    return grant;
  }

  /** What is no token is looked for like one, and found by nobody: a table that has the digest of no text at all must not let all in. */
  #find(token: string): Grant | undefined {
    const grant = this.#table.find(this.digest(token));
    return token === "" ? undefined : grant;
  }

  #remember(header: string, grant: Grant): void {
    if (this.#known.size >= KNOWN_MAX) this.#known.clear();
    this.#known.set(header, grant);
  }

  #isOver({ expiresAtMs }: Grant): boolean {
    return expiresAtMs !== 0 && this.#clock.wallMs() >= expiresAtMs;
  }
}

/** What a route asks of a token. */
export interface AccessRule {
  readonly role: Role;
  /** False: a token with scopes is not let in, because nothing behind would look at them. */
  readonly checksScopes: boolean;
}

/** Handlers of routes with a bucket in the path check it when they decode it (`key-path.ts`); the others say so in the table. */
export function accessRuleOf(route: Pick<Route, "role" | "path" | "checksScopes">): AccessRule {
  const { role, path, checksScopes = path.includes("{bucket}") } = route;
  return { role, checksScopes };
}

/** "" for a header that is none of ours; it is hashed and looked for all the same. */
function tokenOf(header: string): string {
  if (header.length > HEADER_CHARACTERS_MAX) return "";
  return /^bearer +([!-~]+)$/i.exec(header)?.[1] ?? "";
}

function unauthenticated(): HutchError {
  return new HutchError(
    "unauthenticated",
    'Cannot let the request in: want the header "Authorization: Bearer TOKEN" with a token that is known and not expired',
  );
}

function tooOften(grant: Grant, waitMs: number): HutchError {
  return new HutchError(
    "rate-limited",
    `Cannot answer token "${grant.id}" that often: its requests per second are used up`,
    { retry: "safe", data: { retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)) } },
  );
}
