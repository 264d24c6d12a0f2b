/** `hutch maintain` as the help shows it: the upkeep of one node that it otherwise does by itself. */

import type { Command } from "commander";
import { Argument, Option } from "commander";
import { clientCommand, examples, jsonOption } from "./command-parts.ts";

export const UPKEEP = ["flush", "compact", "scrub", "drain"] as const;

export function addMaintain(program: Command): void {
  clientCommand(program, "maintain", "let one node flush, compact, verify its disk or drain")
    .addArgument(new Argument("<WORK>", "flush, compact, scrub or drain").choices(UPKEEP))
    .description(
      "Lets one node do now what it otherwise does by itself: flush its memory to disk, compact its tables, verify every byte on disk (scrub), or finish what is under way and take nothing new (drain).",
    )
    .addOption(new Option("--no-wait", "do not follow it to its end"))
    .addOption(new Option("--yes", "do not ask (drain asks)"))
    .addOption(jsonOption())
    .addHelpText(
      "after",
      examples("hutch maintain scrub", "hutch maintain drain --url http://127.0.0.1:7002 --yes"),
    )
    .action(async (work, options) => (await import("./maintain.ts")).maintain(work, options));
}
