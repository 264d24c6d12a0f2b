/** `hutch top` as the help shows it. */

import type { Command } from "commander";
import { clientCommand, examples, jsonOption } from "./command-parts.ts";

export function addTop(program: Command): void {
  clientCommand(program, "top", "watch rates, latencies and hot keys of all nodes")
    .description(
      "Watches all nodes, once a second: requests, latencies, errors, hints, and the keys that are asked for most. Ctrl-C ends it.",
    )
    .option("--once", "one picture, and end")
    .addOption(jsonOption())
    .addHelpText("after", examples("hutch top", "hutch top --once --json"))
    .action(async (options) => (await import("./top.ts")).top(options));
}
