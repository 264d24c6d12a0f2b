/** `hutch health`: is the node up, for a container's health check, which has no other program to ask with. */

import { HutchError, messageOf } from "../base/errors.ts";
import { urlsFrom } from "./connect.ts";
import { sendAs } from "./credentials.ts";
import { print } from "./terminal.ts";

/** A node that takes longer is not well, whatever it would say. */
const ANSWER_MS = 2000;

/** Prints one line. Throws `node-unreachable` where nobody answers, `unavailable` for a node that is not ready and was asked about that. */
export async function health(options: Readonly<Record<string, unknown>>): Promise<void> {
  const [url] = urlsFrom(options);
  const path = options["ready"] === true ? "/readyz" : "/healthz";
  const response = await ask(options, `${url}${path}`);
  if (!response.ok)
    throw new HutchError("unavailable", `${url} answers ${path} with ${response.status}`);
  print(options["ready"] === true ? "ready" : "up");
}

async function ask(options: Readonly<Record<string, unknown>>, address: string): Promise<Response> {
  try {
    return await sendAs(options, ANSWER_MS)(address, {});
  } catch (cause) {
    throw new HutchError("node-unreachable", `Cannot reach ${address}: ${messageOf(cause)}`, {
      cause,
    });
  }
}
