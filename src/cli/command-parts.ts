/** What commands share: options that many of them take, and the form of examples. */

import type { Command, CommandOptions } from "commander";
import { Option } from "commander";

export const CONFIG_OPTION = "configuration file, TOML or JSON (also HUTCH_CONFIG)";

export const jsonOption = () => new Option("--json", "print JSON");

export function examples(...lines: readonly string[]): string {
  return ["", "Examples:", ...lines.map((line) => `  ${line}`)].join("\n");
}

/** What every command that talks to a node takes. */
export function clientCommand(
  program: Command,
  usage: string,
  summary: string,
  how: CommandOptions = {},
): Command {
  return program
    .command(usage, how)
    .summary(summary)
    .option("--url <URLS>", "node to ask; several, with commas, are tried in turn (also HUTCH_URL)")
    .option(
      "--token-file <FILE>",
      "file with the token to show (also HUTCH_TOKEN, the token itself)",
    )
    .addOption(
      new Option("--token <TOKEN>", "the token itself; others can read it there").hideHelp(),
    )
    .option("--ca <FILE>", "certificates (PEM) to believe a node of https (also HUTCH_CA)")
    .option("--config <FILE>", `${CONFIG_OPTION}; its listen is the default for --url`);
}

/** What the commands take that show a picture of the cluster. */
export function viewCommand(
  program: Command,
  usage: string,
  summary: string,
  how: CommandOptions = {},
): Command {
  return clientCommand(program, usage, summary, how)
    .addOption(jsonOption())
    .option("--watch", "again every second, until Ctrl-C");
}
