/** Asking before something is done that cannot be undone by a second command. */

import { createInterface } from "node:readline/promises";
import { HutchError } from "../base/errors.ts";
import { note } from "./terminal.ts";

/** True for yes: from `--yes`, or typed. Throws `usage` where nobody can be asked. */
export async function confirm(
  question: string,
  options: Readonly<Record<string, unknown>>,
): Promise<boolean> {
  if (options["yes"] === true) return true;
  if (process.stdin.isTTY !== true)
    throw new HutchError(
      "usage",
      `Cannot ask "${question}": standard input is no terminal, say --yes`,
    );
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    if (isYes(await terminal.question(`${question} [y/N] `))) return true;
  } finally {
    terminal.close();
  }
  note("nothing was changed");
  return false;
}

/** Anything else is no. */
export function isYes(answer: string): boolean {
  return /^y(es)?$/i.test(answer.trim());
}
