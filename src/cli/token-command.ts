/** The commands of `hutch token` and their options. */
import type { Command } from "commander";
import { CONFIG_OPTION, examples, jsonOption } from "./command-parts.ts";

const FILE_OPTION = "file of tokens; without it auth-tokens of the configuration";

export function addToken(program: Command): void {
  const token = program
    .command("token")
    .summary("make, show and withdraw tokens of clients")
    .description(
      "Makes, shows and withdraws tokens of clients, in the file that nodes are given as auth-tokens.",
    );
  addCreate(token);
  token
    .command("list")
    .description(
      "Shows the tokens of the file: who, what for, until when. Never the tokens themselves.",
    )
    .option("--file <FILE>", FILE_OPTION)
    .option("--config <FILE>", CONFIG_OPTION)
    .addOption(jsonOption())
    .addHelpText("after", examples("hutch token list --file tokens.json"))
    .action(async (options) => (await import("./token.ts")).listTokens(options));
  token
    .command("revoke <ID>")
    .description("Withdraws a token; a node that runs forgets it when it hears SIGHUP.")
    .option("--file <FILE>", FILE_OPTION)
    .option("--config <FILE>", CONFIG_OPTION)
    .addHelpText("after", examples("hutch token revoke app --file tokens.json"))
    .action(async (id, options) => (await import("./token.ts")).revokeToken(id, options));
}

function addCreate(token: Command): void {
  token
    .command("create")
    .description("Makes a token and prints it, this once; the file gets its digest.")
    .requiredOption("--id <NAME>", "what the token is called in logs and in the list")
    .requiredOption("--role <ROLES>", "read, write, metrics, admin; several with commas")
    .option("--bucket <BUCKET>", "good for this bucket only")
    .option("--prefix <TEXT>", "good for keys of the bucket that start with it only")
    .option("--expires <TIME>", "ends after this time: 12h, 30d")
    .option("--out <FILE>", "write the token there, readable by you only, instead of printing it")
    .option("--rate <NUMBER>", "at most so many requests per second")
    .option("--file <FILE>", FILE_OPTION)
    .option("--config <FILE>", CONFIG_OPTION)
    .addOption(jsonOption())
    .addHelpText(
      "after",
      examples(
        "hutch token create --id ops --role admin --file tokens.json --out ops.token",
        "hutch token create --id app --role read,write --bucket users --prefix eu/ --expires 30d --file tokens.json",
      ),
    )
    .action(async (options) => (await import("./token.ts")).createToken(options));
}
