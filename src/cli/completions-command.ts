/** `hutch completions` as the help shows it. */

import type { Command } from "commander";
import { Argument } from "commander";
import { examples } from "./command-parts.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

export function addCompletions(program: Command): void {
  program
    .command("completions")
    .addArgument(new Argument("<SHELL>", "bash, zsh or fish").choices(SHELLS))
    .summary("print a completion script for a shell")
    .description(
      "Prints what lets a shell complete commands and options. It is made from the commands themselves: print it again after an update.",
    )
    .addHelpText(
      "after",
      examples(
        'eval "$(hutch completions bash)"                             # in ~/.bashrc',
        "hutch completions zsh > ~/.zfunc/_hutch                      # a folder of your $fpath",
        "hutch completions fish > ~/.config/fish/completions/hutch.fish",
      ),
    )
    .action(async (shell: Shell) =>
      (await import("./completions.ts")).printCompletions(program, shell),
    );
}
