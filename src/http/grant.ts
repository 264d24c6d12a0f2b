/** What one token allows: roles, places, until when, how often. Immutable but for its meter. */
import { startsWith, utf8 } from "../base/bytes.ts";
import { HutchError } from "../base/errors.ts";
import { parseRfc3339 } from "./dates.ts";
import type { Role } from "./route.ts";
import type { TokenEntry, TokenRole } from "./token-file.ts";

const BITS: Readonly<Record<TokenRole, number>> = { read: 1, write: 2, admin: 15, metrics: 8 };

interface Scope {
  readonly bucket: string;
  readonly prefix: Uint8Array;
}

export class Grant {
  readonly id: string;
  readonly isScoped: boolean;
  /** 0 for never. */
  readonly expiresAtMs: number;
  readonly meter: Meter | undefined;
  readonly #roles: number;
  readonly #scopes: readonly Scope[];

  constructor(entry: TokenEntry) {
    const { id, roles, scopes = [], expiresAt, requestsPerSecond } = entry;
    this.id = id;
    this.#roles = roles.reduce((bits, role) => bits | BITS[role], 0);
    this.#scopes = scopes.map(({ bucket, prefix = "" }) => ({ bucket, prefix: utf8(prefix) }));
    this.isScoped = scopes.length > 0;
    // The schema of the file has read the instant once.
    this.expiresAtMs = expiresAt === undefined ? 0 : parseRfc3339(expiresAt)!;
    this.meter = requestsPerSecond === undefined ? undefined : new Meter(requestsPerSecond);
  }

  has(role: Role): boolean {
    if (role === "none") return true;
    const bits = BITS[role];
    return (this.#roles & bits) === bits;
  }

  /** Whether some key of the bucket may be touched. */
  allowsBucket(bucket: string): boolean {
    return !this.isScoped || this.#scopes.some((scope) => scope.bucket === bucket);
  }

  /** Whether every key that starts with `prefix` may be touched; a key is the prefix of itself. */
  allowsPrefix(bucket: string, prefix: Uint8Array): boolean {
    if (!this.isScoped) return true;
    return this.#scopes.some(
      (scope) => scope.bucket === bucket && startsWith(prefix, scope.prefix),
    );
  }

  /** @throws HutchError `forbidden` */
  requireRole(role: Role): void {
    if (!this.has(role)) throw forbidden(`the token does not have the role ${role}`);
  }

  /** @throws HutchError `forbidden` */
  requireBucket(bucket: string): void {
    if (!this.allowsBucket(bucket)) throw outside();
  }

  /** @throws HutchError `forbidden` */
  requirePrefix(bucket: string, prefix: Uint8Array): void {
    if (!this.allowsPrefix(bucket, prefix)) throw outside();
  }
}

/** Requests per second, a second's worth of them at once (a token bucket). */
export class Meter {
  readonly #perSecond: number;
  #left: number;
  #atMs = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#left = perSecond;
  }

  /** Takes one; 0, or how many milliseconds it is to the next one where none is left. */
  take(nowMs: number): number {
    const earned = ((nowMs - this.#atMs) * this.#perSecond) / 1000;
    this.#left = Math.min(this.#perSecond, this.#left + Math.max(0, earned));
    this.#atMs = nowMs;
    if (this.#left < 1) return ((1 - this.#left) * 1000) / this.#perSecond;
    this.#left--;
    return 0;
  }
}

/** The same whatever is there: an answer must not tell whether a key exists. */
function outside(): HutchError {
  return forbidden("the token is not good for this place");
}

export function forbidden(why: string): HutchError {
  return new HutchError("forbidden", `Cannot allow the request: ${why}`);
}
