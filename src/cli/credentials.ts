/**
 * How commands show who they are and whom they believe: a token from a file or `HUTCH_TOKEN`, certificates of authorities from `--ca`.
 *
 * A token on the command line works and is warned of (Q23): every process of the machine can read it there, and the shell keeps it. So is one that leaves
 * the machine unencrypted: whoever is on the way reads it.
 */
import { readFileSync } from "node:fs";
import { HutchError, messageOf } from "../base/errors.ts";
import { isLoopback } from "../config/relations.ts";
import { readSecretFile } from "./key-file.ts";
import { note } from "./terminal.ts";

type Options = Readonly<Record<string, unknown>>;
type Send = (url: string, request: RequestInit) => Promise<Response>;

/** `fetch` with the credentials of a command. @param timeoutMs an answer that is not complete by then counts as none; 0: for as long as it takes */
export function sendAs(options: Options, timeoutMs = 0): Send {
  const token = tokenFrom(options);
  const ca = authoritiesFrom(options);
  if (token === "" && ca === "" && timeoutMs === 0) return fetch;
  return (url, request) => {
    if (token !== "") warnOfReadable(url);
    const headers = new Headers(request.headers);
    if (token !== "") headers.set("Authorization", `Bearer ${token}`);
    const signals = [request.signal, timeoutMs === 0 ? undefined : AbortSignal.timeout(timeoutMs)];
    const given = signals.filter((signal) => signal !== undefined && signal !== null);
    return fetch(url, {
      ...request,
      headers,
      // A token is for the node that was named, and for nobody whom that names.
      redirect: "error",
      ...(given.length === 0 ? {} : { signal: AbortSignal.any(given) }),
      ...(ca === "" ? {} : { tls: { ca } }),
    });
  };
}

/** What a node listens on; to connect to it is to connect to this machine. */
const EVERY_ADDRESS = ["0.0.0.0", "::"];

let hasWarned = false;

/** Once, however many nodes are asked how often. */
function warnOfReadable(url: string): void {
  if (hasWarned || !travelsReadable(url)) return;
  hasWarned = true;
  note("hutch: the token can be read on its way: want an https:// address");
}

/** Whether what is sent there leaves this machine unencrypted. */
export function travelsReadable(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, "");
  const isHere = isLoopback(host) || EVERY_ADDRESS.includes(host) || host.endsWith(".localhost");
  return protocol === "http:" && !isHere;
}

/** "" for none. @throws HutchError `bad-config` for what no token can be; it is not repeated, as it may be one with a slip */
export function tokenFrom(options: Options): string {
  const token = givenToken(options).trim();
  if (/^[!-~]*$/.test(token)) return token;
  throw new HutchError("bad-config", "Cannot use the token: want one word of printable characters");
}

function givenToken({ token, tokenFile }: Options): string {
  if (typeof token === "string") {
    note(
      "hutch: a token on the command line can be read by others; want --token-file or HUTCH_TOKEN",
    );
    return token;
  }
  if (typeof tokenFile === "string") return readSecretFile(tokenFile);
  return process.env["HUTCH_TOKEN"] ?? "";
}

/** Certificates as PEM, "" for those of the system. */
export function authoritiesFrom(options: Options): string {
  const path = options["ca"] ?? process.env["HUTCH_CA"];
  if (typeof path !== "string" || path === "") return "";
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new HutchError("bad-config", `Cannot read --ca "${path}": ${messageOf(cause)}`, {
      cause,
    });
  }
}
