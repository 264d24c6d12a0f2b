/** The client of the commands that talk to a node, and the `BUCKET/KEY` they take. */

import { HutchError } from "../base/errors.ts";
import { Client } from "../client/client.ts";
import type { Config } from "../config.ts";
import { formatAddress } from "../config/knob-kinds.ts";
import { sendAs } from "./credentials.ts";
import { configFrom } from "./knob-options.ts";

/** Addresses in `--url`; more would be a list to load from elsewhere. */
const URLS_MAX = 64;

/**
 * A client for `--url`, else `HUTCH_URL`, else where the configuration says that a node here listens.
 *
 * @param timeoutMs an answer that is not complete by then counts as none; 0: for as long as it takes
 */
export function connect(options: Readonly<Record<string, unknown>>, timeoutMs = 0): Client {
  return new Client({
    urls: urlsFrom(options),
    send: sendAs(options, timeoutMs),
    newIdempotencyKey: () => crypto.randomUUID(),
  });
}

export function urlsFrom(options: Readonly<Record<string, unknown>>): string[] {
  const given = options["url"] ?? process.env["HUTCH_URL"];
  if (typeof given !== "string" || given === "")
    return [urlOf(configFrom({ config: options["config"] }).config)];
  const urls = given.split(",").map((url) => url.trim());
  const isUsable = urls.every((url) => URL.canParse(url) && /^https?:\/\//.test(url));
  if (isUsable && urls.length <= URLS_MAX) return urls;
  throw new HutchError(
    "bad-config",
    `Cannot use --url "${given}": not http:// addresses separated by commas`,
  );
}

/** Where clients reach a node with this configuration from its own machine. */
export function urlOf({ listen, tlsCert }: Pick<Config, "listen" | "tlsCert">): string {
  return `${tlsCert === "" ? "http" : "https"}://${formatAddress(listen)}`;
}

/** Another node of the same cluster, as it is reached: nodes know addresses, and all of them are encrypted or none is. */
export function urlBeside(options: Readonly<Record<string, unknown>>, address: string): string {
  return `${new URL(urlsFrom(options)[0]!).protocol}//${address}`;
}

/** Splits at the first slash; keys may hold more of them. */
export function splitAddress(address: string): { readonly bucket: string; readonly key: string } {
  const slash = address.indexOf("/");
  if (slash > 0 && slash < address.length - 1)
    return { bucket: address.slice(0, slash), key: address.slice(slash + 1) };
  throw new HutchError("usage", `Cannot use "${address}": not of the form BUCKET/KEY`);
}
