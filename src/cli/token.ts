/** `hutch token`: makes, shows and withdraws the tokens of a file that nodes read (`auth-tokens`). The token itself is shown once and kept nowhere. */
import { createHash } from "node:crypto";
import { existsSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { base64url } from "../base/bytes.ts";
import { HutchError } from "../base/errors.ts";
import { BunRandom } from "../bun/random.ts";
import { parseDurationMs } from "../config/knob-kinds.ts";
import { type TokenEntry, parseTokenFile, showTokenFile } from "../http/token-file.ts";
import { readTokenEntries } from "./client-security.ts";
import { writeSecretFile } from "./key-file.ts";
import { configFrom } from "./knob-options.ts";
import { terminalWidth } from "./screen.ts";
import { type Cell, tableLines } from "./table.ts";
import { note, print } from "./terminal.ts";

type Options = Readonly<Record<string, unknown>>;

const TOKEN_BYTES = 32;
/** So that scanners of secrets can tell what they have found. */
const TOKEN_PREFIX = "hutch_";

export function newToken(): { readonly token: string; readonly sha256: string } {
  const token = TOKEN_PREFIX + base64url(new BunRandom().bytes(TOKEN_BYTES));
  return { token, sha256: createHash("sha256").update(token).digest("hex") };
}

export function createToken(options: Options): void {
  const path = fileFrom(options);
  refuseOneFileForBoth(path, options);
  const { token, sha256 } = newToken();
  const entries = existsSync(path) ? readTokenEntries(path) : [];
  const entry = entryFrom(options, sha256);
  const text = showTokenFile([...entries, entry]);
  // Checked as a node would, before anything is written.
  parseTokenFile(text);
  writeSecretFile(path, text);
  hand(options, entry.id, token);
  note(
    `hutch: ${path} has the digest of token "${entry.id}"; the token itself is kept nowhere else`,
  );
  note("hutch: a running node reads the file again on SIGHUP");
}

/** The token would replace the digests of all others. @throws HutchError `bad-config` */
function refuseOneFileForBoth(path: string, { out }: Options): void {
  if (typeof out !== "string" || placeOf(out) !== placeOf(path)) return;
  throw new HutchError(
    "bad-config",
    `Cannot use --out "${out}": it is the file of tokens; want another one for the token itself`,
  );
}

/** One text for all spellings of a path, and for links to it. */
function placeOf(path: string): string {
  const full = resolve(path);
  if (existsSync(full)) return realpathSync(full);
  const parent = dirname(full);
  return existsSync(parent) ? join(realpathSync(parent), basename(full)) : full;
}

function hand({ out, json }: Options, id: string, token: string): void {
  if (typeof out === "string") return writeSecretFile(out, `${token}\n`);
  print(json === true ? JSON.stringify({ id, token }) : token);
}

export function listTokens(options: Options): void {
  const entries = readTokenEntries(fileFrom(options));
  if (options["json"] === true) return print(JSON.stringify({ tokens: entries }, null, 2));
  const rows = entries.map((entry) => [
    entry.id,
    entry.roles.join(","),
    placesOf(entry),
    expiryOf(entry),
    entry.requestsPerSecond === undefined ? "-" : String(entry.requestsPerSecond),
  ]);
  const titles = ["id", "roles", "places", "expires", "requests/s"];
  const columns = titles.map((title) => ({ title }));
  for (const line of tableLines(columns, rows, terminalWidth())) print(line);
}

export function revokeToken(id: string, options: Options): void {
  const path = fileFrom(options);
  const entries = readTokenEntries(path);
  const left = entries.filter((entry) => entry.id !== id);
  if (left.length === entries.length)
    throw new HutchError("key-not-found", `Cannot revoke "${id}": ${path} has no such token`);
  writeSecretFile(path, showTokenFile(left));
  note(`hutch: token "${id}" is withdrawn; a running node reads the file again on SIGHUP`);
}

function fileFrom(options: Options): string {
  const { file } = options;
  const path =
    typeof file === "string" ? file : configFrom({ config: options["config"] }).config.authTokens;
  if (path !== "") return path;
  throw new HutchError(
    "usage",
    "Cannot tell which file: want --file, or auth-tokens in the configuration",
  );
}

function entryFrom(options: Options, sha256: string): TokenEntry {
  const { id, role, bucket, prefix, expires, rate } = options;
  if (prefix !== undefined && bucket === undefined)
    throw new HutchError("usage", "Cannot use --prefix alone: want the --bucket that it is in");
  const place = {
    bucket: String(bucket),
    ...(prefix === undefined ? {} : { prefix: String(prefix) }),
  };
  return {
    id: String(id),
    sha256,
    // What is no role is refused where the file is checked.
    roles: String(role).split(",") as TokenEntry["roles"],
    ...(bucket === undefined ? {} : { scopes: [place] }),
    ...(expires === undefined ? {} : { expiresAt: instantAfter(String(expires)) }),
    ...(rate === undefined ? {} : { requestsPerSecond: Number(rate) }),
  };
}

function instantAfter(text: string): string {
  const ms = parseDurationMs(text);
  if (ms !== undefined && ms > 0) return new Date(Date.now() + ms).toISOString();
  throw new HutchError(
    "bad-config",
    `Cannot use --expires "${text}": want a time such as 12h or 30d`,
  );
}

function placesOf({ scopes }: TokenEntry): string {
  if (scopes === undefined) return "everywhere";
  return scopes.map(({ bucket, prefix = "" }) => `${bucket}/${prefix}*`).join(" ");
}

function expiryOf({ expiresAt }: TokenEntry): Cell {
  if (expiresAt === undefined) return "never";
  if (Date.parse(expiresAt) > Date.now()) return expiresAt;
  return { text: `${expiresAt} (over)`, style: "red" };
}
